"""
Database engines, sync and async, sized alike, for SQLite and PostgreSQL; the only door to the drivers.

SQLite: a write-ahead log, `synchronous=FULL`, foreign keys, a busy timeout, and writers that queue. A transaction whose
first statement writes begins with BEGIN IMMEDIATE; one that begins by reading sees one moment and never waits for a writer.
One that reads first and writes later must say so with `execution_options(levelpool_write=True)`, or it may be refused
as "database is locked" when somebody else wrote in between.
PostgreSQL: psycopg 3, a connect timeout, a statement timeout, an application name, and a ping before each use.
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext import asyncio as sa_async
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool, Pool, QueuePool, StaticPool
from sqlalchemy.util import await_only
from sqlalchemy.util.queue import AsyncAdaptedQueue, Queue

from levelpool.capacity.detect import detect_capacity
from levelpool.errors import DatabaseError, PoolExhausted
from levelpool.pools import PoolAccount, PoolStats, pool_stats
from levelpool.settings import Settings
from levelpool.sizing import Sizes, share_connections, size

__all__ = [
    "PoolStats",
    "ServerConnections",
    "check_connection",
    "create_async_engine",
    "create_engine",
    "open_connection",
    "parse_url",
    "pool_stats",
    "read_server_connections",
]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds to reach a database server."""
STATEMENT_TIMEOUT = 30.0
"""Seconds for one statement of a pooled connection on PostgreSQL; a job of its own connection has no such limit."""
POOL_TIMEOUT = 10.0
"""Seconds to wait for a connection of the pool."""
BUSY_TIMEOUT = 30.0
"""Seconds that SQLite waits for another writer."""

_READS = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(SELECT|VALUES|EXPLAIN|WITH)\b", re.IGNORECASE | re.DOTALL)
_WRITES_INSIDE = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_OUTSIDE_TRANSACTIONS = re.compile(r"\s*(PRAGMA|VACUUM|ATTACH|DETACH)\b", re.IGNORECASE)


# ---------------------------------------------------------------- engines


def create_engine(
    url: str | sa.URL,
    *,
    name: str = "main",
    pool_size: int | None = None,
    max_overflow: int | None = None,
    web_concurrency: int | None = None,
    pool_timeout: float = POOL_TIMEOUT,
    application_name: str = "levelpool",
    statement_timeout: float | None = STATEMENT_TIMEOUT,
    **options: Any,
) -> sa.Engine:
    """
    A SQLAlchemy engine whose pool fits the container; it connects on first use.

    None for *pool_size* and *max_overflow* takes `DB_POOL_SIZE` and `DB_MAX_OVERFLOW`, else what the container allows.
    On PostgreSQL the first connection reads what the server allows, and cuts the pool so that those of all web workers
    (*web_concurrency*, None: `WEB_CONCURRENCY`) and the loading workers fit into it; the log shows the sum.
    *statement_timeout* (seconds) holds on PostgreSQL only. *options* go to `sqlalchemy.create_engine`.
    Raises `DatabaseError` for a URL that cannot be used; a connection raises it when the database is out of reach,
    and `PoolExhausted` when none became free within *pool_timeout* seconds. No message shows the password.
    """
    plan = _Plan.of(url, driver="sync", application_name=application_name, statement_timeout=statement_timeout)
    sizes = _sizes(pool_size, max_overflow, web_concurrency)
    pool = plan.pool_options(_WatchedPool, sizes, pool_timeout)
    with _clear_errors(plan.url):
        engine = sa.create_engine(plan.url, connect_args=plan.connect_args, **pool, **options)
    _prepare(engine, name, sizes)
    return engine


def create_async_engine(
    url: str | sa.URL,
    *,
    name: str = "main",
    pool_size: int | None = None,
    max_overflow: int | None = None,
    web_concurrency: int | None = None,
    pool_timeout: float = POOL_TIMEOUT,
    application_name: str = "levelpool",
    statement_timeout: float | None = STATEMENT_TIMEOUT,
    **options: Any,
) -> sa_async.AsyncEngine:
    """The same as `create_engine`, for `await`: psycopg 3 for PostgreSQL, aiosqlite for SQLite."""
    plan = _Plan.of(url, driver="async", application_name=application_name, statement_timeout=statement_timeout)
    sizes = _sizes(pool_size, max_overflow, web_concurrency)
    pool = plan.pool_options(_WatchedAsyncPool, sizes, pool_timeout)
    with _clear_errors(plan.url):
        engine = sa_async.create_async_engine(plan.url, connect_args=plan.connect_args, **pool, **options)
    _prepare(engine.sync_engine, name, sizes)
    return engine


@contextmanager
def open_connection(url: str | sa.URL, *, write: bool = True, application_name: str = "levelpool worker") -> Iterator[sa.Connection]:
    """
    One connection for one job, without a pool and without a statement timeout; closed at the end, whatever happens.

    Begin transactions with `with connection.begin():`. With *write*, a transaction on SQLite takes the write lock when it
    begins, waiting up to `BUSY_TIMEOUT` seconds for other writers.
    Raises `DatabaseError` when the database is out of reach; the message never shows the password.
    """
    plan = _Plan.of(url, driver="sync", application_name=application_name, statement_timeout=None)
    with _clear_errors(plan.url):
        engine = sa.create_engine(plan.url, connect_args=plan.connect_args, poolclass=NullPool)
    _prepare(engine, application_name)
    try:
        with engine.connect() as connection:
            yield connection.execution_options(levelpool_write=write)
    finally:
        engine.dispose()


def check_connection(url: str | sa.URL) -> None:
    """Connect once and disconnect. Raises `DatabaseError` with one sentence when that fails."""
    with open_connection(url, write=False) as connection:
        connection.execute(sa.text("SELECT 1"))


def parse_url(url: str | sa.URL) -> sa.URL:
    """*url* with the driver we use: psycopg 3 for `postgresql://` and `postgres://`. Raises `DatabaseError` when it is none."""
    if not str(url).strip():
        raise DatabaseError("the database URL is empty: give a postgresql:// or sqlite:/// URL")
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        # The text may hold a password anywhere: it is not shown.
        raise DatabaseError("the database URL cannot be read: give a postgresql://user:password@host/name or sqlite:///file URL") from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in {"postgres", "postgresql"} else parsed


# ---------------------------------------------------------------- what the server allows


@dataclass(frozen=True, slots=True)
class ServerConnections:
    """What a PostgreSQL server allows, and how much of it is in use by everybody."""

    max_connections: int
    reserved: int
    """Slots that ordinary roles cannot take."""
    in_use: int
    others: int
    """Of these, what programs other than levelpool have open, as far as this role may see it."""


# An ordinary role sees a row for every backend of the server, without the details of those that belong to other roles;
# background processes take no slot.
_SERVER_CONNECTIONS = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0),
           count(*),
           count(*) FILTER (WHERE left(coalesce(application_name, ''), 9) <> 'levelpool')
    FROM pg_stat_activity WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)
"""


def read_server_connections(connection: sa.Connection) -> ServerConnections | None:
    """What the server of *connection* allows and has in use; None on SQLite, which has no such limit."""
    if connection.dialect.name != "postgresql":
        return None
    return ServerConnections(*connection.exec_driver_sql(_SERVER_CONNECTIONS).one())


# ---------------------------------------------------------------- how a URL becomes arguments


@dataclass(frozen=True, slots=True)
class _Plan:
    url: sa.URL
    connect_args: dict[str, Any]

    @classmethod
    def of(cls, url: str | sa.URL, *, driver: str, application_name: str, statement_timeout: float | None) -> "_Plan":
        parsed = parse_url(url)
        backend = parsed.get_backend_name()
        if backend == "sqlite" and driver == "async" and parsed.drivername == "sqlite":
            parsed = parsed.set(drivername="sqlite+aiosqlite")
        if backend == "sqlite":
            return cls(parsed, {"timeout": BUSY_TIMEOUT, **({"check_same_thread": False} if _in_memory(parsed) else {})})
        if parsed.drivername == "postgresql+psycopg":
            return cls(parsed, _psycopg_args(parsed, application_name, statement_timeout))
        return cls(parsed, {})

    def pool_options(self, watched: type[Pool], sizes: Sizes, pool_timeout: float) -> dict[str, Any]:
        if self.url.get_backend_name() == "sqlite" and _in_memory(self.url):
            return {"poolclass": StaticPool}  # a second connection would see another, empty database
        return {
            "poolclass": watched,
            "pool_size": sizes.db_pool_size,
            "max_overflow": sizes.db_max_overflow,
            "pool_timeout": pool_timeout,
            "pool_pre_ping": self.url.get_backend_name() != "sqlite",
            "pool_use_lifo": True,  # what is not needed falls idle, and the server may close it
        }


def _psycopg_args(url: sa.URL, application_name: str, statement_timeout: float | None) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if "connect_timeout" not in url.query:
        args["connect_timeout"] = int(CONNECT_TIMEOUT)
    if "application_name" not in url.query:
        args["application_name"] = application_name
    if statement_timeout is not None and "options" not in url.query:
        args["options"] = f"-c statement_timeout={int(statement_timeout * 1000)}"
    return args


def _in_memory(url: sa.URL) -> bool:
    return not url.database or url.database == ":memory:" or url.query.get("mode") == "memory"


def _sizes(pool_size: int | None, max_overflow: int | None, web_concurrency: int | None) -> Sizes:
    settings = Settings.read()
    return size(
        detect_capacity(),
        environment=settings.environment,
        web_concurrency=web_concurrency or settings.web_concurrency,
        cpu_workers=settings.cpu_executor_workers,
        db_pool_size=pool_size or settings.db_pool_size,
        db_max_overflow=settings.db_max_overflow if max_overflow is None else max_overflow,
    )


# ---------------------------------------------------------------- what every engine of ours does


def _prepare(engine: sa.Engine, name: str, sizes: Sizes | None = None) -> None:
    if isinstance(engine.pool, _WatchedPool | _WatchedAsyncPool):
        engine.pool.account = PoolAccount(name)
        _account_for_holders(engine)
        if engine.dialect.name == "postgresql" and sizes is not None:
            _fit_into_server(engine, name, sizes)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "before_cursor_execute", _begin_sqlite)
    _raise_clear_errors(engine)


def _account_for_holders(engine: sa.Engine) -> None:
    def taken(_dbapi: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
        engine.pool.account.begin_hold(id(entry))  # type: ignore[attr-defined] # only watched pools get here

    def returned(_dbapi: object, entry: ConnectionPoolEntry) -> None:
        engine.pool.account.end_hold(id(entry))  # type: ignore[attr-defined] # likewise

    sa.event.listen(engine, "checkout", taken)
    sa.event.listen(engine, "checkin", returned)


def _fit_into_server(engine: sa.Engine, name: str, sizes: Sizes) -> None:
    def read_and_cut(connection: Any, _entry: object) -> None:
        cursor = connection.cursor()
        cursor.execute(_SERVER_CONNECTIONS)
        server = ServerConnections(*cursor.fetchone())
        cursor.close()
        connection.rollback()
        share = share_connections(sizes, max_connections=server.max_connections, reserved=server.reserved, others=server.others)
        engine.pool.cut(share.pool_size, share.max_overflow)  # type: ignore[attr-defined] # only watched pools get here
        cut = "" if share.pool_size + share.max_overflow == sizes.db_pool_size + sizes.db_max_overflow else ", cut to fit the server"
        logger.info("pool %r: %d connections and %d more%s: %s", name, share.pool_size, share.max_overflow, cut, share.arithmetic)

    engine.pool.open_first_alone()  # type: ignore[attr-defined] # likewise
    sa.event.listen(engine, "first_connect", read_and_cut)


def _prepare_sqlite(connection: Any, _entry: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()
    # The driver's own BEGIN comes late and is deferred: we begin ourselves.
    connection.isolation_level = None


def _begin_sqlite(
    connection: sa.Connection, cursor: Any, statement: str, _parameters: object, _context: object, _executemany: bool
) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT" or _OUTSIDE_TRANSACTIONS.match(statement):
        return
    if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr] # both drivers have it
        return
    reads = not options.get("levelpool_write") and _READS.match(statement) and not _WRITES_INSIDE.search(statement)
    cursor.execute("BEGIN" if reads else "BEGIN IMMEDIATE")


# ---------------------------------------------------------------- pools that keep an account


class _WatchedQueueMixin:
    """Counts who waits for a connection, and how long."""

    account: PoolAccount

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not block:
            self.account.taken_at_once()
            return super().get(block, timeout)  # type: ignore[misc] # of the queue it is mixed into
        self.account.begin_wait()
        started = time.monotonic()
        try:
            return super().get(block, timeout)  # type: ignore[misc] # likewise
        finally:
            self.account.end_wait(time.monotonic() - started)


class _WatchedQueue(_WatchedQueueMixin, Queue[Any]): ...


class _WatchedAsyncQueue(_WatchedQueueMixin, AsyncAdaptedQueue[Any]): ...


class _NoRoom(Exception):
    """The pool was cut while this call waited to open a connection."""


class _WatchedPoolMixin:
    """Says who holds the connections when none is left; opens the first connection alone, for it may cut the pool."""

    _pool: Any
    _overflow: int
    _overflow_lock: Any
    _max_overflow: int
    _first: AbstractContextManager[object] | None = None
    """Held while the first connection is opened; None where no connection cuts the pool, or when it has been done."""

    @property
    def account(self) -> PoolAccount:
        account: PoolAccount = self._pool.account
        return account

    @account.setter
    def account(self, account: PoolAccount) -> None:
        self._pool.account = account

    def _do_get(self) -> ConnectionPoolEntry:
        while True:
            try:
                entry: ConnectionPoolEntry = super()._do_get()  # type: ignore[misc] # of the pool it is mixed into
            except _NoRoom:
                continue
            except PoolTimeout:
                raise PoolExhausted(_exhausted(self)) from None
            return entry

    def _create_connection(self) -> ConnectionPoolEntry:
        if self._first is None:
            return super()._create_connection()  # type: ignore[misc,no-any-return] # likewise
        with self._first:
            if self._overflow > self._max_overflow:
                raise _NoRoom
            entry: ConnectionPoolEntry = super()._create_connection()  # type: ignore[misc] # likewise
            self._first = None
            return entry

    def open_first_alone(self) -> None:
        """Let nobody open a connection before the first one is there."""
        self._first = threading.Lock()

    def cut(self, pool_size: int, max_overflow: int) -> None:
        """Keep and open fewer connections from now on."""
        with self._overflow_lock:
            self._overflow += self._pool.maxsize - pool_size  # it counts from -size
            self._pool.maxsize = pool_size
            self._max_overflow = max_overflow

    def recreate(self) -> Any:
        fresh = super().recreate()  # type: ignore[misc] # likewise
        fresh.account = self.account
        return fresh


class _WatchedPool(_WatchedPoolMixin, QueuePool):
    _queue_class = _WatchedQueue


class _WatchedAsyncPool(_WatchedPoolMixin, AsyncAdaptedQueuePool):
    _queue_class = _WatchedAsyncQueue

    def open_first_alone(self) -> None:
        self._first = _AwaitedLock()


class _AwaitedLock:
    """An asyncio lock for code that SQLAlchemy runs in a greenlet."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    def __enter__(self) -> None:
        await_only(self._lock.acquire())

    def __exit__(self, *_exception: object) -> None:
        self._lock.release()


def _exhausted(pool: Any) -> str:
    account: PoolAccount = pool.account
    holders = account.holders()
    longest = ", ".join(f"{holder.name} for {holder.seconds:.1f} s" for holder in holders[:3])
    return (
        f"no connection of pool {account.name!r} became free within {pool.timeout():g} s: {len(holders)} are in use"
        f" (held longest by {longest or 'nobody'}), {account.waiting} more calls wait."
        " Hold connections for a shorter time, or raise DB_POOL_SIZE or DB_MAX_OVERFLOW"
    )


# ---------------------------------------------------------------- errors without secrets


def _raise_clear_errors(engine: sa.Engine) -> None:
    def clear(context: Any) -> None:
        if context.connection is None and not context.is_pre_ping:
            raise DatabaseError(_unreachable(engine.url, context.original_exception)) from None

    sa.event.listen(engine, "handle_error", clear)


@contextmanager
def _clear_errors(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except NoSuchModuleError:
        raise DatabaseError(f"cannot use {_shown(url)}: levelpool speaks postgresql:// and sqlite:///") from None
    except ModuleNotFoundError as error:
        raise DatabaseError(f"cannot use {_shown(url)}: the package {error.name!r} is not installed") from None
    except (ArgumentError, DBAPIError) as error:
        raise DatabaseError(_unreachable(url, error)) from None


def _unreachable(url: sa.URL, error: BaseException) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if url.password:
        for secret in {url.password, quote(url.password, safe=""), quote_plus(url.password)}:
            reason = reason.replace(secret, "***")
    hint = ""
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).parent.is_dir():
        hint = f" (the folder {Path(url.database).parent} does not exist)"
    return f"cannot connect to {_shown(url)}: {reason}{hint}"


def _shown(url: sa.URL) -> str:
    # The query may hold a password too.
    return url.set(query={}).render_as_string(hide_password=True)
