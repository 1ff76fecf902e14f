"""A live display of a submission: the upload, then where the images are, stage by stage."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from services.api.schemas import JobStatus
from services.cli.terminal import plain
from shared.jobs.states import JobState, Stage

MEGABYTE = 1_000_000
NAME_WIDTH = 11  # of the longest stage


class Display:
    """Bars while the block runs, on a terminal. Elsewhere only what is noted, one line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn(f"  {{task.description:<{NAME_WIDTH}}}"),
            BarColumn(bar_width=36),
            TextColumn("{task.fields[count]}", justify="right"),
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
        task = self._bars.add_task("upload", total=total, count="", doing="")
        done = 0

        def step(sent: int) -> None:
            nonlocal done
            done += sent
            self._bars.update(task, completed=done, count=f"{done / MEGABYTE:,.1f}/{total / MEGABYTE:,.1f} MB")

        return step

    def show(self, job: JobStatus) -> None:
        """Shows where the images of this job are."""
        for progress in job.stages:
            stage = progress.stage
            working = {"running": progress.running, "waiting": progress.waiting}
            doing = ", ".join(f"{number:,} {word}" for word, number in working.items() if number)
            if stage not in self._stages:
                self._stages[stage] = self._bars.add_task(stage, total=job.images, count="", doing="")
            count = f"{progress.passed:,}/{job.images:,}"
            self._bars.update(self._stages[stage], completed=progress.passed, count=count, doing=doing)
        for held in job.held_up:
            self._bars.update(self._stages[held.stage], doing=f"{held.images:,} wait: {plain(held.detail)}")
        if job.state == JobState.PAUSED:
            self._bars.update(self._stages[Stage.SCORING], doing="paused")
        elif job.estimate_seconds:
            self._bars.update(self._stages[Stage.SCORING], doing=f"about {job.estimate_seconds:,.0f} s left")
