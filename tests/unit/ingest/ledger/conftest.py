"""A migrated database for the ledger's tests."""

import pytest

from levelpool.database import open_connection
from levelpool.ingest.migrations import migrate


@pytest.fixture
def ledger(database_url):
    """A connection to a database with the ledger's tables; tests begin their own transactions."""
    with open_connection(database_url) as connection:
        with connection.begin():
            migrate(connection)
        yield connection
