"""A live display of a submission: the upload, then where the images are, stage by stage."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from services.api.schemas import JobStatus
from shared.jobs.states import FINAL, Stage

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

    def show(self, jobs: Sequence[JobStatus]) -> None:
        """Shows where the images of these jobs are."""
        total = sum(job.images for job in jobs)
        for stage in Stage:
            here = [progress for job in jobs for progress in job.stages if progress.stage == stage]
            passed = sum(each.passed for each in here)
            working = {"running": sum(each.running for each in here), "waiting": sum(each.waiting for each in here)}
            doing = ", ".join(f"{number:,} {word}" for word, number in working.items() if number)
            if stage not in self._stages:
                self._stages[stage] = self._bars.add_task(stage, total=total, count="", doing="")
            self._bars.update(self._stages[stage], completed=passed, count=f"{passed:,}/{total:,}", doing=doing)
        # Before the first image has ended, the pace says more about loading models than about images.
        left = [job.estimate_seconds for job in jobs if job.estimate_seconds]
        if left and any(job.counts.get(state) for job in jobs for state in FINAL):
            self._bars.update(self._stages[Stage.SCORING], doing=f"about {max(left):,.0f} s left")
