"""What differed between each table of a file and its dataset."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("levelpool_sheets", sa.Column("drift", sa.JSON))
