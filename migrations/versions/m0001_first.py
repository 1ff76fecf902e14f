"""Jobs, images, faces and why they have their scores."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="local", nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "client_metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("captioner", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tidied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('running', 'completed', 'cancelled')", name=op.f("ck_jobs_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"], unique=False)
    op.create_index(
        "ix_jobs_running", "jobs", ["tenant", "created_at"], unique=False, postgresql_where=sa.text("state = 'running'")
    )
    op.create_index(
        "ix_jobs_untidy",
        "jobs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at is not null and tidied_at is null"),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "client_metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("source_url", sa.Text(), nullable=True),
        sa.Column("original_key", sa.Text(), nullable=True),
        sa.Column("photo_key", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="ready", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("attempt", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "stage in ('intake', 'detection', 'captioning', 'embedding', 'scoring')", name=op.f("ck_images_stage")
        ),
        sa.CheckConstraint(
            "state in ('ready', 'dispatched', 'running', 'succeeded', 'skipped', 'failed', 'cancelled')",
            name=op.f("ck_images_state"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_images_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("job_id", "position", name=op.f("uq_images_job_id_position")),
    )
    op.create_index(
        "ix_images_leased",
        "images",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("state in ('dispatched', 'running')"),
    )
    op.create_index(
        "ix_images_ready",
        "images",
        ["job_id", "stage", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_table(
        "job_counts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_counts_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "stage", "state", name=op.f("pk_job_counts")),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_attempts_image_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_image_id"), "attempts", ["image_id"], unique=False)
    op.create_table(
        "faces",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("box", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("crop_box", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("landmarks", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.Column("confidence", sa.REAL(), nullable=False),
        sa.Column("flags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("crop_key", sa.Text(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("captioner", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("states_key", sa.Text(), nullable=True),
        sa.Column("score", sa.REAL(), nullable=True),
        sa.Column("uncertainty", sa.REAL(), nullable=True),
        sa.Column("percentile", sa.REAL(), nullable=True),
        sa.Column("bundle", sa.Text(), nullable=True),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_faces_image_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_faces")),
        sa.UniqueConstraint("image_id", "position", name=op.f("uq_faces_image_id_position")),
    )
    op.create_table(
        "explanations",
        sa.Column("face_id", sa.BigInteger(), nullable=False),
        sa.Column("logit", sa.REAL(), nullable=False),
        sa.Column("constant", sa.REAL(), nullable=False),
        sa.Column("words", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rows", sa.SmallInteger(), nullable=False),
        sa.Column("columns", sa.SmallInteger(), nullable=False),
        sa.Column("contributions", sa.LargeBinary(), nullable=False),
        sa.Column("attention", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["face_id"], ["faces.id"], name=op.f("fk_explanations_face_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", name=op.f("pk_explanations")),
    )


def downgrade() -> None:
    op.drop_table("explanations")
    op.drop_table("faces")
    op.drop_index(op.f("ix_attempts_image_id"), table_name="attempts")
    op.drop_table("attempts")
    op.drop_table("job_counts")
    op.drop_index("ix_images_ready", table_name="images", postgresql_where=sa.text("state = 'ready'"))
    op.drop_index(
        "ix_images_leased", table_name="images", postgresql_where=sa.text("state in ('dispatched', 'running')")
    )
    op.drop_table("images")
    op.drop_index(
        "ix_jobs_untidy", table_name="jobs", postgresql_where=sa.text("finished_at is not null and tidied_at is null")
    )
    op.drop_index("ix_jobs_running", table_name="jobs", postgresql_where=sa.text("state = 'running'"))
    op.drop_index("ix_jobs_created_at", table_name="jobs")
    op.drop_table("jobs")
