"""
The manager: one owner for a lane of worker processes and a lane of threads.

It owns its lanes, reads no environment, and shares nothing with another one.
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
import logging
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from levelpool.executor.futures import LaneExecutor
from levelpool.executor.lanes import lanes_of
from levelpool.executor.options import ManagerOptions, takes_after
from levelpool.lanes.arguments import seconds, whole_number
from levelpool.lanes.lane import DEFAULT_OPTIONS, CallOptions, Lane, Progress, StreamingLane
from levelpool.lanes.place import WorkerStack
from levelpool.lanes.task_stats import LaneStats, TaskStats

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

EXIT_TIMEOUT = 30.0
"""Seconds that calls made through a drop-in executor have to end when the interpreter exits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorStats:
    """What both lanes did and do, at one moment."""

    cpu: LaneStats
    io: LaneStats
    tasks: tuple[TaskStats, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `GET /api/system/executor-stats`."""
        return {
            "lanes": {"cpu": dataclasses.asdict(self.cpu), "io": dataclasses.asdict(self.io)},
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
        }


class _Calls:
    """The calls that a manager and its views with options share."""

    _cpu: StreamingLane
    _io: Lane
    _options: CallOptions

    async def run_cpu_intensive(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run *func* in the process lane and return its result.

        *func* must be importable (no lambda, no local function), and its arguments picklable. Cancelling the caller kills the worker that
        runs the call; no other call notices. Raises `LaneFull` when the waiting room is full and waiting was not allowed, `LaneClosed` when the
        manager drains or is closed, `TaskTimeout`, `WorkerDied` when the worker dies under the call, `TaskNotPicklable` and `ResultNotPicklable` when
        something cannot travel, and whatever *func* raises.
        """
        result: T = await self._cpu.run(func, args, kwargs, self._options)
        return result

    async def run_io_intensive(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run *func*, which blocks on files or sockets, in the thread lane and return its result.

        Any callable will do, a lambda too, and it sees the caller's context variables. Cancelling the caller ends the waiting; a thread
        that has begun cannot be killed and goes on. Raises `LaneFull`, `LaneClosed`, `TaskTimeout`, and whatever *func* raises.
        """
        result: T = await self._io.run(func, args, kwargs, self._options)
        return result

    def stream_cpu_intensive(self, func: Callable[P, Iterable[T]], /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        """
        Run the generator function *func* in the process lane and iterate over what it yields: `async for batch in ...`.

        The worker is at most a few items ahead of the reader, whose slowness pauses it. An exception of the generator arrives after the items before it.
        Leaving the loop early ends the worker. Each item travels by itself: yield batches, not single rows. Raises as `run_cpu_intensive` does.
        """
        return self._cpu.stream(func, args, kwargs, self._options)


class ExecutorView(_Calls):
    """A manager's calls with options of their own; made by `ExecutorManager.with_options`, owns nothing."""

    def __init__(self, cpu: StreamingLane, io: Lane, options: CallOptions, owner: object) -> None:
        self._cpu = cpu
        self._io = io
        self._options = options
        # A program may keep the view only; the manager closes its lanes when it is collected.
        self._owner = owner

    def with_options(self, **changes: Any) -> "ExecutorView":
        """The same calls with further options; those that are not named stay."""
        return ExecutorView(self._cpu, self._io, dataclasses.replace(self._options, **changes), self._owner)


class ExecutorManager(_Calls):
    """
    Owns a process lane for CPU-bound work and a thread lane for blocking I/O.

    Make as many as you like: nothing is global, and no environment is read. Worker processes start when they are needed.
    Use it with `async with`, or end it with `aclose` (or `shutdown`, without a loop).
    """

    @takes_after(ManagerOptions)
    def __init__(self, **options: Any) -> None:
        """
        *cpu_workers* and *io_workers* are the most worker processes and threads; by default as the container allows.

        At most *cpu_queue_limit* (*io_queue_limit*) calls wait beside those that run. A worker whose resident memory goes over *worker_memory_limit*
        bytes is killed with its call; by default there is no limit. It ends after *worker_idle_timeout* seconds without work, and is replaced after
        *worker_max_tasks* calls. A result over *max_result_bytes* is refused.
        A call that has killed *max_kills* workers in a row with the same arguments is refused with `TaskRefused` for a minute; by default never.
        *cpu_bulkheads* and *io_bulkheads* name groups of calls with limits of their own, see `with_options`. *carry* names context variables whose values travel pickled.
        *preload* names modules that are imported once and shared by all workers; they must not start threads. *worker_environment* is what
        workers find in `os.environ`; by default a copy of ours without what looks like a secret, where *worker_variables* has the last word: `NAME` lets
        a variable through, `-NAME` keeps it back, `*` stands for anything, and the last one that fits decides. *gate* is shared with managers of other processes:
        together they have no more workers at work than it allows (see `levelpool.neighbours.share.CpuShare`).
        *dask_scheduler* is the address of a Dask cluster on which the CPU lane runs, at most *cpu_workers* calls at a time (default: as many as it
        has threads); *worker_...*, *max_...*, *preload* and *gate* do not count there, and are refused with `SettingsError`. *lanes* replaces both lanes, for tests.
        """
        _warn_of_collector(sys.version_info[:3])
        self._cpu, self._io = lanes_of(ManagerOptions(**options))
        self._options = DEFAULT_OPTIONS
        self._lanes = OpenLanes(self._cpu, self._io)
        self._finalizer = weakref.finalize(self, self._lanes.close, EXIT_TIMEOUT)
        self._finalizer.atexit = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def with_options(
        self,
        *,
        timeout: float | None = None,
        admission_timeout: float | None = None,
        priority: int = 0,
        name: str | None = None,
        bulkhead: str | None = None,
        on_progress: Progress | None = None,
    ) -> ExecutorView:
        """
        The same calls with limits of their own.

        *timeout* seconds run from the call to its result, waiting included. *admission_timeout* is the longest wait in seconds for a place in the
        queue: None waits, 0 refuses at once. A larger *priority* runs first. *name* stands in statistics, logs and errors.
        *bulkhead* names the group (of `cpu_bulkheads` or `io_bulkheads`) whose limits hold for these calls. *on_progress(done, total, message)* is called in the caller's loop.
        """
        options = CallOptions(
            timeout=timeout,
            admission_timeout=admission_timeout,
            priority=priority,
            name=name,
            bulkhead=bulkhead,
            on_progress=on_progress,
        )
        return ExecutorView(self._cpu, self._io, options, self)

    @property
    def cpu_executor(self) -> concurrent.futures.Executor:
        """The process lane as a `concurrent.futures.Executor`; closing it closes this facade only."""
        self._cpu.use_private_loop()
        return LaneExecutor(self._cpu, self)

    @property
    def io_executor(self) -> concurrent.futures.Executor:
        """The thread lane as a `concurrent.futures.Executor`; closing it closes this facade only."""
        return LaneExecutor(self._io, self)

    def stats(self) -> ExecutorStats:
        """What both lanes did and do."""
        return ExecutorStats(cpu=self._cpu.stats(), io=self._io.stats(), tasks=self._cpu.task_stats() + self._io.task_stats())

    def connect(self) -> None:
        """Begin to reach the cluster, if the CPU lane runs on one; returns at once. The first call does so otherwise."""
        self._cpu.place.connect()

    async def reach(self) -> None:
        """Wait until the cluster is there, if the CPU lane runs on one; raises `ClusterUnreachable` when it is not."""
        await self._cpu.place.reach()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the CPU lane runs on other machines, where a path of this one means nothing."""
        return self._cpu.place.is_elsewhere

    @property
    def trouble(self) -> str | None:
        """Why the CPU lane cannot run calls now, in a sentence; None when it can."""
        return self._cpu.place.trouble()

    def withheld_variables(self) -> dict[str, str]:
        """The environment variables that workers would not find now, because they look like secrets, each with the reason; no values."""
        return self._cpu.place.withheld_variables()

    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live now."""
        return self._cpu.place.pids()

    def ask_for_stacks(self) -> None:
        """Have every worker that runs a call write down what it does; `worker_stacks` has it a moment later."""
        self._cpu.place.ask_for_stacks()

    def worker_stacks(self) -> tuple[WorkerStack, ...]:
        """What each worker that runs a call does: its Python stack as of the last `ask_for_stacks`."""
        return self._cpu.place.stacks()

    def resize(self, *, cpu_workers: int | None = None, io_workers: int | None = None) -> None:
        """Allow this many worker processes and threads from now on; running calls finish where they are."""
        for name, value, lane in (("cpu_workers", cpu_workers, self._cpu), ("io_workers", io_workers, self._io)):
            if value is not None:
                lane.resize(whole_number(name, value, 1))

    async def aclose(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - a drain is not cancelled at its deadline, it kills
        """Take no new calls, let the admitted ones finish, kill the rest after *timeout* seconds; returns when all is gone."""
        timeout = seconds("timeout", timeout)
        self._finalizer.detach()
        await asyncio.gather(*[asyncio.wrap_future(closed) for closed in self._lanes.close(timeout)])

    def shutdown(self, timeout: float = 30.0) -> None:
        """Like `aclose`, for programs without a loop: blocks until all is gone."""
        timeout = seconds("timeout", timeout)
        self._finalizer.detach()
        self._cpu.use_private_loop(begin=False)
        for closed in self._lanes.close(timeout):
            closed.result()

    @property
    def is_closed(self) -> bool:
        """Whether this manager takes no new calls."""
        return self._lanes.is_closing


@functools.cache
def _warn_of_collector(version: tuple[int, int, int]) -> None:
    """Say once that this Python's garbage collector is one that Python itself took back, in 3.14.5: what lives in circles stays for longer."""
    if (3, 14, 0) <= version < (3, 14, 5):
        logger.warning(
            "Python %d.%d.%d has an incremental garbage collector that was taken back in 3.14.5 for the memory it takes: "
            "processes may grow until they meet their memory limit; use 3.14.5 or a later one",
            *version,
        )


class OpenLanes:
    """Both lanes of a manager, remembered until they are closed or the program ends."""

    def __init__(self, cpu: Lane, io: Lane) -> None:
        self.both = (cpu, io)
        self.is_closing = False
        open_lanes.add(self)

    def close(self, timeout: float) -> list["concurrent.futures.Future[None]"]:
        """Begin to close both."""
        self.is_closing = True
        closed = [lane.close(timeout) for lane in self.both]
        # Until both are: a program that ends meanwhile waits for what its threads still do.
        for each in closed:
            each.add_done_callback(lambda _: self._leave_when_closed(closed))
        return closed

    def _leave_when_closed(self, closed: list["concurrent.futures.Future[None]"]) -> None:
        if all(each.done() for each in closed):
            open_lanes.discard(self)


open_lanes: set[OpenLanes] = set()
"""Those of all managers of this process."""
