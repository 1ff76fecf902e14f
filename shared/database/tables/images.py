"""Images, and where each stands."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table, one_of
from shared.jobs.states import ImageState, Stage


class Image(Table):
    """One submitted image and where it stands."""

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """Short, because messages carry it."""
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    """Place in the submission, from 0; results are paged by it."""
    name: Mapped[str]
    """The client's file name or link, echoed back; never used as a path."""
    custom_id: Mapped[str | None]
    """The client's id of this image, echoed back; never interpreted."""
    client_metadata: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    source_url: Mapped[str | None]
    """Where intake fetches it from: https://, s3://bucket/key or upload:ID. NULL for files sent with the submission,
    which skip intake."""
    original_key: Mapped[str | None]
    """The bytes as received, in object storage. Written by the API or intake, removed by the dispatcher after the job's
    end, unless the image failed."""
    original_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Size of the original in storage; NULL with its key. Written with it."""
    content_digest: Mapped[bytes | None]
    """SHA-256 of the original. Written with its key; by it the same image is not computed twice for one tenant."""
    photo_key: Mapped[str | None]
    """Upright, bounded and without metadata: what people are shown. Written by detection."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    """Size of the upright original in pixels; boxes refer to it. Written by detection."""
    derived_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Size of photo and crops in storage. Written by detection."""
    detector: Mapped[str | None]
    """What faces were looked for with; images of the same content and detector have the same faces."""
    reused_from: Mapped[int | None] = mapped_column(BigInteger)
    """The image whose faces, or faces and scores, were taken over instead of computing them. It may be gone since."""
    stage: Mapped[str]
    """The stage it is at; after the end, the last one it reached."""
    state: Mapped[str] = mapped_column(server_default=ImageState.READY)
    """An ImageState. Written by `shared.jobs` only."""
    reason: Mapped[str | None]
    """Stable code of why it was skipped or failed, or of what it waits for before it is tried again."""
    detail: Mapped[str | None]
    """The same for people."""
    attempt: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Deliveries at this stage. One that a crash cut short counts; one that never arrived, or that found a part of the
    service away, does not."""
    not_before: Mapped[datetime | None]
    """After a failed attempt: not to be let in again before."""
    batch_id: Mapped[UUID | None]
    """The message that may claim it. A message with another id is stale and claims nothing."""
    lease_token: Mapped[UUID | None]
    """The delivery that may write it. A crash leaves it behind, until the sweeper takes the image back."""
    lease_expires_at: Mapped[datetime | None]
    """While dispatched: when the message counts as lost. While running: when its worker does. Else NULL."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        CheckConstraint(one_of("state", ImageState), name="state"),
        CheckConstraint(one_of("stage", Stage), name="stage"),
        Index("ix_images_ready", "job_id", "stage", "id", postgresql_where=text("state = 'ready'")),
        Index("ix_images_held_up", "job_id", postgresql_where=text("state = 'ready' and reason is not null")),
        Index("ix_images_content", "content_digest", postgresql_where=text("content_digest is not null")),
        # Not by state: searches for a batch's images would be planned through this index, which is always full of what
        # it held a moment ago.
        Index("ix_images_leased", "lease_expires_at", postgresql_where=text("lease_expires_at is not null")),
    )


class Attempt(Table):
    """One attempt that did not succeed, kept so that the API can explain a failure without logs."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    stage: Mapped[str]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str]
    """The error's stable code, or `worker_lost` or `deadline_passed` (written by the dispatcher)."""
    detail: Mapped[str | None]
    ended_at: Mapped[datetime] = mapped_column(server_default=func.now())
