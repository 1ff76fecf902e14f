"""What happens to the parts of a system, for the person who waits for it."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape

# What goes without saying once the system runs.
EXPECTED = frozenset({"starting", "stopped"})


class Parts:
    """One line that changes while the system starts and stops; in between, a line for whatever was not expected."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._line = console.status("Starting facemem")
        self._changing = True

    def __enter__(self) -> Self:
        self._line.start()
        if not self._console.is_terminal:
            self._console.print("Starting facemem ...")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.stop()

    def report(self, name: str, happened: str) -> None:
        """Called with the name of a part and what happened to it."""
        if self._changing:
            self._line.update(f"Starting facemem [dim]{escape(name)}: {escape(happened)}")
        elif happened not in EXPECTED:
            self._console.print(f"{name}: {happened}", markup=False, soft_wrap=True)

    def ready(self) -> None:
        """The system has started."""
        self._changing = False
        self._line.stop()

    def stopping(self) -> None:
        """The system is being stopped."""
        self._line.update("Stopping facemem")
        self._line.start()
