"""Zip archives while they arrive: by the heads before the members, checked against the directory at the end."""

import struct
from collections.abc import Iterator
from http import HTTPStatus

from stream_unzip import (
    NO_ENCRYPTION,
    EncryptionMechanismNotAllowed,
    MissingPasswordError,
    NotStreamUnzippable,
    UnsupportedFeatureError,
    UnzipError,
    stream_unzip,
)

from services.api.problems import RequestError
from services.api.submission.refusals import InvalidArchive, UnsupportedArchive
from services.api.submission.unpacking import Guard, Member

# The end of the directory, its comment of up to 65,535 bytes included, and what zip64 puts before it.
TAIL_BYTES = 22 + 65_535 + 20 + 56
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_MANY = 0xFFFF


class EncryptedArchive(RequestError):
    """The archive is encrypted. Send it without a password; the connection is encrypted by TLS."""

    code = "encrypted_archive"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def members(arriving: Iterator[bytes], guard: Guard) -> Iterator[Member]:
    """The members of a zip. Raises RequestError for one that cannot be read."""
    tail = _Tail(arriving)
    try:
        for name, _, content in stream_unzip(tail, allowed_encryption_mechanisms=(NO_ENCRYPTION,)):
            yield Member(_text(name), guard.unpacking(_translated(content)))
    except UnzipError as error:
        raise _refusal(error) from error
    tail.check(guard.members)


def _translated(content: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from content
    # Beside its own errors, what it decompresses with raises these.
    except (UnzipError, ValueError, EOFError) as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> RequestError:
    if isinstance(error, MissingPasswordError | EncryptionMechanismNotAllowed):
        return EncryptedArchive()
    if isinstance(error, NotStreamUnzippable):
        return UnsupportedArchive(
            "A member is stored without compression, and its size stands only behind it, so that its end cannot be "
            "told while it arrives. Write the zip to a file instead of a pipe, or with compression, or send a tar."
        )
    if isinstance(error, UnsupportedFeatureError):
        return UnsupportedArchive(
            f"The zip uses a feature that is not supported ({type(error).__name__}). Pack it with plain deflate."
        )
    return InvalidArchive(f"The zip is damaged, cut off, or no zip ({type(error).__name__}). Make it anew.")


def _text(name: bytes) -> str:
    """A member's name. Old programs write the code page of the first PCs."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp437")


class _Tail:
    """Passes the archive on, and keeps its end: who reads heads only would not notice a directory that is cut off."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._kept = b""

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._kept = (self._kept + piece)[-TAIL_BYTES:]
            yield piece

    def check(self, members: int) -> None:
        """Raises InvalidArchive unless the directory is whole and has as many members as were read.

        Where it has others, programs would disagree about what is in the archive.
        """
        place = self._kept.rfind(b"PK\5\6")
        if place < 0 or place + _END.size > len(self._kept):
            raise InvalidArchive("The zip is cut off: its directory has no end. Send it whole.")
        *_, listed, _, _, comment = _END.unpack_from(self._kept, place)
        if place + _END.size + comment != len(self._kept):
            raise InvalidArchive("The zip is cut off, or something follows it. Send it whole, and nothing else.")
        if listed == _MANY:
            listed = self._listed64(place)
        if listed != members:
            raise InvalidArchive(f"The directory of the zip lists {listed:,} members, but it has {members:,}.")

    def _listed64(self, end: int) -> int:
        place = self._kept.rfind(b"PK\6\6", 0, end)
        if place < 0 or place + _END64.size > len(self._kept):
            return _MANY
        return int(_END64.unpack_from(self._kept, place)[7])
