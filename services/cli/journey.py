"""Many images from the disk to their results, in as many jobs as it takes."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from uuid import UUID

from services.api.schemas import BundleName, ImageResult, JobStatus
from services.cli.gather import portions, shown
from services.cli.progress import Display
from services.client import Facemem
from shared.errors import FacememError
from shared.jobs.states import FINAL

WATCH_SECONDS = 0.25


class MixedBundles(FacememError):
    """These jobs are scored with different bundles, whose scores cannot stand in one table.

    Look at them one by one with `facemem results`, or score them with the same bundle: `facemem rescore`.
    """

    code = "mixed_bundles"


class Journey:
    """The files of one command on their way. What happens is shown on `display`."""

    def __init__(self, facemem: Facemem, files: Sequence[Path], display: Display, relative_to: Path | None = None):
        """Images are named by their paths as typed, below `relative_to` if given."""
        self._facemem = facemem
        self._portions = portions(files)
        self._display = display
        self._relative_to = relative_to
        self.jobs: list[JobStatus] = []

    def submit(self, *, captioner: str, name: str | None, bundle: str | None = None) -> Iterator[JobStatus]:
        """Sends all files. Yields each job once it is safe. All have the same bundle, even if the service's changes."""
        step = self._display.upload(sum(file.stat().st_size for portion in self._portions for file in portion))
        for portion in self._portions:
            job = self._facemem.submit(
                portion, relative_to=self._relative_to, name=name, captioner=captioner, bundle=bundle, on_upload=step
            )
            bundle = job.bundle.digest
            self.jobs.append(job)
            self._display.note(f"Submitted {job.images:,} images as job {job.id}.")
            yield job

    def watch(self) -> None:
        """Returns when all jobs have ended."""
        self.jobs = watched(self._facemem, self.jobs, self._display)

    def score(self, *, captioner: str, name: str | None, bundle: str | None = None) -> None:
        """Submits and watches. Ctrl-C cancels what was submitted."""
        try:
            for _ in self.submit(captioner=captioner, name=name, bundle=bundle):
                pass
            self.watch()
        except KeyboardInterrupt:
            self._cancel()
            raise

    def results(self) -> Iterator[ImageResult]:
        """All images in the order of their files. Raises MixedBundles."""
        one_bundle(self.jobs)
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


def watched(facemem: Facemem, jobs: Sequence[JobStatus], display: Display) -> list[JobStatus]:
    """Shows these jobs until all have ended; returns how they ended."""
    ended = list(jobs)
    for ended in _together(facemem, [job.id for job in jobs]):
        display.show(ended)
    last = max(job.finished_at or job.created_at for job in ended)
    took = (last - ended[0].created_at).total_seconds()
    display.note(f"Done in {took:.1f} s: {tally(ended)}.")
    return ended


def one_bundle(jobs: Sequence[JobStatus]) -> BundleName:
    """The bundle that all these jobs are scored with. Raises MixedBundles."""
    first = jobs[0].bundle
    for job in jobs:
        if job.bundle.digest != first.digest:
            raise MixedBundles(
                f"Job {jobs[0].id} is scored with {first.digest}, job {job.id} with {job.bundle.digest}."
            )
    return first


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
