"""Who is told of events, and what became of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table


class Webhook(Table):
    """An address that is told of events."""

    __tablename__ = "webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    url: Mapped[str]
    secret: Mapped[str]
    """whsec_..., which deliveries are signed with (Standard Webhooks)."""
    events: Mapped[list[str]]
    """Types of events that it is told of."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    """When it was given up, after an event could not be delivered for days, or answered 410."""


class Delivery(Table):
    """One event for one webhook. Inserted in the transaction that makes the event true."""

    __tablename__ = "deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The event's `webhook-id`: the same however often it is sent."""
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[UUID | None]
    """No foreign key: that a job was deleted is an event too. Nothing else of the job is kept here."""
    type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """NULL when it is delivered or given up."""
    delivered_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_deliveries_due", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    )


class DeliveryAttempt(Table):
    """One try to deliver an event: what the delivery log shows."""

    __tablename__ = "delivery_attempts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """What the address answered; NULL if it did not."""
    error: Mapped[str | None]
    milliseconds: Mapped[int] = mapped_column(BigInteger)
