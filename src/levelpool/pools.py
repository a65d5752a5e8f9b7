"""
The account of a connection pool: how full it is, who waits for a connection, and who has held one longest.

Nothing here needs a database library; `levelpool.database` keeps these accounts for the engines it makes.
"""

import asyncio
import math
import threading
import time
from collections import deque
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Protocol

from levelpool.histogram import BOUNDS, Histogram

connection_holder: ContextVar[str] = ContextVar("levelpool_connection_holder", default="")
"""Who will hold the connections that are taken in this context, in words for an operator: a route, a task, a file."""

_REMEMBERED_WAITS = 1000


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who holds a connection, and for how long."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Waits:
    """How long everybody who asked for a connection waited for it, since the pool was made."""

    count: int = 0
    seconds: float = 0.0
    """All waits together."""
    below: tuple[int, ...] = (0,) * len(BOUNDS)
    """How many were shorter than each of `levelpool.histogram.BOUNDS`."""

    @classmethod
    def of(cls, histogram: Histogram) -> "Waits":
        """What *histogram* has counted so far."""
        return cls(histogram.count, histogram.total, histogram.below())

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON; the buckets hold all shorter waits too, as in Prometheus."""
        buckets = [{"le": bound, "count": count} for bound, count in zip(BOUNDS, self.below, strict=True)]
        return {"count": self.count, "sum": self.seconds, "buckets": buckets}


@dataclass(frozen=True, slots=True)
class PoolStats:
    """One pool at one moment."""

    name: str
    size: int
    """Connections that the pool keeps."""
    max_overflow: int
    """Connections that it may open beyond that; -1: no limit."""
    checked_out: int
    overflow: int
    """Connections open beyond `size`."""
    waiting: int
    """Calls that wait for a connection."""
    wait_p99: float
    """Seconds; over the last 1000 times somebody asked for a connection."""
    holders: tuple[Holder, ...] = ()
    """The one who has held a connection longest comes first."""
    waits: Waits = Waits()

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        numbers = asdict(self)
        del numbers["waits"]
        return {**numbers, "holders": [asdict(holder) for holder in self.holders], "wait_histogram": self.waits.to_dict()}


class PoolAccount:
    """Who waits for a connection of one pool, and who holds one; used by many threads at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._waiting = 0
        self._recent_waits: deque[float] = deque(maxlen=_REMEMBERED_WAITS)
        self._all_waits = Histogram()
        self._held: dict[int, tuple[str, float]] = {}

    def begin_wait(self) -> None:
        with self._lock:
            self._waiting += 1

    def end_wait(self, seconds: float) -> None:
        with self._lock:
            self._waiting -= 1
            self._count(seconds)

    def _count(self, seconds: float) -> None:
        self._recent_waits.append(seconds)
        self._all_waits.add(seconds)

    def begin_hold(self, connection: int) -> None:
        with self._lock:
            self._held[connection] = (_current_holder(), time.monotonic())

    def end_hold(self, connection: int) -> None:
        with self._lock:
            self._held.pop(connection, None)

    @property
    def waiting(self) -> int:
        return self._waiting

    def wait_p99(self) -> float:
        with self._lock:
            waits = sorted(self._recent_waits)
        return waits[math.ceil(len(waits) * 0.99) - 1] if waits else 0.0

    def waits(self) -> Waits:
        with self._lock:
            return Waits.of(self._all_waits)

    def holders(self) -> tuple[Holder, ...]:
        """Everybody who holds a connection, the longest first."""
        now = time.monotonic()
        with self._lock:
            held = sorted(self._held.values(), key=lambda each: each[1])
        return tuple(Holder(name, now - since) for name, since in held)


class HasPool(Protocol):
    """An engine, sync or async; its pool is looked at from outside only."""

    @property
    def pool(self) -> object: ...


def pool_stats(engine: HasPool, name: str | None = None) -> PoolStats:
    """
    The numbers of *engine*'s pool now, under *name* or the name it was made with.

    Engines that were not made by `levelpool.database` are counted too, without waiters and holders;
    a pool that does not count (a single connection, none at all) says zero.
    """
    pool = engine.pool
    account = getattr(pool, "account", None) or PoolAccount("unnamed")
    size = _number(pool, "size")
    return PoolStats(
        name=name or account.name,
        size=size,
        max_overflow=getattr(pool, "_max_overflow", 0),
        checked_out=_number(pool, "checkedout"),
        # SQLAlchemy counts from -size up to the overflow.
        overflow=max(0, _number(pool, "overflow")),
        waiting=account.waiting,
        wait_p99=account.wait_p99(),
        holders=account.holders(),
        waits=account.waits(),
    )


def _number(pool: object, method: str) -> int:
    ask = getattr(pool, method, None)
    return int(ask()) if callable(ask) else 0


def _current_holder() -> str:
    if named := connection_holder.get():
        return named
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None  # no loop runs in this thread
    return f"task {task.get_name()}" if task else f"thread {threading.current_thread().name}"
