"""Keys, and the tenant that a caller acts for."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.fields import Name
from services.api.schemas.parameters import Parameters
from services.api.scopes import Scope

# Longer is as good as for ever; leave it out for that.
LONGEST_SECONDS = 10 * 366 * 86_400
TENANT = "^[a-z0-9][a-z0-9_-]{0,62}$"
A_KEY: dict[str, Any] = {
    "id": "0d3c2f4e-5b0a-4c53-9d4e-1f6f0f6f2a11",
    "tenant": "local",
    "name": "the nightly script",
    "prefix": "fm_k3v9x0ab",
    "scopes": ["submit", "read"],
    "created_at": "2026-11-24T05:00:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-11-24T05:12:00Z",
}


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "the nightly script", "scopes": ["submit", "read"]}]},
    )

    name: Annotated[Name, Field(min_length=1)] = Field(description="for people to know it by")
    scopes: list[Scope] = Field(
        [Scope.SUBMIT, Scope.READ],
        min_length=1,
        max_length=len(Scope),
        description="what it allows; `admin` is to manage keys and webhooks and to read the audit log",
    )
    expires_in_seconds: int | None = Field(None, ge=1, le=LONGEST_SECONDS, description="null: until it is revoked")
    tenant: str | None = Field(
        None, pattern=TENANT, description="whose; null: the caller's. Another one only where no key is asked for"
    )


class Key(BaseModel):
    """A key without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_KEY]})

    id: UUID
    tenant: str
    name: str
    prefix: str = Field(description="how it begins; enough to recognise it in logs")
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")


class CreatedKey(Key):
    """A key, the one time that it is shown whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [A_KEY | {"key": "fm_k3v9x0ab_" + "x" * 43, "last_used_at": None}]}
    )

    key: str = Field(description="send it as `Authorization: Bearer ...`; it can never be shown again")


class Keys(BaseModel):
    """A page of keys, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keys": [A_KEY], "next_cursor": None}]})

    keys: list[Key]
    next_cursor: str | None = Field(description="for the next page; null: there is none")


class KeysQuery(Parameters):
    """Which page of the keys."""

    cursor: UUID | None = Field(None, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=500, description="keys on a page")


class KeyPath(BaseModel):
    """A key's id in the path."""

    key_id: UUID


class TenantQuotas(BaseModel):
    """What the tenant may have at a time; null: as much as it likes."""

    max_stored_bytes: int | None = Field(description="bytes in storage", examples=[50_000_000_000])
    max_queued_images: int | None = Field(description="images that are not finished", examples=[1_000_000])
    requests_per_minute: int | None = Field(description="with one key; null: without a key none are counted")
    pictures_per_minute: int | None = Field(
        description="likewise, of photos and crops, which are counted by themselves"
    )
    submissions_per_minute: int | None = Field(description="likewise, of requests that make work or take room")


class TenantUsage(BaseModel):
    """What the tenant has now."""

    stored_bytes: int = Field(description="images and faces in storage, and room taken for uploads", examples=[81_234])
    queued_images: int = Field(description="images that are not finished", examples=[12])
    open_jobs: int = Field(description="jobs that are running or paused", examples=[1])


class TenantAnswer(BaseModel):
    """On whose behalf the service answers this caller, and what it may do."""

    model_config = ConfigDict(
        title="Tenant",
        json_schema_extra={
            "examples": [
                {
                    "tenant": "local",
                    "actor": "open",
                    "open": True,
                    "note": "open: anybody on this machine may use this service without a key",
                    "scopes": ["admin", "delete", "read", "submit"],
                    "quotas": {
                        "max_stored_bytes": None,
                        "max_queued_images": None,
                        "requests_per_minute": None,
                        "pictures_per_minute": None,
                        "submissions_per_minute": None,
                    },
                    "usage": {"stored_bytes": 81_234, "queued_images": 12, "open_jobs": 1},
                }
            ]
        },
    )

    tenant: str
    actor: str = Field(description="how the audit log names this caller: a key's prefix, or `open`")
    open: bool = Field(description="whether this service answers without a key")
    note: str = Field(description="what that means")
    scopes: list[Scope]
    quotas: TenantQuotas
    usage: TenantUsage
