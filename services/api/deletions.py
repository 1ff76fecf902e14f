"""Deleting jobs and images, and what became of it."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, current_app, jsonify, url_for
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import func, select

from services.api import owned
from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import NotFound, Problem
from services.api.schemas import ImagePath, JobPath
from services.api.schemas.deletions import Deletion, DeletionPath, Deletions, DeletionsQuery
from services.api.set_findings import SetFindings
from shared.database import tables
from shared.jobs.erase import Order, erase_image, erase_job
from shared.jobs.in_hand import window_seconds

api = APIBlueprint(
    "deletions", __name__, url_prefix="/v1", abp_tags=[Tag(name="deletions", description="Delete, for good.")]
)
ACCEPTED: dict[str | int | HTTPStatus, Any] = {HTTPStatus.ACCEPTED: Deletion, 404: Problem}


@api.delete("/jobs/<uuid:job_id>", summary="Delete a job", responses=ACCEPTED)
def delete_job(path: JobPath) -> Response:
    """Deletes a job with all that belongs to it, also while it runs, and the jobs that score its faces again.

    From this answer on nothing of it can be read. Its files follow within seconds; the receipt tells when they are
    gone, and when no worker that had any of it in hand can write any more.
    """
    ours = parts()
    with ours.session() as session:
        owned.job(session, path.job_id)
    # As the owner of the tables: what is deleted are whole trees of rows, and the tenant is named once more.
    with ours.database.begin() as connection:
        receipt = erase_job(connection, path.job_id, _order())
    if receipt is None:
        raise NotFound(f"There is no job {path.job_id}.")
    return _accepted(receipt, path.job_id)


@api.delete("/images/<int:image_id>", summary="Delete an image", responses=ACCEPTED)
def delete_image(path: ImagePath) -> Response:
    """Deletes one image of a job with its faces, also while the job runs, and its copies in jobs that score it again.

    Of an image of a job that scores others' faces again, only this copy is deleted; delete the image that was submitted
    to delete all. The same photograph submitted twice is two images.
    """
    ours = parts()
    with ours.session() as session:
        job_id = owned.image(session, path.image_id).job_id
    with ours.database.begin() as connection:
        receipt = erase_image(connection, path.image_id, _order())
    if receipt is None:
        raise NotFound(f"There is no image {path.image_id}.")
    return _accepted(receipt, job_id)


@api.get("/deletions/<uuid:deletion_id>", summary="Read a receipt", responses={200: Deletion, 404: Problem})
def show(path: DeletionPath) -> dict[str, Any]:
    """The receipt of a deletion, which tells how far it is."""
    return _receipt(path.deletion_id).model_dump(mode="json")


@api.get("/deletions", summary="List receipts", responses={200: Deletions})
def show_all(query: DeletionsQuery) -> dict[str, Any]:
    """The newest first."""
    ours = caller().tenant
    table = tables.Deletion
    chosen = select(table).where(table.tenant == ours)
    if query.cursor is not None:
        last = select(table.requested_at, table.id).where(table.id == query.cursor, table.tenant == ours)
        chosen = chosen.where(func.row(table.requested_at, table.id) < last.scalar_subquery())
    with parts().session() as session:
        newest = chosen.order_by(table.requested_at.desc(), table.id.desc()).limit(query.limit + 1)
        found = session.scalars(newest).all()
    page = found[: query.limit]
    more = str(page[-1].id) if len(found) > query.limit else None
    return Deletions(deletions=[_shown(each) for each in page], next_cursor=more).model_dump(mode="json")


def _order() -> Order:
    return Order(caller().tenant, caller().actor, "request", window_seconds(parts().settings))


def _accepted(receipt: UUID, job_id: UUID) -> Response:
    findings: SetFindings = current_app.extensions["facemem_findings"]
    findings.forget(job_id)
    shown = _receipt(receipt)
    answer = jsonify(shown.model_dump(mode="json"))
    answer.status_code = HTTPStatus.ACCEPTED
    answer.headers["Location"] = shown.links["self"]
    return answer


def _receipt(deletion_id: UUID) -> Deletion:
    """A receipt of the caller's tenant. Raises NotFound."""
    with parts().session() as session:
        found = session.scalar(
            select(tables.Deletion).where(tables.Deletion.id == deletion_id, tables.Deletion.tenant == caller().tenant)
        )
        if found is None:
            raise NotFound(f"There is no deletion {deletion_id}.")
        return _shown(found)


def _shown(found: tables.Deletion) -> Deletion:
    return Deletion(
        id=found.id,
        job=found.job_id,
        image=found.image_id,
        reason=found.reason,
        requested_at=found.requested_at,
        jobs=found.jobs,
        images=found.images,
        faces=found.faces,
        objects=found.objects,
        removed_at=found.removed_at,
        final=found.next_sweep_at is None,
        last_sweep_at=found.last_sweep_at,
        links={"self": url_for("deletions.show", deletion_id=found.id)},
    )
