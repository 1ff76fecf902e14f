"""What a contact sheet shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.api.schemas import Explanation, FaceResult, ImageResult
from shared.drawing.explained import ExplainedFace


@dataclass(frozen=True)
class SheetFace:
    """A face that has a score, its crop as an encoded picture, and its explanation. All else is drawn from these."""

    result: FaceResult
    crop: bytes
    why: Explanation

    def explained(self) -> ExplainedFace:
        """As the pictures of an explanation take it."""
        rows, columns = self.why.grid
        return ExplainedFace(
            crop=self.crop,
            caption=self.result.caption or "",
            words=self.why.words,
            contributions=np.array(self.why.contributions).reshape(-1, rows, columns),
            constant=self.why.constant,
            logit=self.why.logit,
            score=self.result.score or 0.0,
            uncertainty=self.result.uncertainty or 0.0,
            percentile=self.result.percentile or 0.0,
            flags=self.result.flags,
        )


@dataclass(frozen=True)
class SheetImage:
    """An image, its upright photo as an encoded picture, if there is one, and its faces that are shown.

    `left_out` is how many faces with a score are not.
    """

    result: ImageResult
    photo: bytes | None
    faces: Sequence[SheetFace]
    left_out: int = 0


@dataclass(frozen=True)
class SheetContent:
    """A whole sheet. `summary` is what it is of, `about` what a score is, `left_out` the images that have no room."""

    title: str
    summary: str
    about: str
    images: Sequence[SheetImage]
    left_out: int = 0
