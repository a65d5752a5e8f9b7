"""Which services there are, by their last sign of life, and which store each can read: what waits for one that is gone must not wait for ever."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# The type of this step, as it was then.
Instant = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "levelpool_holders",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("seen_at", Instant, nullable=False),
    )
