"""Jobs, and how far they are."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table, one_of
from shared.jobs.states import JobState, Priority


class Job(Table):
    """One submission. Inserted by the API together with all its images, in the transaction that the 202 waits for."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Chosen by the API before anything is stored: it begins every object key of the job."""
    tenant: Mapped[str] = mapped_column(server_default="local")
    """Whose job it is; the dispatcher takes turns over tenants."""
    name: Mapped[str | None]
    """The client's, echoed back; never interpreted."""
    client_metadata: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """The client's, echoed back; never interpreted."""
    labels: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """The client's, to find and to compare jobs by."""
    priority: Mapped[str] = mapped_column(server_default=Priority.BULK)
    """A Priority; read by the dispatcher."""
    captioner: Mapped[str]
    """`auto`, `ollama` or `describer`; read by the captioning worker."""
    bundle: Mapped[str]
    """SHA-256 of the model bundle, for ever; read by the embedding and scoring workers, which load that one."""
    rescored_from: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    """The job whose photos and crops this one scores again, if it does: always the one that they were submitted to,
    also where a rescored job was scored again. So objects have one owner, and the rows go with it. Never changed."""
    what_if: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it scores one face under a caption that the client wrote. Nothing is reused from it."""
    state: Mapped[str] = mapped_column(server_default=JobState.RUNNING)
    """A JobState. `completed` is written by the dispatcher, the others by the API."""
    deadline: Mapped[datetime | None]
    """Images that are unfinished then fail (`deadline_passed`)."""
    retention_seconds: Mapped[int | None] = mapped_column(BigInteger)
    """For how long it is kept after its end; NULL: until somebody deletes it."""
    expires_at: Mapped[datetime | None]
    """When it deletes itself. Written with the final state, taken back by a retry."""
    scores_only: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether pixels and captions go as soon as an image has its scores."""
    stored_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Of originals, photos and crops in storage. Changed in the transaction that writes or clears their keys."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    """Set together with the final state."""
    tidied_at: Mapped[datetime | None]
    """When the dispatcher had removed what only the way to the scores needed. A crash leaves NULL: it is done again."""

    __table_args__ = (
        CheckConstraint(one_of("state", JobState), name="state"),
        CheckConstraint(one_of("priority", Priority), name="priority"),
        Index("ix_jobs_labels", "labels", postgresql_using="gin"),
        Index("ix_jobs_tenant", "tenant", text("created_at desc"), text("id desc")),
        Index("ix_jobs_expires_at", "expires_at", postgresql_where=text("expires_at is not null")),
        Index("ix_jobs_deadline", "deadline", postgresql_where=text("deadline is not null and finished_at is null")),
        Index("ix_jobs_untidy", "finished_at", postgresql_where=text("finished_at is not null and tidied_at is null")),
        Index("ix_jobs_running", "tenant", "created_at", postgresql_where=text("state = 'running'")),
        Index("ix_jobs_created_at", "created_at"),
    )


class JobCount(Table):
    """How many images of a job are at a stage in a state.

    Changed only by the statement that moves the images, by the number of rows it really moved: always equal to
    count(*), and a status costs the same for ten images as for a million.
    """

    __tablename__ = "job_counts"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    images: Mapped[int] = mapped_column(BigInteger)


class Pace(Table):
    """How many images of a job left a stage within some seconds: what rates and estimates are made of.

    Written in the transaction that moves them on; old slots are removed by the dispatcher.
    """

    __tablename__ = "paces"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    """When it began; they follow each other without gaps (`shared.jobs.pace.SLOT_SECONDS`)."""
    passed: Mapped[int] = mapped_column(BigInteger)
    ended: Mapped[int] = mapped_column(BigInteger)
    """Of them, those that came to their end there."""

    __table_args__ = (Index("ix_paces_slot", "slot"),)
