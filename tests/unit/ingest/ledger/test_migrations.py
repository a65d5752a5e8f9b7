"""The ledger's tables come from migrations, and are what the code takes them for."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from levelpool.errors import DatabaseError
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
