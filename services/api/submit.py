"""Submitting jobs."""

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from flask import Response, jsonify, make_response, request
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from services.api import idempotency, quotas, request_log
from services.api.caller import caller
from services.api.idempotency import Answer
from services.api.parts import Parts, parts
from services.api.problems import Abandoned, Problem
from services.api.schemas import JobStatus, Preview
from services.api.schemas.submission import DAY
from services.api.status import job_status
from services.api.submission import options, reading
from services.api.submission.described import PARAMETERS, REQUEST_BODY
from services.api.submission.preview import Rejections, preview, used_limits
from services.api.submission.reading import Submission
from services.api.submission.storing import Place
from shared.jobs import arrivals, audit
from shared.jobs.accept import NewJob, accept
from shared.settings import Settings

api = APIBlueprint("submit", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="Submit and watch.")])


@api.post(
    "/jobs",
    summary="Submit images",
    responses={
        HTTPStatus.ACCEPTED: JobStatus,
        HTTPStatus.OK: Preview,
        HTTPStatus.BAD_REQUEST: Problem,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Problem,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Problem,
        HTTPStatus.SERVICE_UNAVAILABLE: Problem,
    },
    openapi_extensions={"requestBody": REQUEST_BODY, "parameters": PARAMETERS},
)
def submit() -> Response:
    """Send files as multipart/form-data or in a zip or tar, or name them in a manifest: JSON, JSON lines or CSV.

    202 means that the job is safe: it is committed. A line that cannot be read, or a file that is too large, is an
    image that failed, and fails nothing else. With `dry_run=true` nothing is kept, and 200 says what would become of
    it. With an Idempotency-Key the same submission may be repeated: it gets the first one's answer.
    """
    ours = parts()
    with reading.read_to_the_end(request):
        query, dry_run = options.in_query(request.args)
        key = idempotency.key_of(request)
        _check_early(ours, query, key)
        with reading.received(request, ours.settings, None if dry_run else _place(ours), query) as submission:
            if dry_run:
                return jsonify(_previewed(ours, submission).model_dump(mode="json"))
            answer, replayed = _committed(ours, submission, key)
    return _accepted(answer, replayed)


def _place(ours: Parts) -> Place:
    tenant = caller().tenant

    def note(job_id: UUID) -> None:
        with ours.database.begin() as connection:
            arrivals.renew(connection, job_id, tenant)

    def forget(job_id: UUID) -> None:
        with ours.database.begin() as connection:
            arrivals.forget(connection, job_id)

    return Place(ours.objects, note, forget)


def _check_early(ours: Parts, query: dict[str, object], key: str | None) -> None:
    """What can be told before the body is read. A submission that may have been accepted already takes no more room."""
    wanted = options.together(query, {}).bundle
    if wanted is not None:
        ours.bundle_wanted(wanted)
    if key is None:
        announced = request.content_length or 0 if reading.brings_files(request) else 0
        with ours.database.connect() as connection:
            quotas.check(connection, caller().tenant, stored=announced)


def _accepted(answer: Answer, replayed: bool) -> Response:
    response = make_response(answer.body, HTTPStatus.ACCEPTED)
    response.mimetype = "application/json"
    response.headers["Location"] = answer.location
    if replayed:
        response.headers[idempotency.REPLAYED] = "true"
    return response


def _described(ours: Parts, submission: Submission) -> Callable[[], NewJob]:
    """The job, as its options say when all of them are known."""

    def job() -> NewJob:
        said = submission.options()
        return NewJob(
            id=submission.id,
            tenant=caller().tenant,
            name=said.name,
            client_metadata=said.metadata,
            labels=said.labels,
            priority=said.priority,
            captioner=said.captioner,
            bundle=ours.bundle_wanted(said.bundle),
            deadline_seconds=said.deadline_seconds,
            retention_seconds=said.retention_seconds or _usual_retention(ours.settings),
            scores_only=said.scores_only,
        )

    return job


def _usual_retention(settings: Settings) -> int | None:
    return settings.retention_days * DAY if settings.retention_days else None


def _write(ours: Parts, connection: Connection, submission: Submission, rejections: Rejections) -> int:
    """Write the job, its options last: a document may name them after its images. Returns how many images it has."""
    undescribed = NewJob(submission.id, captioner="auto", bundle=ours.bundle, tenant=caller().tenant)
    images = accept(connection, undescribed, rejections, _described(ours, submission))
    quotas.settle(connection, caller().tenant)
    return images


def _previewed(ours: Parts, submission: Submission) -> Preview:
    with ours.database.connect() as connection:
        rejections = Rejections(submission.images)
        images = _write(ours, connection, submission, rejections)
        used = used_limits(ours.settings, {"max_images_per_job": images, submission.size_limit: submission.size})
        told = preview(connection, submission.id, images, rejections, used)
        connection.rollback()
        return told


def _committed(ours: Parts, submission: Submission, key: str | None) -> tuple[Answer, bool]:
    """Write the job, unless it is there already. Returns the answer, and whether it was given before.

    If writing fails its objects go, unless COMMIT was sent already: then nobody knows, and they stay.
    """
    written = False
    tenant = caller().tenant
    try:
        with ours.database.connect() as connection:
            if key is not None:
                before = idempotency.earlier(connection, tenant, key, submission.fingerprint, ours.settings)
                if before is not None:
                    _place(ours).discard(submission.id)
                    return before, True
            if submission.noted and not arrivals.accepted(connection, submission.id):
                raise Abandoned
            images = _write(ours, connection, submission, Rejections(submission.images))
            audit.record(connection, tenant, caller().actor, "job.submitted", submission.id, images=images)
            # Before COMMIT: whatever fails after it would make a client submit again what is accepted already.
            answer = _answer(connection, submission)
            if key is not None:
                idempotency.keep(connection, tenant, key, submission.fingerprint, submission.id, answer)
            written = True
            connection.commit()
            request_log.accepted(submission.id, images)
            return answer, False
    except Exception:
        if not written:
            _place(ours).discard(submission.id)
        raise


def _answer(connection: Connection, submission: Submission) -> Answer:
    with Session(connection) as session:  # it joins the transaction, and leaves it open
        status = job_status(session, submission.id)
    return Answer(jsonify(status.model_dump(mode="json")).get_data(as_text=True), status.links["self"])
