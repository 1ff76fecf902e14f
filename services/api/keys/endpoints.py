"""Making, listing and revoking keys over HTTP, and who a caller is."""

from http import HTTPStatus
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from services.api import quotas
from services.api.caller import OPEN, caller
from services.api.keys import stored
from services.api.parts import parts
from services.api.problems import RequestError
from services.api.schemas.keys import (
    CreatedKey,
    Key,
    KeyPath,
    Keys,
    KeysQuery,
    NewKey,
    TenantAnswer,
    TenantQuotas,
    TenantUsage,
)
from services.api.scopes import Scope
from shared.access import is_loopback, keys_required
from shared.settings import Settings

api = APIBlueprint(
    "keys", __name__, url_prefix="/v1", abp_tags=[Tag(name="keys", description="Who may do what, and how much.")]
)


class TenantForeign(RequestError):
    """A key makes keys for its own tenant only."""

    code = "tenant_foreign"
    status = HTTPStatus.FORBIDDEN


@api.post("/keys", summary="Make a key", responses={HTTPStatus.CREATED: CreatedKey})
def create(body: NewKey) -> Response:
    """The answer holds the whole key, once. It can be revoked, but never shown again.

    Without a key, where none is asked for, keys of any tenant can be made.
    """
    us = caller()
    tenant = body.tenant or us.tenant
    if tenant != us.tenant and us is not OPEN:
        raise TenantForeign(f"This key belongs to tenant {us.tenant}, and makes keys for that one only.")
    with parts().database.begin() as connection:
        whole, row = stored.create(connection, tenant, us.actor, body.name, body.scopes, body.expires_in_seconds)
    made = CreatedKey(**Key.model_validate(row, from_attributes=True).model_dump(), key=whole)
    answer = jsonify(made.model_dump(mode="json"))
    answer.status_code = HTTPStatus.CREATED
    answer.headers["Cache-Control"] = "no-store"
    return answer


@api.get("/keys", summary="List keys", responses={200: Keys})
def index(query: KeysQuery) -> dict[str, Any]:
    """The keys of the caller's tenant, also those that expired or were revoked; the newest first."""
    with parts().session() as session:
        rows = stored.listed(session.connection(), caller().tenant, query.cursor, query.limit + 1)
    page = [Key.model_validate(row, from_attributes=True) for row in rows[: query.limit]]
    more = str(page[-1].id) if len(rows) > query.limit else None
    return Keys(keys=page, next_cursor=more).model_dump(mode="json")


@api.delete("/keys/<uuid:key_id>", summary="Revoke a key", responses={200: Key})
def revoke(path: KeyPath) -> dict[str, Any]:
    """From now on it is refused. Its row stays, so that the audit log can be read. Repeating it changes nothing."""
    us = caller()
    with parts().writing() as session:
        row = stored.revoke(session.connection(), us.tenant, us.actor, path.key_id)
    return Key.model_validate(row, from_attributes=True).model_dump(mode="json")


@api.get("/tenant", summary="Who am I?", responses={200: TenantAnswer})
def tenant() -> dict[str, Any]:
    """The tenant that the caller acts for, what its key allows, what it may have and what it has."""
    ours, us = parts(), caller()
    with ours.session() as session:
        allowed = quotas.quotas(session.connection(), us.tenant, ours.settings)
        has = quotas.usage(session.connection(), us.tenant)
    counted = us is not OPEN
    return TenantAnswer(
        tenant=us.tenant,
        actor=us.actor,
        open=not keys_required(ours.settings),
        note=openness(ours.settings),
        scopes=sorted(us.scopes, key=list(Scope).index),
        quotas=TenantQuotas(
            max_stored_bytes=allowed.max_stored_bytes,
            max_queued_images=allowed.max_queued_images,
            requests_per_minute=ours.settings.requests_per_minute if counted else None,
            pictures_per_minute=ours.settings.pictures_per_minute if counted else None,
            submissions_per_minute=ours.settings.submissions_per_minute if counted else None,
        ),
        usage=TenantUsage(stored_bytes=has.stored_bytes, queued_images=has.queued_images, open_jobs=has.open_jobs),
    ).model_dump(mode="json")


def openness(settings: Settings) -> str:
    """Who may use this service, in a sentence."""
    if keys_required(settings):
        return "closed: every caller needs a key"
    if is_loopback(settings.api_host):
        return "open: anybody on this machine may use this service without a key"
    return "open: anybody who reaches this service may use it without a key"
