"""What changed between two files of a dataset."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# The types of this step, as they were then.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "levelpool_changes",
        sa.Column("id", Id, primary_key=True),
        sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
        sa.Column("against", Id, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("levelpool_changes_file", "levelpool_changes", ["file_id"])
