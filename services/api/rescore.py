"""Scoring a job again with another bundle."""

from http import HTTPStatus
from uuid import UUID, uuid4

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Connection

from services.api import owned, quotas, request_log
from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import AlreadyScored, JobRunning, Problem, RequestError, RescoredOften
from services.api.schemas import JobPath, JobStatus, RescoreOptions
from services.api.status import job_status
from shared.database.tables import Job
from shared.jobs import audit
from shared.jobs.rescore import MOST_TRIES, already_scored, rescore, reserve, tries
from shared.jobs.states import OPEN

api = APIBlueprint("rescore", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="Submit and watch.")])


class NotRescorable(RequestError):
    """This job keeps scores only, or scores a face under other words: there is nothing to score again."""

    code = "not_rescorable"
    status = HTTPStatus.CONFLICT


@api.post(
    "/jobs/<uuid:job_id>/rescore",
    summary="Score a job again",
    responses={HTTPStatus.ACCEPTED: JobStatus, 404: Problem, 409: Problem, 503: Problem},
)
def rescore_job(path: JobPath, body: RescoreOptions) -> Response:
    """Scores the faces of a job that has ended with another bundle, as a new job, without detecting them again.

    The first job keeps its results. 202 means that the new job is safe: it is committed. 503 means that nothing was
    written, for example because copying took too long.
    """
    ours, who = parts(), caller()
    bundle = ours.bundle_wanted(body.bundle)
    with ours.writing() as session:
        connection = session.connection()
        source = owned.job(session, path.job_id)
        _check_possible(source)
        _check_needed(connection, source.rescored_from or source.id, bundle)
        job_id = uuid4()
        if not rescore(connection, source.id, job_id, bundle):
            # It was opened again, or deleted, since it was looked at.
            session.expire_all()
            _check_possible(owned.job(session, path.job_id))
            raise JobRunning
        quotas.settle(connection, who.tenant)
        audit.record(connection, who.tenant, who.actor, "job.rescored", source.id, job=job_id)
        status = job_status(session, job_id)
    request_log.accepted(job_id, status.images)
    answer = jsonify(status.model_dump(mode="json"))
    answer.status_code = HTTPStatus.ACCEPTED
    answer.headers["Location"] = status.links["self"]
    return answer


def _check_possible(source: Job) -> None:
    """Raises JobRunning or NotRescorable."""
    if source.state in OPEN:
        raise JobRunning(f"Job {source.id} still runs; its faces can be scored again when it has ended.")
    if source.scores_only or source.what_if:
        raise NotRescorable


def _check_needed(connection: Connection, root: UUID, bundle: str) -> None:
    """Raises AlreadyScored, or RescoredOften where another copy of all rows is no more use than the last."""
    reserve(connection, root)
    other = already_scored(connection, root, bundle)
    if other is not None:
        raise AlreadyScored(f"Job {other} has these faces scored with bundle {bundle}, or is at it.")
    if (made := tries(connection, root, bundle)) >= MOST_TRIES:
        raise RescoredOften(
            f"{made} jobs have scored these faces again with bundle {bundle}, and some images got no score each "
            "time. Submit those as a new job instead.",
            limit="max_rescorings",
            maximum=MOST_TRIES,
        )
