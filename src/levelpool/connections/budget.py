"""The connections that one process may have open to a server, divided among its pools."""

import logging
import os
import threading
from collections.abc import Hashable
from dataclasses import replace
from typing import Protocol
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from levelpool.connections.server import ServerConnections
from levelpool.errors import DatabaseError
from levelpool.sizing import Sizes, divide_connections, share_connections

# Log lines go where an operator looks for them: to the database's name.
logger = logging.getLogger("levelpool.database")

_BEHIND_POOLER = (
    "the server is reached through a pooler such as PgBouncer: nothing is set for a session, no statement is prepared,"
    " and what a killed process had open is given back when the pooler notices, not at once"
)


class Member(Hashable, Protocol):
    """What a budget asks of a pool."""

    @property
    def name(self) -> str:
        """What it is called in the log."""
        ...

    @property
    def wish(self) -> int:
        """How many connections it would have at most, if the server had room."""
        ...

    @property
    def limits(self) -> tuple[int, int]:
        """How many connections it keeps now, and how many more it may open."""
        ...

    def allow(self, most: int) -> bool:
        """Keep and open at most so many connections from now on; returns whether that is something new."""
        ...


class Budget:
    """The connections that this process may have open to one server, over all of its pools; used by many threads at once."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """What this process calls itself at the server."""
        self._lock = threading.Lock()
        self._taken: WeakKeyDictionary[Member, int] = WeakKeyDictionary()
        self._limit: int | None = None
        self._server: ServerConnections | None = None
        self._sizes: Sizes | None = None
        self._cpu_workers: int | None = None
        """As many loading workers as there are now; None: as many as there were when the engines were made."""

    @property
    def is_behind_pooler(self) -> bool:
        """Whether the server was reached through a pooler when it was last asked."""
        return self._server is not None and self._server.behind_pooler

    def take(self, pool: Member) -> bool:
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

    def _join(self, pool: Member) -> None:
        with self._lock:
            self._taken.setdefault(pool, 0)
        try:
            self._divide()
        except DatabaseError:
            self.leave(pool)
            raise

    def give(self, pool: Member) -> None:
        """A connection of *pool* is closed, or could not be opened."""
        with self._lock:
            if pool in self._taken:
                self._taken[pool] -= 1

    def leave(self, pool: Member) -> None:
        """*pool* was disposed: the others may have its part."""
        with self._lock:
            self._taken.pop(pool, None)
        self._divide_if_possible()

    def admit(self, pool: Member, server: ServerConnections, sizes: Sizes) -> None:
        """
        Divide what *server* allows, as *pool* has just read it, among the pools that have or open a connection.

        Raises `DatabaseError` with the sum when not even one connection for each is left.
        """
        if server.behind_pooler and not self.is_behind_pooler:
            logger.info(_BEHIND_POOLER)
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

    def _divide(self, newest: Member | None = None) -> None:
        with self._lock:
            if self._server is None or self._sizes is None or not self._taken:
                return
            pools = list(self._taken)
            sizes = replace(self._sizes, cpu_workers=self._cpu_workers or self._sizes.cpu_workers)
            share = share_connections(sizes, self._server.limits(sizes.pooler_connections), pools=len(pools))
            parts = divide_connections(share.connections, [pool.wish for pool in pools])
            self._limit = share.connections
        # Without the lock: a pool that is to have fewer gives back what it has too many.
        for pool, part in zip(pools, parts, strict=True):
            if pool.allow(part) or pool is newest:
                cut = "" if part == pool.wish else ", cut to fit the server"
                logger.info("pool %r: %d connections and %d more%s: %s", pool.name, *pool.limits, cut, share.arithmetic)


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
