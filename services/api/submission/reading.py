"""Reading a submission, whichever way it comes; files are put into storage on the way."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Any
from uuid import UUID, uuid4

from flask import Request
from werkzeug.exceptions import HTTPException

from services.api.problems import UnsupportedMedia
from services.api.schemas import JobOptions
from services.api.submission import files, json_document, manifests, tars, unpacking, zips
from services.api.submission.boundaries import CHUNK_BYTES
from services.api.submission.lines import Reader, reader
from services.api.submission.options import from_texts, together
from services.api.submission.storing import Place, Storing
from shared.jobs.accept import NewImage
from shared.settings import Settings

FORM = "multipart/form-data"
JSON = "application/json"
JSON_LINES = ("application/jsonl", "application/x-ndjson", "application/ndjson", "application/x-jsonlines")
CSV = "text/csv"
ZIP = ("application/zip", "application/x-zip-compressed")
TAR = ("application/x-tar", "application/gzip", "application/x-gzip", "application/x-gtar")

ARCHIVES: Mapping[str, unpacking.Opened] = {
    **dict.fromkeys(ZIP, zips.members),
    **dict.fromkeys(TAR, tars.members),
}
_TEXTS = dict.fromkeys(JSON_LINES, manifests.json_lines) | {CSV: manifests.table}


@dataclass(frozen=True)
class Submission:
    """A submission that has arrived. What is read from `images` comes from a file, and can be read once.

    fingerprint: SHA-256 over everything that was submitted, however it was wrapped.
    options: what it says about its job, known when `images` has come to its end.
    size: its bytes, and `size_limit` the limit that bounds them.
    noted: whether it is on record as arriving, because it brought files.
    """

    id: UUID
    fingerprint: bytes
    images: Iterable[NewImage]
    options: Callable[[], JobOptions]
    size: int
    size_limit: str
    noted: bool = False


@contextmanager
def received(request: Request, settings: Settings, place: Place | None, query: dict[str, Any]) -> Iterator[Submission]:
    """The submission that a request brings. Its files are in storage then, unless `place` is None.

    `query` has the options in its address. Raises RequestError for what cannot be read or is too much, ValidationError
    for options that do not fit; then nothing of it is left in storage.
    """
    if request.content_encoding not in (None, "", "identity"):
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")
    if brings_files(request):
        with _files(request, settings, place, query) as submission:
            yield submission
    elif request.mimetype == JSON or request.mimetype in _TEXTS:
        with _manifest(request, settings, query) as submission:
            yield submission
    else:
        raise UnsupportedMedia


def brings_files(request: Request) -> bool:
    """Whether the images themselves are sent, and not only named."""
    return request.mimetype == FORM or request.mimetype in ARCHIVES


@contextmanager
def read_to_the_end(request: Request) -> Iterator[None]:
    """After an error, reads what is still being sent: most clients listen for an answer only after that."""
    try:
        yield
    except Exception:
        with suppress(HTTPException):  # Too long, or hung up: the error that brought us here says more.
            for _ in _pieces(request):
                pass
        raise


def _pieces(request: Request) -> Iterator[bytes]:
    return iter(lambda: request.stream.read(CHUNK_BYTES), b"")


@contextmanager
def _files(request: Request, settings: Settings, place: Place | None, query: dict[str, Any]) -> Iterator[Submission]:
    job_id = uuid4()
    try:
        with Storing(job_id, settings, place) as storing:
            if request.mimetype == FORM:
                options = together(query, from_texts(files.receive(request, settings, storing)))
            else:
                options = together(query, {})
                unpacking.receive(_pieces(request), ARCHIVES[request.mimetype], settings, storing)
    except Exception:
        if place is not None:
            place.discard(job_id)
        raise
    records = storing.records
    fingerprint = _fingerprint("files", options.model_dump(mode="json"), records.fingerprint)
    try:
        limit = "max_submission_bytes" if request.mimetype == FORM else "max_unpacked_bytes"
        yield Submission(
            job_id, fingerprint, records, lambda: options, records.stored_bytes, limit, noted=storing.noted
        )
    finally:
        records.close()


@contextmanager
def _manifest(request: Request, settings: Settings, query: dict[str, Any]) -> Iterator[Submission]:
    manifest = manifests.keep(_pieces(request), request.content_length, settings)
    image = reader(private=settings.fetch_private_addresses)
    with manifest.file as file:
        members: dict[str, Any] = {}
        images = _images(request.mimetype)(file, image, members)
        yield Submission(
            uuid4(),
            _fingerprint(request.mimetype, query, manifest.digest),
            manifests.numbered(images, settings),
            partial(together, query, members),
            manifest.size,
            "max_manifest_bytes",
        )


def _images(media_type: str) -> Callable[[IO[bytes], Reader, dict[str, Any]], Iterator[NewImage]]:
    if media_type == JSON:
        return json_document.images
    return lambda file, image, _: _TEXTS[media_type](file, image)


def _fingerprint(kind: str, options: dict[str, Any], content: bytes) -> bytes:
    """The same for the same submission: neither the order of options nor the boundaries of a form matter."""
    said = json.dumps([kind, options], sort_keys=True, default=str)
    return hashlib.sha256(said.encode() + b"\n" + content).digest()
