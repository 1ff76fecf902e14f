"""From what was typed to the files that are meant."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.errors import FacememError
from shared.settings import Settings

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# What one submission may hold unless a service is set up differently, less a share for the form around the files.
FILES_PER_JOB: int = Settings.model_fields["max_files_per_job"].default
BYTES_PER_JOB = int(0.95 * Settings.model_fields["max_submission_bytes"].default)


class NoImages(FacememError):
    """There are no images in what was named.

    Folders are searched for *.jpg, *.jpeg, *.png and *.webp; a file of another name is taken if it is named itself.
    """

    code = "no_images"


def gather(paths: Iterable[Path]) -> list[Path]:
    """The files to submit, each once: files as named, and the images in folders and their subfolders, in order of name.

    Names that begin with a dot are left out of folders: they are thumbnails and leftovers of other programs. Raises
    NoImages.
    """
    found = list(dict.fromkeys(file for path in paths for file in ([path] if path.is_file() else _images(path))))
    if not found:
        raise NoImages
    return found


def _images(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(where, name)


def portions(
    files: Iterable[Path], most_files: int = FILES_PER_JOB, most_bytes: int = BYTES_PER_JOB
) -> list[list[Path]]:
    """The files in as few jobs as a service takes them in."""
    parts: list[list[Path]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if not parts or len(parts[-1]) == most_files or size > room:
            parts.append([])
            room = most_bytes
        parts[-1].append(file)
        room -= size
    return parts


def shown(path: Path) -> str:
    """A path as text that can be written anywhere. File names are bytes on Linux, and not always UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")
