"""
The tables of the ledger, as SQLAlchemy sees them; `levelpool.ingest.migrations` creates them.

They live in the same database as the data, so that rows and the record of their file are written in one transaction.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

metadata = sa.MetaData()

# On SQLite only INTEGER makes a rowid that counts up by itself.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment in UTC: TIMESTAMP WITH TIME ZONE, and ISO 8601 text on SQLite, which has no such type."""

    impl = sa.TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        kind: sa.types.TypeEngine[Any] = sa.Text() if dialect.name == "sqlite" else sa.TIMESTAMP(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value.astimezone(UTC) if isinstance(value, datetime) else None


files = sa.Table(
    "levelpool_files",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # without folders
    sa.Column("sha256", sa.Text),  # None: refused before a byte of it was kept
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("kept", sa.Boolean, nullable=False),  # the original lies in the store
    sa.Column("store", sa.Text),  # which store: services on other machines may have one of their own
    sa.Column("source", sa.Text, nullable=False),  # "upload", "inbox", "direct", "import"
    sa.Column("origin", sa.Text),  # path within the inbox
    sa.Column("stamp", sa.Text),  # what the file looked like there
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text),  # the name that was asked for or followed from the file's; the dataset may not be there yet
    sa.Column("dataset_id", Id),  # once it is loaded
    sa.Column("dataset_asked", sa.Boolean, nullable=False),  # somebody named the dataset; else the file's name did
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("claim", sa.Text),  # the fence: only its holder may finish the file
    sa.Column("attempts", sa.Integer, nullable=False),  # claims so far that ended with the death of their holder
    sa.Column("status_before", sa.Text),  # of a replay: what holds again if it fails
    sa.Column("rows_loaded", sa.BigInteger, nullable=False),
    sa.Column("rows_quarantined", sa.BigInteger, nullable=False),
    sa.Column("cells_read", sa.BigInteger, nullable=False),
    sa.Column("cells_loaded", sa.BigInteger, nullable=False),
    sa.Column("cells_quarantined", sa.BigInteger, nullable=False),
    sa.Column("cells_outside", sa.BigInteger, nullable=False),
    sa.Column("format", sa.Text),
    sa.Column("reader", sa.Text),
    sa.Column("error", sa.Text),  # one sentence
    sa.Column("error_code", sa.Text),  # the same in one word, for programs
    sa.Column("progress", sa.Float),  # percent, while it runs
    sa.Column("duplicate_of", Id, sa.ForeignKey("levelpool_files.id")),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Column("options", sa.JSON(none_as_null=True)),  # the correction record, without a password
    sa.Column("options_before", sa.JSON(none_as_null=True)),  # of a replay with other options: what holds again if it fails
    sa.Column("held_by", sa.Text),  # only this holder may claim the file: it alone knows the password
    sa.Column("encoding", sa.Text),  # of a text file, as it was read
    sa.Column("delimiter", sa.Text),
    sa.Column("remarks", sa.JSON(none_as_null=True)),  # what the reader noticed
    sa.Column("stem", sa.Text),  # of its name; "" when nothing is left of it, None: an earlier release recorded it
    sa.Column("dataset_by", sa.Text),  # "said", "folder"; None: the file's name, or an earlier release that did not tell
    sa.Column("move_to", sa.Text),  # of a replay into another dataset: where it goes, until it has ended
    sa.Index("levelpool_files_status", "status", "id"),
    sa.Index("levelpool_files_sha256", "sha256"),
    sa.Index("levelpool_files_origin", "origin"),
    sa.Index("levelpool_files_dataset", "dataset_id"),
    sa.Index("levelpool_files_stem", "stem", "dataset_id"),
    sqlite_autoincrement=True,
)

claims = sa.Table(
    "levelpool_claims",
    metadata,
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
    sa.Column("holder", sa.Text, nullable=False),  # which process of which host
    sa.Column("claimed_at", Instant, nullable=False),
    sa.Column("renewed_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("outcome", sa.Text),  # the file's status afterwards, "released" or "lost"
    sa.Index("levelpool_claims_file", "file_id"),
)

holders = sa.Table(
    "levelpool_holders",
    metadata,
    sa.Column("holder", sa.Text, primary_key=True),  # which process of which host
    sa.Column("store", sa.Text, nullable=False),  # the store whose originals it can read
    sa.Column("seen_at", Instant, nullable=False),  # its last sign of life
)

datasets = sa.Table(
    "levelpool_datasets",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),  # of its table, too
    sa.Column("key", sa.JSON(none_as_null=True)),  # column names; None: no key
    sa.Column("policy", sa.Text, nullable=False),  # of quarantine: "row", "cell" or "error"
    sa.Column("created_by", Id, sa.ForeignKey("levelpool_files.id")),
    sa.Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

former_names = sa.Table(
    "levelpool_former_names",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),  # it still leads to the dataset
    sa.Column("dataset_id", Id, sa.ForeignKey("levelpool_datasets.id"), nullable=False),
    sa.Column("until", Instant, nullable=False),
)

columns = sa.Table(
    "levelpool_columns",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("dataset_id", Id, sa.ForeignKey("levelpool_datasets.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),  # 0-based, in order of arrival
    sa.Column("header", sa.Text, nullable=False),  # as in the file that brought the column
    sa.Column("type", sa.Text, nullable=False),  # one of ColumnType
    sa.Column("storage", sa.Text, nullable=False),  # as declared in the database
    sa.Column("scale", sa.Integer, nullable=False),  # NUMERIC: most digits behind the point
    sa.Column("even_scale", sa.Boolean, nullable=False),  # NUMERIC: all values have that many
    sa.Column("filled", sa.Boolean, nullable=False),  # some file had a value for it
    sa.Column("notation", sa.JSON(none_as_null=True)),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("added_by", Id, sa.ForeignKey("levelpool_files.id")),
    sa.UniqueConstraint("dataset_id", "name"),
    sqlite_autoincrement=True,
)

sheets = sa.Table(
    "levelpool_sheets",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),  # of the table within its sheet
    sa.Column("dataset", sa.Text),  # its name at that time; None: no table here
    sa.Column("dataset_id", Id, sa.ForeignKey("levelpool_datasets.id")),
    sa.Column("header_row", sa.Integer),  # 0-based
    sa.Column("hidden", sa.Boolean, nullable=False),
    sa.Column("rows_loaded", sa.BigInteger, nullable=False),
    sa.Column("rows_quarantined", sa.BigInteger, nullable=False),
    sa.Column("cells_loaded", sa.BigInteger, nullable=False),
    sa.Column("cells_quarantined", sa.BigInteger, nullable=False),
    sa.Column("cells_outside", sa.BigInteger, nullable=False),
    sa.Column("plan", sa.JSON(none_as_null=True)),  # box, columns with type, notation and reason
    sa.Column("recognised", sa.JSON(none_as_null=True)),  # by what it found its dataset, and why
    sa.Column("drift", sa.JSON(none_as_null=True)),  # what differed from its dataset; None: nothing, or an earlier release recorded it
    sa.Index("levelpool_sheets_file", "file_id"),
    sa.Index("levelpool_sheets_dataset", "dataset_id"),
    sqlite_autoincrement=True,
)

quarantine = sa.Table(
    "levelpool_quarantine",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
    sa.Column("sheet", sa.Text, nullable=False),
    sa.Column("sheet_row", sa.BigInteger, nullable=False),  # 1-based
    sa.Column("column_name", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cells", sa.JSON(none_as_null=True)),  # all cells of the row, beside its first entry
    sa.Index("levelpool_quarantine_file", "file_id", "id"),
    sqlite_autoincrement=True,
)

outside = sa.Table(
    "levelpool_outside",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
    sa.Column("sheet", sa.Text, nullable=False),
    sa.Column("sheet_row", sa.BigInteger, nullable=False),  # 1-based
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cells", sa.JSON, nullable=False),
    sa.Index("levelpool_outside_file", "file_id", "id"),
    sqlite_autoincrement=True,
)

changes = sa.Table(
    "levelpool_changes",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("file_id", Id, sa.ForeignKey("levelpool_files.id"), nullable=False),
    sa.Column("against", Id, nullable=False),  # the older file; 0: there was none
    sa.Column("is_default", sa.Boolean, nullable=False),  # it was the file before
    sa.Column("found", sa.JSON, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Index("levelpool_changes_file", "file_id"),
    sqlite_autoincrement=True,
)

audit = sa.Table(
    "levelpool_audit",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),  # who: a token's name, "inbox", "levelpool"
    sa.Column("action", sa.Text, nullable=False),  # what: "file.received", "file.loaded", "file.undone", "token.created", ...
    sa.Column("file_id", Id),
    sa.Column("dataset", sa.Text),  # its name at that time
    sa.Column("dataset_id", Id),
    sa.Column("detail", sa.JSON(none_as_null=True)),
    sa.Index("levelpool_audit_file", "file_id"),
    sa.Index("levelpool_audit_dataset", "dataset_id"),
    sqlite_autoincrement=True,
)

tokens = sa.Table(
    "levelpool_tokens",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),  # "viewer", "operator", "admin" or "scrape"
    sa.Column("hash", sa.Text, nullable=False, unique=True),  # the token itself is not stored
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("last_used_at", Instant),
    sa.Column("revoked_at", Instant),
    sqlite_autoincrement=True,
)

sessions = sa.Table(
    "levelpool_sessions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),  # of the cookie's secret
    sa.Column("token_id", Id, sa.ForeignKey("levelpool_tokens.id"), nullable=False),
    sa.Column("csrf", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("last_seen_at", Instant, nullable=False),
    sa.Index("levelpool_sessions_token", "token_id"),
)
