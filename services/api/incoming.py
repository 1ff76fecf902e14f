"""The body of a direct upload that comes through us: checked while it is read, so that nothing wrong is ever stored."""

from hashlib import sha256
from http import HTTPStatus
from typing import IO

from services.api.problems import RequestError


class LengthRequired(RequestError):
    """The request must say how long its body is (Content-Length)."""

    code = "length_required"
    status = HTTPStatus.LENGTH_REQUIRED


class UploadTooLong(RequestError):
    """The file is larger than was announced."""

    code = "upload_too_long"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UploadDiffers(RequestError):
    """The file is not the one that was announced: its size, or its SHA-256, is another."""

    code = "upload_mismatch"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class CheckedBody:
    """A stream that ends in an error unless it has exactly `size` bytes, and the digest where one was announced."""

    def __init__(self, stream: IO[bytes], size: int, digest: bytes | None) -> None:
        self._stream = stream
        self._size = size
        self._digest = digest
        self._hash = sha256()
        self._seen = 0

    def read(self, most: int = -1) -> bytes:
        """The next bytes; the error comes with what would be the last of them."""
        piece = self._stream.read(most)
        self._seen += len(piece)
        self._hash.update(piece)
        if self._seen > self._size:
            raise UploadTooLong(f"The file has more than the {self._size:,} bytes that were announced.")
        if not piece:
            self._check_end()
        return piece

    def _check_end(self) -> None:
        if self._seen < self._size:
            raise UploadDiffers(f"The file ended after {self._seen:,} of the {self._size:,} bytes that were announced.")
        if self._digest is not None and self._hash.digest() != self._digest:
            raise UploadDiffers(f"The SHA-256 of the file is {self._hash.hexdigest()}, not the one that was announced.")
