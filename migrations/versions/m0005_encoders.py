"""What a score was computed with goes with it: which engine, in which number format."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("faces", sa.Column("encoders", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("faces", "encoders")
