"""Webhooks: who is told of events. What is sent, and how often, is the dispatcher's (`workers.dispatcher.webhooks`)."""

import base64
import secrets
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import HttpUrl
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import NotFound, Problem, RequestError
from services.api.schemas.webhooks import (
    SECRET_PREFIX,
    NewWebhook,
    Rotation,
    WebhookChanges,
    WebhookEntry,
    WebhookPath,
    Webhooks,
    WebhookSecret,
)
from shared.addresses import check_link, check_written
from shared.database.tables import Webhook
from shared.errors import FetchRefused
from shared.jobs import audit

# Of a secret that we make.
SECRET_LENGTH = 32

api = APIBlueprint(
    "webhooks",
    __name__,
    url_prefix="/v1/webhooks",
    abp_tags=[Tag(name="webhooks", description="Be told when a job ends, by the Standard Webhooks specification.")],
)


class WebhookRefused(RequestError):
    """Nothing is sent to this address: it must be https, carry no password, and be public."""

    code = "webhook_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyWebhooks(RequestError):
    """This tenant has as many webhooks as it may have. Delete one that nobody needs."""

    code = "too_many_webhooks"
    status = HTTPStatus.CONFLICT


@api.post("", summary="Add a webhook", responses={HTTPStatus.CREATED: WebhookSecret, 409: Problem, 422: Problem})
def create(body: NewWebhook) -> Response:
    """The answer is the only place where the secret is shown. Keep it where the receiver can read it."""
    address = _checked(body.url)
    who, most = caller(), parts().settings.max_webhooks
    with parts().writing() as session:
        # Two that are added at once are counted one after the other.
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"webhooks of {who.tenant}", 0))))
        there = session.scalar(select(func.count()).where(Webhook.tenant == who.tenant)) or 0
        if there >= most:
            raise TooManyWebhooks(
                f"There are {there} webhooks already; delete one that nobody needs.", limit="max_webhooks", maximum=most
            )
        webhook = Webhook(
            id=uuid4(),
            tenant=who.tenant,
            url=address,
            secret=body.secret or _new_secret(),
            events=sorted(set(body.events)),
        )
        session.add(webhook)
        session.flush()
        audit.record(session, who.tenant, who.actor, "webhook.created", webhook.id)
        answer = _shown_once(session, webhook, HTTPStatus.CREATED)
        answer.headers["Location"] = f"/v1/webhooks/{webhook.id}"
        return answer


@api.get("", summary="List webhooks", responses={200: Webhooks})
def show_all() -> dict[str, Any]:
    """All webhooks of the tenant, the oldest first, without their secrets."""
    with parts().session() as session:
        mine = select(Webhook).where(Webhook.tenant == caller().tenant).order_by(Webhook.created_at, Webhook.id)
        return Webhooks(webhooks=[entry(webhook) for webhook in session.scalars(mine)]).model_dump(mode="json")


@api.get("/<uuid:webhook_id>", summary="Look at a webhook", responses={200: WebhookEntry, 404: Problem})
def show(path: WebhookPath) -> dict[str, Any]:
    """One webhook, without its secret."""
    with parts().session() as session:
        return entry(owned_webhook(session, path.webhook_id)).model_dump(mode="json")


@api.patch("/<uuid:webhook_id>", summary="Change a webhook", responses={200: WebhookEntry, 404: Problem, 422: Problem})
def change(path: WebhookPath, body: WebhookChanges) -> dict[str, Any]:
    """Changes its address or events, or turns it on again after it was given up.

    While it is off, events are not recorded for it. Those that waited before go out when it is on again.
    """
    address = None if body.url is None else _checked(body.url)
    who = caller()
    with parts().writing() as session:
        webhook = owned_webhook(session, path.webhook_id, for_update=True)
        if address is not None:
            webhook.url = address
        if body.events is not None:
            webhook.events = sorted(set(body.events))
        if body.enabled is not None and body.enabled != (webhook.disabled_at is None):
            webhook.disabled_at = None if body.enabled else session.scalar(select(func.now()))
        audit.record(session, who.tenant, who.actor, "webhook.changed", webhook.id)
        session.flush()
        return entry(webhook).model_dump(mode="json")


@api.delete("/<uuid:webhook_id>", summary="Delete a webhook", responses={HTTPStatus.NO_CONTENT: None, 404: Problem})
def delete(path: WebhookPath) -> Response:
    """It is told of nothing more, also of nothing that still waits. Its deliveries are forgotten with it."""
    who = caller()
    with parts().writing() as session:
        webhook = owned_webhook(session, path.webhook_id, for_update=True)
        session.delete(webhook)
        audit.record(session, who.tenant, who.actor, "webhook.deleted", webhook.id)
    return Response(status=HTTPStatus.NO_CONTENT)


@api.post(
    "/<uuid:webhook_id>/rotate",
    summary="Change a webhook's secret",
    responses={200: WebhookSecret, 404: Problem, 422: Problem},
)
def rotate(path: WebhookPath, body: Rotation) -> Response:
    """From now on deliveries are signed with the new secret alone, also those that still wait.

    To miss none, give the secret yourself: let the receiver take the old and the new one first, then change it here.
    """
    who = caller()
    with parts().writing() as session:
        webhook = owned_webhook(session, path.webhook_id, for_update=True)
        webhook.secret = body.secret or _new_secret()
        audit.record(session, who.tenant, who.actor, "webhook.changed", webhook.id, secrets=1)
        session.flush()
        return _shown_once(session, webhook, HTTPStatus.OK)


def owned_webhook(session: Session, webhook_id: UUID, *, for_update: bool = False) -> Webhook:
    """A webhook of the caller's tenant by its id. Raises NotFound."""
    query = select(Webhook).where(Webhook.id == webhook_id, Webhook.tenant == caller().tenant)
    found = session.scalar(query.with_for_update(key_share=True) if for_update else query)
    if found is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return found


def entry(webhook: Webhook) -> WebhookEntry:
    """A webhook as it is shown: without its secret."""
    return WebhookEntry.model_validate(_facts(webhook))


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "enabled": webhook.disabled_at is None,
        "created_at": webhook.created_at,
        "disabled_at": webhook.disabled_at,
    }


def _shown_once(session: Session, webhook: Webhook, status: HTTPStatus) -> Response:
    session.refresh(webhook)
    shown = WebhookSecret.model_validate({**_facts(webhook), "secret": webhook.secret})
    answer = jsonify(shown.model_dump(mode="json"))
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_LENGTH)).decode()


def _checked(url: HttpUrl) -> str:
    """The address in its plainest form, which all that read links agree on. Raises WebhookRefused."""
    private = parts().settings.fetch_private_addresses
    try:
        check_link(url.scheme, url.host, url.port, bool(url.username or url.password), private)
        check_written(url.host or "", private)
    except FetchRefused as error:
        raise WebhookRefused(error.detail) from error
    return str(url)
