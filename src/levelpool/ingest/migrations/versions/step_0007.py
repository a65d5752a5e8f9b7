"""How a file was recognised: the stem of its name, by what its dataset was named, and the verdict about each of its tables."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("levelpool_files", sa.Column("stem", sa.Text))
    op.add_column("levelpool_files", sa.Column("dataset_by", sa.Text))
    op.create_index("levelpool_files_stem", "levelpool_files", ["stem", "dataset_id"])
    op.add_column("levelpool_sheets", sa.Column("recognised", sa.JSON))
