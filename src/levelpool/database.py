"""
Database engines, sync and async, sized alike, for SQLite and PostgreSQL; the only door to the drivers.

SQLite: a write-ahead log, `synchronous=FULL`, foreign keys, a busy timeout, and writers that queue. A transaction whose
first statement writes begins with BEGIN IMMEDIATE; one that begins by reading sees one moment and never waits for a writer.
One that reads first and writes later must say so with `execution_options(levelpool_write=True)`, or it may be refused
as "database is locked" when somebody else wrote in between.
PostgreSQL: psycopg 3, a connect timeout, a statement timeout, an application name, a ping before each use, and a server that
ends the statements of a process that was killed; also through a pooler such as PgBouncer, as `connections/session.py` says.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from levelpool.capacity.detect import detect_capacity
from levelpool.connections.server import SERVER_CONNECTIONS, ServerConnections, count_server_connections
from levelpool.errors import DatabaseError
from levelpool.extras import EXTRA_OF, missing, needed_for
from levelpool.pools import PoolAccount, PoolStats, pool_stats
from levelpool.settings import Settings
from levelpool.sizing import Sizes, share_connections, size

with needed_for("levelpool.database"):
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, NoSuchModuleError
    from sqlalchemy.pool import ConnectionPoolEntry, NullPool, Pool, StaticPool

    from levelpool.connections.budget import budget_of
    from levelpool.connections.pool import WatchedAsyncPool, WatchedPool
    from levelpool.connections.session import is_behind_pooler, prepare_sessions

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "PoolStats",
    "ServerConnections",
    "check_connection",
    "check_room",
    "create_async_engine",
    "create_engine",
    "open_connection",
    "parse_url",
    "pool_stats",
    "read_server_connections",
]

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
    sizes: Sizes | None = None,
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

    *sizes* are those of this process, such as `Runtime.sizes`; then the environment is not looked at. None takes `DB_POOL_SIZE`, `DB_MAX_OVERFLOW`,
    `WEB_CONCURRENCY`, `CPU_EXECUTOR_WORKERS`, `LEVELPOOL_POOLER_CONNECTIONS` and `LEVELPOOL_ENV`, else what the container allows; no other variable matters.
    *pool_size*, *max_overflow* and *web_concurrency* take the place of what either says.
    On PostgreSQL the first connection reads what the server allows, and cuts the pool so that those of all web workers,
    with all their engines, and the loading workers fit into it; the log shows the sum.
    *statement_timeout* (seconds) holds on PostgreSQL only. *options* go to `sqlalchemy.create_engine`.
    Raises `DatabaseError` for a URL that cannot be used, and `SettingsError` for one of those variables; a connection raises `DatabaseError` when the
    database is out of reach, and `PoolExhausted` when none became free within *pool_timeout* seconds. No message shows the password.
    """
    plan = _Plan.of(url, driver="sync", application_name=application_name, statement_timeout=statement_timeout)
    sizes = _with(sizes or _read_sizes(), pool_size, max_overflow, web_concurrency)
    pool = plan.pool_options(WatchedPool, sizes, pool_timeout)
    with _clear_errors(plan.url):
        engine = sa.create_engine(plan.url, connect_args=plan.connect_args, **pool, **options)
    _prepare(engine, name, plan.statement_timeout)
    _fit_into_server(engine, sizes, plan.program)
    return engine


def create_async_engine(
    url: str | sa.URL,
    *,
    name: str = "main",
    sizes: Sizes | None = None,
    pool_size: int | None = None,
    max_overflow: int | None = None,
    web_concurrency: int | None = None,
    pool_timeout: float = POOL_TIMEOUT,
    application_name: str = "levelpool",
    statement_timeout: float | None = STATEMENT_TIMEOUT,
    **options: Any,
) -> "AsyncEngine":
    """The same as `create_engine`, for `await`: psycopg 3 for PostgreSQL, aiosqlite for SQLite. Raises `ExtraMissing` without greenlet."""
    engine_factory = _async_engine_factory()
    plan = _Plan.of(url, driver="async", application_name=application_name, statement_timeout=statement_timeout)
    sizes = _with(sizes or _read_sizes(), pool_size, max_overflow, web_concurrency)
    pool = plan.pool_options(WatchedAsyncPool, sizes, pool_timeout)
    with _clear_errors(plan.url):
        engine = engine_factory(plan.url, connect_args=plan.connect_args, **pool, **options)
    _prepare(engine.sync_engine, name, plan.statement_timeout)
    _fit_into_server(engine.sync_engine, sizes, plan.program)
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
    _prepare(engine, application_name, plan.statement_timeout)
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
    """
    *url* with the driver that we use.

    That is psycopg 3 for `postgresql://`, `postgres://`, and for the drivers of asyncio, `postgresql+asyncpg://` and `postgresql+psycopg_async://`;
    Python's own for `sqlite+aiosqlite://`. Any other that the URL names stays. Raises `DatabaseError` when it is no URL, or has an option that only asyncpg knows.
    """
    parsed = _read_url(url)
    if parsed.drivername == "postgresql+asyncpg":
        parsed = _without_asyncpg(parsed)
    return parsed.set(drivername=_OUR_DRIVER.get(parsed.drivername, parsed.drivername))


_OUR_DRIVER = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+asyncpg": "postgresql+psycopg",
    "postgresql+psycopg_async": "postgresql+psycopg",
    "sqlite+aiosqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
}


def _without_asyncpg(url: sa.URL) -> sa.URL:
    """The same address for libpq, which says `sslmode` for what asyncpg calls `ssl`, with the same values."""
    if unknown := sorted(url.query.keys() & _ONLY_ASYNCPG):
        raise DatabaseError(
            f"cannot use {_shown(url)}: {', '.join(unknown)} in the URL means something to asyncpg only, and this connection uses psycopg 3:"
            " take it out, or give a postgresql:// URL"
        )
    mode = url.query.get("ssl")
    return url if mode is None else url.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})


# https://magicstack.github.io/asyncpg/current/api/index.html#connection, and the page of SQLAlchemy's dialect
_ONLY_ASYNCPG = {
    *("async_fallback", "command_timeout", "direct_tls", "max_cacheable_statement_size", "max_cached_statement_lifetime"),
    *("prepared_statement_cache_size", "prepared_statement_name_func", "server_settings", "statement_cache_size", "timeout"),
}


def _read_url(url: str | sa.URL) -> sa.URL:
    if not str(url).strip():
        raise DatabaseError("the database URL is empty: give a postgresql:// or sqlite:/// URL")
    try:
        return sa.make_url(url)
    except (ArgumentError, ValueError):
        # The text may hold a password anywhere: it is not shown.
        raise DatabaseError("the database URL cannot be read: give a postgresql://user:password@host/name or sqlite:///file URL") from None


def _async_engine_factory() -> "Callable[..., AsyncEngine]":
    # Here, where it is used: from SQLAlchemy 2.1 on this import needs greenlet, which an engine that is not awaited does without.
    try:
        from sqlalchemy.ext.asyncio import create_async_engine as factory  # noqa: PLC0415
    except ImportError as error:
        if "greenlet" not in str(error):
            raise
        raise missing("greenlet", "an engine that is awaited") from error
    return factory


# ---------------------------------------------------------------- what the server allows


def read_server_connections(connection: sa.Connection) -> ServerConnections | None:
    """What the server of *connection* allows and has in use; None on SQLite, which has no such limit."""
    if connection.dialect.name != "postgresql":
        return None
    ours = budget_of(connection.engine.url).names
    rows = connection.exec_driver_sql(SERVER_CONNECTIONS).fetchall()
    return count_server_connections(rows, ours, behind_pooler=is_behind_pooler(connection.connection))


def check_room(connection: sa.Connection, sizes: Sizes) -> None:
    """Raise `DatabaseError`, with the sum, when the server of *connection* has not one connection for each web worker of *sizes*."""
    server = read_server_connections(connection)
    if server is not None:
        share_connections(sizes, server.limits(sizes.pooler_connections))


# ---------------------------------------------------------------- how a URL becomes arguments


@dataclass(frozen=True, slots=True)
class _Plan:
    url: sa.URL
    connect_args: dict[str, Any]
    statement_timeout: float | None = None
    """Seconds; None: no limit, or one of the URL."""

    @classmethod
    def of(cls, url: str | sa.URL, *, driver: str, application_name: str, statement_timeout: float | None) -> "_Plan":
        parsed = parse_url(url)
        if driver == "async" and (given := _read_url(url)).drivername == "postgresql+asyncpg":
            return cls(given, {})  # whoever awaits, and names asyncpg, gets it
        backend = parsed.get_backend_name()
        if backend == "sqlite" and driver == "async" and parsed.drivername == "sqlite":
            parsed = parsed.set(drivername="sqlite+aiosqlite")
        if backend == "sqlite":
            return cls(parsed, {"timeout": BUSY_TIMEOUT, **({"check_same_thread": False} if _in_memory(parsed) else {})})
        if parsed.drivername == "postgresql+psycopg":
            return cls(parsed, _psycopg_args(parsed, application_name), None if "options" in parsed.query else statement_timeout)
        return cls(parsed, {})

    @property
    def program(self) -> str:
        """What we call ourselves at the server."""
        return str(self.url.query.get("application_name") or self.connect_args.get("application_name", ""))

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


def _psycopg_args(url: sa.URL, application_name: str) -> dict[str, Any]:
    args: dict[str, Any] = {}
    # Without it a database of the encoding SQL_ASCII answers bytes, and SQLAlchemy fails before anything can be said of that.
    if "client_encoding" not in url.query:
        args["client_encoding"] = "utf8"
    if "connect_timeout" not in url.query:
        args["connect_timeout"] = int(CONNECT_TIMEOUT)
    if "application_name" not in url.query:
        args["application_name"] = application_name
    return args


def _in_memory(url: sa.URL) -> bool:
    return not url.database or url.database == ":memory:" or url.query.get("mode") == "memory"


_SIZES_OF_POOL = frozenset(
    {"environment", "web_concurrency", "cpu_executor_workers", "db_pool_size", "db_max_overflow", "pooler_connections"}
)
"""The fields of `Settings` on which the pool of a program depends that hands in no sizes."""


def _read_sizes() -> Sizes:
    settings = Settings.read(only=_SIZES_OF_POOL)
    return size(
        detect_capacity(),
        environment=settings.environment,
        web_concurrency=settings.web_concurrency,
        cpu_workers=settings.cpu_executor_workers,
        db_pool_size=settings.db_pool_size,
        db_max_overflow=settings.db_max_overflow,
        pooler_connections=settings.pooler_connections,
    )


def _with(sizes: Sizes, pool_size: int | None, max_overflow: int | None, web_concurrency: int | None) -> Sizes:
    return replace(
        sizes,
        db_pool_size=pool_size or sizes.db_pool_size,
        db_max_overflow=sizes.db_max_overflow if max_overflow is None else max_overflow,
        web_concurrency=web_concurrency or sizes.web_concurrency,
    )


# ---------------------------------------------------------------- what every engine of ours does


def _prepare(engine: sa.Engine, name: str, statement_timeout: float | None) -> None:
    if isinstance(engine.pool, WatchedPool):
        engine.pool.account = account = PoolAccount(name)
        _account_for_holders(engine, account)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "before_cursor_execute", _begin_sqlite)
    if engine.dialect.name == "postgresql" and engine.dialect.driver.startswith("psycopg"):
        prepare_sessions(engine, statement_timeout, says_encoding="client_encoding" in engine.url.query)
    _raise_clear_errors(engine)


def _account_for_holders(engine: sa.Engine, account: PoolAccount) -> None:
    def taken(_dbapi: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
        account.begin_hold(id(entry))

    def returned(_dbapi: object, entry: ConnectionPoolEntry) -> None:
        account.end_hold(id(entry))

    sa.event.listen(engine, "checkout", taken)
    sa.event.listen(engine, "checkin", returned)


def _fit_into_server(engine: sa.Engine, sizes: Sizes, program: str) -> None:
    pool = engine.pool
    if engine.dialect.name != "postgresql" or not isinstance(pool, WatchedPool):
        return
    budget = budget_of(engine.url)
    budget.names.add(program)
    pool.keep_to(budget, sizes)


def _prepare_sqlite(connection: Any, _entry: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    _switch_to_wal(cursor)
    cursor.close()
    # The driver's own BEGIN comes late and is deferred: we begin ourselves.
    connection.isolation_level = None


def _switch_to_wal(cursor: Any) -> None:
    # For the switch a new file must belong to one connection alone, and for that SQLite does not wait, whatever its busy timeout is.
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


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
        raise _unknown(url) from None
    except ModuleNotFoundError as error:
        if url.get_backend_name() not in {"postgresql", "sqlite"}:
            raise _unknown(url) from None
        package = (error.name or "").partition(".")[0]
        hint = f"pip install 'levelpool[{EXTRA_OF[package]}]'" if package in EXTRA_OF else f"pip install {package}, or name no driver"
        raise DatabaseError(f"cannot use {_shown(url)}: the package {package} is not installed: {hint}") from None
    except (ArgumentError, DBAPIError, InvalidRequestError) as error:
        if "Pool class" in str(error):
            raise DatabaseError(
                f"cannot use {_shown(url)}: {url.drivername} is not for this kind of engine; name no driver, and the right one is taken"
            ) from None
        raise DatabaseError(_unreachable(url, error)) from None


def _unknown(url: sa.URL) -> DatabaseError:
    return DatabaseError(f"cannot use {_shown(url)}: levelpool speaks postgresql:// and sqlite:///")


def _unreachable(url: sa.URL, error: BaseException) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if url.password:
        for secret in {url.password, quote(url.password, safe=""), quote_plus(url.password)}:
            reason = reason.replace(secret, "***")
    hint = _BEHIND_PGBOUNCER if "unsupported startup parameter" in reason else ""
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).parent.is_dir():
        hint = f" (the folder {Path(url.database).parent} does not exist)"
    elif url.get_backend_name() == "sqlite" and "unable to open" in reason:
        hint = " (this user must have the right to write the file and its folder)"
    return f"cannot connect to {_shown(url)}: {reason}{hint}"


_BEHIND_PGBOUNCER = (
    " (PgBouncer takes no such thing at the start of a connection: take it out of the URL, and set it for the role with ALTER ROLE ... SET)"
)


def _shown(url: sa.URL) -> str:
    # The query may hold a password too.
    return url.set(query={}).render_as_string(hide_password=True)
