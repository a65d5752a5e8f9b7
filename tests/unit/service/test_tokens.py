"""Tokens and sessions: hashed, revocable, expiring."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from levelpool.database import create_engine
from levelpool.ingest.ledger import schema
from levelpool.ingest.migrations import migrate
from levelpool.service import tokens
from levelpool.service.tokens import Credentials
from levelpool.web.auth import Identity, Role


@pytest.fixture
def engine():
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        migrate(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    with engine.begin() as connection:
        yield connection


async def run(func, *args, **kwargs):
    return func(*args, **kwargs)


def test_token_is_found_by_itself_and_stored_as_a_hash(connection):
    """Who reads the database cannot sign in with what it holds."""
    made = tokens.create_token(connection, name="ann", role=Role.OPERATOR, created_by="test")

    assert tokens.find_token(connection, made)[1] == Identity("ann", Role.OPERATOR)
    assert made not in str(connection.execute(sa.select(schema.tokens)).all())


@pytest.mark.parametrize("change", [{"revoked_at": datetime.now(UTC)}, {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}])
def test_revoked_or_expired_token_is_nobody_and_its_session_ends(connection, change):
    """Taking a token back signs its browsers out."""
    made = tokens.create_token(connection, name="ann", role=Role.ADMIN, created_by="test")
    secret = tokens.create_session(connection, tokens.find_token(connection, made)[0])
    connection.execute(schema.tokens.update().values(**change))

    assert tokens.find_token(connection, made) is None
    assert tokens.find_session(connection, secret) is None


def test_first_admin_token_is_made_once(connection):
    """The second start shows nothing."""
    first = tokens.ensure_admin_token(connection, None)

    assert tokens.find_token(connection, first)[1].role is Role.ADMIN
    assert tokens.ensure_admin_token(connection, None) is None


def test_given_admin_token_replaces_the_one_given_before(connection):
    """A token that leaked is gone after a start with another one; coming back to an old one works too."""
    old, new = "o" * 32, "n" * 32
    assert tokens.ensure_admin_token(connection, old) is None
    tokens.ensure_admin_token(connection, new)
    assert tokens.find_token(connection, old) is None
    assert tokens.find_token(connection, new)[1].role is Role.ADMIN

    tokens.ensure_admin_token(connection, old)

    assert tokens.find_token(connection, old)[1].role is Role.ADMIN
    assert tokens.find_token(connection, new) is None


async def test_session_lives_until_sign_out(engine):
    """The cookie's secret is worth something from sign-in to sign-out."""
    credentials = Credentials(engine, run)
    with engine.begin() as connection:
        token = tokens.create_token(connection, name="ann", role=Role.VIEWER, created_by="test")
    secret = await credentials.sign_in(token)
    session = await credentials.of_session(secret)
    assert session.identity == Identity("ann", Role.VIEWER)
    assert len(session.csrf) >= 32

    await credentials.sign_out(secret)

    assert await credentials.of_session(secret) is None


async def test_sign_in_does_not_mind_who_writes_meanwhile(tmp_path, monkeypatch):
    """Somebody writes to the same SQLite file between the look at the token and the new session: neither is refused."""
    engine = create_engine(f"sqlite:///{tmp_path}/service.sqlite")
    with engine.begin() as connection:
        migrate(connection)
        token = tokens.create_token(connection, name="ann", role=Role.VIEWER, created_by="test")
    find_token = tokens.find_token

    def find_and_be_overtaken(connection, given):
        found = find_token(connection, given)
        with engine.begin() as other:
            tokens.create_token(other, name="bob", role=Role.VIEWER, created_by="test")
        return found

    monkeypatch.setattr(tokens, "find_token", find_and_be_overtaken)

    assert await Credentials(engine, run).sign_in(token)
    engine.dispose()


async def test_scrape_token_cannot_sign_in(engine):
    """It sees metrics, not pages."""
    with engine.begin() as connection:
        token = tokens.create_token(connection, name="prometheus", role=Role.SCRAPE, created_by="test")

    assert await Credentials(engine, run).sign_in(token) is None


async def test_revoked_token_stops_within_five_seconds(engine):
    """An answer of the database is believed for a moment, not for good."""
    now = 0.0
    credentials = Credentials(engine, run, clock=lambda: now)
    with engine.begin() as connection:
        token = tokens.create_token(connection, name="ann", role=Role.VIEWER, created_by="test")
    assert await credentials.of_token(token)
    with engine.begin() as connection:
        connection.execute(schema.tokens.update().values(revoked_at=datetime.now(UTC)))

    now = tokens.MEMORY_SECONDS

    assert await credentials.of_token(token) is None
