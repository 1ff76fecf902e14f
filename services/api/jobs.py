"""Submitting jobs and watching them."""

from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from services.api import submission
from services.api.parts import Parts, parts
from services.api.problems import AlreadyScored, JobRunning, NotFound, Problem, RescoredOften
from services.api.schemas import JobOptions, JobPath, JobStatus, LinkJob, RescoreOptions
from services.api.status import job_status
from shared.database.tables import Job
from shared.jobs import closing
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.rescore import MOST_TRIES, already_scored, rescore, reserve, tries
from shared.jobs.states import JobState

api = APIBlueprint("jobs", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="Submit and watch.")])


def _request_body() -> dict[str, Any]:
    """Files and fields, or links: OpenAPI's description of what a submission may be."""
    options = JobOptions.model_json_schema()["properties"]
    files = {
        submission.FILES_FIELD: {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "JPEG, PNG or WebP files; repeat the field for each",
        }
    }
    links = LinkJob.model_json_schema()
    links["properties"]["images"]["items"] = links.pop("$defs")["Link"]
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "properties": {**files, **options}}},
            "application/json": {"schema": links},
        },
    }


@api.post(
    "/jobs",
    summary="Submit images",
    responses={
        HTTPStatus.ACCEPTED: JobStatus,
        HTTPStatus.BAD_REQUEST: Problem,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Problem,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Problem,
        HTTPStatus.SERVICE_UNAVAILABLE: Problem,
    },
    openapi_extensions={"requestBody": _request_body()},
)
def submit() -> Response:
    """Send files as multipart/form-data, or links as JSON. 202 means that the job is safe: it is committed."""
    ours = parts()
    job, images = submission.read(request, ours.settings, ours.objects, ours.bundle_wanted)
    status = _commit(ours, job, images)
    return _accepted(status)


def _accepted(status: JobStatus) -> Response:
    answer = jsonify(status.model_dump(mode="json"))
    answer.status_code = HTTPStatus.ACCEPTED
    answer.headers["Location"] = status.links["self"]
    return answer


def _commit(ours: Parts, job: NewJob, images: list[NewImage]) -> JobStatus:
    """Write the job. If that fails its objects go, unless COMMIT was sent already: then nobody knows, and they stay."""
    written = False
    try:
        with ours.database.connect() as connection:
            accept(connection, job, images)
            # Before COMMIT: whatever fails after it would make a client submit again what is accepted already.
            with Session(connection) as session:  # it joins the transaction, and leaves it open
                status = job_status(session, job.id)
            written = True
            connection.commit()
            return status
    except Exception:
        if not written:
            submission.discard(ours.objects, job.id)
        raise


@api.get("/jobs/<uuid:job_id>", summary="Watch a job", responses={200: JobStatus, 404: Problem})
def show(path: JobPath) -> dict[str, Any]:
    """Counts per state and stage, progress and an estimate. Costs the same for a million images as for ten."""
    with Session(parts().database) as session:
        return job_status(session, path.job_id).model_dump(mode="json")


@api.post("/jobs/<uuid:job_id>/cancel", summary="Cancel a job", responses={200: JobStatus, 404: Problem})
def cancel(path: JobPath) -> dict[str, Any]:
    """Images that are finished keep their results; the others end as `cancelled`. Repeating it changes nothing."""
    ours = parts()
    with ours.database.begin() as connection:
        closing.cancel_job(connection, path.job_id)
    with Session(ours.database) as session:
        return job_status(session, path.job_id).model_dump(mode="json")


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
    ours = parts()
    bundle = ours.bundle_wanted(body.bundle)
    # Before the session, so that it joins this transaction and leaves its end to it.
    with ours.database.begin() as connection, Session(connection) as session:
        source = session.get(Job, path.job_id)
        if source is None:
            raise NotFound(f"There is no job {path.job_id}.")
        if source.state == JobState.RUNNING:
            raise JobRunning(f"Job {path.job_id} still runs; its faces can be scored again when it has ended.")
        _check_needed(connection, source.rescored_from or source.id, bundle)
        job_id = uuid4()
        rescore(connection, path.job_id, job_id, bundle)
        status = job_status(session, job_id)
    return _accepted(status)


def _check_needed(connection: Connection, root: UUID, bundle: str) -> None:
    """Raises AlreadyScored, or RescoredOften where another copy of all rows is no more use than the last."""
    reserve(connection, root)
    other = already_scored(connection, root, bundle)
    if other is not None:
        raise AlreadyScored(f"Job {other} has these faces scored with bundle {bundle}, or is at it.")
    if (made := tries(connection, root, bundle)) >= MOST_TRIES:
        raise RescoredOften(
            f"{made} jobs have scored these faces again with bundle {bundle}, and some images got no score each "
            "time. Submit those as a new job instead."
        )
