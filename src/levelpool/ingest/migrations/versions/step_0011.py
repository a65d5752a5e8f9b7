"""Where a file that is loaded once more goes, when somebody said another dataset."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("levelpool_files", sa.Column("move_to", sa.Text))
