"""Listing jobs."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Select, func, literal, select, tuple_

from services.api.caller import caller
from services.api.parts import parts
from services.api.schemas.status import JobsPage, JobsQuery
from services.api.status import statuses
from shared.database.tables import Idempotency, Job
from shared.settings import Settings

api = APIBlueprint("jobs", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="Submit and watch.")])

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@api.get("/jobs", summary="List jobs", responses={200: JobsPage})
def page(query: JobsQuery) -> dict[str, Any]:
    """The newest first, with their status: those that all filters fit, page after page. A job that is submitted
    meanwhile does not shift the pages.
    """
    ours = parts()
    with ours.session() as session:
        newest = _wanted(query, ours.settings).order_by(Job.created_at.desc(), Job.id.desc())
        found = session.scalars(newest.limit(query.limit + 1)).all()
        shown = found[: query.limit]
        more = _cursor(shown[-1]) if len(found) > query.limit else None
        return JobsPage(jobs=statuses(session, [job.id for job in shown]), next_cursor=more).model_dump(mode="json")


def _wanted(query: JobsQuery, settings: Settings) -> Select[Job]:
    ours = caller().tenant
    jobs = select(Job).where(Job.tenant == ours)
    # What a face would score under other words is nobody's set; whoever asks for it by its id gets it.
    jobs = jobs.where(Job.id.in_(query.id)) if query.id else jobs.where(~Job.what_if)
    if query.state:
        jobs = jobs.where(Job.state.in_(query.state))
    if query.label:
        jobs = jobs.where(Job.labels.contains(query.label))
    if query.priority is not None:
        jobs = jobs.where(Job.priority == query.priority)
    if query.name is not None:
        jobs = jobs.where(Job.name == query.name)
    if query.created_after is not None:
        jobs = jobs.where(Job.created_at >= query.created_after)
    if query.created_before is not None:
        jobs = jobs.where(Job.created_at < query.created_before)
    if query.idempotency_key is not None:
        kept = select(Idempotency.job_id).where(Idempotency.tenant == ours, Idempotency.key == query.idempotency_key)
        valid = func.now() - func.make_interval(0, 0, 0, 0, settings.idempotency_hours)
        jobs = jobs.where(Job.id.in_(kept.where(Idempotency.created_at >= valid)))
    if query.cursor is not None:
        jobs = jobs.where(tuple_(Job.created_at, Job.id) < _place(query.cursor))
    return jobs


def _cursor(job: Job) -> str:
    """Where a list goes on after a job: also when that has been deleted by then."""
    return f"{(job.created_at - EPOCH) // MICROSECOND}-{job.id}"


def _place(cursor: str) -> Any:
    microseconds, _, job_id = cursor.partition("-")
    return tuple_(literal(EPOCH + int(microseconds) * MICROSECOND), literal(UUID(job_id)))
