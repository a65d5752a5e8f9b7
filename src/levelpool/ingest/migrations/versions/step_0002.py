"""What a person said about a file: the correction record stays with it, so that a replay stands on the same ground."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("levelpool_files", sa.Column("options", sa.JSON))
