"""Reading the audit log."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Select, select

from services.api.caller import caller
from services.api.parts import parts
from services.api.schemas.audit import AuditEntry, AuditPage, AuditQuery
from shared.database.tables import Audit

api = APIBlueprint("audit", __name__, url_prefix="/v1", abp_tags=[Tag(name="audit", description="Who did what, when.")])


@api.get("/audit", summary="Read the audit log", responses={200: AuditPage})
def page(query: AuditQuery) -> dict[str, Any]:
    """Who did what, when, with the newest first: without names, captions or links. Nobody can change or remove it."""
    with parts().session() as session:
        found = session.scalars(_chosen(query).order_by(Audit.id.desc()).limit(query.limit + 1)).all()
    shown = found[: query.limit]
    return AuditPage(
        entries=[AuditEntry.model_validate(entry, from_attributes=True) for entry in shown],
        next_cursor=str(shown[-1].id) if len(found) > query.limit else None,
    ).model_dump(mode="json")


def _chosen(query: AuditQuery) -> Select[Audit]:
    chosen = select(Audit).where(Audit.tenant == caller().tenant)
    if query.action is not None:
        chosen = chosen.where(Audit.action == query.action)
    if query.subject is not None:
        chosen = chosen.where(Audit.subject == query.subject)
    if query.since is not None:
        chosen = chosen.where(Audit.at >= query.since)
    if query.cursor is not None:
        chosen = chosen.where(Audit.id < query.cursor)
    return chosen
