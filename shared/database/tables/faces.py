"""Faces, and why they have their scores."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.tables.base import Table


class Face(Table):
    """One face of an image: found by detection, described by captioning, judged by scoring."""

    __tablename__ = "faces"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """Its image's, repeated so that the faces of a job can be read in the order of their scores."""
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
    crop_key: Mapped[str | None]
    """224 x 224 JPEG without metadata, in object storage. NULL once a `scores_only` job has its score."""
    caption: Mapped[str | None]
    captioner: Mapped[dict[str, Any] | None]
    """Who wrote the caption: name, model, digest, prompt version. Written with it."""
    states_key: Mapped[str | None]
    """The object with its patches and tokens, shared by a batch. Written by embedding, removed after the job's end."""
    encoders: Mapped[str | None]
    """What patches and tokens were computed with: engine, version, number format. Written with them."""
    score: Mapped[float | None]
    """0..1. This column and the rest are written by scoring."""
    uncertainty: Mapped[float | None]
    """Half the width of the interval that the bundle's card states."""
    percentile: Mapped[float | None]
    """0..100, in the bundle's training population."""
    bundle: Mapped[str | None]
    """SHA-256 of the bundle that made the score; scores of different bundles are never ranked together."""
    scored_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("image_id", "position"),
        Index("ix_faces_scores", "job_id", text("score desc"), "id", postgresql_where=text("score is not null")),
    )


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
