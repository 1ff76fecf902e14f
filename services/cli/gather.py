"""From what was typed to the files that are meant."""

from collections.abc import Iterable
from pathlib import Path

from services.client.files import images_in
from shared.errors import FacememError


class NoImages(FacememError):
    """There are no images in what was named.

    Folders are searched for *.jpg, *.jpeg, *.png and *.webp; a file of another name is taken if it is named itself.
    """

    code = "no_images"


def gather(paths: Iterable[Path]) -> list[Path]:
    """The files to submit, each once: files as named, and the images in folders and their subfolders, in order of name.

    Raises NoImages.
    """
    found = list(dict.fromkeys(file for path in paths for file in ([path] if path.is_file() else images_in(path))))
    if not found:
        raise NoImages
    return found
