"""Images from the disk to their results, as one job."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Unpack
from uuid import uuid4

from services.api.schemas import ImageResult, JobStatus
from services.cli.progress import Display
from services.client import Facemem
from services.client.files import size_of
from services.client.options import Options
from shared.jobs.states import FINAL, ImageState
from shared.wording import counted

# So many go in one request, if nobody asks whether they were submitted before. Others go straight into storage, several
# at a time, and an interruption costs no more than what was on its way.
MOST_FILES = 100
MOST_BYTES = 256 * 1024 * 1024


class Journey:
    """The files of one command on their way. What happens is shown on `display`."""

    def __init__(self, facemem: Facemem, files: Sequence[Path], display: Display, relative_to: Path | None = None):
        """Images are named by their paths as typed, below `relative_to` if given."""
        self._facemem = facemem
        self._files = files
        self._display = display
        self._relative_to = relative_to
        self.job: JobStatus

    def submit(self, key: str | None = None, **options: Unpack[Options]) -> JobStatus:
        """Sends all files; when it returns, the job is safe. Without a `key`, the same files with the same options are
        the same job.
        """
        total = sum(map(size_of, self._files))
        few = key is not None and len(self._files) <= MOST_FILES and total <= MOST_BYTES
        submit = self._facemem.submit if few else self._facemem.submit_directly
        self.job = submit(
            self._files,
            relative_to=self._relative_to,
            idempotency_key=key,
            on_upload=self._display.upload(total),
            **options,
        )
        self._display.note(accepted(self.job))
        return self.job

    def watch(self) -> None:
        """Returns when the job has ended."""
        self.job = watched(self._facemem, self.job, self._display)

    def score(self, **options: Unpack[Options]) -> None:
        """Submits as a new job and watches. Ctrl-C cancels what was submitted."""
        self.submit(str(uuid4()), **options)
        try:
            self.watch()
        except KeyboardInterrupt:
            self._facemem.cancel(self.job.id)
            self._display.note(f"Cancelled job {self.job.id}; images that were finished keep their results.")
            raise

    def results(self) -> Iterator[ImageResult]:
        """All images in the order of their files."""
        return self._facemem.results(self.job.id)


def watched(facemem: Facemem, job: JobStatus, display: Display) -> JobStatus:
    """Shows a job until it has ended; returns how it ended."""
    now = job
    for now in facemem.watch(job.id):
        display.show(now)
    took = ((now.finished_at or now.created_at) - now.created_at).total_seconds()
    display.note(f"Done in {took:.1f} s: {tally(now)}.")
    return now


def accepted(job: JobStatus) -> str:
    """What became of a submission, in a sentence; also what of it was refused at once."""
    refused = job.counts.get(ImageState.FAILED, 0)
    told = f", {refused:,} of them refused; `facemem results JOB --state failed` says why" if refused else ""
    return f"Submitted {counted(job.images, 'image')} as job {job.id}{told}."


def tally(job: JobStatus) -> str:
    """How many images ended how, as in `10 succeeded, 3 skipped`."""
    counts = {state: job.counts.get(state, 0) for state in sorted(FINAL)}
    return ", ".join(f"{number:,} {state}" for state, number in counts.items() if number) or "no images"


def all_final(job: JobStatus) -> bool:
    """Whether every image has reached a final state."""
    return sum(job.counts.get(state, 0) for state in FINAL) == job.images
