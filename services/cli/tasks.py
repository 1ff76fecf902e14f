"""Long computations, each with the share that is done and the time that is left."""

from dataclasses import dataclass
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from services.cli.durations import span

SPEAK_SECONDS = 30.0  # between two lines about one thing, where there is no terminal to draw a bar on


@dataclass
class _Task:
    """One thing that is done: its bar, when it began and how much of it was done then, when it was last spoken of."""

    bar: TaskID
    began: float
    first: float
    spoke: float

    def left(self, share: float, now: float) -> float | None:
        """Seconds until it is done, if the rest goes as what was done since it began; None if nothing was.

        What an earlier run did counts as done, but not as done in no time.
        """
        return (now - self.began) * (1 - share) / (share - self.first) if share > self.first else None


class Tasks(Progress):
    """Bars on a terminal, one for each thing that is done; elsewhere a line when one begins, and now and then."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("  {task.description:<44}"),
            BarColumn(bar_width=32),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        super().__init__(*columns, console=console, disable=not console.is_terminal)
        self._known: dict[str, _Task] = {}

    def done(self, what: str, share: float) -> None:
        """Called with what is being done and the share of it, 0..1, that is done."""
        now = monotonic()
        if what not in self._known:
            self._known[what] = _Task(self.add_task(what, total=1.0, left=""), now, share, now)
            self._say(f"{what} ...")
        task = self._known[what]
        left = task.left(share, now)
        estimate = f"{span(left)} left" if left is not None and share < 1 else ""
        if estimate and now - task.spoke >= SPEAK_SECONDS:
            self._say(f"{what}: {share:.0%} done, {estimate}")
            task.spoke = now
        self.update(task.bar, completed=share, left=estimate)

    def _say(self, line: str) -> None:
        if self.disable:
            self.console.print(line, markup=False)
