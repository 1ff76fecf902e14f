"""Reading a submission: the job it describes and its images, which are put into storage on the way."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast
from uuid import UUID, uuid4

import structlog
from flask import Request
from werkzeug.datastructures import FileStorage

from services.api.problems import LimitExceeded, RequestError, UnsupportedMedia
from services.api.schemas import NAME_LENGTH, JobOptions, LinkJob
from shared.errors import TooLarge, TransientError
from shared.jobs.accept import NewImage, NewJob
from shared.settings import Settings
from shared.storage import keys
from shared.storage.objects import Objects, delete_prefix

log = structlog.get_logger()

# Objects written side by side: storage answers are waited for, not computed.
UPLOADS_AT_ONCE = 8
# The multipart field that carries the images.
FILES_FIELD = "images"


class InvalidSubmission(RequestError):
    """The submission is not what this service can read."""

    code = "invalid_submission"


def read(request: Request, settings: Settings, objects: Objects, bundle: str) -> tuple[NewJob, list[NewImage]]:
    """The job and the images of a request; uploaded files are in storage when this returns.

    Raises RequestError for what cannot be read or is too much, ValidationError for fields that do not fit.
    """
    if request.mimetype == "multipart/form-data":
        return _uploads(request, settings, objects, bundle)
    if request.mimetype == "application/json":
        return _links(request, settings, bundle)
    raise UnsupportedMedia


def _job(job_id: UUID, options: JobOptions, bundle: str) -> NewJob:
    return NewJob(
        id=job_id, captioner=options.captioner, bundle=bundle, name=options.name, client_metadata=options.metadata
    )


def _check_number(number: int, settings: Settings) -> None:
    if number > settings.max_files_per_job:
        raise LimitExceeded(
            f"A job may have {settings.max_files_per_job:,} images; split it into several jobs.",
            limit="max_files_per_job",
            maximum=settings.max_files_per_job,
        )


# --- Links -------------------------------------------------------------------------------------------------------


def _links(request: Request, settings: Settings, bundle: str) -> tuple[NewJob, list[NewImage]]:
    body = LinkJob.model_validate_json(request.get_data())
    _check_number(len(body.images), settings)
    images = [
        NewImage(name=link.name or link.url, source_url=link.url, client_metadata=link.metadata) for link in body.images
    ]
    return _job(uuid4(), body, bundle), images


# --- Files -------------------------------------------------------------------------------------------------------


def _uploads(request: Request, settings: Settings, objects: Objects, bundle: str) -> tuple[NewJob, list[NewImage]]:
    options = _options(request)
    unknown = set(request.files) - {FILES_FIELD}
    if unknown:
        raise InvalidSubmission(f"Send files in the field {FILES_FIELD!r}, not {', '.join(sorted(unknown))!r}.")
    files = request.files.getlist(FILES_FIELD)
    _check_number(len(files), settings)
    job_id = uuid4()
    try:
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as threads:
            images = list(threads.map(lambda file: _stored(file, job_id, settings, objects), files))
    except Exception:
        discard(objects, job_id)
        raise
    return _job(job_id, options, bundle), images


def _options(request: Request) -> JobOptions:
    """The fields beside the files. `metadata` is JSON text, the others are plain."""
    fields: dict[str, object] = dict(request.form.items())
    if "metadata" in fields:
        try:
            fields["metadata"] = json.loads(str(fields["metadata"]))
        except (ValueError, RecursionError) as error:
            raise InvalidSubmission(f"The field 'metadata' is not JSON: {error}") from error
    return JobOptions.model_validate(fields)


def _stored(file: FileStorage, job_id: UUID, settings: Settings, objects: Objects) -> NewImage:
    """One uploaded file. One that is too large is an image that failed; it does not fail its neighbours."""
    name = _plain(file.filename or "unnamed")
    size = file.stream.seek(0, 2)
    file.stream.seek(0)
    if size > settings.max_file_bytes:
        error = TooLarge(f"The file has {size:,} bytes; this service accepts {settings.max_file_bytes:,}.")
        return NewImage(name=name, rejected=error)
    key = keys.original(job_id, uuid4())
    objects.put(key, cast(BinaryIO, file.stream))
    return NewImage(name=name, original_key=key)


def _plain(name: str) -> str:
    """A file name as it can be stored and shown."""
    return name.encode("utf-8", "replace").decode("utf-8").replace("\0", "")[:NAME_LENGTH]


def discard(objects: Objects, job_id: UUID) -> None:
    """Remove what a submission that is not accepted has put into storage."""
    try:
        delete_prefix(objects, keys.originals(job_id))
    except TransientError as error:
        log.warning("not_discarded", job=str(job_id), error=str(error))
