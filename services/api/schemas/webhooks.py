"""Webhooks: who is told of events, and what became of each event."""

import base64
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StrictBool

from services.api.schemas.parameters import Parameters
from shared.jobs.event_types import EventType

SECRET_PREFIX = "whsec_"  # noqa: S105  # how every secret begins
_EXAMPLE_SECRET = SECRET_PREFIX + base64.b64encode(bytes(range(24))).decode()


# Base64 of 24 to 64 bytes, which is what the Standard Webhooks specification asks of a secret: groups of four signs,
# and a last one that is padded where the number of bytes is no multiple of three.
_GROUP = "[A-Za-z0-9+/]"
_SECRET = f"^{SECRET_PREFIX}(({_GROUP}{{4}}){{8,21}}({_GROUP}{{2}}==)?|({_GROUP}{{4}}){{8,20}}{_GROUP}{{3}}=)$"

Secret = Annotated[
    str,
    Field(
        pattern=_SECRET,
        description="`whsec_` and 24 to 64 random bytes as base64; made for you if you give none",
        examples=[_EXAMPLE_SECRET],
    ),
]
Address = Annotated[
    HttpUrl,
    Field(
        description="https, without a password, at a public address; redirects are not followed",
        examples=["https://example.org/facemem"],
    ),
]
Events = Annotated[
    list[EventType],
    Field(
        min_length=1,
        max_length=len(EventType),
        description="types of events that it is told of",
        examples=[["job.completed"]],
    ),
]


class WebhookPath(BaseModel):
    """A webhook's id in the path."""

    webhook_id: UUID


class DeliveryPath(WebhookPath):
    """A webhook's id and that of one of its deliveries in the path."""

    delivery_id: UUID


class NewWebhook(BaseModel):
    """An address that is to be told of events."""

    model_config = ConfigDict(extra="forbid")

    url: Address
    events: Events = Field(default_factory=lambda: list(EventType))
    secret: Secret | None = None


class WebhookChanges(BaseModel):
    """What to change about a webhook. What is not named stays."""

    model_config = ConfigDict(extra="forbid")

    url: Address | None = None
    events: Events | None = None
    enabled: StrictBool | None = Field(
        None, description="true: events that still wait are sent at once; false: it is told of nothing", examples=[True]
    )


class Rotation(BaseModel):
    """The secret that takes the place of the present one."""

    model_config = ConfigDict(extra="forbid")

    secret: Secret | None = None


class WebhookEntry(BaseModel):
    """An address that is told of events."""

    id: UUID
    url: str = Field(examples=["https://example.org/facemem"])
    events: list[EventType] = Field(examples=[["job.completed"]])
    enabled: bool = Field(
        description="false: it is told of nothing; its owner said so, it answered 410, or an event could not be "
        "delivered for days"
    )
    created_at: datetime
    disabled_at: datetime | None = Field(None, examples=[None])


class WebhookSecret(WebhookEntry):
    """A webhook with its secret, which is shown this once."""

    secret: str = Field(description="what deliveries are signed with", examples=[_EXAMPLE_SECRET])


class Webhooks(BaseModel):
    """All webhooks, the oldest first."""

    webhooks: list[WebhookEntry]


class DeliveryState(StrEnum):
    """What became of an event."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryTry(BaseModel):
    """One try to deliver an event. The bodies of answers are not kept."""

    at: datetime
    status: int | None = Field(description="what the address answered; null if it did not", examples=[503])
    error: str | None = Field(description="why this try did not count", examples=["The address answered 503."])
    milliseconds: int = Field(examples=[120])


class DeliveryEntry(BaseModel):
    """One event for one webhook, and every try to deliver it."""

    id: UUID = Field(description="the `webhook-id` that it is sent with, however often")
    type: str = Field(examples=["job.completed"])
    job: UUID | None
    state: DeliveryState
    payload: dict[str, Any] = Field(
        description="the body that is sent", examples=[{"type": "job.completed", "data": {"state": "completed"}}]
    )
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="while it waits: not to be sent before")
    delivered_at: datetime | None
    attempts: list[DeliveryTry]


class Deliveries(BaseModel):
    """Some of a webhook's deliveries, the newest first."""

    deliveries: list[DeliveryEntry]
    next_cursor: str | None = Field(None, description="what to ask the next page with; null at the end")


class DeliveriesQuery(Parameters):
    """Which deliveries to list."""

    cursor: UUID | None = Field(None, description="`next_cursor` of the page before")
    limit: int = Field(50, ge=1, le=100)
