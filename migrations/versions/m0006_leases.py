"""Leases are found by the time they run out, and by nothing else: no other search goes through their index."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _index("lease_expires_at is not null")


def downgrade() -> None:
    _index("state in ('dispatched', 'running')")


def _index(rows: str) -> None:
    op.drop_index("ix_images_leased", table_name="images")
    op.create_index("ix_images_leased", "images", ["lease_expires_at"], postgresql_where=sa.text(rows))
