"""Who did what, when."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.fields import Moment, Name
from services.api.schemas.parameters import Parameters

AN_ENTRY: dict[str, Any] = {
    "id": 4711,
    "at": "2026-11-24T05:00:00Z",
    "actor": "fm_k3v9x0ab",
    "action": "job.deleted",
    "subject": "0d3c2f4e-5b0a-4c53-9d4e-1f6f0f6f2a11",
    "detail": {"deletion": "5b1c8c0e-6f0e-4f6c-9a53-0d9a3d1b7c11", "jobs": 1},
}


class AuditEntry(BaseModel):
    """One action. Entries hold no content, and are never changed or removed."""

    model_config = ConfigDict(json_schema_extra={"examples": [AN_ENTRY]})

    id: int
    at: datetime
    actor: str = Field(description="a key's prefix; `open`: no key was asked for; `retention`, `operator`: the service")
    action: str = Field(description="such as `job.submitted`")
    subject: str | None = Field(description="the id of what it was done to")
    detail: dict[str, Any] = Field(description="counts and ids")


class AuditPage(BaseModel):
    """Some entries, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"entries": [AN_ENTRY], "next_cursor": None}]})

    entries: list[AuditEntry]
    next_cursor: str | None = Field(description="for the next page; null: there is none")


class AuditQuery(Parameters):
    """Which entries."""

    action: Annotated[Name | None, Field(None, description="only this action, such as `job.deleted`")]
    subject: Annotated[Name | None, Field(None, description="only what was done to this id")]
    since: Moment | None = Field(None, description="only from this time on, as 2026-11-24T05:00:00Z")
    cursor: int | None = Field(None, ge=1, le=2**63 - 1, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=500, description="entries on a page")
