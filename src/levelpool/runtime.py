"""Everything opened together, closed in reverse: the executor, the watch of the loop, the monitor, the alerter."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, Self

from levelpool.alerts.alerter import Alerter
from levelpool.alerts.channels import open_channels
from levelpool.alerts.rules import standard_rules
from levelpool.capacity.detect import Capacity, detect_capacity
from levelpool.errors import LaneFull, LevelpoolError
from levelpool.executor import ExecutorManager, make_manager
from levelpool.log_once import LogOnce
from levelpool.monitoring.lag import LagWatch
from levelpool.monitoring.metrics import Samples, metric_samples
from levelpool.monitoring.monitor import ResourceMonitor
from levelpool.monitoring.resources import ResourceReader
from levelpool.monitoring.snapshot import Snapshot
from levelpool.monitoring.stacks import look_at_everything_from_a_thread
from levelpool.neighbours.membership import Neighbours
from levelpool.neighbours.sockets import ANSWER_TIMEOUT
from levelpool.pools import HasPool, PoolStats, pool_stats
from levelpool.settings import Settings
from levelpool.sizing import Sizes, size
from levelpool.supervision import Supervisor
from levelpool.throttle import SETTLE, Throttle, next_throttle

logger = logging.getLogger(__name__)

CAPACITY_INTERVAL = 5.0
"""Seconds between two looks at what the container allows."""
METRICS_TIMEOUT = 5.0
"""Seconds that the neighbours have together to tell their metrics."""
_URGENT = 100


def size_for(settings: Settings, capacity: Capacity) -> Sizes:
    """What follows from *capacity* where *settings* leave it open."""
    return size(
        capacity,
        environment=settings.environment,
        web_concurrency=settings.web_concurrency,
        cpu_workers=settings.cpu_executor_workers,
        io_workers=settings.io_executor_workers,
        db_pool_size=settings.db_pool_size,
        db_max_overflow=settings.db_max_overflow,
        worker_memory_limit=settings.worker_memory_limit,
        pooler_connections=settings.pooler_connections,
    )


class Runtime:
    """
    What one process needs to run heavy work and to be watched: `async with Runtime(Settings.read()) as runtime: ...`.

    *settings* None reads the environment. *manager* None makes one from the settings; one that is handed in is used and
    closed like its own. At the end running calls have `settings.shutdown_timeout` seconds, then they are killed.
    With several web workers (`WEB_CONCURRENCY`), or when `LEVELPOOL_RUNTIME_DIR` is set, it shares that folder with its
    neighbours: `leads` says which of them does what is done once per host. *root* is where `/proc` and `/sys` are looked for. Raises `SettingsError` for a setting that cannot be used.
    """

    def __init__(self, settings: Settings | None = None, *, manager: ExecutorManager | None = None, root: Path = Path("/")) -> None:
        self.settings = settings or Settings.read()
        self.capacity = detect_capacity(root)
        self.sizes = size_for(self.settings, self.capacity)
        self.manager = manager or make_manager(self.settings)
        self.lag = LagWatch(threshold=self.settings.loop_lag_threshold)
        self.monitor = ResourceMonitor(
            self.manager,
            self.settings.monitor_interval,
            self.settings.monitor_cpu_threshold,
            self.settings.monitor_memory_threshold,
            lag=self.lag,
            reader=ResourceReader(root),
        )
        self.alerter = Alerter(
            standard_rules(
                cpu_threshold=self.settings.monitor_cpu_threshold,
                memory_threshold=self.settings.monitor_memory_threshold,
                lag_threshold=self.settings.loop_lag_threshold,
            ),
            open_channels(self.settings.alert_urls, self.manager.with_options(priority=_URGENT, name="alert").run_io_intensive),
            may_tell=lambda: self.leads,
        )
        self._answers: dict[str, Callable[[], object]] = {
            "snapshot": self._own_snapshot,
            "metrics": self._own_samples,
            "stacks": self._own_stacks,
        }
        self.supervisor = Supervisor()
        """Keeps the background tasks of this process running."""
        self.neighbours = self._find_neighbours()
        """The other web workers of this host; None when there are none."""
        self.stopping = asyncio.Event()
        """Set when the process is asked to end: streams that would go on for ever end then."""
        self._stops_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engines: dict[str, Engine] = {}
        self._facts: Callable[[], Awaitable[Samples]] | None = None
        self._facts_trouble = LogOnce(logger)
        self._throttle = Throttle()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close_manager)
            self.manager.connect()
            await stack.enter_async_context(self.lag)
            stack.push_async_callback(self.alerter.drain)
            await stack.enter_async_context(self.monitor)
            stack.callback(self.monitor.subscribe(self._follow_capacity, interval=CAPACITY_INTERVAL))
            if self.settings.give_way and not self.manager.is_elsewhere:
                stack.callback(self.monitor.subscribe(self._follow_throttling, interval=CAPACITY_INTERVAL))
            if self.settings.monitor_enabled:
                stack.callback(self.monitor.subscribe(self.alerter.observe))
            if self.neighbours is not None:
                await stack.enter_async_context(self.neighbours)
            stack.callback(self.ask_to_stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    async def _close_manager(self) -> None:
        await self.manager.aclose(timeout=self.time_left)

    def ask_to_stop(self) -> None:
        """Set `stopping`; from the first time on, all that still runs has `settings.shutdown_timeout` seconds together."""
        if self._stops_at is None:
            self._stops_at = time.monotonic() + self.settings.shutdown_timeout
        self.stopping.set()

    @property
    def time_left(self) -> float:
        """Seconds that running calls still have when it is closed now."""
        return self.settings.shutdown_timeout if self._stops_at is None else max(0.0, self._stops_at - time.monotonic())

    # -- the other web workers

    @property
    def leads(self) -> bool:
        """Whether this process does what is done once per host: it is alone, or the leader of its neighbours."""
        return self.neighbours is None or self.neighbours.leads

    async def lead(self) -> None:
        """Return when this process leads, at once or when the leader has gone; from then on it leads until it ends."""
        if self.neighbours is not None:
            await self.neighbours.lead()

    async def ask_neighbours(self, question: str) -> dict[int, Any]:
        """What each web worker of the host answers, by its number, ourselves included: to `snapshot`, `metrics`, `stacks`, or what was added."""
        if self.neighbours is None:
            return {0: await self.manager.run_io_intensive(self._answers[question])}
        return await self.manager.run_io_intensive(self.neighbours.ask, question)

    async def metrics(self) -> dict[int, Samples]:
        """
        The samples of each web worker of the host, by its number.

        Our own alone when the neighbours cannot be asked in time: a full thread lane is when the numbers are needed most.
        """
        own = metric_samples(await self.monitor.fresh())
        if self.neighbours is None:
            return {0: own}
        try:
            return {self.neighbours.number: own} | await asyncio.wait_for(self.ask_neighbours("metrics"), METRICS_TIMEOUT)
        except (TimeoutError, LaneFull):
            return {self.neighbours.number: own}

    async def facts(self) -> Samples | None:
        """The samples that are the same for all web workers; None without any, or when they cannot be had in time."""
        if self._facts is None:
            return None
        try:
            return await asyncio.wait_for(self._facts(), METRICS_TIMEOUT)
        except (TimeoutError, LevelpoolError) as error:
            self._facts_trouble.say(f"the metrics of the database are left out: {str(error) or 'it did not answer in time'}", cause="facts")
            return None

    def set_facts(self, read: Callable[[], Awaitable[Samples]]) -> None:
        """Let *read* say what `facts` says."""
        self._facts = read

    def add_answer(self, question: str, answer: Callable[[], object]) -> None:
        """Let web workers of this host ask *question* with `ask_neighbours`; *answer* is called in a thread, must be quick, and becomes JSON."""
        self._answers[question] = answer
        if self.neighbours is not None:
            self.neighbours.add_answer(question, answer)

    def _find_neighbours(self) -> Neighbours | None:
        folder = self.settings.runtime_folder
        return Neighbours(folder, self._answers, self.supervisor) if folder is not None else None

    def _own_stacks(self) -> dict[str, object]:
        return {"pid": os.getpid(), **(look_at_everything_from_a_thread(self.manager, self._loop) if self._loop is not None else {})}

    def _own_samples(self) -> Samples:
        return metric_samples(self.monitor.ask().result(ANSWER_TIMEOUT))

    def _own_snapshot(self) -> dict[str, object]:
        snapshot = self.monitor.ask().result(ANSWER_TIMEOUT)
        return {"pid": os.getpid(), "leads": self.leads, **snapshot.to_dict()}

    # -- what else is watched

    def add_pool(self, name: str, engine: "Engine") -> None:
        """Watch the connection pool of *engine*, a sync or async SQLAlchemy engine, under *name*."""
        self._engines[name] = engine
        self.monitor.add_pool(name, lambda: pool_stats(engine, name))
        self._fit_pools()

    def add_collector(self, name: str, collect: Callable[[], object]) -> None:
        """Put what *collect* says into each snapshot; it is called in the monitor's thread and must be quick."""
        self.monitor.add_collector(name, collect)

    def pools(self) -> tuple[PoolStats, ...]:
        """The numbers of every watched pool now."""
        return tuple(pool_stats(engine, name) for name, engine in self._engines.items())

    def _fit_pools(self) -> None:
        """Each worker process may open a connection of its own: the pools leave room for them."""
        if self._engines:
            # Whoever has an engine has SQLAlchemy; without a database the runtime works without it.
            from levelpool.connections.budget import follow_workers  # noqa: PLC0415

            follow_workers(self.sizes.cpu_workers)

    async def server_connections(self) -> dict[str, int] | None:
        """What the database server allows and has in use (`max_connections`, `reserved`, `in_use`); None on SQLite and without a pool."""
        for engine in self._engines.values():
            if engine.dialect.name == "postgresql":
                return await self._ask_server(engine)
        return None

    async def _ask_server(self, engine: "Engine") -> dict[str, int] | None:
        from levelpool.database import ServerConnections, read_server_connections  # noqa: PLC0415 - as above

        def ask() -> ServerConnections | None:
            with engine.connect() as connection:
                return read_server_connections(connection)

        if hasattr(engine, "sync_engine"):
            async with engine.connect() as connection:
                found = await connection.run_sync(read_server_connections)
        else:
            found = await self.manager.run_io_intensive(ask)
        return asdict(found) if found else None

    # -- following the container

    def _follow_cluster(self) -> None:
        """Workers of a cluster come and go, and each may open a connection to the database."""
        workers = max(1, self.manager.stats().cpu.max_workers)
        if workers != self.sizes.cpu_workers:
            self.sizes = replace(self.sizes, cpu_workers=workers)
            self._fit_pools()

    def _follow_capacity(self, _snapshot: Snapshot) -> None:
        if self.manager.is_elsewhere:
            self._follow_cluster()
        capacity = self.monitor.capacity
        if capacity is None or (capacity.cpus, capacity.usable_memory) == (self.capacity.cpus, self.capacity.usable_memory):
            return
        before, self.capacity = self.capacity, capacity
        sizes = size_for(self.settings, capacity)
        if self.manager.is_elsewhere:
            sizes = replace(sizes, cpu_workers=self.sizes.cpu_workers)
            self.manager.resize(io_workers=sizes.io_workers)
        elif (sizes.cpu_workers, sizes.io_workers) != (self.sizes.cpu_workers, self.sizes.io_workers):
            self.manager.resize(cpu_workers=self._throttle.allow(sizes.cpu_workers), io_workers=sizes.io_workers)
        # The memory limit of workers, and what pools wish for, stay as they were made.
        self.sizes = replace(self.sizes, cpu_workers=sizes.cpu_workers, io_workers=sizes.io_workers)
        self._fit_pools()
        # One of the web workers says it, and not all of them.
        logger.log(
            logging.WARNING if self.leads else logging.DEBUG,
            "the container now allows %g CPUs (%s; before: %g) and %d MiB (%s; before: %d): %d worker processes and %d threads",
            capacity.cpus,
            capacity.cpu_source,
            before.cpus,
            capacity.usable_memory >> 20,
            capacity.usable_memory_source,
            before.usable_memory >> 20,
            sizes.cpu_workers,
            sizes.io_workers,
        )

    def _follow_throttling(self, snapshot: Snapshot) -> None:
        cpu, lane = snapshot.resources.cpu, snapshot.lanes["cpu"]
        # The kernel adds up all processors; each busy worker and the event loop stand still on one of their own, if there are so many.
        stood_still = min(100.0, 100 * cpu.stood_still / min(lane["busy"] + 1, os.cpu_count() or 1))
        allowed = self.sizes.cpu_workers
        before = self._throttle.allow(allowed)
        lag = self.lag.recent_p99(SETTLE)
        state = self._throttle
        self._throttle = next_throttle(state, stood_still=stood_still, lag=lag, busy=lane["busy"], allowed=allowed, now=time.monotonic())
        after = self._throttle.allow(allowed)
        if after == before:
            return
        self.manager.resize(cpu_workers=after)
        if after < before:
            why = (
                f"the container used up its {cpu.cpus:g} CPUs and stood still {stood_still:.0f} % of the time, and the event loop was up to "
                f"{lag * 1000:.0f} ms late: the CPU lane gives way"
            )
        elif state.before is not None:
            why = f"the event loop is not less late for it ({lag * 1000:.0f} ms): the CPU lane takes its worker processes back"
        else:
            why = f"the container has not been throttled for {self._throttle.patience:.0f} s: the CPU lane grows back"
        logger.warning("%s, %d of %d worker processes", why, after, allowed)


class Engine(HasPool, Protocol):
    """A SQLAlchemy engine, sync or async."""

    @property
    def dialect(self) -> Any: ...

    def connect(self) -> Any: ...
