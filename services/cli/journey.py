"""Many images from the disk to their results, in as many jobs as it takes."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from uuid import UUID

from services.api.schemas import ImageResult, JobStatus
from services.cli.gather import portions, shown
from services.cli.progress import Display
from services.client import Facemem
from shared.jobs.states import FINAL

WATCH_SECONDS = 0.25


class Journey:
    """The files of one command on their way. What happens is shown on `display`."""

    def __init__(self, facemem: Facemem, files: Sequence[Path], display: Display, relative_to: Path | None = None):
        """Images are named by their paths as typed, below `relative_to` if given."""
        self._facemem = facemem
        self._portions = portions(files)
        self._display = display
        self._relative_to = relative_to
        self.jobs: list[JobStatus] = []

    def submit(self, *, captioner: str, name: str | None) -> Iterator[JobStatus]:
        """Sends all files. Yields each job once it is safe."""
        step = self._display.upload(sum(file.stat().st_size for portion in self._portions for file in portion))
        for portion in self._portions:
            job = self._facemem.submit(
                portion, relative_to=self._relative_to, name=name, captioner=captioner, on_upload=step
            )
            self.jobs.append(job)
            self._display.note(f"Submitted {job.images:,} images as job {job.id}.")
            yield job

    def watch(self) -> None:
        """Returns when all jobs have ended."""
        for statuses in _together(self._facemem, [job.id for job in self.jobs]):
            self.jobs = statuses
            self._display.show(statuses)
        ended = max(job.finished_at or job.created_at for job in self.jobs)
        took = (ended - self.jobs[0].created_at).total_seconds()
        self._display.note(f"Done in {took:.1f} s: {tally(self.jobs)}.")

    def score(self, *, captioner: str, name: str | None) -> None:
        """Submits and watches. Ctrl-C cancels what was submitted."""
        try:
            for _ in self.submit(captioner=captioner, name=name):
                pass
            self.watch()
        except KeyboardInterrupt:
            self._cancel()
            raise

    def results(self) -> Iterator[ImageResult]:
        """All images in the order of their files."""
        for job, portion in zip(self.jobs, self._portions, strict=True):
            for image in self._facemem.results(job.id):
                # The service cuts long names off.
                path = portion[image.position]
                name = path.relative_to(self._relative_to) if self._relative_to else path
                yield image.model_copy(update={"image": shown(name)})

    def _cancel(self) -> None:
        for job in self.jobs:
            self._facemem.cancel(job.id)
            self._display.note(f"Cancelled job {job.id}; images that were finished keep their results.")


def tally(jobs: Sequence[JobStatus]) -> str:
    """How many images ended how, as in `10 succeeded, 3 skipped`."""
    counts = {state: sum(job.counts.get(state, 0) for job in jobs) for state in sorted(FINAL)}
    return ", ".join(f"{number:,} {state}" for state, number in counts.items() if number) or "no images"


def all_final(jobs: Sequence[JobStatus]) -> bool:
    """Whether every image has reached a final state."""
    return all(sum(job.counts.get(state, 0) for state in FINAL) == job.images for job in jobs)


def _together(facemem: Facemem, ids: Sequence[UUID]) -> Iterator[list[JobStatus]]:
    """The statuses of several jobs at a time, until all have ended."""
    latest: list[JobStatus | None] = [None] * len(ids)
    for statuses in zip_longest(*(facemem.watch(job, WATCH_SECONDS / len(ids)) for job in ids)):
        latest = [new or old for new, old in zip(statuses, latest, strict=True)]
        yield [status for status in latest if status is not None]
