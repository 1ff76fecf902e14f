"""Files without a name that keep what arrives, so that neither memory nor a database transaction waits for a client."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from shared.errors import PermanentError
from shared.jobs.accept import NewImage

# Files wait in memory up to this, on disk above.
SPOOL_BYTES = 512 * 1024


@dataclass(frozen=True)
class Spooled:
    """A file that has arrived. Whoever takes it closes it. `content` is incomplete if it was longer than kept."""

    content: bytes | BinaryIO
    size: int
    digested: bytes | None = None

    @property
    def digest(self) -> bytes:
        """SHA-256 of all that arrived. Of what is in memory it is worked out here, at once, by the thread that asks."""
        return self.digested or hashlib.sha256(cast(bytes, self.content)).digest()

    def close(self) -> None:
        """Let go of the file."""
        if not isinstance(self.content, bytes):
            self.content.close()


def spooled(pieces: Iterable[bytes], most: int) -> Spooled:
    """Keep a file while it arrives. What goes beyond `most` bytes is counted and digested, but need not be kept."""
    arriving, small, size = iter(pieces), BytesIO(), 0
    for piece in arriving:
        size += small.write(piece)
        if size > SPOOL_BYTES:
            return _on_disk(chain([small.getvalue()], arriving), most)
    return Spooled(small.getvalue(), size)


def _on_disk(pieces: Iterable[bytes], most: int) -> Spooled:
    with ExitStack() as unless_whole:
        content = unless_whole.enter_context(TemporaryFile())
        size, digest = 0, hashlib.sha256()
        for piece in pieces:
            size += len(piece)
            digest.update(piece)
            if size <= most:
                content.write(piece)
        content.seek(0)
        unless_whole.pop_all()
        return Spooled(cast(BinaryIO, content), size, digest.digest())


class Records:
    """Images of a submission, one after the other, until they are copied into the database. Read once, then closed."""

    def __init__(self, errors: Iterable[type[PermanentError]]) -> None:
        self._errors = {error.code: error for error in errors}
        self._file = TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._digest = hashlib.sha256()
        self.number = 0
        self.stored_bytes = 0

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over names and contents."""
        return self._digest.digest()

    def add(self, image: NewImage) -> None:
        """Keep one more."""
        error = image.rejected
        content = image.content_digest.hex() if image.content_digest else None
        rejected = (error.code, error.detail) if error else None
        self._digest.update(json.dumps([image.name, content, rejected and rejected[0]]).encode() + b"\n")
        record = [image.name, image.original_key, image.original_bytes, content, rejected]
        self._file.write(json.dumps(record).encode() + b"\n")
        self.number += 1
        self.stored_bytes += image.original_bytes or 0

    def __iter__(self) -> Iterator[NewImage]:
        self._file.seek(0)
        for line in self._file:
            name, key, size, content, rejected = json.loads(line)
            yield NewImage(
                name,
                original_key=key,
                original_bytes=size,
                content_digest=bytes.fromhex(content) if content else None,
                rejected=self._errors[rejected[0]](rejected[1]) if rejected else None,
            )

    def close(self) -> None:
        self._file.close()
