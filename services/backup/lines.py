"""How far something is, in lines now and then, where no terminal can show it."""

from collections.abc import Callable
from time import monotonic

EVERY_SECONDS = 10.0


class Lines:
    """Prints a line for what is begun, and one every few seconds while it lasts."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show, self._doing, self._due = show, "", 0.0

    def report(self, doing: str, done: int, total: int) -> None:
        """See `place.Report`."""
        kind = doing.partition(" ")[0]  # not a line for each table
        if kind != self._doing or monotonic() > self._due:
            self._doing, self._due = kind, monotonic() + EVERY_SECONDS
            self._show(far(doing, done, total))


def far(doing: str, done: int, total: int) -> str:
    """How far it is, in words."""
    return f"{doing}: {done / total:.0%}" if total else doing
