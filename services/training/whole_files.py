"""Files that are either whole or not there, whatever kills the process and however many write them."""

import os
from collections.abc import Callable
from pathlib import Path


def put(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file beside `path`, then move it there at once.

    Its name has this process's id in it: two trainings with one folder for their work do not write into one file.
    """
    unfinished = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
