"""An image's way through the service."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.results import ImageResult
from shared.jobs.states import JobState, Stage

_STEP: dict[str, Any] = {
    "at": "2026-11-24T05:00:02Z",
    "event": "attempt_failed",
    "stage": "intake",
    "attempt": 1,
    "reason": "fetch_failed",
    "detail": "The link could not be fetched just now.",
}


class TraceStep(BaseModel):
    """Something that happened to the image, or to its whole job."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STEP]})

    at: datetime
    event: str = Field(
        description="`accepted`, `attempt_failed`, the image's final state, or what became of its job: `job.paused`, "
        "`job.completed` and the like"
    )
    stage: Stage | None = None
    attempt: int | None = None
    reason: str | None = None
    detail: str | None = None


class ImageTrace(BaseModel):
    """What the database knows of an image's way. When a stage was done, the logs tell."""

    job: UUID
    job_state: JobState
    image: ImageResult
    attempt: int = Field(description="deliveries at the stage where it is, or where it came to its end")
    batch: UUID | None = Field(
        None, description="the message that a worker has or will take it by; in logs, the field `batch`"
    )
    not_before: datetime | None = Field(None, description="it waits until then before it is tried again")
    steps: list[TraceStep] = Field(description="in the order of time")
