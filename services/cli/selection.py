"""Which results of a job were asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from pydantic import BaseModel
from rich.table import Table

from services.api.schemas import ImageResult
from services.api.schemas.faces import RankedFace
from services.cli.tables import faces_table, results_table
from services.client import Facemem


@dataclass(frozen=True)
class Selection:
    """Either images in the order of submission, or faces in the order of their scores."""

    job: UUID
    top: int | None
    min_score: float | None
    max_score: float | None
    flags: tuple[str, ...]
    without_flags: bool
    states: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.ranked or self.states or self.reasons)

    @property
    def ranked(self) -> bool:
        """Whether it is about faces by their scores."""
        bounds = (self.top, self.min_score, self.max_score)
        return any(bound is not None for bound in bounds) or bool(self.flags) or self.without_flags

    def items(self, facemem: Facemem) -> Iterator[BaseModel]:
        """The faces or images."""
        return self._faces(facemem) if self.ranked else self._images(facemem)

    def table(self, facemem: Facemem) -> Table:
        """The same for people."""
        return faces_table(self._faces(facemem)) if self.ranked else results_table(self._images(facemem))

    def _faces(self, facemem: Facemem) -> Iterator[RankedFace]:
        found = facemem.faces(
            self.job,
            min_score=self.min_score,
            max_score=self.max_score,
            flags=self.flags,
            without_flags=self.without_flags,
        )
        return islice(found, self.top)

    def _images(self, facemem: Facemem) -> Iterator[ImageResult]:
        return facemem.results(self.job, states=self.states, reasons=self.reasons)
