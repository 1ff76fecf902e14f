"""What was deleted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.parameters import Parameters

A_DELETION: dict[str, Any] = {
    "id": "5b1c8c0e-6f0e-4f6c-9a53-0d9a3d1b7c11",
    "job": "0d3c2f4e-5b0a-4c53-9d4e-1f6f0f6f2a11",
    "image": None,
    "reason": "request",
    "requested_at": "2026-11-24T05:00:00Z",
    "jobs": 1,
    "images": 12,
    "faces": 14,
    "objects": 40,
    "removed_at": "2026-11-24T05:00:01Z",
    "final": False,
    "last_sweep_at": "2026-11-24T05:30:30Z",
    "links": {"self": "/v1/deletions/5b1c8c0e-6f0e-4f6c-9a53-0d9a3d1b7c11"},
}


class DeletionPath(BaseModel):
    """A receipt's id in the path."""

    deletion_id: UUID


class Deletion(BaseModel):
    """The receipt of a deletion. It is kept, and holds ids and counts only."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_DELETION]})

    id: UUID
    job: UUID = Field(description="the job that was deleted, or of which an image was")
    image: int | None = Field(description="the image that was deleted; null: the whole job")
    reason: str = Field(description="`request`, or `retention` where the job's time was over")
    requested_at: datetime = Field(description="since then nothing of it can be read any more")
    jobs: int = Field(description="deleted jobs, those that scored the same faces again among them")
    images: int = Field(description="deleted images, their copies in such jobs among them")
    faces: int = Field(description="deleted faces, likewise")
    objects: int = Field(description="files removed from storage so far")
    removed_at: datetime | None = Field(description="when storage was empty of it for the first time")
    final: bool = Field(description="whether nobody can write anything of it any more, and nothing is there")
    last_sweep_at: datetime = Field(
        description="when storage is looked through for the last time: after the last worker with any of it in hand; "
        "of a single image also after its job has ended"
    )
    links: dict[str, str]


class Deletions(BaseModel):
    """A page of receipts, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"deletions": [A_DELETION], "next_cursor": None}]})

    deletions: list[Deletion]
    next_cursor: str | None = Field(description="for the next page; null: there is none")


class DeletionsQuery(Parameters):
    """Which page of the receipts."""

    cursor: UUID | None = Field(None, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=500, description="receipts on a page")
