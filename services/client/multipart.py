"""Files as parts of a multipart request."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from services.client.errors import FileUnreadable
from services.client.files import sendable

FIELD = "images"
Part = tuple[str, tuple[str, BinaryIO]]


class LazyFile:
    """A file that is open only between its first byte and its last, so that ten thousand need no ten thousand handles.

    Has what httpx asks of a file: seek and tell to learn the length, read to send it. `on_read` is called with the
    number of bytes of each read. Raises FileUnreadable, also when the file is no longer as long as it was announced.
    """

    def __init__(self, path: Path, on_read: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._on_read = on_read
        self._at = 0
        self._open: BinaryIO | None = None
        try:
            self._length = path.stat().st_size
        except OSError as error:
            raise FileUnreadable(f"{path}: {error.strerror}") from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._close()
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._length - self._at)
        content = self._read(left if size < 0 else min(size, left)) if left else b""
        self._at += len(content)
        if self._at >= self._length:
            self._close()
        if content:
            self._on_read(len(content))
        elif left:
            raise FileUnreadable(f"{self._path}: became shorter while it was sent")
        return content

    def _read(self, size: int) -> bytes:
        try:
            if self._open is None:
                self._open = self._path.open("rb")
                self._open.seek(self._at)
            return self._open.read(size)
        except OSError as error:
            self._close()
            raise FileUnreadable(f"{self._path}: {error.strerror}") from error

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def parts(paths: Iterable[Path], relative_to: Path | None, on_read: Callable[[int], None]) -> Iterator[Part]:
    """One part for each file, named by its path, below `relative_to` if given."""
    for path in paths:
        yield FIELD, (sendable(path, relative_to), cast(BinaryIO, LazyFile(path, on_read)))
