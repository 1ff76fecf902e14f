"""The faces of a job, listed with their ranks, and what they would score under other words."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.schemas.fields import Readable, Storable
from services.api.schemas.parameters import Parameters
from services.api.schemas.results import FACE_EXAMPLE, FaceResult
from services.api.schemas.status import REASON_LENGTH
from shared.jobs.states import ImageState

# Of a caption that a client writes. Captioners write a few hundred characters.
CAPTION_LENGTH = 2000
CURSOR_LENGTH = 1000
FLAG_LENGTH = 64

_IMAGE_EXAMPLE = {"id": 4711, "position": 3, "name": "portrait.jpg", "custom_id": "sku-7", "metadata": {"shoot": 2}}
_RANKED_EXAMPLE = FACE_EXAMPLE | {"image": _IMAGE_EXAMPLE, "rank": 1, "percentile_in_set": 99.5}


class Order(StrEnum):
    """In which order faces are listed."""

    HIGHEST = "-score"
    """The highest score first; equal ones in the order in which they were found."""

    LOWEST = "score"
    """The other way round."""

    POSITION = "position"
    """In the order of submission."""


class FaceImage(BaseModel):
    """The image that a face is in."""

    id: int
    position: int = Field(description="place in the submission, from 0")
    name: str = Field(description="the name it was submitted under")
    custom_id: str | None = Field(description="the id that it was submitted with")
    metadata: dict[str, Any]


class RankedFace(FaceResult):
    """A face, and its place among all scored faces of its job, whatever the list is filtered by."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RANKED_EXAMPLE]})

    image: FaceImage
    rank: int | None = Field(
        description="1 is the highest score of the job; equal scores share a rank. null without a score"
    )
    percentile_in_set: float | None = Field(
        description="0..100: the share of the job's scored faces below it, those of equal score counted half"
    )


class FaceInSet(RankedFace):
    """A face by itself, with the number of those that its rank is among."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RANKED_EXAMPLE | {"scored": 100}]})

    scored: int = Field(description="scored faces that the job has now")


class FacesPage(BaseModel):
    """Some faces of a job. While it runs no face is listed twice, and none that was there when the listing began is
    left out; faces that are scored later appear where they belong, if the listing has not passed that place.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scored": 100, "faces": [_RANKED_EXAMPLE], "next_cursor": None}]}
    )

    scored: int = Field(description="scored faces that the job has now: what ranks are among")
    faces: list[RankedFace]
    next_cursor: str | None = Field(description="for the next page, with the same filters; null: there is none")


class FacesQuery(Parameters):
    """Which faces, in which order."""

    order: Order = Field(
        Order.HIGHEST, description="by score only faces that have one are listed; by position also those without"
    )
    min_score: float | None = Field(None, ge=0, le=1, description="lowest score that is listed")
    max_score: float | None = Field(None, ge=0, le=1, description="highest score that is listed")
    min_percentile: float | None = Field(
        None, ge=0, le=100, description="lowest percentile, among the faces that the model learned from, that is listed"
    )
    max_percentile: float | None = Field(None, ge=0, le=100, description="highest such percentile that is listed")
    flag: list[Annotated[Storable, StringConstraints(max_length=FLAG_LENGTH)]] = Field(
        default_factory=list, max_length=16, description="faces with any of these flags; repeat it for each"
    )
    without_flags: bool = Field(False, description="only faces without any flag")
    state: list[ImageState] = Field(
        default_factory=list, max_length=16, description="faces of images in any of these states; repeat it for each"
    )
    reason: list[Annotated[Storable, StringConstraints(max_length=REASON_LENGTH)]] = Field(
        default_factory=list, max_length=32, description="faces of images with any of these reasons; repeat it for each"
    )
    cursor: Storable | None = Field(None, max_length=CURSOR_LENGTH, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=500, description="faces on a page")


class WhatIf(BaseModel):
    """Other words for a face."""

    model_config = ConfigDict(extra="forbid")

    caption: Readable = Field(
        min_length=1,
        max_length=CAPTION_LENGTH,
        pattern=r"\S",
        description="what the face is to be scored with, in place of its caption",
        examples=["A young woman with a broad smile, looking at the camera."],
    )
