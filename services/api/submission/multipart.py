"""multipart/form-data as a stream of parts, so that a submission costs the same memory and files however long it is.

Werkzeug's own form parser keeps a temporary file for each part until the request has ended. Here a part is read when
it is asked for, and its file belongs to whoever asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Event, Field, File, MultipartDecoder, NeedData, State

from services.api.problems import InvalidSubmission, LimitExceeded
from services.api.submission.spool import Spooled, spooled

# Read from the connection at once.
CHUNK_BYTES = 64 * 1024
# What precedes a part's content. The decoder holds it in memory until it is complete.
MAX_HEADER_BYTES = 16 * 1024
# A field that is no file.
MAX_FIELD_BYTES = 64 * 1024


@dataclass(frozen=True)
class SentField:
    """A part without a file name."""

    name: str
    value: str


@dataclass(frozen=True)
class SentFile:
    """A part with a file name. Whoever takes it closes the content of `file`."""

    name: str
    filename: str
    file: Spooled


def parts(stream: IO[bytes], boundary: bytes, max_file_bytes: int) -> Iterator[SentField | SentFile]:
    """The parts of a body in their order, each read when it is asked for.

    Of a file that has more than `max_file_bytes` the rest is counted, but not kept. Raises InvalidSubmission for what
    is no whole multipart body, LimitExceeded for a field that is too large, and what the stream raises.
    """
    events = _events(stream, boundary)
    for event in events:
        if isinstance(event, Field | File) and not event.name:
            raise InvalidSubmission("A part of the multipart body has no name.")
        if isinstance(event, File):
            yield _file(event, events, max_file_bytes)
        elif isinstance(event, Field):
            yield _field(event, events)


def _file(part: File, events: Iterator[Event], max_file_bytes: int) -> SentFile:
    return SentFile(part.name, part.filename, spooled(_content(events), max_file_bytes))


def _field(part: Field, events: Iterator[Event]) -> SentField:
    value = bytearray()
    for piece in _content(events):
        value += piece
        if len(value) > MAX_FIELD_BYTES:
            raise LimitExceeded(
                f"The field {part.name!r} has more than {MAX_FIELD_BYTES:,} bytes; images need a file name.",
                limit="max_field_bytes",
                maximum=MAX_FIELD_BYTES,
            )
    try:
        return SentField(part.name, value.decode())
    except UnicodeDecodeError as error:
        raise InvalidSubmission(f"The field {part.name!r} is not text in UTF-8.") from error


def _content(events: Iterator[Event]) -> Iterator[bytes]:
    """The content of the part whose head was the last event."""
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                return


def _events(stream: IO[bytes], boundary: bytes) -> Iterator[Event]:
    """What the decoder finds, up to the closing boundary. What follows it means nothing (RFC 2046) and stays unread."""
    decoder = MultipartDecoder(boundary, max_form_memory_size=CHUNK_BYTES + MAX_HEADER_BYTES)
    while decoder.state is not State.EPILOGUE:
        try:
            event = decoder.next_event()
        except ValueError as error:
            raise InvalidSubmission(
                "The multipart body is cut off or damaged, or its boundary is not the one in Content-Type."
            ) from error
        if not isinstance(event, NeedData):
            yield event
            continue
        chunk = stream.read(CHUNK_BYTES)
        # Seeing only half of the closing dashes, Werkzeug 3.1 takes the line break before them for content.
        if (decoder.buffer[-len(boundary) - 4 :] + chunk).endswith(b"--" + boundary + b"-"):
            chunk += stream.read(1)
        try:
            decoder.receive_data(chunk or None)
        except RequestEntityTooLarge as error:
            raise InvalidSubmission(
                "The multipart body does not begin with the boundary in Content-Type, or a part's head is too long."
            ) from error
