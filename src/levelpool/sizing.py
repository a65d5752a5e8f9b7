"""
How many of everything: pure arithmetic on one page, each rule with its reason.

Nothing is read here; what the container allows and what the user set come in as arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

from levelpool.capacity.detect import Capacity
from levelpool.errors import DatabaseError

MIB = 1 << 20
LEAST_WORKER_MEMORY = 64 * MIB
"""Bytes; a worker with less could not even import what it runs."""
CONNECTION_RESERVE = 3
"""Connections of the server that are left to people: a psql, a migration, a backup."""


POOLER_CONNECTIONS = 20
"""Connections to the server that a pooler has for one user and database: PgBouncer's own `default_pool_size`."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one web worker gets; only `cpu_workers` is the budget of the whole host."""

    web_concurrency: int
    cpu_workers: int
    """Worker processes of the whole host; one web worker may use all of them while the others are idle."""
    io_workers: int
    """Threads of this web worker."""
    db_pool_size: int
    """Connections that this web worker's pool keeps."""
    db_max_overflow: int
    """Connections that it may open beyond that."""
    worker_memory_limit: int
    """Bytes of resident memory of one worker process."""
    pooler_connections: int = POOLER_CONNECTIONS
    """Connections to the server that a pooler has for us; counts only behind one."""


def size(
    capacity: Capacity,
    *,
    environment: str = "development",
    web_concurrency: int = 1,
    cpu_workers: int | None = None,
    io_workers: int | None = None,
    db_pool_size: int | None = None,
    db_max_overflow: int | None = None,
    worker_memory_limit: int | None = None,
    pooler_connections: int = POOLER_CONNECTIONS,
) -> Sizes:
    """
    The sizes for one of *web_concurrency* web workers; a value that is given is taken, None is filled by the rules below.

    The pool is not yet held against the database server's own limit: see `share_connections`.
    """
    production = environment == "production"
    workers = cpu_workers or cpu_workers_for(capacity.cpus)
    return Sizes(
        web_concurrency=web_concurrency,
        cpu_workers=workers,
        io_workers=max(1, (io_workers or io_workers_for(capacity.cpus)) // web_concurrency),
        db_pool_size=db_pool_size or db_pool_size_for(capacity.cpus, production=production),
        db_max_overflow=db_max_overflow_for(capacity.cpus, production=production) if db_max_overflow is None else db_max_overflow,
        worker_memory_limit=worker_memory_limit or worker_memory_limit_for(capacity.usable_memory, workers),
        pooler_connections=pooler_connections,
    )


def cpu_workers_for(cpus: float) -> int:
    """All whole cores but one: the event loop keeps one for itself, so that it stays level under full load."""
    return max(1, floor(cpus) - 1)


def io_workers_for(cpus: float) -> int:
    """Five threads a core, for threads mostly wait; at most 20, for beyond that they fight over the interpreter lock; at least 2."""
    return max(2, min(floor(cpus * 5), 20))


def db_pool_size_for(cpus: float, *, production: bool) -> int:
    """Two connections for each worker process the host may run, between 5 and 30; 5 while developing."""
    return min(30, max(5, 2 * floor(cpus) - 2)) if production else 5


def db_max_overflow_for(cpus: float, *, production: bool) -> int:
    """One connection a core and four more for a burst, between 5 and 20; 5 while developing."""
    return min(20, max(5, floor(cpus) + 4)) if production else 5


def worker_memory_limit_for(memory: int, workers: int) -> int:
    """Half of the memory for all worker processes together; the rest is for the web workers and the page cache."""
    return max(LEAST_WORKER_MEMORY, memory // 2 // workers)


class ConnectionLimit(NamedTuple):
    """One limit of a database server on our connections."""

    source: str
    """What sets it, with its figures."""
    allowed: int
    others: int
    """Connections of other programs that use it up."""
    waits: bool = False
    """Whether one connection too many waits for its turn, as behind a pooler, and is not refused."""


class ConnectionShare(NamedTuple):
    """How many connections the pools of one web worker may have open together, and the sum that says so."""

    connections: int
    arithmetic: str


def share_connections(sizes: Sizes, limits: Sequence[ConnectionLimit], *, pools: int = 1) -> ConnectionShare:
    """
    What one web worker may have open, so that all of them and the loading workers' own connections fit into the tightest of *limits*.

    Raises `DatabaseError` when that is not even one connection for each of its *pools*; behind a pooler each gets one all the same, and waits for its turn.
    """
    tightest = min(limits, key=lambda limit: limit.allowed - limit.others)
    # People who look at a server do not come through our pooler.
    taken = [] if tightest.waits else [("other programs", tightest.others), ("reserve", CONNECTION_RESERVE)]
    taken.append(("loading workers", sizes.cpu_workers))
    free = tightest.allowed - sum(number for _who, number in taken)
    share = free // sizes.web_concurrency
    if tightest.waits:
        share = max(share, pools)
    arithmetic = (
        f"{tightest.source}{''.join(f' - {who} {number}' for who, number in taken)} = {free},"
        f" for {_count(sizes.web_concurrency, 'web worker')}: {share} each" + (f", for {pools} pools together" if pools > 1 else "")
    )
    if share < pools:
        raise DatabaseError(
            f"the database server does not allow enough connections: {arithmetic}. "
            "Raise max_connections on the server, or lower WEB_CONCURRENCY or CPU_EXECUTOR_WORKERS"
        )
    return ConnectionShare(share, arithmetic)


def divide_connections(connections: int, wishes: Sequence[int]) -> list[int]:
    """
    So many connections divided among pools that would like *wishes*: at least one for each, in proportion, and none gets more than it wishes.

    *connections* must be enough for one each.
    """
    parts = [1] * len(wishes)
    # One after the other goes to whoever has the smallest part of its wish (the method of D'Hondt).
    for _ in range(min(connections, sum(wishes)) - len(wishes)):
        neediest = min((at for at in range(len(wishes)) if parts[at] < wishes[at]), key=lambda at: (parts[at] + 1) / wishes[at])
        parts[neediest] += 1
    return parts


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("s" if number > 1 else "")
