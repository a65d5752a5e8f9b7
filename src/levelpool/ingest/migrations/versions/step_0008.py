"""What datasets were called before: a former name goes on leading to its dataset."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# The types of this step, as they were then.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "levelpool_former_names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("dataset_id", Id, sa.ForeignKey("levelpool_datasets.id"), nullable=False),
        sa.Column("until", Instant, nullable=False),
    )
