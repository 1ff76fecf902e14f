"""What came out of jobs: image by image, face by face, as a file, and compared."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal
from uuid import UUID

import httpx

from services.api.schemas import ImageResult, ResultsPage
from services.api.schemas.compare import Comparison
from services.api.schemas.faces import FacesPage, RankedFace
from services.api.schemas.insights import Insights
from services.client.endings import Ending
from services.client.topic import Topic
from shared.jobs.states import ImageState

# A job of a million is read through once.
LONG = httpx.Timeout(120.0, connect=5.0)
# An Excel file is written whole before its first byte is sent.
EXPORT = httpx.Timeout(1800.0, connect=5.0)

Form = Literal["jsonl", "csv", "xlsx"]
Order = Literal["-score", "score", "position"]


class Results(Topic):
    """Results of jobs."""

    def results(
        self,
        job_id: UUID | str,
        *,
        states: Sequence[ImageState | str] = (),
        reasons: Sequence[str] = (),
    ) -> Iterator[ImageResult]:
        """The images of a job in the order of submission, page after page, also while the job runs: all of them, or
        those in one of these states and with one of these reasons.
        """
        query = {"state": list(states), "reason": list(reasons)}
        for page in self._calls.pages(f"/v1/jobs/{job_id}/results", ResultsPage, **query):
            yield from page.results

    def faces(
        self,
        job_id: UUID | str,
        *,
        order: Order = "-score",
        min_score: float | None = None,
        max_score: float | None = None,
        flags: Sequence[str] = (),
        without_flags: bool = False,
    ) -> Iterator[RankedFace]:
        """The scored faces of a job with their ranks, page after page: the highest score first, unless another `order`
        is wished for. Of those with a score in between, with any of these flags, or with none.
        """
        query: dict[str, Any] = {
            "order": order,
            "min_score": min_score,
            "max_score": max_score,
            "flag": list(flags),
            "without_flags": True if without_flags else None,
        }
        for page in self._calls.pages(f"/v1/jobs/{job_id}/faces", FacesPage, LONG, **query):
            yield from page.faces

    def export(self, job_id: UUID | str, form: Form, file: Path | BinaryIO) -> None:
        """Writes all results of a job to a file, however many, without keeping them in memory.

        A path comes to be only when everything is in it. Raises Unreachable or ApiError when the answer breaks off.
        """
        if isinstance(file, Path):
            draft = file.with_name(f"{file.name}.part")
            try:
                with draft.open("wb") as opened:
                    self.export(job_id, form, opened)
                draft.replace(file)
            finally:
                draft.unlink(missing_ok=True)
            return
        ending = Ending(form)
        with self._calls.stream(f"/v1/jobs/{job_id}/export", query={"format": form}, timeout=EXPORT) as response:
            for chunk in response.iter_bytes():
                file.write(chunk)
                ending.add(chunk)
            ending.check(response.status_code)

    def compare(
        self,
        a: UUID | str | None = None,
        b: UUID | str | None = None,
        *,
        label_a: str | None = None,
        label_b: str | None = None,
    ) -> Comparison:
        """By how much the scores of two jobs, or of all jobs with two labels, differ, and how sure that is."""
        sides = {"a": _side(a, label_a), "b": _side(b, label_b)}
        return self._calls.post("/v1/compare", Comparison, lambda: {"json": sides}, timeout=LONG, repeatable=True)

    def insights(self, job_id: UUID | str, *, everything: bool = False) -> Insights:
        """Which words go with high and low scores of a job; with `everything` also those that chance may have made."""
        return self._calls.get(f"/v1/jobs/{job_id}/insights", Insights, LONG, all=everything)

    def insights_picture(self, job_id: UUID | str) -> bytes:
        """The same as a picture, PNG."""
        return self._calls.picture(f"/v1/jobs/{job_id}/insights/picture", LONG)


def _side(job_id: UUID | str | None, label: str | None) -> dict[str, str]:
    if (job_id is None) == (label is None):
        raise ValueError("each side of a comparison is either a job or a label")
    return {"label": label} if label is not None else {"job": str(job_id)}
