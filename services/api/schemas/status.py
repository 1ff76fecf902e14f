"""How far a job is, which jobs there are, and what can be done with one on its way."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.schemas.fields import Moment, Name, Storable
from services.api.schemas.parameters import Parameters
from services.api.schemas.submission import Label
from shared.jobs.states import ImageState, JobState, Priority, Stage

REASON_LENGTH = 64
# Longer than a client, or what stands between it and us, leaves a connection without a sign of life.
MAX_WAIT_SECONDS = 60
# In one call: what an address of a request may be long.
MAX_IDS = 100


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
    rate: float | None = Field(None, description="images a second that came past it lately; null: none did")


class HeldUp(BaseModel):
    """Images that wait for something beside their turn."""

    stage: Stage
    reason: str = Field(description="a stable code, such as `captioner_unavailable`")
    detail: str = Field(description="the same for people, of one of them")
    images: int = Field(description="at most 1,000 are counted in all")


class JobStatus(BaseModel):
    """A job and how far it is."""

    id: UUID
    name: str | None
    metadata: dict[str, Any]
    labels: list[str] = Field(default_factory=list)
    state: JobState
    priority: Priority = Priority.BULK
    captioner: str
    bundle: BundleName
    images: int
    counts: dict[ImageState, int] = Field(description="images in each state; they add up to `images`")
    stages: list[StageProgress]
    progress: float = Field(description="0..1, the share of all stages of all images that is done")
    rate: float | None = Field(None, description="images a second that came to their end lately; null: none did")
    estimate_seconds: float | None = Field(
        description="until the end, if each stage keeps its pace of the last minutes; null if nothing was done lately"
    )
    held_up: list[HeldUp] = Field(
        default_factory=list, description="what images wait for before they are tried again, beside their turn"
    )
    created_at: datetime
    finished_at: datetime | None
    deadline: datetime | None = Field(None, description="what is unfinished then fails (`deadline_passed`)")
    retention_seconds: int | None = Field(None, description="so long after its end it deletes itself; null: never")
    expires_at: datetime | None = Field(
        None,
        description="when it deletes itself, or goes with the job that it scores again; null while that has not ended",
    )
    scores_only: bool = Field(False, description="whether pixels and captions go as soon as an image has its scores")
    what_if: bool = Field(False, description="whether it scores one face under a caption that a client wrote")
    rescored_from: UUID | None = Field(None, description="the job whose faces this one scores again, if it does")
    rescored_as: list[UUID] = Field(default_factory=list, description="the jobs that score this one's faces again")
    links: dict[str, str]


class WatchQuery(Parameters):
    """For how long an answer may be kept back."""

    wait: int = Field(
        0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="seconds to wait at most until the job has ended, or differs from the answer in `If-None-Match`",
    )


class KnownAnswer(Parameters):
    """What the client has already."""

    if_none_match: str | None = Field(
        None, alias="If-None-Match", description="`ETag` of an answer that you have: if it is unchanged, 304 says so"
    )


class LastEvent(Parameters):
    """Where a stream was broken off."""

    last_event_id: str | None = Field(
        None, alias="Last-Event-ID", description="`id` of the last event that arrived; browsers send it by themselves"
    )


class JobsQuery(Parameters):
    """Which jobs. Those that all of it fits are listed."""

    id: list[UUID] = Field(
        default_factory=list, max_length=MAX_IDS, description="any of these; ids that are not there are left out"
    )
    state: list[JobState] = Field(default_factory=list, max_length=8, description="in any of these states")
    label: list[Label] = Field(default_factory=list, max_length=16, description="with all of these labels")
    priority: Priority | None = Field(None, description="of this priority")
    name: Annotated[Name | None, Field(None, description="of just this name")]
    created_after: Moment | None = Field(None, description="submitted then or later, as 2026-11-24T05:00:00Z")
    created_before: Moment | None = Field(None, description="submitted before then")
    idempotency_key: Annotated[Storable, StringConstraints(max_length=255)] | None = Field(
        None, description="the job that was submitted under this Idempotency-Key"
    )
    cursor: str | None = Field(
        None,
        pattern="^[0-9]{1,16}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="`next_cursor` of the page before",
    )
    limit: int = Field(100, ge=1, le=500, description="jobs on a page")


class JobsPage(BaseModel):
    """Some jobs, the newest first. Those that score one face under other words are listed by their ids only."""

    jobs: list[JobStatus]
    next_cursor: str | None = Field(description="for the next page, with the same filters; null: there is none")


class FailureCount(BaseModel):
    """Images of a job that failed for one reason."""

    reason: str = Field(description="a stable code, as results have it", examples=["fetch_failed"])
    images: int = Field(examples=[4])
    retriable: int = Field(description="those of them that can be tried again", examples=[3])


class Failures(BaseModel):
    """Why images of a job failed."""

    reasons: list[FailureCount] = Field(description="in the order of their codes; none if no image failed")


class RetryOptions(BaseModel):
    """Which images are to be tried again."""

    model_config = ConfigDict(extra="forbid")

    reasons: list[Annotated[Storable, StringConstraints(max_length=REASON_LENGTH)]] = Field(
        default_factory=list,
        max_length=32,
        description="those that failed for any of these reasons; all that failed if none is given",
        examples=[["fetch_failed"]],
    )


class RetryQuery(Parameters):
    """Whether to do it."""

    dry_run: bool = Field(False, description="only say how many images that would be")


class Retry(BaseModel):
    """The images that are tried again, or would be."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"images": 3, "by_reason": {"fetch_failed": 3}, "left_out": 1}]}
    )

    images: int
    by_reason: dict[str, int] = Field(description="the same, by the reason for which they had failed")
    left_out: int = Field(
        description="failed images that are not: lines that led nowhere, or whose pixels were not kept"
    )
