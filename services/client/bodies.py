"""The bodies that a submission may have: files, lines, a manifest's file, an archive."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from services.client import multipart
from services.client.calls import Sent
from services.client.errors import UnknownForm
from services.client.files import CHUNK, announced, common_folder, size_of
from services.client.options import Options, fields

JSON_LINES = "application/jsonl"
MANIFESTS = {
    ".json": "application/json",
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".csv": "text/csv",
}
ARCHIVES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".tar.gz": "application/gzip",
    ".tgz": "application/gzip",
}
# Until then the lines of a manifest are kept in memory, beyond in a file without a name.
KEPT_BYTES = 8 * 1024 * 1024

OnUpload = Callable[[int], None]
# A link, or url, custom_id, name and metadata of an image.
Line = str | Mapping[str, Any] | BaseModel


@dataclass(frozen=True)
class Body:
    """What is sent to `POST /v1/jobs`, as often as it takes."""

    sent: Sent
    query: dict[str, Any]
    headers: dict[str, str]


def files(paths: Sequence[Path], relative_to: Path | None, options: Options, on_upload: OnUpload) -> Body:
    """Files as the parts of a form. Raises FileUnreadable."""
    form, below = fields(options), common_folder(paths, relative_to)
    return Body(lambda: {"data": form, "files": list(multipart.parts(paths, below, on_upload))}, {}, {})


def lines(images: Iterable[Line], options: Options) -> Body:
    """A manifest that is made here, one image after the other."""
    kept = tempfile.SpooledTemporaryFile(KEPT_BYTES)  # noqa: SIM115 - it lives as long as what reads it
    for image in images:
        kept.write(json.dumps(_line(image), ensure_ascii=True).encode() + b"\n")
    length = kept.tell()
    headers = {"Content-Type": JSON_LINES, "Content-Length": str(length)}
    return Body(lambda: {"content": _from_start(kept)}, fields(options), headers)


def manifest(path: Path, options: Options, on_upload: OnUpload) -> Body:
    """A manifest's file as it is. Raises FileUnreadable, and UnknownForm if its name does not say what it is."""
    return _file(path, MANIFESTS, options, on_upload)


def archive(path: Path, options: Options, on_upload: OnUpload) -> Body:
    """An archive as it is. Raises FileUnreadable, and UnknownForm if its name does not say what it is."""
    return _file(path, ARCHIVES, options, on_upload)


def form_of(path: Path, known: Mapping[str, str]) -> str | None:
    """The media type that a file's name stands for, among those."""
    name = path.name.lower()
    return next((known[ending] for ending in sorted(known, key=len, reverse=True) if name.endswith(ending)), None)


def _file(path: Path, known: Mapping[str, str], options: Options, on_upload: OnUpload) -> Body:
    media_type = form_of(path, known)
    if media_type is None:
        raise UnknownForm(f"{path}: its name ends in none of {', '.join(known)}.")
    size = size_of(path)
    headers = {"Content-Type": media_type, "Content-Length": str(size)}
    return Body(lambda: {"content": announced(path, size, on_upload)}, fields(options), headers)


def _line(image: Line) -> dict[str, Any]:
    if isinstance(image, str):
        return {"url": image}
    return image.model_dump(mode="json", exclude_none=True) if isinstance(image, BaseModel) else dict(image)


def _from_start(kept: IO[bytes]) -> Iterator[bytes]:
    kept.seek(0)
    while chunk := kept.read(CHUNK):
        yield chunk
