"""
The executor: one owner for a lane of worker processes and a lane of threads.

`ExecutorManager` owns its lanes, reads no environment, and shares nothing with another one. `get_executor_manager` is the one door that reads settings by itself.
"""

import asyncio
import atexit
import collections
import concurrent.futures
import contextvars
import dataclasses
import functools
import itertools
import logging
import os
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

from levelpool.errors import LaneClosed, LaneFull, SettingsError
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.lane import DEFAULT_OPTIONS, CallOptions, Lane, Progress, StreamingLane, now
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.local_workers import ProcessLane
from levelpool.lanes.process.stack_dump import WorkerStack
from levelpool.lanes.schedule import Gate
from levelpool.lanes.task_stats import LaneStats, TaskStats
from levelpool.lanes.thread import ThreadLane

# A cluster, neighbours, settings, sizes and what the container allows are loaded when somebody asks for them: `import levelpool` stays light,
# and a manager with numbers of its own never needs them.
if TYPE_CHECKING:
    from levelpool.lanes.remote.cluster_slots import RemoteLane
    from levelpool.settings import Settings
    from levelpool.sizing import Sizes

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

    def __init__(
        self,
        *,
        cpu_workers: int | None = None,
        io_workers: int | None = None,
        cpu_queue_limit: int = 1000,
        io_queue_limit: int = 10_000,
        worker_memory_limit: int | None = None,
        worker_idle_timeout: float = 30.0,
        worker_max_tasks: int | None = None,
        max_result_bytes: int | None = None,
        max_kills: int | None = None,
        cpu_bulkheads: Mapping[str, Bulkhead] | None = None,
        io_bulkheads: Mapping[str, Bulkhead] | None = None,
        carry: Sequence[contextvars.ContextVar[Any]] = (),
        preload: Sequence[str] = (),
        worker_environment: Mapping[str, str] | None = None,
        gate: Gate | None = None,
        dask_scheduler: str | None = None,
        lanes: tuple[StreamingLane, Lane] | None = None,
    ) -> None:
        """
        *cpu_workers* and *io_workers* are the most worker processes and threads; by default as the container allows.

        At most *cpu_queue_limit* (*io_queue_limit*) calls wait beside those that run. A worker whose resident memory goes over *worker_memory_limit*
        bytes is killed with its call; by default there is no limit. It ends after *worker_idle_timeout* seconds without work, and is replaced after
        *worker_max_tasks* calls. A result over *max_result_bytes* is refused.
        A call that has killed *max_kills* workers in a row with the same arguments is refused with `TaskRefused` for a minute; by default never.
        *cpu_bulkheads* and *io_bulkheads* name groups of calls with limits of their own, see `with_options`. *carry* names context variables whose values travel pickled.
        *preload* names modules that are imported once and shared by all workers; they must not start threads. *worker_environment* is what
        workers find in `os.environ`; by default a copy of ours without what looks like a secret. *gate* is shared with managers of other processes:
        together they have no more workers at work than it allows (see `levelpool.neighbours.share.CpuShare`).
        *dask_scheduler* is the address of a Dask cluster on which the CPU lane runs, at most *cpu_workers* calls at a time (default: as many as it
        has threads); then *worker_...*, *max_...*, *preload* and *gate* have no say. *lanes* replaces both lanes, for tests.
        """
        for name, value in (("cpu_workers", cpu_workers), ("io_workers", io_workers), ("worker_max_tasks", worker_max_tasks)):
            if value is not None and value < 1:
                raise SettingsError(f"{name} is {value}: it must be a whole number from 1 on")
        _warn_of_collector(sys.version_info[:3])
        self._remote: RemoteLane | None = None
        if lanes is None and dask_scheduler is not None:
            cpu: StreamingLane
            cpu = self._remote = _distributed().dask_lane(
                "cpu", dask_scheduler, queue_limit=cpu_queue_limit, most=cpu_workers, carry=carry, bulkheads=cpu_bulkheads or {}
            )
            io: Lane = ThreadLane("io", io_workers or _sizes().io_workers, queue_limit=io_queue_limit, bulkheads=io_bulkheads)
        elif lanes is None:
            sizes = _sizes() if cpu_workers is None or io_workers is None else None
            limits = ProcessLimits(
                queue_limit=cpu_queue_limit,
                memory_limit=worker_memory_limit,
                idle_timeout=worker_idle_timeout,
                max_tasks=worker_max_tasks,
                max_result_bytes=max_result_bytes,
                carry=carry,
                preload=preload,
                environment=worker_environment,
                max_kills=max_kills,
                bulkheads=cpu_bulkheads or {},
                gate=gate,
            )
            cpu = ProcessLane("cpu", cpu_workers or (sizes.cpu_workers if sizes else 1), limits)
            threads = io_workers or (sizes.io_workers if sizes else 2)
            io = ThreadLane("io", threads, queue_limit=io_queue_limit, bulkheads=io_bulkheads)
        else:
            cpu, io = lanes
        self._cpu, self._io = cpu, io
        self._options = DEFAULT_OPTIONS
        self._lanes = _Lanes(cpu, io)
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
        if isinstance(self._cpu, ProcessLane):
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
        if self._remote is not None:
            self._remote.connect()

    async def reach(self) -> None:
        """Wait until the cluster is there, if the CPU lane runs on one; raises `ClusterUnreachable` when it is not."""
        if self._remote is not None:
            await self._remote.reach()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the CPU lane runs on other machines, where a path of this one means nothing."""
        return self._remote is not None

    @property
    def trouble(self) -> str | None:
        """Why the CPU lane cannot run calls now, in a sentence; None when it can."""
        return self._remote.trouble if self._remote is not None else None

    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live now."""
        return self._cpu.pids() if isinstance(self._cpu, ProcessLane) else ()

    def ask_for_stacks(self) -> None:
        """Have every worker that runs a call write down what it does; `worker_stacks` has it a moment later."""
        if isinstance(self._cpu, ProcessLane):
            self._cpu.ask_for_stacks()

    def worker_stacks(self) -> tuple[WorkerStack, ...]:
        """What each worker that runs a call does: its Python stack as of the last `ask_for_stacks`."""
        return self._cpu.stacks() if isinstance(self._cpu, ProcessLane) else ()

    def resize(self, *, cpu_workers: int | None = None, io_workers: int | None = None) -> None:
        """Allow this many worker processes and threads from now on; running calls finish where they are."""
        for name, value, lane in (("cpu_workers", cpu_workers, self._cpu), ("io_workers", io_workers, self._io)):
            if value is not None:
                if value < 1:
                    raise SettingsError(f"{name} is {value}: it must be a whole number from 1 on")
                lane.resize(value)

    async def aclose(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - a drain is not cancelled at its deadline, it kills
        """Take no new calls, let the admitted ones finish, kill the rest after *timeout* seconds; returns when all is gone."""
        self._finalizer.detach()
        await asyncio.gather(*[asyncio.wrap_future(closed) for closed in self._lanes.close(timeout)])

    def shutdown(self, timeout: float = 30.0) -> None:
        """Like `aclose`, for programs without a loop: blocks until all is gone."""
        self._finalizer.detach()
        if isinstance(self._cpu, ProcessLane):
            self._cpu.use_private_loop()
        for closed in self._lanes.close(timeout):
            closed.result()

    @property
    def is_closed(self) -> bool:
        """Whether this manager takes no new calls."""
        return self._lanes.is_closing


_facades: "weakref.WeakSet[LaneExecutor]" = weakref.WeakSet()


class LaneExecutor(concurrent.futures.Executor):
    """A lane that behaves as the executors of `concurrent.futures` do, but never blocks in `submit`: it raises `LaneFull`."""

    def __init__(self, lane: Lane, owner: object) -> None:
        self._lane = lane
        # A program may keep the executor only; its owner must not be collected meanwhile.
        self._owner = owner
        self._lock = threading.Lock()
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._is_shut = False
        _facades.add(self)

    def after_fork_in_child(self) -> None:
        """Start anew in a forked child: the calls are the parent's."""
        self._lock = threading.Lock()
        self._pending = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "concurrent.futures.Future[T]":
        """Queue the call and return its future."""
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
        try:
            future = self._lane.submit(fn, args, kwargs, DEFAULT_OPTIONS)
        except LaneClosed as error:
            raise RuntimeError(f"cannot schedule new futures: {error}") from error
        with self._lock:
            self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """
        The results of *fn* over the iterables, in order; *chunksize* of them travel together.

        Without *buffersize* the iterables are read to their end at once; with it, only so many calls (or chunks) are submitted ahead of the
        result that is taken next, and the iterables may be endless: as in Python 3.14, on every Python.
        What the queue has no place for is submitted while results are taken. Raises `LaneFull` when it has none for the first.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end_by = None if timeout is None else now() + timeout
        rows: Iterator[tuple[Any, ...]] = zip(*iterables, strict=False)
        if buffersize is None:
            rows = iter(list(rows))
        if chunksize == 1:
            return _MapCalls(self, fn, rows, buffersize).results(end_by)
        return _flatten(_MapCalls(self, _run_chunk, _chunks(fn, rows, chunksize), buffersize).results(end_by))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no new calls through this facade; *wait* for those that were made through it. The lane itself stays open."""
        with self._lock:
            self._is_shut = True
            pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            concurrent.futures.wait(pending)


class _MapCalls(Generic[T]):
    """The calls of one `map`: as many are submitted as the queue has places for, or as its caller wants submitted ahead."""

    def __init__(self, executor: LaneExecutor, fn: Callable[..., T], rows: Iterator[tuple[Any, ...]], buffersize: int | None) -> None:
        self._executor = executor
        self._fn = fn
        self._rows = rows
        self._buffersize = buffersize
        self._refused: tuple[Any, ...] | None = None  # the row that the queue had no place for
        self._pending: collections.deque[concurrent.futures.Future[T]] = collections.deque()
        self._submit_what_fits(buffersize)

    def results(self, end_by: float | None) -> Iterator[T]:
        """The results in order, until the moment *end_by*; what nobody takes is cancelled."""
        pending = self._pending
        few = len(pending) // 2
        ahead = None if self._buffersize is None else self._buffersize + 1
        try:
            while pending or self._refused is not None:
                # A queue that was full is not asked again for each result: the lane counts what it refuses.
                if self._refused is None or len(pending) <= few:
                    self._submit_what_fits(ahead)
                yield _take_first(pending, None if end_by is None else end_by - now())
        finally:
            for future in pending:
                future.cancel()

    def _submit_what_fits(self, ahead: int | None) -> None:
        while ahead is None or len(self._pending) < ahead:
            row = self._refused or next(self._rows, None)
            if row is None:
                return
            self._refused = row
            try:
                self._pending.append(self._executor.submit(self._fn, *row))
            except LaneFull:
                if not self._pending:
                    raise
                return
            self._refused = None


def _chunks(fn: Callable[..., T], rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[tuple[Callable[..., T], list[tuple[Any, ...]]]]:
    while chunk := list(itertools.islice(rows, size)):
        yield fn, chunk


def _take_first(pending: "collections.deque[concurrent.futures.Future[T]]", timeout: float | None) -> T:
    # The first one stays where it can be cancelled until its result is there; then nothing may hold the result but who takes it.
    result = pending[0].result(timeout)
    pending.popleft()
    return result


def _run_chunk(fn: Callable[..., T], rows: list[tuple[Any, ...]]) -> list[T]:
    return [fn(*row) for row in rows]


def _flatten(results: Iterator[list[T]]) -> Iterator[T]:
    for chunk in results:
        chunk.reverse()
        while chunk:
            yield chunk.pop()


# ---------------------------------------------------------------- the end of the program


class _Lanes:
    """Both lanes of a manager, remembered until they are closed or the program ends."""

    def __init__(self, cpu: Lane, io: Lane) -> None:
        self.both = (cpu, io)
        self.is_closing = False
        _open_lanes.add(self)

    def close(self, timeout: float) -> list["concurrent.futures.Future[None]"]:
        """Begin to close both."""
        self.is_closing = True
        closed = [lane.close(timeout) for lane in self.both]
        closed[0].add_done_callback(lambda _: _open_lanes.discard(self))
        return closed


_open_lanes: set[_Lanes] = set()


def _at_exit() -> None:
    """Let calls of drop-in executors finish for a while, then kill; a call whose loop is gone has nobody left who wants it."""
    deadline = now() + EXIT_TIMEOUT
    lanes = [lane for pair in list(_open_lanes) for lane in pair.both]
    for lane in lanes:
        if lane.has_pending_futures:
            left = max(0.0, deadline - now())
            concurrent.futures.wait([lane.close(left)], timeout=left + 1.0)
    for lane in lanes:
        lane.terminate()


atexit.register(_at_exit)


# ---------------------------------------------------------------- the one of this process


_guard = threading.Lock()


def _after_fork_in_child() -> None:
    """A forked child has one thread, and it may have been forked while another one held a lock."""
    global _guard  # noqa: PLW0603 - as above
    _guard = threading.Lock()
    for facade in list(_facades):
        facade.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
_manager: ExecutorManager | None = None


def get_executor_manager() -> ExecutorManager:
    """
    The manager of this process, made at the first call from the environment and what the container allows.

    Thread-safe; usable in any event loop and from plain threads. After it was closed, the next call makes a new one.
    """
    global _manager  # noqa: PLW0603 - this is the one thing that a process has one of
    with _guard:
        if _manager is None or _manager.is_closed:
            from levelpool.settings import Settings  # noqa: PLC0415 - see the top

            _manager = make_manager(Settings.read())
        return _manager


def make_manager(settings: "Settings") -> ExecutorManager:
    """
    A manager as *settings* and the container say.

    With several web workers (`WEB_CONCURRENCY`) it shares the worker processes of the host with theirs.
    With `LEVELPOOL_CPU_BACKEND=dask` its CPU lane runs on that cluster; raises `SettingsError` when Dask is not installed.
    """
    sizes = _sizes(
        environment=settings.environment,
        web_concurrency=settings.web_concurrency,
        cpu_workers=settings.cpu_executor_workers,
        io_workers=settings.io_executor_workers,
        worker_memory_limit=settings.worker_memory_limit,
    )
    if settings.cpu_backend == "dask":
        return ExecutorManager(
            dask_scheduler=settings.dask_scheduler,
            cpu_workers=settings.cpu_executor_workers,
            io_workers=sizes.io_workers,
            cpu_queue_limit=settings.cpu_queue_limit,
        )
    return ExecutorManager(
        cpu_workers=sizes.cpu_workers,
        io_workers=sizes.io_workers,
        cpu_queue_limit=settings.cpu_queue_limit,
        worker_memory_limit=sizes.worker_memory_limit,
        worker_idle_timeout=settings.worker_idle_timeout,
        worker_max_tasks=settings.worker_max_tasks,
        gate=_share(settings, sizes.cpu_workers) if settings.web_concurrency > 1 else None,
    )


def _share(settings: "Settings", workers: int) -> Gate:
    """Our part of the workers that all web workers of the host have together."""
    from levelpool.neighbours.share import CpuShare  # noqa: PLC0415 - see the top

    return CpuShare(settings.runtime_dir or settings.data_dir / "run", workers)


def reach_cluster(settings: "Settings") -> int:
    """
    How many calls the cluster of *settings* can run for us at the same time now; blocks, so call it before there is a loop.

    Raises `SettingsError` with one line when it cannot be reached, or cannot run our calls.
    """
    threads: int = _distributed().check_scheduler(str(settings.dask_scheduler))
    return threads if settings.cpu_executor_workers is None else min(threads, settings.cpu_executor_workers)


def _distributed() -> ModuleType:
    """The door to Dask, which is optional, and large."""
    try:
        from levelpool.lanes import distributed  # noqa: PLC0415 - as above
    except ImportError as error:
        raise SettingsError(
            f"LEVELPOOL_CPU_BACKEND is 'dask', and Dask is not installed ({error}): pip install 'levelpool[dask]', or set it to process"
        ) from error
    return distributed


@functools.cache
def _warn_of_collector(version: tuple[int, int, int]) -> None:
    """Say once that this Python's garbage collector is one that Python itself took back, in 3.14.5: what lives in circles stays for longer."""
    if (3, 14, 0) <= version < (3, 14, 5):
        logger.warning(
            "Python %d.%d.%d has an incremental garbage collector that was taken back in 3.14.5 for the memory it takes: "
            "processes may grow until they meet their memory limit; use 3.14.5 or a later one",
            *version,
        )


def _sizes(**options: Any) -> "Sizes":
    """What follows from what the container allows; *options* are those of `levelpool.sizing.size`."""
    from levelpool.capacity.detect import detect_capacity  # noqa: PLC0415 - see the top
    from levelpool.sizing import size  # noqa: PLC0415 - see the top

    return size(detect_capacity(), **options)
