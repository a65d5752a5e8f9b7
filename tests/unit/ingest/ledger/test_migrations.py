"""The ledger's tables come from migrations, and are what the code takes them for."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from levelpool.errors import DatabaseError
from levelpool.ingest import migrations
from levelpool.ingest.ledger import datasets, files, queries
from levelpool.ingest.ledger.schema import metadata
from levelpool.ingest.migrations import VERSION_TABLE, migrate


@pytest.fixture
def engine(database_url):
    engine = sa.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()


def test_migrated_database_is_what_the_code_expects(engine):
    """No column, index or table differs between the migrations and the tables of the code."""
    with engine.begin() as connection:
        migrate(connection)

        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_every_table_of_ours_carries_the_prefix(engine):
    """A person who looks into the database sees at once which tables are the service's own."""
    with engine.begin() as connection:
        migrate(connection)

        assert all(name.startswith("levelpool_") for name in sa.inspect(connection).get_table_names())


def test_migrating_twice_changes_nothing(engine):
    """Each start migrates; the second finds nothing to do."""
    for _ in range(2):
        with engine.begin() as connection:
            migrate(connection)

    with engine.begin() as connection:
        assert connection.execute(sa.text(f"SELECT count(*) FROM {VERSION_TABLE}")).scalar() == 1


def test_database_of_a_newer_levelpool_is_refused(engine):
    """An unknown version is not touched, and the sentence says what to do."""
    with engine.begin() as connection:
        migrate(connection)
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))

    with engine.begin() as connection, pytest.raises(DatabaseError, match="update levelpool"):
        migrate(connection)


# ---------------------------------------------------------------- a ledger of an earlier release


FILE = """
    INSERT INTO levelpool_files (id, name, size, kept, source, actor, dataset, dataset_asked, status, attempts, rows_loaded, rows_quarantined,
        cells_read, cells_loaded, cells_quarantined, cells_outside, received_at)
    VALUES (:id, :name, 1, true, 'upload', 'ann', :dataset, false, 'loaded', 0, 2, 0, 4, 4, 0, 0, '2026-11-01T00:00:00+00:00')
"""
DATASET = "INSERT INTO levelpool_datasets (id, name, policy, created_by, created_at) VALUES (:id, :name, 'row', :file, '2026-11-01T00:00:00+00:00')"
COLUMN = """
    INSERT INTO levelpool_columns (dataset_id, name, position, header, type, storage, scale, even_scale, filled, why, added_by)
    VALUES (:dataset, :name, :position, :name, 'BIGINT', 'BIGINT', 0, true, true, 'whole numbers', :file)
"""
SHEET = """
    INSERT INTO levelpool_sheets (file_id, name, position, dataset, hidden, rows_loaded, rows_quarantined, cells_loaded, cells_quarantined,
        cells_outside)
    VALUES (:file, 'a', :position, :dataset, false, 2, 0, 4, 0, 0)
"""
AUDIT = """
    INSERT INTO levelpool_audit (at, actor, action, file_id, dataset, detail)
    VALUES ('2026-11-01T00:00:00+00:00', 'ann', :action, :file, :dataset, '{"column": "qty"}')
"""


@pytest.fixture
def old_ledger(engine):
    """A ledger as step 0005 left it: two files of two datasets, a table outside of any, and a column that somebody widened."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        for number, name in enumerate(("orders", "leads"), 1):
            run = {"id": number, "file": number, "name": name, "dataset": name}
            connection.execute(sa.text(FILE), run | {"name": f"{name}.csv"})
            connection.execute(sa.text(DATASET), run)
            for position, column in enumerate(("no", "qty")):
                connection.execute(sa.text(COLUMN), run | {"dataset": number, "name": column, "position": position})
            connection.execute(sa.text(SHEET), run | {"position": 0})
            connection.execute(sa.text(AUDIT), run | {"action": "file.loaded"})
        connection.execute(sa.text(SHEET), {"file": 1, "dataset": None, "position": 1})
        connection.execute(sa.text(AUDIT), {"file": None, "dataset": "orders", "action": "dataset.widened"})
    return engine


def test_ledger_of_an_earlier_release_keeps_what_it_says(old_ledger):
    """Each name becomes the number of its dataset; files, rows and what people decided stay."""
    with old_ledger.begin() as connection:
        migrate(connection)

        assert [connection.execute(sa.text(f"SELECT dataset_id FROM {table} ORDER BY id")).scalars().all() for table in REFERRING] == [
            [1, 2, None], [1, 2], [1, 2, 1]
        ]  # fmt: skip
        assert [datasets.datasets_of(connection, number) for number in (1, 2)] == [["orders"], ["leads"]]
        assert [(each["name"], each["rows"]) for each in queries.list_datasets(connection, 10, 0)["datasets"]] == [
            ("leads", 2),
            ("orders", 2),
        ]
        assert datasets.widened(connection, 1) == {"qty"}
        assert sorted(connection.execute(sa.text("SELECT id FROM levelpool_columns")).scalars()) == [1, 2, 3, 4]


REFERRING = ("levelpool_sheets", "levelpool_files", "levelpool_audit")


def test_service_of_an_earlier_release_may_go_on_beside(old_ledger):
    """It writes names alone, and each becomes a number at once: no row of its files is lost to who counts or takes back."""
    with old_ledger.begin() as connection:
        migrate(connection)

    with old_ledger.begin() as connection:
        connection.execute(sa.text(FILE), {"id": 7, "name": "more.csv", "dataset": "more"})
        connection.execute(sa.text(DATASET), {"id": 7, "name": "more", "file": 7})
        connection.execute(sa.text(COLUMN), {"dataset": 7, "name": "no", "position": 0, "file": 7})
        connection.execute(sa.text(SHEET), {"file": 7, "dataset": "more", "position": 0})
        connection.execute(sa.text("UPDATE levelpool_files SET status = 'loaded', dataset = 'more' WHERE id = 7"))
        connection.execute(sa.text(AUDIT), {"file": None, "dataset": "more", "action": "dataset.key"})

        assert [
            connection.execute(sa.text(f"SELECT dataset_id FROM {table} ORDER BY id DESC")).scalars().first() for table in REFERRING
        ] == [7] * 3
        assert datasets.datasets_of(connection, 7) == ["more"]
        assert connection.execute(sa.text("SELECT id FROM levelpool_columns WHERE dataset_id = 7")).scalar() == 5


def test_files_follow_the_name_of_their_dataset(old_ledger):
    """Only the dataset bears the name: whoever looks at a file reads the one that it has now."""
    with old_ledger.begin() as connection:
        migrate(connection)
        connection.execute(sa.text("UPDATE levelpool_datasets SET name = 'sales' WHERE id = 1"))

        record = queries.get_file(connection, 1)
        assert (record["dataset"], [each["dataset"] for each in record["sheets"]]) == ("sales", ["sales"])
        assert datasets.datasets_of(connection, 1) == ["sales"]
        assert [files.same_content(connection, 9, None, name) for name in ("orders", "sales")] == [None, 1]
