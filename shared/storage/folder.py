"""Objects as files of a folder."""

import hmac
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from random import getrandbits
from typing import BinaryIO

from shared import metrics
from shared.errors import ObjectMissing, StorageUnavailable
from shared.storage.grants import Grant

# The file beside the objects that tokens are signed with. Names that begin with a dot are no objects.
GRANTS_FILE = ".grants"
SECRET_BYTES = 32
# How the name of a file begins that is being written. The name of the object follows: so one can tell whose it is.
WRITING = ".writing-"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
COPIED_BYTES = 256 * 1024
# How often a folder is made for an object: one that is empty may be cleared away before there is a file in it.
FOLDERS_MADE = 10


@contextmanager
def _storage_errors(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"The object storage does not answer: {error}") from error


@contextmanager
def _reading(key: str) -> Iterator[None]:
    with _storage_errors(key):
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(f"There is no object {key!r} in storage.") from error


class FolderObjects:
    """A folder. An object is written beside its place and then moved there, so a crash leaves no half of one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or any(part in ("..", "/") for part in parts):
            raise ValueError(f"not an object key: {key!r}")
        return self.root.joinpath(*parts)

    @metrics.storage("put")
    def put(self, key: str, content: bytes | BinaryIO) -> None:
        path = self._path(key)
        with _storage_errors(key):
            handle, beside = self._beside(path)
            try:
                _write(handle, content)
                _move(beside, path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise

    @metrics.storage("get")
    def get(self, key: str) -> bytes:
        with _reading(key):
            return self._path(key).read_bytes()

    @metrics.storage("size")
    def size(self, key: str) -> int:
        with _reading(key):
            return self._path(key).stat().st_size

    @metrics.storage("copy")
    def copy(self, source: str, target: str) -> None:
        """A second name for the same bytes where the disk can do that: objects are replaced, never changed."""
        path, existing = self._path(target), self._path(source)
        with _reading(source):
            handle, beside = self._beside(path)
            os.close(handle)
            try:
                _duplicate(existing, Path(beside))
                _move(beside, path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise

    def grant(self, key: str, size: int, media_type: str, seconds: float) -> Grant:
        headers = {"Content-Type": media_type, "Content-Length": str(size)}
        return Grant(headers=headers, token=self._sign(key, size, media_type))

    def admits(self, token: str, key: str, size: int, media_type: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._sign(key, size, media_type).encode())

    def _sign(self, key: str, size: int, media_type: str) -> str:
        return hmac.digest(self._secret, f"{key}\n{size}\n{media_type}".encode(), "sha256").hex()

    @cached_property
    def _secret(self) -> bytes:
        """What tokens are signed with: kept beside the objects, so that all processes with this folder have the same.

        Whoever can read it can read and write the objects themselves.
        """
        path = self.root / GRANTS_FILE
        with _storage_errors(GRANTS_FILE):
            if not path.exists():
                handle, beside = self._beside(path)
                with os.fdopen(handle, "wb") as file:
                    file.write(secrets.token_bytes(SECRET_BYTES))
                with suppress(FileExistsError):  # Another process was first: its secret counts.
                    path.hardlink_to(beside)
                Path(beside).unlink()
            return path.read_bytes()

    @staticmethod
    def _beside(path: Path) -> tuple[int, str]:
        """An open file to write what is then moved to `path`, and its name."""
        beside = f"{path.parent}/{WRITING}{path.name}-{getrandbits(64):x}"
        for _ in range(FOLDERS_MADE):
            try:
                return os.open(beside, NEW_FILE, 0o600), beside
            except FileNotFoundError:  # the first of its folder
                with suppress(FileNotFoundError):
                    path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(beside, NEW_FILE, 0o600), beside

    @metrics.storage("delete")
    def delete(self, keys: list[str]) -> None:
        for key in keys:
            with _storage_errors(key):
                self._path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        above = self.root / prefix.rpartition("/")[0]
        with _storage_errors(prefix):
            for path in above.rglob("*"):
                key = path.relative_to(self.root).as_posix()
                if key.startswith(prefix) and path.is_file() and not path.name.startswith("."):
                    yield key

    @metrics.storage("clear")
    def clear(self, prefix: str) -> int:
        folder, _, name = prefix.rpartition("/")
        above = self.root / folder
        removed = 0
        with _storage_errors(prefix):
            for path in [path for path in above.rglob("*") if path.is_file()]:
                half = path.name.startswith(WRITING)
                beside = path.with_name(path.name.removeprefix(WRITING))
                if beside.relative_to(self.root).as_posix().startswith(prefix):
                    path.unlink(missing_ok=True)
                    removed += not half
            if folder and not name:
                _remove_empty(above)
        return removed


def _write(handle: int, content: bytes | BinaryIO) -> None:
    """Write a new file to the disk, and close it.

    By bare calls: between two of them a thread may have to wait for others, and Python's files make twice as many.
    """
    try:
        for piece in _pieces(content):
            left = memoryview(piece)
            while left:
                left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _pieces(content: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    while piece := content.read(COPIED_BYTES):
        yield piece


def _move(beside: str, path: Path) -> None:
    """Give a whole file its name. One that was cleared away meanwhile counts as an object put just before that."""
    with suppress(FileNotFoundError):
        Path(beside).replace(path)


def _remove_empty(folder: Path) -> None:
    """Remove a folder with the folders in it, as far as they are empty."""
    for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            inner.rmdir()
    with suppress(OSError):
        folder.rmdir()


def _duplicate(existing: Path, draft: Path) -> None:
    """Give `draft` the bytes of `existing`: as a link to them if the disk knows links, else as a copy."""
    draft.unlink()
    try:
        draft.hardlink_to(existing)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(existing, draft)
