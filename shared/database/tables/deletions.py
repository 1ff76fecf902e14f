"""What was deleted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table


class Deletion(Table):
    """The receipt of a deletion. Rows go in the transaction that writes it, objects afterwards, by the dispatcher.

    A worker that had the work in hand may write an object after that; so the prefixes are swept again, until none can.
    """

    __tablename__ = "deletions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    job_id: Mapped[UUID]
    image_id: Mapped[int | None] = mapped_column(BigInteger)
    """NULL: the whole job."""
    reason: Mapped[str]
    """`request` or `retention`."""
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    jobs: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    images: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    faces: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    objects: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Removed from storage so far."""
    prefixes: Mapped[list[str]]
    """Of the objects to remove."""
    next_sweep_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """NULL when nothing can be left any more."""
    last_sweep_at: Mapped[datetime]
    """When it is swept for the last time: nobody who had the work in hand can be at it any more."""
    removed_at: Mapped[datetime | None]
    """When the objects were gone for the first time."""

    __table_args__ = (Index("ix_deletions_due", "next_sweep_at", postgresql_where=text("next_sweep_at is not null")),)
