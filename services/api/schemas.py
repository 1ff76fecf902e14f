"""What the API takes and answers. The OpenAPI document is generated from these."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.jobs.states import ImageState, JobState, Stage

NAME_LENGTH = 200
# Read into memory before they are counted against `max_files_per_job`, so there has to be an end.
MAX_LINKS = 100_000
LINK_LENGTH = 2048
# Metadata is echoed with every answer, so it has to stay small.
METADATA_BYTES = 16_384


def _storable(text: str) -> str:
    """Postgres stores any Unicode text, but neither NUL nor half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("must not contain NUL characters or unpaired surrogates")
    return text


def _small_json(metadata: dict[str, Any]) -> dict[str, Any]:
    text = _storable(json.dumps(metadata, ensure_ascii=False, allow_nan=False).replace("\\u0000", "\0"))
    if len(text.encode()) > METADATA_BYTES:
        raise ValueError(f"must not be larger than {METADATA_BYTES} bytes as JSON")
    return metadata


Name = Annotated[str, Field(max_length=NAME_LENGTH), AfterValidator(_storable)]
BundleWanted = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(_storable)]
Metadata = Annotated[dict[str, Any], AfterValidator(_small_json)]


class JobPath(BaseModel):
    """A job's id in the path."""

    job_id: UUID


class ModelPath(BaseModel):
    """A bundle's digest in the path."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")


class ImagePath(BaseModel):
    """An image's id in the path."""

    image_id: int = Field(ge=1, lt=2**63)


class FacePath(BaseModel):
    """A face's id in the path."""

    face_id: int = Field(ge=1, lt=2**63)


class HeatmapQuery(BaseModel):
    """Whose regions the map shows."""

    word: int | None = Field(
        None, ge=0, lt=2**31, description="place in the explanation's `words`, from 0; all words together if not given"
    )


class Link(BaseModel):
    """An image to be fetched."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, AfterValidator(_storable)] = Field(
        max_length=LINK_LENGTH, examples=["https://example.org/portrait.jpg"]
    )
    name: Name | None = Field(None, description="echoed back; the link itself if not given")
    metadata: Metadata = Field(default_factory=dict, description="echoed back")


class JobOptions(BaseModel):
    """What a job may say about itself, whichever way its images come."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="echoed back", examples=["spring campaign"])
    metadata: Metadata = Field(default_factory=dict, description="echoed back", examples=[{"order": 7}])
    captioner: Literal["auto", "ollama", "describer"] = Field(
        "auto", description="who describes the faces; auto: Ollama if it is there, else the describer"
    )
    bundle: BundleWanted | None = Field(
        None,
        description="name or digest of the bundle to score with, see `GET /v1/models`; else the active one",
    )


class RescoreOptions(BaseModel):
    """With what a job is to be scored again."""

    model_config = ConfigDict(extra="forbid")

    bundle: BundleWanted = Field(description="name or digest of the bundle, see `GET /v1/models`")


class LinkJob(JobOptions):
    """A job whose images are fetched by their links."""

    images: list[Link] = Field(max_length=MAX_LINKS)


class BundleName(BaseModel):
    """A model bundle: scores of different digests are not comparable."""

    name: str | None = Field(description="null if this service does not have the bundle any more")
    digest: str = Field(description="SHA-256")


class StageProgress(BaseModel):
    """Where a job's images are with respect to one stage."""

    stage: Stage
    waiting: int = Field(description="at this stage, not being worked on")
    running: int = Field(description="being worked on")
    passed: int = Field(description="beyond this stage, or ended at it")


class JobStatus(BaseModel):
    """A job and how far it is."""

    id: UUID
    name: str | None
    metadata: dict[str, Any]
    state: JobState
    captioner: str
    bundle: BundleName
    images: int
    counts: dict[ImageState, int] = Field(description="images in each state; they add up to `images`")
    stages: list[StageProgress]
    progress: float = Field(description="0..1, the share of all stages of all images that is done")
    estimate_seconds: float | None = Field(description="until the end at the pace so far; null if not known yet")
    created_at: datetime
    finished_at: datetime | None
    rescored_from: UUID | None = Field(None, description="the job whose faces this one scores again, if it does")
    rescored_as: list[UUID] = Field(default_factory=list, description="the jobs that score this one's faces again")
    links: dict[str, str]


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
    caption: str | None
    captioner: dict[str, Any] | None
    words: list[Word] | None = Field(description="those that weigh most first")
    bundle: BundleName | None
    explanation: WhyScore | None
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

    id: int
    position: int
    image: str = Field(description="the name it was submitted under")
    metadata: dict[str, Any]
    state: ImageState
    stage: Stage
    reason: str | None = Field(description="why it was skipped, failed or waits to be tried again: a stable code")
    detail: str | None
    width: int | None
    height: int | None
    attempts: list[FailedAttempt] = Field(description="attempts that failed, also of images that succeeded later")
    faces: list[FaceResult]
    links: dict[str, str]


class ResultsQuery(BaseModel):
    """Which page of the results."""

    cursor: int = Field(0, ge=0, le=2**31 - 1, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=500, description="images on a page")


class ResultsPage(BaseModel):
    """Some images in the order of submission. Stable while the job runs."""

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


class Model(BaseModel):
    """A model bundle of this service and its card."""

    name: str
    digest: str
    active: bool = Field(description="whether new jobs are scored with it")
    card: dict[str, Any]


class Models(BaseModel):
    """The bundles of this service."""

    models: list[Model]


class Health(BaseModel):
    """Whether the service's parts answer."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = Field(default_factory=dict, description="`ok` or what is wrong, for each part")
