"""Writing to the terminal: results to stdout, everything else to stderr."""

from datetime import datetime
from typing import TextIO

from rich.console import Console

# A table that goes into a file or a pipe has no terminal's width to keep to.
WIDTH_ELSEWHERE = 140


def results(file: TextIO | None = None) -> Console:
    """For what was asked for: on stdout, or into a file."""
    console = Console(file=file, highlight=False)
    return console if console.is_terminal else Console(file=file, highlight=False, width=WIDTH_ELSEWHERE)


def notes() -> Console:
    """For what happens meanwhile."""
    return Console(stderr=True, highlight=False)


def plain(text: str) -> str:
    """`text` without signs that control a terminal: names, captions and bundles' cards come from strangers."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def moment(instant: datetime) -> str:
    """An instant in this machine's time zone, to the second."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"
