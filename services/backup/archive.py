"""The file that a backup is: a tar of members, with the checksum of each at the end.

SHA256SUMS is the last member and names all that come before it, as `sha256sum --check` reads it. So an archive that was
cut off or changed anywhere shows it, and `tar` and `sha256sum` can look into one without us.
"""

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from uuid import uuid4

from services.backup.errors import BackupDamaged

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
READ_BYTES = 1024 * 1024
# Names are unlimited in this format, and so are sizes.
FORMAT = tarfile.GNU_FORMAT


class Writer:
    """Writes members. Those that there are many of are not remembered, but for their sums, in a file."""

    def __init__(self, tar: tarfile.TarFile, sums: BinaryIO) -> None:
        self._tar, self._sums = tar, sums

    def add(self, name: str, content: bytes) -> None:
        """Write one member."""
        self._write(name, io.BytesIO(content), len(content))
        self._sums.write(_line(name, sha256(content).hexdigest()))

    def end(self, manifest: dict[str, Any]) -> None:
        """Write what is known of the whole, and the sums of everything."""
        self.add(MANIFEST, json.dumps(manifest, indent=1).encode())
        size = self._sums.tell()
        self._sums.seek(0)
        self._write(SUMS, self._sums, size)

    def _write(self, name: str, content: BinaryIO, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, content)
        _forget(self._tar)


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """An archive that has its name when the block has ended well, whole and on the disk. Else nothing is left of it.

    Only its owner may read it. Raises FileExistsError rather than replace anything.
    """
    with (
        replacing_nothing(path) as file,
        TemporaryFile(dir=path.parent) as sums,  # /tmp may be memory
        tarfile.open(fileobj=file, mode="w", format=FORMAT) as tar,
    ):
        yield Writer(tar, sums)


@contextmanager
def replacing_nothing(path: Path) -> Iterator[BinaryIO]:
    """A new file, under another name until the block has ended well."""
    _refuse_existing(path)
    draft = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        _refuse_existing(path)
        draft.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"There is a file {path} already; a backup replaces nothing.")


@dataclass(frozen=True)
class Member:
    """One member, as long as the next one is not asked for."""

    name: str
    size: int
    pieces: Callable[[], Iterator[bytes]]

    def content(self) -> bytes:
        """All of it, in memory."""
        return b"".join(self.pieces())


def members(path: Path) -> Iterator[Member]:
    """The members of an archive in their order; what is not read of one is skipped. Raises BackupDamaged."""
    with _reading(path), path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        while (found := tar.next()) is not None:
            yield Member(found.name, found.size, partial(_pieces, path, tar, found))
            _forget(tar)


def _pieces(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    with _reading(path):
        content = tar.extractfile(member)
        if content is None:
            raise BackupDamaged(f"{path} is damaged: {member.name} in it is not a file.")
        while piece := content.read(READ_BYTES):
            yield piece


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BackupDamaged(f"{path} cannot be read: {error}.") from error


def _forget(tar: tarfile.TarFile) -> None:
    """It would remember each member, however many there are."""
    tar.members = []  # type: ignore[attr-defined]


def checked(path: Path, step: Callable[[int], object]) -> dict[str, Any]:
    """Read all of an archive, and return its manifest if it is as it was written. `step` is told the bytes read.

    Raises BackupDamaged.
    """
    expected, manifest, read = sha256(), None, 0
    for member in members(path):
        found, content = sha256(), []
        for piece in member.pieces():
            found.update(piece)
            read += len(piece)
            step(read)
            if member.name == MANIFEST:
                content.append(piece)
        if member.name == SUMS:
            if manifest is None or found.digest() != expected.digest():
                raise BackupDamaged(f"{path} is damaged: its checksums are not those that it was written with.")
            return dict(json.loads(manifest))
        expected.update(_line(member.name, found.hexdigest()))
        manifest = b"".join(content) if member.name == MANIFEST else manifest
    raise BackupDamaged(f"{path} is cut off, or no backup of facemem.")


def _line(name: str, digest: str) -> bytes:
    return f"{digest}  {name}\n".encode()
