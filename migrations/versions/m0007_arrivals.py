"""Submissions whose files are on their way into storage, so that those of a dead API can be removed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RULE = "tenant = current_setting('facemem.tenant', true)"


def upgrade() -> None:
    op.create_table(
        "arrivals",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_arrivals")),
    )
    op.execute("alter table arrivals enable row level security")
    op.execute(f"create policy of_tenant on arrivals to facemem_tenant using ({RULE}) with check ({RULE})")
    op.execute("grant select, insert, update, delete on arrivals to facemem_tenant")


def downgrade() -> None:
    op.drop_table("arrivals")
