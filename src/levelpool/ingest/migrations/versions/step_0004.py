"""Why a file failed is told in one word, too: a program asks for a password where one is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("levelpool_files", sa.Column("error_code", sa.Text))
