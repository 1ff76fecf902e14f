"""Images, faces, scores and why."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.schemas.fields import Storable
from services.api.schemas.parameters import Parameters
from services.api.schemas.status import REASON_LENGTH, BundleName
from shared.jobs.states import ImageState, JobState, Stage

_WORD = {"text": "smile", "start": 2, "end": 7, "contribution": 0.31}
FACE_EXAMPLE: dict[str, Any] = {
    "id": 1893,
    "face": 0,
    "score": 0.71,
    "uncertainty": 0.11,
    "percentile": 83.2,
    "box": [212.0, 80.5, 411.0, 322.0],
    "landmarks": [[260.0, 170.0], [360.0, 171.0], [310.0, 220.0], [270.0, 270.0], [351.0, 271.0]],
    "confidence": 0.998,
    "flags": ["small"],
    "caption": "A smile",
    "captioner": {"name": "describer", "version": "5"},
    "words": [_WORD, {"text": "A", "start": 0, "end": 1, "contribution": -0.02}],
    "bundle": {"name": "compact", "digest": "3fa4" * 16},
    "encoders": "torch 2.13.0 bfloat16 on cpu",
    "explanation": {"logit": 0.895, "constant": 0.605, "grid": [1, 2], "regions": [0.2, 0.09]},
    "what_if_of": None,
    "links": {"self": "/v1/faces/1893"},
}
_IMAGE_EXAMPLE: dict[str, Any] = {
    "id": 4711,
    "position": 3,
    "image": "portrait.jpg",
    "custom_id": "sku-7",
    "metadata": {"shoot": 2},
    "state": "succeeded",
    "stage": "scoring",
    "reason": None,
    "detail": None,
    "width": 1200,
    "height": 800,
    "detector": "1, facenet-pytorch 2.5.3, long side 1024, faces from 40, openvino 2026.4.1 float32 on cpu",
    "reused": False,
    "attempts": [],
    "faces": [FACE_EXAMPLE],
    "links": {"photo": "/v1/images/4711/photo"},
}


class Word(BaseModel):
    """A word of the caption and what it adds to the logit, summed over regions."""

    text: str
    start: int
    end: int
    contribution: float


class WhyScore(BaseModel):
    """`constant` plus all contributions is the logit; the score is its logistic function."""

    logit: float
    constant: float
    grid: tuple[int, int] = Field(description="rows and columns of regions over the crop")
    regions: list[float] = Field(description="what each region adds, summed over words, row by row")


class FaceResult(BaseModel):
    """One face. The score is null until the image has succeeded."""

    model_config = ConfigDict(json_schema_extra={"examples": [FACE_EXAMPLE]})

    id: int
    face: int = Field(description="place in the image, from 0, largest first")
    score: float | None = Field(description="0..1: what the bundle predicts for this face; its card says of what")
    uncertainty: float | None = Field(description="the score is meant as score +/- this; see the bundle's card")
    percentile: float | None = Field(description="0..100, in the population the bundle was trained on")
    box: tuple[float, float, float, float] = Field(
        description="left, top, right, bottom, in pixels of the upright image"
    )
    landmarks: list[tuple[float, float]]
    confidence: float
    flags: list[str] = Field(
        description="reasons to trust the score less: small, blurred, turned, dark, not_a_photograph"
    )
    caption: str | None = Field(
        description="null: not described yet, or of a `scores_only` job, which keeps no captions"
    )
    captioner: dict[str, Any] | None
    words: list[Word] | None = Field(description="those that weigh most first")
    bundle: BundleName | None
    encoders: str | None = Field(
        None, description="what computed it: engine, version, number format. Scores differ a little between them."
    )
    explanation: WhyScore | None
    what_if_of: int | None = Field(
        None, description="the face that this one is, under the caption that a client wrote for it"
    )
    links: dict[str, str]


class FailedAttempt(BaseModel):
    """An attempt that did not succeed."""

    stage: Stage
    attempt: int
    reason: str
    detail: str | None
    ended_at: datetime


class ImageResult(BaseModel):
    """One image of a job, and its faces as far as they are known."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IMAGE_EXAMPLE]})

    id: int
    position: int
    image: str = Field(description="the name it was submitted under")
    custom_id: str | None = Field(None, description="the id it was submitted with")
    metadata: dict[str, Any]
    state: ImageState
    stage: Stage
    reason: str | None = Field(description="why it was skipped, failed or waits to be tried again: a stable code")
    detail: str | None
    width: int | None
    height: int | None
    detector: str | None = Field(None, description="what faces were looked for with, and how")
    reused: bool = Field(False, description="whether faces, or faces and scores, were taken over from the same image")
    attempts: list[FailedAttempt] = Field(description="attempts that failed, also of images that succeeded later")
    faces: list[FaceResult]
    links: dict[str, str]


class ResultsQuery(Parameters):
    """Which images, and which page of them."""

    state: list[ImageState] = Field(
        default_factory=list, max_length=16, description="images in any of these states; repeat it for each"
    )
    reason: list[Annotated[Storable, StringConstraints(max_length=REASON_LENGTH)]] = Field(
        default_factory=list, max_length=32, description="images with any of these reasons; repeat it for each"
    )
    cursor: int = Field(0, ge=0, le=2**31 - 1, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=500, description="images on a page")


class ResultsPage(BaseModel):
    """Some images in the order of submission. Stable while the job runs: positions never change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job": "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57",
                    "state": "running",
                    "results": [_IMAGE_EXAMPLE],
                    "next_cursor": 4,
                }
            ]
        }
    )

    job: UUID
    state: JobState
    results: list[ImageResult]
    next_cursor: int | None = Field(description="null on the last page")


class Explanation(BaseModel):
    """The whole explanation of a score: `constant` plus the sum of `contributions` is `logit`."""

    face: int
    logit: float
    constant: float
    words: list[Word] = Field(description="in the order of the caption: the rows")
    grid: tuple[int, int] = Field(description="the columns are these regions, row by row")
    contributions: list[list[float]] = Field(description="words x regions")
    attention: list[list[float]] = Field(description="words x regions; each row adds up to 1. Not an explanation.")
