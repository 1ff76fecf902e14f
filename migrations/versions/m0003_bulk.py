"""Bulk work: what a job may ask for, uploads, webhooks, deletions, keys, paces and the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index(op.f("ix_api_keys_tenant"), "api_keys", ["tenant"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column(
            "detail", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_tenant", "audit", ["tenant", sa.literal_column("id desc")], unique=False)
    op.create_table(
        "deletions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("jobs", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("images", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("faces", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("prefixes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("next_sweep_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=True),
        sa.Column("last_sweep_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
    )
    op.create_index(
        "ix_deletions_due",
        "deletions",
        ["next_sweep_at"],
        unique=False,
        postgresql_where=sa.text("next_sweep_at is not null"),
    )
    op.create_index(op.f("ix_deletions_tenant"), "deletions", ["tenant"], unique=False)
    op.create_table(
        "tenants",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_queued_images", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tenants")),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_tenant"), "webhooks", ["tenant"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_index(op.f("ix_deliveries_webhook_id"), "deliveries", ["webhook_id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_index(op.f("ix_idempotency_job_id"), "idempotency", ["job_id"], unique=False)
    op.create_table(
        "paces",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_paces_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "stage", "slot", name=op.f("pk_paces")),
    )
    op.create_index("ix_paces_slot", "paces", ["slot"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_uploads_job_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index(
        "ix_uploads_digest",
        "uploads",
        ["tenant", "digest"],
        unique=False,
        postgresql_where=sa.text("digest is not null"),
    )
    op.create_index(op.f("ix_uploads_expires_at"), "uploads", ["expires_at"], unique=False)
    op.create_index(op.f("ix_uploads_job_id"), "uploads", ["job_id"], unique=False)
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_attempts_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
    )
    op.create_index(op.f("ix_delivery_attempts_delivery_id"), "delivery_attempts", ["delivery_id"], unique=False)
    op.add_column("faces", sa.Column("job_id", sa.Uuid(), nullable=True))
    op.execute("update faces set job_id = images.job_id from images where images.id = faces.image_id")
    op.alter_column("faces", "job_id", nullable=False)
    op.alter_column("faces", "crop_key", existing_type=sa.TEXT(), nullable=True)
    op.create_index(
        "ix_faces_scores",
        "faces",
        ["job_id", sa.literal_column("score desc"), "id"],
        unique=False,
        postgresql_where=sa.text("score is not null"),
    )
    op.create_foreign_key(op.f("fk_faces_job_id"), "faces", "jobs", ["job_id"], ["id"], ondelete="CASCADE")
    op.add_column("images", sa.Column("custom_id", sa.Text(), nullable=True))
    op.add_column("images", sa.Column("original_bytes", sa.BigInteger(), nullable=True))
    op.add_column("images", sa.Column("content_digest", sa.LargeBinary(), nullable=True))
    op.add_column("images", sa.Column("derived_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("images", sa.Column("detector", sa.Text(), nullable=True))
    op.add_column("images", sa.Column("reused_from", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_images_held_up",
        "images",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("state = 'ready' and reason is not null"),
    )
    op.create_index(
        "ix_images_content",
        "images",
        ["content_digest"],
        unique=False,
        postgresql_where=sa.text("content_digest is not null"),
    )
    op.add_column(
        "jobs", sa.Column("labels", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )
    op.add_column("jobs", sa.Column("priority", sa.Text(), server_default="bulk", nullable=False))
    op.add_column("jobs", sa.Column("what_if", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("jobs", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("retention_seconds", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("scores_only", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("jobs", sa.Column("stored_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "ix_jobs_deadline",
        "jobs",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("deadline is not null and finished_at is null"),
    )
    op.create_index(
        "ix_jobs_expires_at", "jobs", ["expires_at"], unique=False, postgresql_where=sa.text("expires_at is not null")
    )
    op.create_index("ix_jobs_labels", "jobs", ["labels"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_jobs_tenant",
        "jobs",
        ["tenant", sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.drop_constraint(op.f("ck_jobs_state"), "jobs", type_="check")
    op.create_check_constraint(
        op.f("ck_jobs_state"), "jobs", "state in ('running', 'paused', 'completed', 'cancelled')"
    )
    op.create_check_constraint(op.f("ck_jobs_priority"), "jobs", "priority in ('interactive', 'bulk')")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_jobs_priority"), "jobs", type_="check")
    op.execute("update jobs set state = 'running' where state = 'paused'")
    op.drop_constraint(op.f("ck_jobs_state"), "jobs", type_="check")
    op.create_check_constraint(op.f("ck_jobs_state"), "jobs", "state in ('running', 'completed', 'cancelled')")
    # What a `scores_only` job no longer has, the older schema cannot say.
    op.execute("delete from faces where crop_key is null")
    op.drop_index("ix_jobs_tenant", table_name="jobs")
    op.drop_index("ix_jobs_labels", table_name="jobs", postgresql_using="gin")
    op.drop_index("ix_jobs_expires_at", table_name="jobs", postgresql_where=sa.text("expires_at is not null"))
    op.drop_index(
        "ix_jobs_deadline", table_name="jobs", postgresql_where=sa.text("deadline is not null and finished_at is null")
    )
    op.drop_column("jobs", "stored_bytes")
    op.drop_column("jobs", "scores_only")
    op.drop_column("jobs", "expires_at")
    op.drop_column("jobs", "retention_seconds")
    op.drop_column("jobs", "deadline")
    op.drop_column("jobs", "what_if")
    op.drop_column("jobs", "priority")
    op.drop_column("jobs", "labels")
    op.drop_index(
        "ix_images_held_up",
        table_name="images",
        postgresql_where=sa.text("state = 'ready' and reason is not null"),
    )
    op.drop_index("ix_images_content", table_name="images", postgresql_where=sa.text("content_digest is not null"))
    op.drop_column("images", "reused_from")
    op.drop_column("images", "detector")
    op.drop_column("images", "derived_bytes")
    op.drop_column("images", "content_digest")
    op.drop_column("images", "original_bytes")
    op.drop_column("images", "custom_id")
    op.drop_constraint(op.f("fk_faces_job_id"), "faces", type_="foreignkey")
    op.drop_index("ix_faces_scores", table_name="faces", postgresql_where=sa.text("score is not null"))
    op.alter_column("faces", "crop_key", existing_type=sa.TEXT(), nullable=False)
    op.drop_column("faces", "job_id")
    op.drop_index(op.f("ix_delivery_attempts_delivery_id"), table_name="delivery_attempts")
    op.drop_table("delivery_attempts")
    op.drop_index(op.f("ix_uploads_job_id"), table_name="uploads")
    op.drop_index(op.f("ix_uploads_expires_at"), table_name="uploads")
    op.drop_index("ix_uploads_digest", table_name="uploads", postgresql_where=sa.text("digest is not null"))
    op.drop_table("uploads")
    op.drop_index("ix_paces_slot", table_name="paces")
    op.drop_table("paces")
    op.drop_index(op.f("ix_idempotency_job_id"), table_name="idempotency")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(op.f("ix_deliveries_webhook_id"), table_name="deliveries")
    op.drop_index("ix_deliveries_due", table_name="deliveries", postgresql_where=sa.text("next_attempt_at is not null"))
    op.drop_table("deliveries")
    op.drop_index(op.f("ix_webhooks_tenant"), table_name="webhooks")
    op.drop_table("webhooks")
    op.drop_table("tenants")
    op.drop_index(op.f("ix_deletions_tenant"), table_name="deletions")
    op.drop_index("ix_deletions_due", table_name="deletions", postgresql_where=sa.text("next_sweep_at is not null"))
    op.drop_table("deletions")
    op.drop_index("ix_audit_tenant", table_name="audit")
    op.drop_table("audit")
    op.drop_index(op.f("ix_api_keys_tenant"), table_name="api_keys")
    op.drop_table("api_keys")
