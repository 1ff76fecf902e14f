"""What stands between the boundaries of a multipart body (RFC 2046), of which little more than one piece is in memory.

Each byte is looked at once, by `bytes.find`; Werkzeug's decoder copies it several times, and is slower than a disk.
"""

import re
from collections.abc import Iterator
from typing import IO

from services.api.problems import InvalidSubmission

# Read from the connection at once.
CHUNK_BYTES = 64 * 1024
# What precedes a part's content, the whole body's included. It is held in memory until it is complete.
MAX_HEADER_BYTES = 16 * 1024
# A blank line without its own end: what is kept always begins with a line break, by which a boundary begins, too.
# Programs that end lines without a carriage return are understood.
_BLANK_LINE = re.compile(rb"\r?\n(?=\r?\n)")
# What makes a boundary of its mark: the dashes that close the body, or the end of the line; spaces may precede that.
_BOUNDARY = re.compile(rb"(--)|[ \t]{0,128}(?=\r?\n)")
_PERHAPS = re.compile(rb"(?:-|[ \t]{0,128}\r?)\Z")


class Bounded:
    """A body as it arrives. Its contents and heads are taken by turns; first the content before the first boundary.

    Raises InvalidSubmission for a body that is cut off.
    """

    def __init__(self, stream: IO[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._mark = b"\n--" + boundary
        self._kept = b"\n"  # the first boundary may be the first line
        self.closed = False

    def content(self) -> Iterator[bytes]:
        """What there is up to the next boundary. If that was the last one, the body is `closed`."""
        begin, at = 1 + self._kept.startswith(b"\r"), 0
        while True:
            at = self._kept.find(self._mark, at)
            after = at + len(self._mark)
            if at >= 0 and (boundary := _BOUNDARY.match(self._kept, after)):
                break
            if at >= 0 and not _PERHAPS.match(self._kept, after):
                at += 1
                continue
            # The beginning of a boundary is not content yet.
            sure = at - 1 if at >= 0 else len(self._kept) - len(self._mark)
            if sure > begin:
                yield self._kept[begin:sure]
                begin, self._kept = 0, self._kept[sure:]
            self._read()
            at = 0
        yield self._kept[begin : at - self._kept.startswith(b"\r", max(at - 1, 0))]
        self._kept = self._kept[boundary.end() :]
        self.closed = boundary[1] is not None

    def head(self) -> bytes:
        """The lines up to a blank one."""
        while (end := _BLANK_LINE.search(self._kept)) is None and len(self._kept) <= MAX_HEADER_BYTES:
            self._read()
        if end is None or end.start() > MAX_HEADER_BYTES:
            raise InvalidSubmission(f"A part of the multipart body has a head of more than {MAX_HEADER_BYTES:,} bytes.")
        head, self._kept = self._kept[: end.start()], self._kept[end.end() :]
        return head

    def _read(self) -> None:
        chunk = self._stream.read(CHUNK_BYTES)
        if not chunk:
            raise InvalidSubmission(
                "The multipart body is cut off or damaged, or its boundary is not the one in Content-Type."
            )
        self._kept += chunk
