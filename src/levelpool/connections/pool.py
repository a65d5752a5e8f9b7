"""A pool that says who waits and who holds, and keeps within the budget of its process."""

import asyncio
import re
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.queue import Empty, Full

from levelpool.connections.budget import Budget
from levelpool.connections.server import SERVER_CONNECTIONS, ServerConnections, count_server_connections
from levelpool.connections.session import is_behind_pooler
from levelpool.errors import PoolExhausted
from levelpool.pools import PoolAccount
from levelpool.sizing import Sizes

CHECK_ROOM_EVERY = 0.02
"""Seconds after which a call that found no room for a new connection looks again: neither a server nor another pool tells anybody."""

_NO_LIMIT = 10_000
_SERVER_IS_FULL = re.compile(r"too many (clients|connections)|no more connections allowed|remaining connection slots", re.IGNORECASE)


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
                self._pause(CHECK_ROOM_EVERY)
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
            behind_pooler = self.budget is not None and self.budget.is_behind_pooler
            more = (
                "raise LEVELPOOL_POOLER_CONNECTIONS, together with the pool of the pooler"
                if behind_pooler
                else "raise max_connections on the server"
            )
            return f"{more}: it has room for {sum(self.limits)} of the {self.wish} that this pool would like"
        return "raise DB_POOL_SIZE or DB_MAX_OVERFLOW"

    # -- the budget

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return self.account.name

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
                self.budget.admit(self, self._read_server(record, self.budget.names), self.sizes)
        except BaseException:
            record.close()
            raise
        self._is_admitted = True

    @staticmethod
    def _read_server(record: ConnectionPoolEntry, ours: Collection[str]) -> ServerConnections:
        connection: Any = record.dbapi_connection
        cursor = connection.cursor()
        cursor.execute(SERVER_CONNECTIONS)
        rows = cursor.fetchall()
        cursor.close()
        connection.rollback()
        return count_server_connections(rows, ours, behind_pooler=is_behind_pooler(record))

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
