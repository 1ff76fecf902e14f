"""The schema. Each column says who writes it and, where it matters, what a crash leaves behind.

Postgres is the truth: no state lives in a message, in Redis or in a result backend. All times are the database's.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.jobs.states import ImageState, JobState, Stage


def one_of(column: str, values: type[Stage] | type[ImageState] | type[JobState]) -> str:
    """The SQL of a CHECK that a text column holds a value of an enum."""
    return f"{column} in ({', '.join(repr(str(value)) for value in values)})"


class Table(DeclarativeBase):
    """All tables. Constraints are named by a convention, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        float: REAL,
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[float]: ARRAY(REAL),
        bytes: LargeBinary,
    }


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
    captioner: Mapped[str]
    """`auto`, `ollama` or `describer`; read by the captioning worker."""
    bundle: Mapped[str]
    """SHA-256 of the model bundle, for ever; read by the embedding and scoring workers, which load that one."""
    rescored_from: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    """The job whose photos and crops this one scores again, if it does: always the one that they were submitted to,
    also where a rescored job was scored again. So objects have one owner, and the rows go with it. Never changed."""
    state: Mapped[str] = mapped_column(server_default=JobState.RUNNING)
    """A JobState. `completed` is written by the dispatcher, `cancelled` by the API, each from `running` only."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    """Set together with the final state."""
    tidied_at: Mapped[datetime | None]
    """When the dispatcher had removed what only the way to the scores needed. A crash leaves NULL: it is done again."""

    __table_args__ = (
        CheckConstraint(one_of("state", JobState), name="state"),
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
    client_metadata: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    source_url: Mapped[str | None]
    """Where intake fetches it from. NULL for uploads, which skip intake."""
    original_key: Mapped[str | None]
    """The bytes as received, in object storage. Written by the API or intake, removed by the dispatcher after the job's
    end, unless the image failed."""
    photo_key: Mapped[str | None]
    """Upright, bounded and without metadata: what people are shown. Written by detection."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    """Size of the upright original in pixels; boxes refer to it. Written by detection."""
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
    """While dispatched: when the message counts as lost. While running: when its worker does."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        CheckConstraint(one_of("state", ImageState), name="state"),
        CheckConstraint(one_of("stage", Stage), name="stage"),
        Index("ix_images_ready", "job_id", "stage", "id", postgresql_where=text("state = 'ready'")),
        Index(
            "ix_images_leased",
            "lease_expires_at",
            postgresql_where=text("state in ('dispatched', 'running')"),
        ),
    )


class Attempt(Table):
    """One attempt that did not succeed, kept so that the API can explain a failure without logs."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    stage: Mapped[str]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str]
    """The error's stable code, or `worker_lost` (written by the sweeper)."""
    detail: Mapped[str | None]
    ended_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Face(Table):
    """One face of an image: found by detection, described by captioning, judged by scoring."""

    __tablename__ = "faces"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(SmallInteger)
    """Place in its image, from 0, largest first."""
    box: Mapped[list[float]]
    """Left, top, right, bottom in pixels of the upright original."""
    crop_box: Mapped[list[float]]
    """The square that was cut out, in the same pixels; it may reach beyond the image."""
    landmarks: Mapped[list[float]]
    """x, y of left eye, right eye, nose, left and right corner of the mouth, in the same pixels."""
    confidence: Mapped[float]
    """The detector's, 0..1."""
    flags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """Why to trust the score less: `small`, `blurred`, `turned`, `dark`, `not_a_photograph`."""
    crop_key: Mapped[str]
    """224 x 224 JPEG without metadata, in object storage."""
    caption: Mapped[str | None]
    captioner: Mapped[dict[str, Any] | None]
    """Who wrote the caption: name, model, digest, prompt version. Written with it."""
    states_key: Mapped[str | None]
    """The object with its patches and tokens, shared by a batch. Written by embedding, removed after the job's end."""
    score: Mapped[float | None]
    """0..1. This column and the rest are written by scoring."""
    uncertainty: Mapped[float | None]
    """Half the width of the interval that the bundle's card states."""
    percentile: Mapped[float | None]
    """0..100, in the bundle's training population."""
    bundle: Mapped[str | None]
    """SHA-256 of the bundle that made the score; scores of different bundles are never ranked together."""
    scored_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("image_id", "position"),)


class Explanation(Table):
    """Why a face has its score: `constant` plus the sum of all contributions is the logit. Written with the score."""

    __tablename__ = "explanations"

    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True)
    logit: Mapped[float]
    constant: Mapped[float]
    words: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """In the order of the caption: text, start and end (characters of the caption), contribution (sum over regions)."""
    rows: Mapped[int] = mapped_column(SmallInteger)
    columns: Mapped[int] = mapped_column(SmallInteger)
    """The grid of regions over the crop, read row by row."""
    contributions: Mapped[bytes]
    """float32, little-endian, words x regions."""
    attention: Mapped[bytes]
    """Likewise; each word's row sums to 1."""
