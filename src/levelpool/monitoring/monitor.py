"""
`ResourceMonitor`: takes a snapshot every few seconds and tells its listeners every interval.

It reads in a thread of its own: its numbers come also while the event loop stands still and while every lane is full.
"""

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from levelpool.capacity.detect import Capacity
from levelpool.lanes.arguments import number, seconds
from levelpool.monitoring.diagnosis import diagnose
from levelpool.monitoring.lag import LagReading, LagWatch
from levelpool.monitoring.resources import SHORTEST_SPAN, ResourceReader
from levelpool.monitoring.snapshot import Snapshot
from levelpool.pools import PoolStats

logger = logging.getLogger(__name__)

READING_INTERVAL = 5.0
"""Seconds between two snapshots, where listeners are not told more often."""


class Stats(Protocol):
    """What a manager says about itself."""

    def to_dict(self) -> Mapping[str, Any]: ...


class Manager(Protocol):
    """Whoever runs the lanes; it does not know that it is watched."""

    def stats(self) -> Stats: ...


class Done:
    """The answer of a call that has already done its work: `await` it or leave it."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


Listener = Callable[[Snapshot], object]


@dataclass(slots=True, eq=False)
class _Subscription:
    """A listener, the loop it is called in (None: the monitor's thread), and when it is told next."""

    listener: Listener
    loop: asyncio.AbstractEventLoop | None
    interval: float
    due: float = 0.0

    def tell(self, snapshot: Snapshot, now: float) -> None:
        self.due = now + self.interval
        if self.loop is None:
            _call(self.listener, snapshot)
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(_call, self.listener, snapshot)


class ResourceMonitor:
    """
    Watches a manager, its process and its container.

    *interval*: seconds between two calls of the listeners. *cpu_threshold*, *memory_threshold*: percent of what the
    container allows; above them a warning is logged, and the rules of `levelpool.alerts` raise an alert.
    *lag*: the watch of the loop, if there is one; without it the monitor starts its own in the loop that it is started in.
    *reader*: where resources are read. `start` and `stop` do their work at once and may be awaited too.
    """

    def __init__(
        self,
        manager: Manager | None = None,
        interval: float = 60.0,
        cpu_threshold: float = 80.0,
        memory_threshold: float = 85.0,
        *,
        lag: LagWatch | None = None,
        reader: ResourceReader | None = None,
    ) -> None:
        self.interval = seconds("interval", interval)
        self.cpu_threshold = number("cpu_threshold", cpu_threshold, 0, 100)
        self.memory_threshold = number("memory_threshold", memory_threshold, 0, 100)
        self._manager = manager
        self._lag = lag
        self._own_lag: LagWatch | None = None
        self._reader = reader
        self._pools: dict[str, Callable[[], PoolStats]] = {}
        self._collectors: dict[str, Callable[[], object]] = {}
        self._subscriptions: list[_Subscription] = []
        self._latest: Snapshot | None = None
        self._taken_at = 0.0
        self._warn_at = 0.0
        self._asked: list[concurrent.futures.Future[Snapshot]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- life

    def start(self) -> Done:
        """Begin to watch; does nothing when it watches already."""
        if self._thread is None:
            if self._lag is None and _running_loop() is not None:
                self._own_lag = self._lag = LagWatch()
                self._own_lag.start()
            self._stop.clear()
            # A service that starts is busy; that is no news.
            self._warn_at = time.monotonic() + self.interval
            self._reader = self._reader or ResourceReader()
            self._thread = threading.Thread(target=self._watch, name="levelpool monitor", daemon=True)
            self._thread.start()
        return Done()

    def stop(self) -> Done:
        """Stop watching; `latest` stays as it is."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
        if self._own_lag is not None:
            self._own_lag.stop()
            self._own_lag = self._lag = None
        return Done()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.stop()

    # -- asking

    @property
    def capacity(self) -> Capacity | None:
        """What we may use, as of the last snapshot; None before the first start."""
        return self._reader.capacity if self._reader is not None else None

    def latest(self) -> Snapshot | None:
        """The last snapshot, at most a few seconds old; None before the first."""
        return self._latest

    async def fresh(self, max_age: float = 1.0) -> Snapshot:
        """A snapshot that is at most *max_age* seconds old. Raises `RuntimeError` when the monitor is not started."""
        return await asyncio.wrap_future(self.ask(max_age))

    def ask(self, max_age: float = 1.0) -> "concurrent.futures.Future[Snapshot]":
        """The same from any thread, as a future."""
        answer: concurrent.futures.Future[Snapshot] = concurrent.futures.Future()
        if self._latest is not None and time.monotonic() - self._taken_at <= max_age:
            answer.set_result(self._latest)
            return answer
        with self._lock:
            if self._thread is None or self._stop.is_set():
                raise RuntimeError("the monitor is not started: call start() first")
            self._asked.append(answer)
        self._wake.set()
        return answer

    def subscribe(self, listener: Listener, *, interval: float | None = None) -> Callable[[], None]:
        """
        Call *listener* with a snapshot every *interval* seconds (None: the monitor's own); the returned function ends that.

        From within a loop it is called in that loop, otherwise in the monitor's thread. What it raises is logged.
        """
        subscription = _Subscription(listener, _running_loop(), self.interval if interval is None else seconds("interval", interval))
        with self._lock:
            self._subscriptions.append(subscription)
        self._wake.set()

        def unsubscribe() -> None:
            with self._lock:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)

        return unsubscribe

    # -- what is looked at

    def add_pool(self, name: str, stats: Callable[[], PoolStats]) -> None:
        """Look at this connection pool too; *stats* is called in the monitor's thread."""
        with self._lock:
            self._pools[name] = stats

    def add_collector(self, name: str, collect: Callable[[], object]) -> None:
        """Put what *collect* says into each snapshot's `collected`; it is called in the monitor's thread and must be quick."""
        with self._lock:
            self._collectors[name] = collect

    def remove(self, name: str) -> None:
        """Look no longer at this pool or collector."""
        with self._lock:
            self._pools.pop(name, None)
            self._collectors.pop(name, None)

    # -- in the monitor's thread

    def _watch(self) -> None:
        self._stop.wait(SHORTEST_SPAN)  # the first use of the processors needs a span to be measured over
        while not self._stop.is_set():
            self._wake.clear()
            with self._lock:
                asked, self._asked = self._asked, []
            try:
                snapshot = self._take()
            except Exception as error:
                logger.exception("could not take a snapshot")
                _answer(asked, error)
                self._stop.wait(1.0)
            else:
                _answer(asked, snapshot)
                self._tell(snapshot)
            self._wake.wait(self._until_next())
        _answer(self._asked, RuntimeError("the monitor was stopped"))

    def _until_next(self) -> float:
        now = time.monotonic()
        with self._lock:
            return min([READING_INTERVAL, *(max(0.0, each.due - now) for each in self._subscriptions)])

    def _take(self) -> Snapshot:
        if self._reader is None:
            raise RuntimeError("the monitor is not started: call start() first")
        resources = self._reader.read()
        stats = self._manager.stats().to_dict() if self._manager is not None else {}
        with self._lock:
            pools, collectors = dict(self._pools), dict(self._collectors)
        snapshot = diagnose(
            Snapshot(
                at=datetime.now(UTC),
                resources=resources,
                loop=self._lag.reading() if self._lag is not None else LagReading(),
                lanes=stats.get("lanes", {}),
                tasks=tuple(stats.get("tasks", ())),
                pools=tuple(numbers for name, pool in pools.items() if isinstance(numbers := _collected(name, pool), PoolStats)),
                collected={name: _collected(name, collect) for name, collect in collectors.items()},
            )
        )
        self._latest, self._taken_at = snapshot, time.monotonic()
        return snapshot

    def _tell(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + self.interval
            self._warn(snapshot)
        with self._lock:
            due = [each for each in self._subscriptions if now >= each.due]
        for subscription in due:
            subscription.tell(snapshot, now)

    def _warn(self, snapshot: Snapshot) -> None:
        cpu, memory = snapshot.resources.cpu, snapshot.resources.memory
        if cpu.percent > self.cpu_threshold:
            logger.warning("CPU use is %.0f %% of %g CPUs (threshold %g %%)", cpu.percent, cpu.cpus, self.cpu_threshold)
        if memory.percent > self.memory_threshold:
            logger.warning("memory use is %.0f %% of %d bytes (threshold %g %%)", memory.percent, memory.limit, self.memory_threshold)


def _collected(name: str, collect: Callable[[], object]) -> object:
    try:
        return collect()
    except Exception as error:
        logger.exception("collector %s failed", name)
        return {"error": str(error)}


def _call(listener: Listener, snapshot: Snapshot) -> None:
    try:
        listener(snapshot)
    except Exception:
        logger.exception("a listener of the resource monitor failed")


def _answer(asked: "list[concurrent.futures.Future[Snapshot]]", outcome: Snapshot | BaseException) -> None:
    for future in asked:
        if not future.set_running_or_notify_cancel():
            continue  # the caller went away meanwhile
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
