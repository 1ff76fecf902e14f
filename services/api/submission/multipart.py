"""multipart/form-data as a stream of parts, so that a submission costs the same memory and files however long it is.

Werkzeug's own form parser keeps a temporary file for each part until the request has ended. Here a part is read when
it is asked for, and its file belongs to whoever asked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from werkzeug.http import parse_options_header

from services.api.problems import InvalidSubmission, LimitExceeded
from services.api.submission.boundaries import MAX_HEADER_BYTES, Bounded
from services.api.submission.spool import Spooled, spooled

# A field that is no file.
MAX_FIELD_BYTES = 64 * 1024
_FOLD = re.compile(rb"\r?\n[ \t]")


@dataclass(frozen=True)
class SentField:
    """A part without a file name."""

    name: str
    value: str


@dataclass(frozen=True)
class SentFile:
    """A part with a file name. Whoever takes it closes `file`."""

    name: str
    filename: str
    file: Spooled


def parts(stream: IO[bytes], boundary: bytes, max_file_bytes: int) -> Iterator[SentField | SentFile]:
    """The parts of a body in their order, each read when it is asked for. What follows the closing boundary means
    nothing (RFC 2046) and stays unread.

    Of a file that has more than `max_file_bytes` the rest is counted, but not kept. Raises InvalidSubmission for what
    is no whole multipart body, LimitExceeded for a field that is too large, and what the stream raises.
    """
    body = Bounded(stream, boundary)
    _pass_preamble(body)
    while not body.closed:
        said = _disposition(body.head())
        name, filename = said.get("name"), said.get("filename")
        if not name:
            raise InvalidSubmission("A part of the multipart body has no name.")
        if filename is None:
            yield SentField(name, _value(name, body.content()))
        else:
            yield SentFile(name, filename, spooled(body.content(), max_file_bytes))


def _pass_preamble(body: Bounded) -> None:
    size = 0
    for piece in body.content():
        size += len(piece)
        if size > MAX_HEADER_BYTES:
            raise InvalidSubmission("The multipart body does not begin with the boundary in Content-Type.")


def _disposition(head: bytes) -> dict[str, str]:
    """What a part says about itself."""
    try:
        lines = _FOLD.sub(b" ", head).decode().split("\n")
    except UnicodeDecodeError as error:
        raise InvalidSubmission("The head of a part of the multipart body is not text in UTF-8.") from error
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return parse_options_header(value.strip())[1]
    return {}


def _value(name: str, pieces: Iterator[bytes]) -> str:
    value = bytearray()
    for piece in pieces:
        value += piece
        if len(value) > MAX_FIELD_BYTES:
            raise LimitExceeded(
                f"The field {name!r} has more than {MAX_FIELD_BYTES:,} bytes; images need a file name.",
                limit="max_field_bytes",
                maximum=MAX_FIELD_BYTES,
            )
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidSubmission(f"The field {name!r} is not text in UTF-8.") from error
