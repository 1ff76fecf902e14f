"""What can be done with a job on its way: pause, resume, cancel, try what failed again."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Connection

from services.api import owned, quotas
from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import NotFound, Problem, RequestError
from services.api.schemas import JobPath, JobStatus
from services.api.schemas.status import FailureCount, Failures, Retry, RetryOptions, RetryQuery
from services.api.status import job_status
from shared.jobs import audit, closing, pausing
from shared.jobs import retry as retrying
from shared.jobs.copies import hold_copies
from shared.jobs.delivery import hold_job
from shared.jobs.states import OPEN, JobState

api = APIBlueprint("control", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="Submit and watch.")])

CHANGED: dict[str | int | HTTPStatus, Any] = {200: JobStatus, 404: Problem, 409: Problem}


class JobEnded(RequestError):
    """The job has ended, so it can neither be paused nor go on."""

    code = "job_ended"
    status = HTTPStatus.CONFLICT


class JobCancelled(RequestError):
    """The job was cancelled; nothing of it is tried again. Submit its images as a new job."""

    code = "job_cancelled"
    status = HTTPStatus.CONFLICT


@api.post("/jobs/<uuid:job_id>/pause", summary="Pause a job", responses=CHANGED)
def pause(path: JobPath) -> dict[str, Any]:
    """Lets nothing more in. What is in work is finished at its stage and waits there. A deadline goes on running."""
    return _change(path.job_id, pausing.pause_job, "job.paused", if_ended=JobEnded)


@api.post("/jobs/<uuid:job_id>/resume", summary="Resume a job", responses=CHANGED)
def resume(path: JobPath) -> dict[str, Any]:
    """Lets a paused job go on where it was."""
    return _change(path.job_id, pausing.resume_job, "job.resumed", if_ended=JobEnded)


@api.post("/jobs/<uuid:job_id>/cancel", summary="Cancel a job", responses={200: JobStatus, 404: Problem})
def cancel(path: JobPath) -> dict[str, Any]:
    """Images that are finished keep their results; the others end as `cancelled`. Repeating it changes nothing."""
    return _change(path.job_id, closing.cancel_job, "job.cancelled", if_ended=None)


@api.post(
    "/jobs/<uuid:job_id>/retry", summary="Try failed images again", responses={200: Retry, 404: Problem, 409: Problem}
)
def retry(path: JobPath, query: RetryQuery, body: RetryOptions) -> dict[str, Any]:
    """Tries images that failed once more, all of them or by reason; a job that was completed runs again until they have
    ended. With `dry_run` it only says how many that would be. Earlier attempts stay on record. A deadline that has
    passed is taken away.
    """
    ours, who = parts(), caller()
    with ours.writing() as session:
        job = owned.job(session, path.job_id)
        connection = session.connection()
        # A look alone holds nobody up.
        state: JobState | None = JobState(job.state)
        if not query.dry_run:
            hold_copies(connection, job.id)
            state = hold_job(connection, job.id)
        if state is None:
            raise NotFound(f"There is no job {path.job_id}.")
        if state == JobState.CANCELLED:
            raise JobCancelled
        found = retrying.retriable(connection, job.id, body.reasons)
        if found.images and not query.dry_run:
            retrying.retry(connection, job.id, body.reasons)
            quotas.settle(connection, who.tenant)
            audit.record(connection, who.tenant, who.actor, "job.retried", job.id, images=found.images)
    return Retry(images=found.images, by_reason=found.by_reason, left_out=found.left_out).model_dump(mode="json")


@api.get("/jobs/<uuid:job_id>/failures", summary="See why images failed", responses={200: Failures, 404: Problem})
def failures(path: JobPath) -> dict[str, Any]:
    """How many images failed for each reason, and how many of them can be tried again: none of a cancelled job."""
    with parts().session() as session:
        job = owned.job(session, path.job_id)
        found = retrying.failures(session.connection(), job.id)
        cancelled = job.state == JobState.CANCELLED
    reasons = [
        FailureCount(reason=each.reason, images=each.images, retriable=0 if cancelled else each.again) for each in found
    ]
    return Failures(reasons=reasons).model_dump(mode="json")


def _change(
    job_id: UUID, change: Callable[[Connection, UUID], bool], action: str, if_ended: type[RequestError] | None
) -> dict[str, Any]:
    """Make a change, which is noted if it was one, and answer how the job is then."""
    ours, who = parts(), caller()
    with ours.writing() as session:
        job = owned.job(session, job_id)
        connection = session.connection()
        state = hold_job(connection, job.id)
        if state is None:
            raise NotFound(f"There is no job {job_id}.")
        if state not in OPEN and if_ended is not None:
            raise if_ended(f"Job {job_id} is {state} already.")
        if change(connection, job.id):
            audit.record(connection, who.tenant, who.actor, action, job.id)
    with ours.session() as session:
        return job_status(session, job_id).model_dump(mode="json")
