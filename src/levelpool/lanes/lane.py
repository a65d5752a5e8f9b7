"""What every lane is: options of a call, the bounded entrance, tickets that carry the outcome back, and the account of it all."""

import asyncio
import concurrent.futures
import functools
import heapq
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Protocol

from levelpool.errors import LaneFull, SettingsError
from levelpool.histogram import Histogram

Progress = Callable[[float, float, str], None]

URGENT = 100
"""Calls of this priority and above may use the reserved places of the waiting room."""

MOST_NAMES = 500
"""Task names with an account of their own; later names share the account "(other)"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The limits and wishes of one call."""

    timeout: float | None = None
    """Seconds from the call to its result, waiting included."""
    admission_timeout: float | None = None
    """Longest wait in seconds for a place in the queue: None waits, 0 refuses at once."""
    priority: int = 0
    """A larger one runs first."""
    name: str | None = None
    """Name of the task in statistics, logs and errors; by default the function's."""
    bulkhead: str | None = None
    """Name of the group whose limits hold for the call; by default those of the whole lane."""
    on_progress: Progress | None = None
    """Called with (done, total, message) in the caller's loop."""


DEFAULT_OPTIONS = CallOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulkhead:
    """A group of calls with limits of its own inside a lane: however many come, the other calls have the rest of the lane for themselves."""

    workers: int
    """Most workers (or threads) that run calls of this group at the same time."""
    queue_limit: int = 1000
    """Most calls of this group that wait beside those that run; they take no place in the lane's own queue."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.queue_limit < 0:
            raise SettingsError(
                f"a bulkhead with {self.workers} workers and a queue of {self.queue_limit}: it needs 1 worker at least, and no negative queue"
            )


class Lane(Protocol):
    """A place where calls run."""

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* and return its result; cancelling this cancels the call as far as the lane can."""
        ...

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call and return its future at once; raises `LaneFull` instead of waiting."""
        ...

    def stats(self) -> "LaneStats":
        """The numbers of this lane now."""
        ...

    def task_stats(self) -> tuple["TaskStats", ...]:
        """The numbers per task name since the lane was made."""
        ...

    def resize(self, workers: int) -> None:
        """Allow this many workers from now on; running calls finish where they are."""
        ...

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, let the admitted ones finish, kill the rest after *timeout* seconds; the future says when all is gone."""
        ...

    @property
    def has_pending_futures(self) -> bool:
        """Whether somebody without a loop waits for a call."""
        ...

    def abandon(self) -> None:
        """Kill and release everything now, without waiting; usable at interpreter exit."""
        ...


class StreamingLane(Lane, Protocol):
    """A lane that also runs generators."""

    def stream(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> AsyncIterator[Any]:
        """The items of a generator function as they come; leaving them ends the call."""
        ...


@functools.lru_cache(maxsize=1024)
def _function_name(module: str | None, qualname: str) -> str:
    return f"{module}.{qualname}" if module else qualname


def task_name(func: Callable[..., Any]) -> str:
    """The name of *func* in statistics: module and qualified name; a partial is named like what it wraps."""
    if type(func) is FunctionType:
        return _function_name(func.__module__, func.__qualname__)
    while isinstance(func, functools.partial):
        func = func.func
    named = func if hasattr(func, "__qualname__") else type(func)
    return _function_name(getattr(named, "__module__", None), named.__qualname__)


# ---------------------------------------------------------------- tickets: the way back to the caller


class Ticket(Protocol):
    """The way back to whoever made the call; usable from any thread, and the first outcome counts."""

    def succeed(self, value: object) -> None:
        """Hand over the result."""
        ...

    def fail(self, error: BaseException) -> None:
        """Hand over the error."""
        ...

    def call(self, func: Callable[..., object], *args: object) -> None:
        """Call *func* where the caller lives."""
        ...

    def start(self) -> bool:
        """Say that the call begins to run; False if the caller no longer wants it."""
        ...


class LoopTicket:
    """The outcome goes to a future of the caller's event loop."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def succeed(self, value: object) -> None:
        if running_loop() is self.loop:
            if not self.future.done():
                self.future.set_result(value)
        else:
            self.call(self._set_result, value)

    def fail(self, error: BaseException) -> None:
        if isinstance(error, StopIteration):
            # A future refuses it, because a coroutine cannot raise it.
            replaced = RuntimeError(f"the task raised {type(error).__name__}")
            replaced.__cause__ = error
            error = replaced
        if running_loop() is self.loop:
            self._set_error(error)
        else:
            self.call(self._set_error, error)

    def call(self, func: Callable[..., object], *args: object) -> None:
        if not self.loop.is_closed():
            try:
                self.loop.call_soon_threadsafe(func, *args)
            except RuntimeError:
                # Closed between the two lines: nobody is left who could want the outcome.
                if not self.loop.is_closed():
                    raise

    def start(self) -> bool:
        return not self.future.done()

    def _set_result(self, value: object) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def _set_error(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class ThreadTicket:
    """The outcome goes to a `concurrent.futures.Future`. Its lane calls `start` under the lane's lock."""

    __slots__ = ("_has_started", "future")

    def __init__(self) -> None:
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._has_started = False

    def succeed(self, value: object) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def call(self, func: Callable[..., object], *args: object) -> None:
        func(*args)

    def start(self) -> bool:
        if self._has_started:
            return not self.future.cancelled()
        self._has_started = True
        # Also what tells those who wait for a cancelled future that it is over.
        return self.future.set_running_or_notify_cancel()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread now, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# ---------------------------------------------------------------- the entrance


class Entrance:
    """
    The bounded waiting room: how many calls may be inside, and who waits outside for a place.

    Not thread-safe: its lane calls it under the lane's lock. *seats* is the number of workers; beside them *limit* calls may wait.
    One place in twenty (at least one) is kept for urgent calls.
    """

    def __init__(self, limit: int, seats: int) -> None:
        self.limit = limit
        self.seats = seats
        self.inside = 0
        self.refused = 0
        self._outside: list[tuple[int, int, Any]] = []
        self._arrivals = 0

    def has_place(self, priority: int) -> bool:
        """Whether a call of this priority may come in now."""
        reserve = max(1, self.limit // 20) if priority >= URGENT else 0
        return self.inside < self.limit + self.seats + reserve

    def wait_outside(self, call: object, priority: int) -> None:
        """Remember *call* until a place is free."""
        self._arrivals += 1
        heapq.heappush(self._outside, (-priority, self._arrivals, call))

    def leave_outside(self, call: object) -> bool:
        """Forget *call*, if it still waits outside."""
        for at, (_, _, other) in enumerate(self._outside):
            if other is call:
                self._outside[at] = self._outside[-1]
                self._outside.pop()
                heapq.heapify(self._outside)
                return True
        return False

    def next_in(self) -> Any:
        """The waiting call that may come in now, or None; the caller counts it inside."""
        if self._outside and self.has_place(-self._outside[0][0]):
            return heapq.heappop(self._outside)[2]
        return None

    def send_away(self) -> list[Any]:
        """Everybody who waits outside; nobody does afterwards."""
        away = [call for _, _, call in sorted(self._outside, key=lambda entry: entry[:2])]
        self._outside.clear()
        return away

    @property
    def outside(self) -> int:
        """How many calls wait for a place."""
        return len(self._outside)


class Entrances:
    """The waiting rooms of a lane: the common one, and one for each bulkhead."""

    def __init__(self, lane: str, limit: int, seats: int, bulkheads: Mapping[str, Bulkhead]) -> None:
        self._lane = lane
        self.common = Entrance(limit, seats)
        self.of_bulkheads = {name: Entrance(each.queue_limit, each.workers) for name, each in bulkheads.items()}

    def of(self, bulkhead: str | None) -> Entrance:
        """The waiting room for calls of *bulkhead*; raises `SettingsError` for an unknown name."""
        if bulkhead is None:
            return self.common
        try:
            return self.of_bulkheads[bulkhead]
        except KeyError:
            known = ", ".join(sorted(self.of_bulkheads)) or "none"
            raise SettingsError(f"lane {self._lane!r} has no bulkhead {bulkhead!r}: there are {known}") from None

    def bulkhead_stats(self) -> dict[str, "BulkheadStats"]:
        """The numbers of each bulkhead now."""
        return {
            name: BulkheadStats(workers=each.seats, inside=each.inside, queue_limit=each.limit, outside=each.outside)
            for name, each in self.of_bulkheads.items()
        }

    def __iter__(self) -> Iterator[Entrance]:
        yield self.common
        yield from self.of_bulkheads.values()


def lane_full(lane: str, account: "Account", entrance: Entrance, variable: str) -> LaneFull:
    """The refusal, with a `retry_after` from the pace at which calls leave the lane."""
    waiting = max(0, entrance.inside - entrance.seats)
    retry_after = min(60.0, max(0.1, account.mean_run * (1 + waiting / 20) / max(1, entrance.seats)))
    return LaneFull(
        f"lane {lane!r} has {waiting} calls waiting (limit {entrance.limit}): retry in {retry_after:.1f} s or raise {variable}",
        retry_after=retry_after,
    )


# ---------------------------------------------------------------- the account


OUTCOMES = ("succeeded", "failed", "cancelled", "timed_out", "died", "refused")


class TaskAccount:
    """The books of one task name in one lane."""

    __slots__ = ("cpu_seconds", "decode", "outcomes", "payload_bytes", "peak_rss", "result_bytes", "run", "usual_run", "wait")

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.wait = Histogram()
        self.run = Histogram()
        self.decode = Histogram()
        self.cpu_seconds = 0.0
        self.peak_rss = 0
        self.payload_bytes = 0
        self.result_bytes = 0
        self.usual_run = 0.0


class Account:
    """The books of one lane: what happened to every call, in total and per task name. Its lane calls it under the lane's lock."""

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.submitted = 0
        self.deaths: dict[str, int] = {}
        self.recycled = 0
        self.skipped_context = 0
        self.mean_run = 0.1
        self._tasks: dict[str, TaskAccount] = {}

    def of(self, name: str) -> TaskAccount:
        """The account of one task name."""
        task = self._tasks.get(name)
        if task is None:
            if len(self._tasks) >= MOST_NAMES:
                name = "(other)"
            task = self._tasks.setdefault(name, TaskAccount())
        return task

    def ended(self, task: TaskAccount, outcome: str) -> None:
        """Count how a call of *task* ended."""
        self.outcomes[outcome] += 1
        task.outcomes[outcome] += 1

    def ran(self, task: TaskAccount, *, wait: float, run: float, cpu: float = 0.0, peak_rss: int = 0) -> None:
        """Count what a call of *task* that ran to its end took."""
        task.wait.add(wait)
        task.run.add(run)
        task.cpu_seconds += cpu
        task.peak_rss = max(task.peak_rss, peak_rss)
        # A slow run weighs more than a quick one: "usually quick" must stay true to be believed.
        task.usual_run = max(run, task.usual_run * 0.9 + run * 0.1)
        self.mean_run = self.mean_run * 0.9 + run * 0.1

    def died(self, cause: str) -> None:
        """Count a death of a worker under a call."""
        self.deaths[cause] = self.deaths.get(cause, 0) + 1

    def task_stats(self) -> tuple["TaskStats", ...]:
        """The frozen numbers per task name."""
        return tuple(
            TaskStats(
                name=name,
                lane=self.lane,
                count=sum(task.outcomes.values()),
                wait_p50=task.wait.quantile(0.5),
                wait_p99=task.wait.quantile(0.99),
                run_p50=task.run.quantile(0.5),
                run_p99=task.run.quantile(0.99),
                peak_rss=task.peak_rss,
                cpu_seconds=task.cpu_seconds,
                payload_bytes=task.payload_bytes,
                result_bytes=task.result_bytes,
                decode_p99=task.decode.quantile(0.99),
                **task.outcomes,
            )
            for name, task in sorted(self._tasks.items())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStats:
    """The numbers of one lane at one moment."""

    workers: int
    max_workers: int
    busy: int
    queued: int
    queue_limit: int
    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    timed_out: int
    died: int
    refused: int
    oldest_wait: float
    outside: int = 0
    recycled: int = 0
    skipped_context: int = 0
    deaths: Mapping[str, int] = field(default_factory=dict)
    bulkheads: Mapping[str, "BulkheadStats"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkheadStats:
    """The numbers of one bulkhead at one moment."""

    workers: int
    inside: int
    """Calls that run or wait in its queue."""
    queue_limit: int
    outside: int
    """Calls that wait for a place in the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStats:
    """The numbers of one task name in one lane; times in seconds, sizes in bytes."""

    name: str
    lane: str
    count: int
    wait_p50: float
    wait_p99: float
    run_p50: float
    run_p99: float
    peak_rss: int
    cpu_seconds: float = 0.0
    payload_bytes: int = 0
    result_bytes: int = 0
    decode_p99: float = 0.0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    died: int = 0
    refused: int = 0


def now() -> float:
    """Seconds on the clock that all processes of this host share."""
    return time.monotonic()
