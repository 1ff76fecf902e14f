"""Who may do what, and who did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table


class Tenant(Table):
    """What a tenant may have, where that differs from the settings. One without a row has what they say."""

    __tablename__ = "tenants"

    name: Mapped[str] = mapped_column(primary_key=True)
    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_queued_images: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Table):
    """A key to the API. The key itself is shown once and kept nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    """For people to know it by."""
    prefix: Mapped[str] = mapped_column(unique=True)
    """How it begins; enough to find it, and to recognise it in logs."""
    digest: Mapped[bytes]
    """SHA-256 of the whole key. Keys are random, so a slow hash would protect nothing more."""
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute."""


class Audit(Table):
    """Who did what, when. Without content: no names, captions or links. A trigger refuses to change or remove rows."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    tenant: Mapped[str]
    actor: Mapped[str]
    """A key's prefix, `open` for a service without keys, `retention`, or `operator`."""
    action: Mapped[str]
    """Such as `job.submitted`."""
    subject: Mapped[str | None]
    """The id of what it was done to."""
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """Counts and ids only."""

    __table_args__ = (Index("ix_audit_tenant", "tenant", text("id desc")),)
