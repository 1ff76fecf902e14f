"""Tar archives, also compressed by gzip, while they arrive."""

import tarfile
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import IO, Self, cast

from services.api.problems import LimitExceeded
from services.api.submission.boundaries import CHUNK_BYTES
from services.api.submission.refusals import InvalidArchive
from services.api.submission.storing import NotAFile
from services.api.submission.unpacking import Guard, Member

GZIP = b"\x1f\x8b"
# Heads of one member, with long names and attributes, that tarfile reads into memory before it shows the member.
MAX_HEAD_BYTES = 256 * 1024
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def members(arriving: Iterator[bytes], guard: Guard) -> Iterator[Member]:
    """The members of a tar. Raises RequestError for one that cannot be read."""
    stream = _Stream(_plain(arriving, guard))
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_Head, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            while (head := archive.next()) is not None:
                stream.head_bytes_left = None
                yield _member(archive, head)
                stream.head_bytes_left = MAX_HEAD_BYTES
                # It remembers every head, to look members up by name; its documentation does not say how to stop it.
                archive.members = []  # type: ignore[attr-defined]
    except _FOREIGN as error:
        raise InvalidArchive(
            f"The tar is damaged, cut off, or no tar: {str(error) or type(error).__name__}."
        ) from error
    for _ in stream.rest():
        pass


# What tarfile raises on what is no archive; deep chains of heads are a RecursionError.
_FOREIGN = (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError, zlib.error)


class _Head(tarfile.TarInfo):
    """A member's head. tarfile takes a damaged one for the end of the archive; here it is an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):  # the end, as it should be
                raise
            raise InvalidArchive("The tar is damaged, cut off, or no tar. Make it anew, and send it whole.") from error


def _member(archive: tarfile.TarFile, head: tarfile.TarInfo) -> Member:
    if head.isdir():
        return Member(head.name + "/", ())
    content = archive.extractfile(head) if head.isreg() and not head.issparse() and head.size >= 0 else None
    if content is None:
        error = NotAFile("This is a link, a device or the like, and no file. Put the file itself into the archive.")
        return Member(head.name, (), error)
    return Member(head.name, _translated(iter(lambda: content.read(CHUNK_BYTES), b"")))


def _translated(content: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from content
    except _FOREIGN as error:
        raise InvalidArchive("The tar is damaged or cut off. Make it anew, and send it whole.") from error


def _plain(arriving: Iterator[bytes], guard: Guard) -> Iterator[bytes]:
    """The bytes of the tar, whether it is compressed or not. Heads and padding count, too: they cost as much."""
    first = b""
    while len(first) < len(GZIP) and (piece := next(arriving, None)) is not None:
        first += piece
    everything = chain([first], arriving)
    return guard.unpacking(_unzipped(everything) if first.startswith(GZIP) else everything)


def _unzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What gzip has compressed, in bounded pieces; several gzip files in a row are one. Raises InvalidArchive."""
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    for piece in pieces:
        packed = piece
        while packed:
            if unzip.eof:
                unzip = zlib.decompressobj(_GZIP_WINDOW)
            try:
                yield unzip.decompress(packed, CHUNK_BYTES)
            except zlib.error as error:
                raise InvalidArchive("The gzip is damaged. Make it anew, and send it whole.") from error
            packed = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
    yield unzip.flush()  # what was held back, because a piece was full
    if not unzip.eof:
        raise InvalidArchive("The gzip is cut off. Send it whole.")


class _Stream:
    """The file that tarfile reads. While it reads heads, it gets no more than a head may have."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""
        self.head_bytes_left: int | None = MAX_HEAD_BYTES

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and (piece := next(self._pieces, None)) is not None:
            self._buffer += piece
        read, self._buffer = self._buffer[:size], self._buffer[size:]
        if self.head_bytes_left is not None:
            self.head_bytes_left -= len(read)
            if self.head_bytes_left < 0:
                raise LimitExceeded(
                    f"A member of the tar has more than {MAX_HEAD_BYTES:,} bytes of heads, or is of an unknown kind.",
                    limit="max_head_bytes",
                    maximum=MAX_HEAD_BYTES,
                )
        return read

    def rest(self) -> Iterator[bytes]:
        """What follows the archive's end."""
        yield from self._pieces
