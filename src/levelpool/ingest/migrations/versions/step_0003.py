"""How a file was read is told, a correction that fails leaves the one before it, and who knows a password takes the file in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name, kind in (
        ("options_before", sa.JSON),
        ("held_by", sa.Text),
        ("encoding", sa.Text),
        ("delimiter", sa.Text),
        ("remarks", sa.JSON),
    ):
        op.add_column("levelpool_files", sa.Column(name, kind))
