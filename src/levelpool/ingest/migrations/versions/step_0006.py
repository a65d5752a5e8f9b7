"""
Datasets are referred to by number, and a column has one: a name is what people call a dataset, and may change.

The names stay beside the numbers. A service of an earlier release that runs on writes and reads names only: the database then
fills the number in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# The types of this step, as they were then.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_FILL = (
    "UPDATE {table} SET dataset_id = (SELECT id FROM levelpool_datasets WHERE levelpool_datasets.name = {table}.dataset) "
    "WHERE dataset_id IS NULL AND dataset IS NOT NULL"
)
_WRITTEN = {"levelpool_sheets": "INSERT", "levelpool_files": "UPDATE OF dataset", "levelpool_audit": "INSERT"}
"""The tables, and by what a service of an earlier release writes a name there once its dataset is there."""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(
        f"ALTER TABLE levelpool_sheets ADD COLUMN dataset_id {'INTEGER' if is_sqlite else 'BIGINT'} REFERENCES levelpool_datasets (id)"
    )
    op.add_column("levelpool_files", sa.Column("dataset_id", Id))
    op.add_column("levelpool_audit", sa.Column("dataset_id", Id))
    for table in _WRITTEN:
        op.execute(_FILL.format(table=table))
        op.create_index(f"{table}_dataset", table, ["dataset_id"])
    (_fill_on_sqlite if is_sqlite else _fill_on_postgresql)()
    (_number_columns_on_sqlite if is_sqlite else _number_columns_on_postgresql)()


def _fill_on_sqlite() -> None:
    for table, written in _WRITTEN.items():
        op.execute(
            f"CREATE TRIGGER {table}_dataset_id AFTER {written} ON {table} "
            f"WHEN NEW.dataset_id IS NULL AND NEW.dataset IS NOT NULL BEGIN {_FILL.format(table=table)} AND id = NEW.id; END"
        )


def _fill_on_postgresql() -> None:
    op.execute("""
        CREATE FUNCTION levelpool_fill_dataset_id() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.dataset_id := (SELECT id FROM levelpool_datasets WHERE name = NEW.dataset);
            RETURN NEW;
        END $$
    """)
    for table, written in _WRITTEN.items():
        op.execute(
            f"CREATE TRIGGER {table}_dataset_id BEFORE {written} ON {table} FOR EACH ROW "
            "WHEN (NEW.dataset_id IS NULL AND NEW.dataset IS NOT NULL) EXECUTE FUNCTION levelpool_fill_dataset_id()"
        )


def _number_columns_on_sqlite() -> None:
    """SQLite gives a table no other primary key: a new one takes its place."""
    op.rename_table("levelpool_columns", "levelpool_columns_0005")
    op.create_table(
        "levelpool_columns",
        sa.Column("id", Id, primary_key=True),
        sa.Column("dataset_id", Id, sa.ForeignKey("levelpool_datasets.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
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
        sa.UniqueConstraint("dataset_id", "name"),
        sqlite_autoincrement=True,
    )
    kept = "dataset_id, name, position, header, type, storage, scale, even_scale, filled, notation, why, added_by"
    op.execute(f"INSERT INTO levelpool_columns ({kept}) SELECT {kept} FROM levelpool_columns_0005 ORDER BY dataset_id, position")  # noqa: S608  # no text of a cell
    op.drop_table("levelpool_columns_0005")


def _number_columns_on_postgresql() -> None:
    op.execute("""
        ALTER TABLE levelpool_columns DROP CONSTRAINT levelpool_columns_pkey,
            ADD COLUMN id BIGSERIAL PRIMARY KEY,
            ADD CONSTRAINT levelpool_columns_dataset_id_name_key UNIQUE (dataset_id, name)
    """)
