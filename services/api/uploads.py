"""Direct uploads: files go to storage without passing through a submission, and are named in one by `upload:ID`."""

from http import HTTPStatus
from typing import Any, BinaryIO, cast
from uuid import UUID

from flask import Response, jsonify, request, url_for
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Row

from services.api import quotas, upload_places
from services.api.caller import caller
from services.api.incoming import CheckedBody, LengthRequired, UploadDiffers, UploadTooLong
from services.api.parts import Parts, parts
from services.api.problems import LimitExceeded, NotFound, Problem, RequestError, UnsupportedMedia
from services.api.schemas.paths import UploadPath
from services.api.schemas.uploads import ContentQuery, NewUploads, SignedRequest, Upload, Uploads, UploadStatus
from services.api.upload_places import Announced
from shared.images.formats import MEDIA_TYPES
from shared.jobs import audit
from shared.jobs.uploads import SCHEME
from shared.storage import keys

api = APIBlueprint(
    "uploads", __name__, url_prefix="/v1", abp_tags=[Tag(name="uploads", description="Send files first.")]
)


class UploadTaken(RequestError):
    """A job has taken this upload; its file is that job's now."""

    code = "upload_taken"
    status = HTTPStatus.CONFLICT


class UploadRefused(RequestError):
    """This link was not made for this upload, or has been changed."""

    code = "upload_refused"
    status = HTTPStatus.FORBIDDEN


@api.post("/uploads", summary="Announce files", responses={HTTPStatus.CREATED: Uploads, 413: Problem, 503: Problem})
def create(body: NewUploads) -> Response:
    """For each file answers the request that puts it straight into storage, and its name in a submission.

    Storage refuses other sizes and types than were announced. A file that was announced with its SHA-256 before and has
    arrived since is `received`: so an interrupted upload of many files goes on where it stopped.
    """
    ours = parts()
    _check_sizes(ours, body)
    found = upload_places.arrived(ours, body.files)
    new = [file for number, file in enumerate(body.files) if number not in found]
    tenant = caller().tenant
    with ours.writing() as session:
        quotas.check(session.connection(), tenant, stored=sum(file.size for file in new))
        made = iter(upload_places.made(session, new, ours.settings.upload_seconds))
        if new:
            audit.record(session, tenant, caller().actor, "uploads.created", uploads=len(new))
        quotas.settle(session.connection(), tenant)
    uploads = [
        _described(ours, found[number], received=True) if number in found else _described(ours, next(made))
        for number in range(len(body.files))
    ]
    return _json(Uploads(uploads=uploads).model_dump(mode="json"), HTTPStatus.CREATED)


@api.get("/uploads/<uuid:upload_id>", summary="Look at an upload", responses={200: UploadStatus, 404: Problem})
def show(path: UploadPath) -> Response:
    """Whether the file has arrived, and which job took it."""
    ours = parts()
    with ours.session() as session:
        row = upload_places.owned(session, path.upload_id)
    status = UploadStatus(
        id=row.id,
        url=f"{SCHEME}{row.id}",
        name=row.name,
        size=row.size,
        media_type=row.media_type,
        sha256=row.digest.hex() if row.digest else None,
        received=None if row.job_id else upload_places.is_there(ours, row),
        job=row.job_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
    return _json(status.model_dump(mode="json"), HTTPStatus.OK)


@api.delete(
    "/uploads/<uuid:upload_id>",
    summary="Withdraw an upload",
    responses={HTTPStatus.NO_CONTENT: None, 404: Problem, 409: Problem},
)
def withdraw(path: UploadPath) -> Response:
    """The file is removed within seconds, if it has arrived. A job's is the job's: delete that, or the image."""
    with parts().writing() as session:
        row = upload_places.owned(session, path.upload_id)
        if not upload_places.withdrawn(session, row.id):
            raise UploadTaken
    return Response(status=HTTPStatus.NO_CONTENT)


@api.put(
    "/uploads/<uuid:upload_id>/content",
    summary="Send a file",
    responses={HTTPStatus.NO_CONTENT: None, 404: Problem, 409: Problem, 411: Problem, 413: Problem, 415: Problem},
    openapi_extensions={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
        }
    },
)
def receive(path: UploadPath, query: ContentQuery) -> Response:
    """Where storage is a folder, `put.url` leads here. The link is all that is asked for; it needs no key.

    What has another size, media type or SHA-256 than was announced is refused, and nothing of it is kept.
    """
    ours = parts()
    row = _by_link(ours, path.upload_id, query.token)
    if request.mimetype != row.media_type:
        raise UnsupportedMedia(f"{row.media_type} was announced, so Content-Type must say that.")
    if request.content_length is None:
        raise LengthRequired
    if request.content_length > row.size:
        raise UploadTooLong(f"{row.size:,} bytes were announced, and {request.content_length:,} are being sent.")
    if request.content_length < row.size:
        raise UploadDiffers(f"{row.size:,} bytes were announced, and only {request.content_length:,} are being sent.")
    body = CheckedBody(request.stream, row.size, row.digest)
    ours.objects.put(keys.upload(row.id), cast(BinaryIO, body))
    return Response(status=HTTPStatus.NO_CONTENT)


def _by_link(ours: Parts, upload_id: UUID, token: str) -> Row[Any]:
    """The upload that a link leads to. Raises UploadRefused, UploadTaken or NotFound."""
    row = upload_places.by_link(ours, upload_id)
    if row is None or not ours.objects.admits(token, keys.upload(row.id), row.size, row.media_type):
        raise UploadRefused
    if row.job_id is not None:
        raise UploadTaken
    if row.expired:
        raise NotFound(f"Upload {upload_id} has expired; announce the file again.")
    return row


def _check_sizes(ours: Parts, body: NewUploads) -> None:
    settings = ours.settings
    if len(body.files) > settings.uploads_at_once:
        raise LimitExceeded(
            f"At most {settings.uploads_at_once:,} files can be announced in one call; use several.",
            limit="uploads_at_once",
            maximum=settings.uploads_at_once,
        )
    for number, file in enumerate(body.files):
        if file.size > settings.max_file_bytes:
            raise LimitExceeded(
                f"File {number} has {file.size:,} bytes; this service accepts {settings.max_file_bytes:,}.",
                limit="max_file_bytes",
                maximum=settings.max_file_bytes,
            )


def _described(ours: Parts, place: Announced, *, received: bool = False) -> Upload:
    url = f"{SCHEME}{place.id}"
    put = None if received else _put(ours, place)
    return Upload(id=place.id, url=url, received=received, put=put, expires_at=place.expires_at)


def _put(ours: Parts, place: Announced) -> SignedRequest:
    """The request that puts the file where it belongs: into storage if clients can reach that, else through us."""
    seconds = ours.settings.upload_seconds
    grant = ours.objects.grant(keys.upload(place.id), place.size, place.media_type, seconds)
    through_us = url_for("uploads.receive", upload_id=place.id, token=grant.token, _external=True)
    return SignedRequest(url=grant.url or through_us, headers=dict(grant.headers))


def _json(content: dict[str, Any], status: HTTPStatus) -> Response:
    answer = jsonify(content)
    answer.status_code = status
    return answer
