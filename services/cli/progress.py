"""A live display of a submission: the upload, then where the images are, stage by stage."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from services.api.schemas import JobStatus
from shared.jobs.states import Stage

MEGABYTE = 1_000_000
NAME_WIDTH = 11  # of the longest stage


class Display:
    """Bars while the block runs, on a terminal. Elsewhere only what is noted, one line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn(f"  {{task.description:<{NAME_WIDTH}}}"),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TextColumn("[dim]{task.fields[doing]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._stages: dict[Stage, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, markup=False, soft_wrap=True)

    def upload(self, total: int) -> Callable[[int], None]:
        """Shows an upload of so many bytes; returns what is to be called with the bytes of each step."""
        task = self._bars.add_task("upload", total=max(1, round(total / MEGABYTE)), doing="MB")
        return lambda sent: self._bars.advance(task, sent / MEGABYTE)

    def show(self, jobs: Sequence[JobStatus]) -> None:
        """Shows where the images of these jobs are."""
        total = sum(job.images for job in jobs)
        for stage in Stage:
            here = [progress for job in jobs for progress in job.stages if progress.stage == stage]
            if stage not in self._stages:
                self._stages[stage] = self._bars.add_task(stage, total=total, doing="")
            running, waiting = sum(each.running for each in here), sum(each.waiting for each in here)
            doing = ", ".join(
                f"{number} {word}" for number, word in ((running, "running"), (waiting, "waiting")) if number
            )
            self._bars.update(self._stages[stage], completed=sum(each.passed for each in here), doing=doing)
        left = [job.estimate_seconds for job in jobs if job.estimate_seconds]
        if left:
            last = self._stages[Stage.SCORING]
            self._bars.update(last, doing=f"about {max(left):.0f} s left")
