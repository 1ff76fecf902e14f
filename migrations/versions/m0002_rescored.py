"""Jobs that score the faces of another job again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rescored_from", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_jobs_rescored_from"), "jobs", "jobs", ["rescored_from"], ["id"], ondelete="CASCADE")
    op.create_index(op.f("ix_jobs_rescored_from"), "jobs", ["rescored_from"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_jobs_rescored_from"), table_name="jobs")
    op.drop_constraint(op.f("fk_jobs_rescored_from"), "jobs", type_="foreignkey")
    op.drop_column("jobs", "rescored_from")
