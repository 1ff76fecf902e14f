"""What a contact sheet shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.api.schemas import FaceResult, ImageResult


@dataclass(frozen=True)
class SheetFace:
    """A face that has a score, its crop and its heat map as encoded pictures."""

    result: FaceResult
    crop: bytes
    heatmap: bytes


@dataclass(frozen=True)
class SheetImage:
    """An image, its upright photo as an encoded picture, if there is one, and its faces that have a score."""

    result: ImageResult
    photo: bytes | None
    faces: Sequence[SheetFace]


@dataclass(frozen=True)
class SheetContent:
    """A whole sheet. `summary` is what it is of, `about` what a score is, `left_out` the images that have no room."""

    title: str
    summary: str
    about: str
    images: Sequence[SheetImage]
    left_out: int = 0
