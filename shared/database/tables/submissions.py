"""What comes before a job is accepted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table


class Upload(Table):
    """A place in storage that a client may put one file into, before it submits it by `upload:ID`.

    Intake moves the object to its job. One that no job takes is removed, with its row, at
    `expires_at` by the dispatcher.
    """

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    """The client's file name; never used as a path."""
    size: Mapped[int] = mapped_column(BigInteger)
    """The size that the client announced; another one is refused."""
    media_type: Mapped[str]
    digest: Mapped[bytes | None]
    """SHA-256 as announced, if it was: checked by intake, and how an interrupted upload is found again."""
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    """The job that took it. Set when that is accepted."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (Index("ix_uploads_digest", "tenant", "digest", postgresql_where=text("digest is not null")),)


class Arrival(Table):
    """A submission whose files are on their way into storage. The API writes it before the first object, renews it, and
    takes it away in the transaction that accepts the job; a crash leaves it behind, and the dispatcher clears up.
    """

    __tablename__ = "arrivals"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The job that it may become; its objects lie under that already."""
    tenant: Mapped[str]
    seen_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """NULL when it was given up: it can be accepted no more, and its objects are being removed."""


class Idempotency(Table):
    """The answer to a submission that carried an Idempotency-Key. Written in the transaction that accepts the job."""

    __tablename__ = "idempotency"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    """SHA-256 of everything that was submitted; the same key with another one is refused."""
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
