"""Files of this machine: which ones are meant, and what is to be known of one before it is sent."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.client.errors import FileUnreadable
from shared.images.formats import JPEG, media_type

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file as it was when it was looked at."""

    path: Path
    name: str
    """What its image is called."""
    size: int
    digest: str
    """SHA-256, in hexadecimal digits."""
    media_type: str
    """By how it begins. What is no image at all is told so by the service, once it looks at it."""


def images_in(folder: Path) -> Iterator[Path]:
    """The images in a folder and its subfolders, in order of name.

    Names that begin with a dot are left out: they are thumbnails and leftovers of other programs.
    """
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(where, name)
            # A link that leads nowhere is no image; one to a file is.
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path


def common_folder(paths: Iterable[Path], relative_to: Path | None) -> Path | None:
    """The folder that images are named below: the one that was given, else the one that holds all of those that are
    named by whole paths. Where they lie on this machine is nobody's business.
    """
    if relative_to is not None:
        return relative_to
    folders = [path.parent for path in paths]
    return Path(os.path.commonpath(folders)) if folders and all(map(Path.is_absolute, folders)) else None


def sendable(path: Path, relative_to: Path | None) -> str:
    """The name of an image: its path, below `relative_to` if given. File names are bytes on Linux; what is not UTF-8
    among them cannot be sent.
    """
    name = path.relative_to(relative_to) if relative_to else path
    return name.as_posix().encode("utf-8", "replace").decode()


def looked_at(path: Path, relative_to: Path | None) -> ImageFile:
    """A file with its size and digest. Raises FileUnreadable."""
    digest, size, begins = hashlib.sha256(), 0, b""
    for chunk in chunks(path):
        begins = begins or chunk
        digest.update(chunk)
        size += len(chunk)
    return ImageFile(path, sendable(path, relative_to), size, digest.hexdigest(), media_type(begins) or JPEG)


def size_of(path: Path) -> int:
    """The size of a file in bytes. Raises FileUnreadable."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}") from error


def chunks(path: Path, on_read: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    """A file's content. `on_read` is called with the number of bytes of each chunk. Raises FileUnreadable."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                on_read(len(chunk))
                yield chunk
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}") from error


def announced(path: Path, size: int, on_read: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    """Just as many bytes of a file as were announced. Raises FileUnreadable if it has become shorter or longer."""
    sent = 0
    for chunk in chunks(path):
        sent += len(chunk)
        if sent > size:
            break
        yield chunk
        on_read(len(chunk))
    if sent != size:
        raise FileUnreadable(f"{path}: became {'longer' if sent > size else 'shorter'} while it was sent")
