"""Tokens and sessions: made here, shown once, kept only as hashes in the service's own tables."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from levelpool.database import open_connection
from levelpool.errors import SettingsError
from levelpool.ingest.ledger import schema
from levelpool.ingest.migrations import migrate
from levelpool.service.uploads import Run
from levelpool.web.auth import Identity, Role

SESSION_LIFE = timedelta(hours=12)
MEMORY_SECONDS = 5.0
"""How long an answer of the database is believed: a revoked token or session stops working within this time."""
MEMORY_SIZE = 1000

ENVIRONMENT = "environment"
"""The name of the token that LEVELPOOL_ADMIN_TOKEN sets."""

T = schema.tokens
S = schema.sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser: who it is, and what its pages send along with each change."""

    identity: Identity
    csrf: str


# ---------------------------------------------------------------- statements, on a connection that is handed in


def create_token(
    connection: sa.Connection, *, name: str, role: Role, created_by: str, token: str | None = None, expires_at: datetime | None = None
) -> str:
    """Store the hash of *token* (a new random one by default) and return it; this is the only moment it can be read."""
    made = token or "lp_" + secrets.token_urlsafe(32)
    connection.execute(
        T.insert().values(name=name, role=role.value, hash=_hash(made), created_by=created_by, created_at=_now(), expires_at=expires_at)
    )
    return made


def ensure_admin_token(connection: sa.Connection, given: str | None) -> str | None:
    """
    Make sure that somebody can sign in: *given* (LEVELPOOL_ADMIN_TOKEN) holds from now on and replaces the one given before.

    Without it, and when no admin token is valid, one is made; it is returned only then, to be shown once.
    """
    if given is None:
        is_there = connection.execute(sa.select(T.c.id).where(T.c.role == Role.ADMIN.value, _is_valid(_now())).limit(1)).first()
        return None if is_there else create_token(connection, name="first admin", role=Role.ADMIN, created_by="levelpool")
    own = T.c.hash == _hash(given)
    connection.execute(T.update().where(T.c.name == ENVIRONMENT, ~own, T.c.revoked_at.is_(None)).values(revoked_at=_now()))
    # The operator's word counts: a token that was revoked or had a lower role is an admin's again.
    if not connection.execute(T.update().where(own).values(role=Role.ADMIN.value, revoked_at=None, expires_at=None)).rowcount:
        create_token(connection, name=ENVIRONMENT, role=Role.ADMIN, created_by="levelpool", token=given)
    return None


def find_token(connection: sa.Connection, token: str) -> tuple[int, Identity] | None:
    """The id and identity of a token that is valid now."""
    found = connection.execute(sa.select(T.c.id, T.c.name, T.c.role).where(T.c.hash == _hash(token), _is_valid(_now()))).first()
    return (found.id, Identity(found.name, Role(found.role))) if found else None


def create_session(connection: sa.Connection, token_id: int) -> str:
    """Store a session of that token and return the secret for the cookie; sessions that are over are removed on the way."""
    now = _now()
    secret = secrets.token_urlsafe(32)
    connection.execute(S.delete().where(S.c.expires_at < now))
    connection.execute(
        S.insert().values(
            hash=_hash(secret),
            token_id=token_id,
            csrf=secrets.token_urlsafe(24),
            created_at=now,
            expires_at=now + SESSION_LIFE,
            last_seen_at=now,
        )
    )
    connection.execute(T.update().where(T.c.id == token_id).values(last_used_at=now))
    return secret


def find_session(connection: sa.Connection, secret: str) -> Session | None:
    """The session of a cookie, while it and its token are valid."""
    now = _now()
    found = connection.execute(
        sa.select(S.c.csrf, T.c.name, T.c.role)
        .join(T, T.c.id == S.c.token_id)
        .where(S.c.hash == _hash(secret), S.c.expires_at > now, _is_valid(now))
    ).first()
    return Session(Identity(found.name, Role(found.role)), found.csrf) if found else None


def end_session(connection: sa.Connection, secret: str) -> None:
    """Forget the session of a cookie."""
    connection.execute(S.delete().where(S.c.hash == _hash(secret)))


def _is_valid(now: datetime) -> sa.ColumnElement[bool]:
    return T.c.revoked_at.is_(None) & (T.c.expires_at.is_(None) | (T.c.expires_at > now))


def _hash(secret: str) -> str:
    # A fast hash is enough: a token has 256 random bits, or at least 32 characters of the operator's own.
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


# ---------------------------------------------------------------- the same, for the event loop


class Credentials:
    """Answers who a token or a cookie belongs to, without blocking the event loop; remembers each answer for 5 seconds."""

    def __init__(self, engine: sa.Engine, run: Run, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._run = run
        self._clock = clock
        self._memory: dict[str, tuple[float, Session]] = {}

    async def of_token(self, token: str, *, believed: float = MEMORY_SECONDS) -> Identity | None:
        """The identity of a bearer token that is valid now; an answer is believed for so many seconds."""

        def look_up(connection: sa.Connection) -> Session | None:
            found = find_token(connection, token)
            return Session(found[1], "") if found else None

        session = await self._remembered("token:" + _hash(token), look_up, believed)
        return session.identity if session else None

    async def of_session(self, secret: str, *, believed: float = MEMORY_SECONDS) -> Session | None:
        """The session of a cookie's secret that is valid now; an answer is believed for so many seconds."""
        return await self._remembered("session:" + _hash(secret), lambda connection: find_session(connection, secret), believed)

    async def sign_in(self, token: str) -> str | None:
        """The secret of a new session for the holder of *token*; None when the token is not valid or may not see pages."""

        def work() -> str | None:
            with self._engine.begin() as connection:
                found = find_token(connection, token)
            if found is None or not found[1].role.covers(Role.VIEWER):
                return None
            # One transaction for both would begin as a reader: on SQLite it could not write once somebody else has written meanwhile.
            with self._engine.begin() as connection:
                return create_session(connection, found[0])

        return await self._run(work)

    async def sign_out(self, secret: str) -> None:
        """End the session of a cookie."""

        def work() -> None:
            with self._engine.begin() as connection:
                end_session(connection, secret)

        self._memory.pop("session:" + _hash(secret), None)
        await self._run(work)

    async def _remembered(self, key: str, look_up: Callable[[sa.Connection], Session | None], believed: float) -> Session | None:
        learned, known = self._memory.get(key, (0.0, None))
        if known is not None and self._clock() < learned + believed:
            return known

        def work() -> Session | None:
            with self._engine.connect() as connection:
                return look_up(connection)

        asked = self._clock()
        found = await self._run(work)
        self._memory.pop(key, None)
        if found is not None:
            while len(self._memory) >= MEMORY_SIZE:
                self._memory.pop(next(iter(self._memory)))
            self._memory[key] = (asked, found)
        return found


# ---------------------------------------------------------------- the same, for the command line


def make_token(url: str, *, role: str, name: str, days: int | None = None) -> str:
    """A new token in the database at *url*; it is not stored, so this is the only moment it can be read. Raises `DatabaseError`."""
    expires_at = _now() + timedelta(days=days) if days else None
    with _ledger(url) as connection:
        return create_token(connection, name=name, role=Role(role), created_by="command line", expires_at=expires_at)


def list_tokens(url: str) -> list[dict[str, Any]]:
    """All tokens, oldest first; `state` is "valid", "revoked" or "expired"."""
    with _ledger(url) as connection:
        return [
            {
                "id": row.id,
                "name": row.name,
                "role": row.role,
                "state": "revoked" if row.revoked_at else "expired" if row.expires_at and row.expires_at <= _now() else "valid",
                "created_by": row.created_by,
                "created_at": row.created_at.isoformat(),
                "expires_at": row.expires_at.isoformat() if row.expires_at else None,
                "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
            }
            for row in connection.execute(sa.select(T).order_by(T.c.id))
        ]


def revoke_token(url: str, token_id: int) -> None:
    """Take a token back. Raises `SettingsError` when there is none with this number that is not revoked already."""
    with _ledger(url) as connection:
        found = connection.execute(T.update().where(T.c.id == token_id, T.c.revoked_at.is_(None)).values(revoked_at=_now()))
        if not found.rowcount:
            raise SettingsError(f"there is no token {token_id} to revoke: 'levelpool token list' shows them")


@contextmanager
def _ledger(url: str) -> Iterator[sa.Connection]:
    with open_connection(url) as connection, connection.begin():
        migrate(connection)
        yield connection
