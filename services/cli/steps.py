"""How far a long command is: one line that changes on a terminal, elsewhere a line now and then."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape

from services.backup.lines import Lines, far


class Steps:
    """Shows while the block runs what its `report` is told."""

    def __init__(self, console: Console) -> None:
        self._status = console.status("Looking")
        self._lines = None if console.is_terminal else Lines(lambda line: console.print(line, markup=False))

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def report(self, doing: str, done: int, total: int) -> None:
        """See `services.backup.place.Report`."""
        if self._lines is not None:
            self._lines.report(doing, done, total)
        else:
            self._status.update(escape(far(doing, done, total)))
