"""Reading a submission: the job it describes and its images, which are put into storage on the way."""

import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO, cast
from uuid import UUID, uuid4

import structlog
from flask import Request
from werkzeug.exceptions import HTTPException

from services.api.multipart import CHUNK_BYTES, SentField, SentFile, parts
from services.api.problems import InvalidSubmission, LimitExceeded, UnsupportedMedia
from services.api.schemas import NAME_LENGTH, JobOptions, LinkJob
from shared.errors import TooLarge, TransientError
from shared.jobs.accept import NewImage, NewJob
from shared.settings import MIB, Settings
from shared.storage import keys
from shared.storage.objects import Objects, delete_prefix

log = structlog.get_logger()

Named = Callable[[str | None], str]
# Objects written side by side: storage answers are waited for, not computed. No more files are open than these and one.
UPLOADS_AT_ONCE = 8
# The multipart field that carries the images.
FILES_FIELD = "images"
# Fields beside the files. There are fewer; the rest is for the answer that names the unknown ones.
MAX_FIELDS = 16
# A submission of links is read into memory as a whole.
MAX_LINKS_BYTES = 32 * MIB


def read(request: Request, settings: Settings, objects: Objects, named: Named) -> tuple[NewJob, list[NewImage]]:
    """The job and the images of a request; uploaded files are in storage when this returns.

    `named` gives the digest of the bundle that the request names, or of the default one for None.

    Raises RequestError for what cannot be read or is too much, ValidationError for fields that do not fit.
    """
    try:
        if request.mimetype == "multipart/form-data":
            return _uploads(request, settings, objects, named)
        if request.mimetype == "application/json":
            return _links(request, settings, named)
        raise UnsupportedMedia
    except Exception:
        _drop_rest(request)
        raise


def _drop_rest(request: Request) -> None:
    """Read what is still being sent: most clients listen for an answer only after they have sent everything."""
    with suppress(HTTPException):  # Too long, or hung up: the error that brought us here says more.
        while request.stream.read(CHUNK_BYTES):
            pass


def _job(job_id: UUID, options: JobOptions, named: Named) -> NewJob:
    return NewJob(
        id=job_id,
        captioner=options.captioner,
        bundle=named(options.bundle),
        name=options.name,
        client_metadata=options.metadata,
    )


def _check_number(number: int, settings: Settings) -> None:
    if number > settings.max_files_per_job:
        raise LimitExceeded(
            f"A job may have {settings.max_files_per_job:,} images; split it into several jobs.",
            limit="max_files_per_job",
            maximum=settings.max_files_per_job,
        )


# --- Links -------------------------------------------------------------------------------------------------------


def _links(request: Request, settings: Settings, named: Named) -> tuple[NewJob, list[NewImage]]:
    body = LinkJob.model_validate_json(_json(request))
    _check_number(len(body.images), settings)
    images = [
        NewImage(name=link.name or link.url, source_url=link.url, client_metadata=link.metadata) for link in body.images
    ]
    return _job(uuid4(), body, named), images


def _json(request: Request) -> bytearray:
    content = bytearray()
    while chunk := request.stream.read(CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_LINKS_BYTES:
            raise LimitExceeded(
                f"A submission of links may have {MAX_LINKS_BYTES:,} bytes; split it into several jobs.",
                limit="max_links_bytes",
                maximum=MAX_LINKS_BYTES,
            )
    return content


# --- Files -------------------------------------------------------------------------------------------------------


def _uploads(request: Request, settings: Settings, objects: Objects, named: Named) -> tuple[NewJob, list[NewImage]]:
    boundary = request.mimetype_params.get("boundary", "").encode(errors="replace")
    if not boundary:
        raise InvalidSubmission("The Content-Type names no boundary; it must be the one that parts the body.")
    job_id = uuid4()
    try:
        fields, images = _received(request, boundary, job_id, settings, objects)
        if not images:
            raise InvalidSubmission(f"Send at least one file, with its file name, in the field {FILES_FIELD!r}.")
        return _job(job_id, _options(fields), named), images
    except Exception:
        discard(objects, job_id)
        raise


def _received(
    request: Request, boundary: bytes, job_id: UUID, settings: Settings, objects: Objects
) -> tuple[dict[str, str], list[NewImage]]:
    """The fields, and the images in their order. Files go into storage while the next ones arrive."""
    fields: dict[str, str] = {}
    images: list[NewImage] = []
    under_way: deque[Future[NewImage]] = deque()
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as threads:
        for part in parts(request.stream, boundary, settings.max_file_bytes):
            if isinstance(part, SentField):
                fields.setdefault(part.name, part.value)
                if len(fields) > MAX_FIELDS:
                    raise InvalidSubmission(f"The form has more than {MAX_FIELDS} fields beside its files.")
                continue
            # Before any check: from here on the thread closes the file, whatever happens.
            under_way.append(threads.submit(_stored, part, job_id, settings, objects))
            if part.name != FILES_FIELD:
                raise InvalidSubmission(f"Send files in the field {FILES_FIELD!r}, not {part.name!r}.")
            _check_number(len(images) + len(under_way), settings)
            if len(under_way) > UPLOADS_AT_ONCE:
                images.append(under_way.popleft().result())
        images += [each.result() for each in under_way]
    return fields, images


def _options(sent: dict[str, str]) -> JobOptions:
    """The fields beside the files. `metadata` is JSON text, the others are plain."""
    fields: dict[str, object] = dict(sent)
    if "metadata" in sent:
        try:
            fields["metadata"] = json.loads(sent["metadata"])
        except (ValueError, RecursionError) as error:
            raise InvalidSubmission(f"The field 'metadata' is not JSON: {error}") from error
    return JobOptions.model_validate(fields)


def _stored(file: SentFile, job_id: UUID, settings: Settings, objects: Objects) -> NewImage:
    """One uploaded file. One that is too large is an image that failed; it does not fail its neighbours."""
    name = _plain(file.filename or "unnamed")
    with file.content as content:
        if file.size > settings.max_file_bytes:
            error = TooLarge(f"The file has {file.size:,} bytes; this service accepts {settings.max_file_bytes:,}.")
            return NewImage(name=name, rejected=error)
        key = keys.original(job_id, uuid4())
        objects.put(key, cast(BinaryIO, content))
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
