"""The ledger, whole: files, claims, datasets, columns, sheets, quarantine, outside, audit, tokens, sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# The types of this step, as they were then.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    _files()
    _claims()
    _datasets()
    _columns()
    _sheets()
    _quarantine()
    _outside()
    _audit()
    _tokens()
    _sessions()


def _files() -> None:
    op.create_table(
        "levelpool_files",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("kept", sa.Boolean, nullable=False),
        sa.Column("store", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("stamp", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text),
        sa.Column("dataset_asked", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("claim", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("status_before", sa.Text),
        sa.Column("rows_loaded", sa.BigInteger, nullable=False),
        sa.Column("rows_quarantined", sa.BigInteger, nullable=False),
        sa.Column("cells_read", sa.BigInteger, nullable=False),
        sa.Column("cells_loaded", sa.BigInteger, nullable=False),
        sa.Column("cells_quarantined", sa.BigInteger, nullable=False),
        sa.Column("cells_outside", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Text),
        sa.Column("reader", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("progress", sa.Float),
        sa.Column("duplicate_of", Id, sa.ForeignKey("levelpool_files.id")),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("started_at", Instant),
        sa.Column("finished_at", Instant),
        sqlite_autoincrement=True,
    )
    op.create_index("levelpool_files_status", "levelpool_files", ["status", "id"])
    op.create_index("levelpool_files_sha256", "levelpool_files", ["sha256"])
    op.create_index("levelpool_files_origin", "levelpool_files", ["origin"])


def _claims() -> None:
    op.create_table(
        "levelpool_claims",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("claimed_at", Instant, nullable=False),
        sa.Column("renewed_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("outcome", sa.Text),
    )
    op.create_index("levelpool_claims_file", "levelpool_claims", ["file_id"])


def _datasets() -> None:
    op.create_table(
        "levelpool_datasets",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("key", sa.JSON(none_as_null=True)),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("created_by", Id, sa.ForeignKey("levelpool_files.id")),
        sa.Column("created_at", Instant, nullable=False),
        sqlite_autoincrement=True,
    )


def _columns() -> None:
    op.create_table(
        "levelpool_columns",
        sa.Column("dataset_id", Id, sa.ForeignKey("levelpool_datasets.id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("header", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("storage", sa.Text, nullable=False),
        sa.Column("scale", sa.Integer, nullable=False),
        sa.Column("even_scale", sa.Boolean, nullable=False),
        sa.Column("filled", sa.Boolean, nullable=False),
        sa.Column("notation", sa.JSON(none_as_null=True)),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("added_by", Id, sa.ForeignKey("levelpool_files.id")),
    )


def _sheets() -> None:
    op.create_table(
        "levelpool_sheets",
        sa.Column("id", Id, primary_key=True),
        sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("dataset", sa.Text),
        sa.Column("header_row", sa.Integer),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("rows_loaded", sa.BigInteger, nullable=False),
        sa.Column("rows_quarantined", sa.BigInteger, nullable=False),
        sa.Column("cells_loaded", sa.BigInteger, nullable=False),
        sa.Column("cells_quarantined", sa.BigInteger, nullable=False),
        sa.Column("cells_outside", sa.BigInteger, nullable=False),
        sa.Column("plan", sa.JSON(none_as_null=True)),
        sqlite_autoincrement=True,
    )
    op.create_index("levelpool_sheets_file", "levelpool_sheets", ["file_id"])


def _quarantine() -> None:
    op.create_table(
        "levelpool_quarantine",
        sa.Column("id", Id, primary_key=True),
        sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("sheet_row", sa.BigInteger, nullable=False),
        sa.Column("column_name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("cells", sa.JSON(none_as_null=True)),
        sqlite_autoincrement=True,
    )
    op.create_index("levelpool_quarantine_file", "levelpool_quarantine", ["file_id", "id"])


def _outside() -> None:
    op.create_table(
        "levelpool_outside",
        sa.Column("id", Id, primary_key=True),
        sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("sheet_row", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("cells", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("levelpool_outside_file", "levelpool_outside", ["file_id", "id"])


def _audit() -> None:
    op.create_table(
        "levelpool_audit",
        sa.Column("id", Id, primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("file_id", Id),
        sa.Column("dataset", sa.Text),
        sa.Column("detail", sa.JSON(none_as_null=True)),
        sqlite_autoincrement=True,
    )
    op.create_index("levelpool_audit_file", "levelpool_audit", ["file_id"])


def _tokens() -> None:
    op.create_table(
        "levelpool_tokens",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant),
        sa.Column("last_used_at", Instant),
        sa.Column("revoked_at", Instant),
        sqlite_autoincrement=True,
    )


def _sessions() -> None:
    op.create_table(
        "levelpool_sessions",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("token_id", Id, sa.ForeignKey("levelpool_tokens.id"), nullable=False),
        sa.Column("csrf", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("last_seen_at", Instant, nullable=False),
    )
    op.create_index("levelpool_sessions_token", "levelpool_sessions", ["token_id"])
