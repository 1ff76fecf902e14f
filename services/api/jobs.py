"""Submitting jobs and watching them."""

from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy.orm import Session

from services.api import submission
from services.api.parts import Parts, parts
from services.api.problems import Problem
from services.api.schemas import JobOptions, JobPath, JobStatus, LinkJob
from services.api.status import job_status
from shared.jobs import closing
from shared.jobs.accept import NewImage, NewJob, accept

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
    job, images = submission.read(request, ours.settings, ours.objects, ours.bundle)
    status = _commit(ours, job, images)
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
