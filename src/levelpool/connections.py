"""
Connections to a database server: what it allows, and the pools of this process, which share one budget and keep an account.

Each web worker has its part of what the server allows (`levelpool.sizing`), and its pools together never hold more than that
part, however many engines were made. A pool counts from its first connection until it is disposed.
"""

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.queue import Empty, Full

from levelpool.errors import DatabaseError, PoolExhausted
from levelpool.pools import PoolAccount
from levelpool.sizing import ConnectionLimit, Sizes, divide_connections, share_connections

# Log lines go where an operator looks for them: to the database's name.
logger = logging.getLogger("levelpool.database")

LOOK_AGAIN = 0.02
"""Seconds after which a call that found no room for a new connection looks again: neither a server nor another pool tells anybody."""

_OURS = "levelpool"
_NO_LIMIT = 10_000
_SERVER_IS_FULL = re.compile(r"too many (clients|connections)|remaining connection slots", re.IGNORECASE)


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
    role_limit: int | None = None
    """Most connections of our role; None: no limit of its own."""
    role_others: int = 0
    database_limit: int | None = None
    """Most connections to our database; None: no limit of its own."""
    database_others: int = 0

    def limits(self) -> tuple[ConnectionLimit, ...]:
        """Everything that limits our connections."""
        found = [ConnectionLimit(f"max_connections {self.max_connections} - reserved {self.reserved}", self.usable, self.others)]
        if self.role_limit is not None:
            found.append(ConnectionLimit(f"connection limit of the role {self.role_limit}", self.role_limit, self.role_others))
        if self.database_limit is not None:
            found.append(
                ConnectionLimit(f"connection limit of the database {self.database_limit}", self.database_limit, self.database_others)
            )
        return tuple(found)

    @property
    def usable(self) -> int:
        """What ordinary roles may have open together."""
        return self.max_connections - self.reserved


# An ordinary role sees a row for every backend of the server, without the details of those that belong to other roles;
# background processes take no slot.
SERVER_CONNECTIONS = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0),
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user),
           (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
           coalesce(application_name, ''),
           coalesce(usesysid = (SELECT oid FROM pg_roles WHERE rolname = session_user), false),
           coalesce(datid = (SELECT oid FROM pg_database WHERE datname = current_database()), false),
           count(*)
    FROM pg_stat_activity WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)
    GROUP BY 5, 6, 7
"""
"""What the server, the role and the database allow, with the open connections by program, of this role or not, to this database or not."""


def count_server_connections(rows: Sequence[Sequence[Any]], ours: Collection[str] = ()) -> ServerConnections:
    """What *rows* of `SERVER_CONNECTIONS` say; programs named in *ours* are levelpool's, whatever they are called."""
    max_connections, reserved, role_limit, database_limit = rows[0][:4]
    foreign = [row for row in rows if row[4] not in ours and not row[4].startswith(_OURS)]
    return ServerConnections(
        max_connections=max_connections,
        reserved=reserved,
        in_use=sum(row[7] for row in rows),
        others=sum(row[7] for row in foreign),
        role_limit=role_limit if role_limit >= 0 else None,
        role_others=sum(row[7] for row in foreign if row[5]),
        database_limit=database_limit if database_limit >= 0 else None,
        database_others=sum(row[7] for row in foreign if row[6]),
    )


# ---------------------------------------------------------------- the budget of this process


class Budget:
    """The connections that this process may have open to one server, over all of its pools; used by many threads at once."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """What this process calls itself at the server."""
        self._lock = threading.Lock()
        self._taken: WeakKeyDictionary[WatchedPool, int] = WeakKeyDictionary()
        self._limit: int | None = None
        self._server: ServerConnections | None = None
        self._sizes: Sizes | None = None
        self._cpu_workers: int | None = None
        """As many loading workers as there are now; None: as many as there were when the engines were made."""

    def take(self, pool: "WatchedPool") -> bool:
        """
        Whether *pool* may open one more connection; if so, its place is taken.

        Raises `DatabaseError` when it is new and not even one connection for each pool is left.
        """
        if pool not in self._taken:
            self._join(pool)
        with self._lock:
            if self._limit is not None and sum(self._taken.values()) >= self._limit:
                return False
            self._taken[pool] = self._taken.get(pool, 0) + 1  # another thread may just have disposed it
            return True

    def _join(self, pool: "WatchedPool") -> None:
        with self._lock:
            self._taken.setdefault(pool, 0)
        try:
            self._divide()
        except DatabaseError:
            self.leave(pool)
            raise

    def give(self, pool: "WatchedPool") -> None:
        """A connection of *pool* is closed, or could not be opened."""
        with self._lock:
            if pool in self._taken:
                self._taken[pool] -= 1

    def leave(self, pool: "WatchedPool") -> None:
        """*pool* was disposed: the others may have its part."""
        with self._lock:
            self._taken.pop(pool, None)
        self._divide_if_possible()

    def admit(self, pool: "WatchedPool", server: ServerConnections, sizes: Sizes) -> None:
        """
        Divide what *server* allows, as *pool* has just read it, among the pools that have or open a connection.

        Raises `DatabaseError` with the sum when not even one connection for each is left.
        """
        before = self._server, self._sizes
        self._server, self._sizes = server, sizes
        try:
            self._divide(newest=pool)
        except DatabaseError:
            self._server, self._sizes = before
            self.leave(pool)
            raise

    def follow(self, cpu_workers: int) -> None:
        """There are now so many loading workers on the host, each with a connection of its own."""
        self._cpu_workers = cpu_workers
        self._divide_if_possible()

    def _divide_if_possible(self) -> None:
        try:
            self._divide()
        except DatabaseError as error:
            logger.warning("the pools stay as they are: %s", error)

    def _divide(self, newest: "WatchedPool | None" = None) -> None:
        with self._lock:
            if self._server is None or self._sizes is None or not self._taken:
                return
            pools = list(self._taken)
            sizes = replace(self._sizes, cpu_workers=self._cpu_workers or self._sizes.cpu_workers)
            share = share_connections(sizes, self._server.limits(), pools=len(pools))
            parts = divide_connections(share.connections, [pool.wish for pool in pools])
            self._limit = share.connections
        # Without the lock: a pool that is to have fewer gives back what it has too many.
        for pool, part in zip(pools, parts, strict=True):
            if pool.allow(part) or pool is newest:
                cut = "" if part == pool.wish else ", cut to fit the server"
                logger.info("pool %r: %d connections and %d more%s: %s", pool.account.name, *pool.limits, cut, share.arithmetic)


_budgets: dict[tuple[object, ...], Budget] = {}
_budgets_lock = threading.Lock()


def budget_of(url: sa.URL) -> Budget:
    """The budget of this process for the server at *url*, whatever the database and the role."""
    # A forked child has connections of its own: the process is part of the key.
    server = (os.getpid(), url.host or url.query.get("host", ""), url.port or url.query.get("port", ""))
    with _budgets_lock:
        return _budgets.setdefault(server, Budget())


def follow_workers(cpu_workers: int) -> None:
    """Make room in every budget of this process for so many loading workers of the host."""
    with _budgets_lock:
        budgets = list(_budgets.values())
    for budget in budgets:
        budget.follow(cpu_workers)


# ---------------------------------------------------------------- pools that keep an account


class _NoRoom(Exception):
    """No connection can be opened right now; the message says why."""


_asking: ContextVar[tuple[object, float] | None] = ContextVar("_asking", default=None)
"""The pool that the call at hand asks for a connection, and until when it will wait."""


@contextmanager
def _patience(pool: object, seconds: float) -> Iterator[float]:
    deadline = time.monotonic() + seconds
    token = _asking.set((pool, deadline))
    try:
        yield deadline
    finally:
        _asking.reset(token)


class WatchedPool(QueuePool):
    """
    A pool that says who waits and who holds, waits no longer than its timeout whatever for, and keeps within the process's budget.

    *account* is made by whoever makes the engine, and goes on when the engine is disposed.
    """

    account: PoolAccount

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # SQLAlchemy says "no limit" with -1; a server has one all the same.
        self.wished = (self._pool.maxsize, self._max_overflow if self._max_overflow >= 0 else _NO_LIMIT)
        self.budget: Budget | None = None
        self.sizes: Sizes | None = None
        self._is_admitted = False
        self._admitting = threading.Lock()

    # -- waiting

    @property
    def _timeout(self) -> float:
        """What is left of the patience of the call that asks."""
        asking = _asking.get()
        return max(0.0, asking[1] - time.monotonic()) if asking and asking[0] is self else self._longest

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest = seconds

    def _do_get(self) -> ConnectionPoolEntry:
        asking = _asking.get()
        if asking and asking[0] is self:
            return super()._do_get()  # SQLAlchemy asks itself again when another thread was faster
        self.account.begin_wait()
        started = time.monotonic()
        try:
            with _patience(self, self._longest) as deadline:
                return self._wait_until(deadline)
        finally:
            self.account.end_wait(time.monotonic() - started)

    def _wait_until(self, deadline: float) -> ConnectionPoolEntry:
        while True:
            try:
                return super()._do_get()
            except _NoRoom as error:
                if time.monotonic() >= deadline:
                    raise PoolExhausted(self._describe_shortage(f" ({error})")) from None
                self._pause(LOOK_AGAIN)
            except PoolTimeout:
                raise PoolExhausted(self._describe_shortage()) from None

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def _describe_shortage(self, why: str = "") -> str:
        holders = self.account.holders()
        longest = ", ".join(f"{holder.name} for {holder.seconds:.1f} s" for holder in holders[:3])
        return (
            f"no connection of pool {self.account.name!r} became free within {self._longest:g} s{why}: {len(holders)} are in use"
            f" (held longest by {longest or 'nobody'}), {self.account.waiting - 1} more calls wait."
            f" Hold connections for a shorter time, or {self._how_to_get_more()}"
        )

    def _how_to_get_more(self) -> str:
        if sum(self.limits) < self.wish:
            return f"raise max_connections on the server: it has room for {sum(self.limits)} of the {self.wish} that this pool would like"
        return "raise DB_POOL_SIZE or DB_MAX_OVERFLOW"

    # -- the budget

    @property
    def wish(self) -> int:
        """How many connections this pool would have at most, if the server had room."""
        return sum(self.wished)

    @property
    def limits(self) -> tuple[int, int]:
        """How many connections it keeps now, and how many more it may open."""
        return self._pool.maxsize, self._max_overflow

    def keep_to(self, budget: Budget, sizes: Sizes) -> None:
        """Open connections only within *budget*, which is for one web worker of *sizes*; the first one reads what the server allows."""
        self.budget, self.sizes = budget, sizes

    @property
    def _has_too_many(self) -> bool:
        """Whether more are open, or being opened, than are allowed now."""
        return 0 <= self._max_overflow < self._overflow

    def allow(self, most: int) -> bool:
        """Keep and open at most so many connections from now on; returns whether that is something new."""
        size = min(self.wished[0], most)
        overflow = min(self.wished[1], most - size)
        is_new = self.limits != (size, overflow)
        with self._overflow_lock:
            self._overflow += self._pool.maxsize - size  # it counts from -size
            self._pool.maxsize = size
            self._max_overflow = overflow
        self._drop_surplus()
        return is_new

    def _create_connection(self) -> ConnectionPoolEntry:
        if self.budget is None:
            return super()._create_connection()
        if self._has_too_many or not self.budget.take(self):
            raise _NoRoom("the other pools of this process hold all that the server leaves us")
        try:
            return self._open() if self._is_admitted else self._open_first()
        except BaseException:
            self.budget.give(self)
            raise

    def _open(self) -> ConnectionPoolEntry:
        try:
            return super()._create_connection()
        except Exception as error:
            if _SERVER_IS_FULL.search(str(error)):
                raise _NoRoom(f"the server is full: {' '.join(str(error).split())}") from None
            raise

    def _open_first(self) -> ConnectionPoolEntry:
        """Alone: what the server says may cut the pool."""
        if not self._admitting.acquire(blocking=False):
            raise _NoRoom("its first connection is still being opened")
        try:
            record = self._open()
            self._admit(record)
            return record
        finally:
            self._admitting.release()

    def _admit(self, record: ConnectionPoolEntry) -> None:
        try:
            if self.budget is not None and self.sizes is not None:
                self.budget.admit(self, self._read_server(record.dbapi_connection, self.budget.names), self.sizes)
        except BaseException:
            record.close()
            raise
        self._is_admitted = True

    @staticmethod
    def _read_server(connection: Any, ours: Collection[str]) -> ServerConnections:
        cursor = connection.cursor()
        cursor.execute(SERVER_CONNECTIONS)
        rows = cursor.fetchall()
        cursor.close()
        connection.rollback()
        return count_server_connections(rows, ours)

    # -- giving back

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._has_too_many or self._pool.qsize() >= self._pool.maxsize:
            self._drop(record)
            return
        try:
            self._pool.put(record, block=False)
        except Full:
            self._drop(record)

    def _drop(self, record: ConnectionPoolEntry) -> None:
        try:
            record.close()
        finally:
            self._dec_overflow()
            if self.budget is not None:
                self.budget.give(self)

    def _drop_surplus(self) -> None:
        """Close idle connections that are too many now; those in use are closed when they come back."""
        while self._has_too_many:
            try:
                record = self._pool.get(block=False)
            except Empty:
                return
            self._drop(record)

    def dispose(self) -> None:
        super().dispose()
        self._is_admitted = False
        if self.budget is not None:
            self.budget.leave(self)

    def recreate(self) -> "WatchedPool":
        fresh = super().recreate()
        assert isinstance(fresh, WatchedPool)  # noqa: S101 - it makes one of its own kind
        fresh.account = self.account
        fresh.wished, fresh.budget, fresh.sizes = self.wished, self.budget, self.sizes
        fresh.allow(fresh.wish)
        return fresh


class WatchedAsyncPool(WatchedPool, AsyncAdaptedQueuePool):
    """The same for engines that are awaited; its waits are awaits in the greenlet that SQLAlchemy runs it in."""

    _loop: asyncio.AbstractEventLoop | None = None
    _dropping: "asyncio.Task[None] | None" = None

    def _pause(self, seconds: float) -> None:
        await_only(asyncio.sleep(seconds))

    def _create_connection(self) -> ConnectionPoolEntry:
        self._loop = asyncio.get_running_loop()
        return super()._create_connection()

    def _drop_surplus(self) -> None:
        # Whoever cuts this pool may be in another thread; connections are closed where they are used.
        if self._loop is not None and not self._loop.is_closed() and self._has_too_many:
            self._loop.call_soon_threadsafe(self._begin_to_drop)

    def _begin_to_drop(self) -> None:
        self._dropping = asyncio.ensure_future(greenlet_spawn(super()._drop_surplus))
