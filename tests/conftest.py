"""What tests of every room may ask for: databases, the same test on SQLite and on PostgreSQL."""

import contextlib

import pytest

from servers import PostgresServer


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL server for the whole run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def start_postgres():
    """A function that starts another PostgreSQL server with settings of its own, for this test only."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(PostgresServer(**settings))


@pytest.fixture
def postgres_url(request):
    """The URL of a new PostgreSQL database of this test."""
    server = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path):
    """The URL of a new SQLite file of this test."""
    return f"sqlite:///{tmp_path / 'levelpool.sqlite'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request):
    """The URL of a new, empty database: the same test runs on SQLite and on PostgreSQL."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
