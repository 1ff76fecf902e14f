"""What became of the events of a webhook: the delivery log, a test, and sending again."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import NotFound, Problem, RequestError
from services.api.schemas.webhooks import (
    Deliveries,
    DeliveriesQuery,
    DeliveryEntry,
    DeliveryPath,
    DeliveryState,
    DeliveryTry,
    WebhookPath,
)
from services.api.webhooks import owned_webhook
from shared.database.tables import Delivery, DeliveryAttempt, Webhook
from shared.jobs import audit
from shared.jobs.events import emit_test

api = APIBlueprint(
    "deliveries",
    __name__,
    url_prefix="/v1/webhooks/<uuid:webhook_id>",
    abp_tags=[Tag(name="webhooks")],
)


class WebhookDisabled(RequestError):
    """This webhook is off, so nothing is sent to it. Turn it on first: PATCH it with `enabled` true."""

    code = "webhook_disabled"
    status = HTTPStatus.CONFLICT


@api.post(
    "/test",
    summary="Test a webhook",
    responses={HTTPStatus.ACCEPTED: DeliveryEntry, 404: Problem, 409: Problem},
)
def test(path: WebhookPath) -> Response:
    """Sends it an event of the type `webhook.test`, signed like any other. The log says what came of it."""
    with parts().writing() as session:
        _enabled(session, path.webhook_id)
        delivery_id = uuid4()
        emit_test(session.connection(), path.webhook_id, delivery_id)
        return _accepted(session, _owned(session, path.webhook_id, delivery_id))


@api.get("/deliveries", summary="List deliveries", responses={200: Deliveries, 404: Problem})
def show_all(path: WebhookPath, query: DeliveriesQuery) -> dict[str, Any]:
    """The newest events first, each with every try to deliver it. Events of the last 30 days, if nobody set it so."""
    chosen = select(Delivery).where(Delivery.webhook_id == path.webhook_id)
    if query.cursor is not None:
        # One that was removed meanwhile was among the oldest: nothing is behind it.
        last = select(Delivery.created_at, Delivery.id).where(
            Delivery.id == query.cursor, Delivery.webhook_id == path.webhook_id
        )
        chosen = chosen.where(func.row(Delivery.created_at, Delivery.id) < last.scalar_subquery())
    with parts().session(as_of_one_moment=True) as session:
        owned_webhook(session, path.webhook_id)
        newest = chosen.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(query.limit + 1)
        found = session.scalars(newest).all()
        page = found[: query.limit]
        more = str(page[-1].id) if len(found) > query.limit else None
        return Deliveries(deliveries=_entries(session, page), next_cursor=more).model_dump(mode="json")


@api.post(
    "/deliveries/<uuid:delivery_id>/redeliver",
    summary="Deliver again",
    responses={HTTPStatus.ACCEPTED: DeliveryEntry, 404: Problem, 409: Problem},
)
def redeliver(path: DeliveryPath) -> Response:
    """Sends an event once more, with the same `webhook-id`, whatever came of it before."""
    who = caller()
    with parts().writing() as session:
        _enabled(session, path.webhook_id)
        delivery = _owned(session, path.webhook_id, path.delivery_id)
        delivery.next_attempt_at = session.scalar(select(func.now()))
        session.flush()
        audit.record(session, who.tenant, who.actor, "webhook.redelivered", path.webhook_id, delivery=delivery.id)
        return _accepted(session, delivery)


def _enabled(session: Session, webhook_id: UUID) -> Webhook:
    webhook = owned_webhook(session, webhook_id, for_update=True)
    if webhook.disabled_at is not None:
        raise WebhookDisabled
    return webhook


def _owned(session: Session, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """A delivery of a webhook that is known to be the caller's. Raises NotFound."""
    found = session.scalar(select(Delivery).where(Delivery.id == delivery_id, Delivery.webhook_id == webhook_id))
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id} of this webhook.")
    return found


def _accepted(session: Session, delivery: Delivery) -> Response:
    answer = jsonify(_entries(session, [delivery])[0].model_dump(mode="json"))
    answer.status_code = HTTPStatus.ACCEPTED
    return answer


def _entries(session: Session, deliveries: Sequence[Delivery]) -> list[DeliveryEntry]:
    """Deliveries as they are shown, each with its attempts, in one query for all of them."""
    tries: dict[UUID, list[DeliveryTry]] = {delivery.id: [] for delivery in deliveries}
    of_these = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(tries)).order_by(DeliveryAttempt.id)
    for each in session.scalars(of_these):
        tries[each.delivery_id].append(
            DeliveryTry(at=each.at, status=each.status, error=each.error, milliseconds=each.milliseconds)
        )
    return [
        DeliveryEntry(
            id=delivery.id,
            type=delivery.type,
            job=delivery.job_id,
            state=_state(delivery),
            payload=delivery.payload,
            created_at=delivery.created_at,
            next_attempt_at=delivery.next_attempt_at,
            delivered_at=delivery.delivered_at,
            attempts=tries[delivery.id],
        )
        for delivery in deliveries
    ]


def _state(delivery: Delivery) -> DeliveryState:
    if delivery.next_attempt_at is not None:
        return DeliveryState.WAITING
    return DeliveryState.FAILED if delivery.delivered_at is None else DeliveryState.DELIVERED
