"""What every lane does with a call, whatever runs it: admit it, let it wait, refuse it or give it up; and the numbers that are told of it."""

import asyncio
import concurrent.futures
import dataclasses
import functools
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from levelpool.errors import LaneClosed, LaneFull
from levelpool.lanes.admission import Admission, LaneAdmission, lane_full
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.completions import LoopCompletion, ThreadCompletion
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.task_stats import LaneCounters, LaneStats, TaskCounters, TaskStats


class DispatchedCall(Protocol):
    """A call as the dispatcher knows it."""

    number: int
    completion: LoopCompletion | ThreadCompletion
    options: CallOptions
    counters: TaskCounters
    admission: Admission
    created: float
    is_over: bool


C = TypeVar("C", bound=DispatchedCall)

_lanes: "weakref.WeakSet[Dispatcher[Any]]" = weakref.WeakSet()


class Dispatcher(ABC, Generic[C]):
    """The side of a lane that callers see. How an admitted call is run is for each kind of lane to say; methods without a lock of their own are called under the lane's."""

    queue_setting: ClassVar[str]
    """What to raise so that more calls may wait."""

    name: str

    def _open_admission(self, queue_limit: int, workers: int, bulkheads: Mapping[str, Bulkhead]) -> None:
        """The state of a lane that was never used."""
        self._lock = threading.RLock()
        self._admission = LaneAdmission(self.name, queue_limit, workers, bulkheads)
        self._counters = LaneCounters(self.name)
        self._calls: dict[int, C] = {}
        self._numbers = 0
        self._closed: concurrent.futures.Future[None] | None = None
        _lanes.add(self)

    # ------------------------------------------------------------ what each kind of lane says

    @abstractmethod
    def _open(
        self,
        completion: LoopCompletion | ThreadCompletion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> C:
        """Admit a call, or let it wait. Takes the lock itself."""

    @abstractmethod
    def _on_admitted(self, call: C) -> None:
        """A call that waited is admitted now."""

    @abstractmethod
    def _cancel(self, call: C) -> None:
        """Nobody wants the call any more. Takes the lock itself."""

    @abstractmethod
    def _expire(self, call: C) -> None:
        """The time of the call is over. Takes the lock itself."""

    @abstractmethod
    def _finish(self, call: C, outcome: str) -> None:
        """Write down how the call ended; whoever calls this hands the outcome over."""

    @abstractmethod
    def _tell(self, call: C, error: BaseException) -> None:
        """Hand an error over, at the latest in `_run_deferred`."""

    @abstractmethod
    def _run_deferred(self) -> None:
        """Do what was not to be done under the lock."""

    @abstractmethod
    def _is_waiting(self, call: C) -> bool:
        """Whether a call that is not over has not begun."""

    @abstractmethod
    def _count(self) -> tuple[int, int]:
        """How many workers there are, and how many of them are busy."""

    @abstractmethod
    def after_fork_in_child(self) -> None:
        """Start anew in a forked child, where the workers are somebody else's or do not exist."""

    # ------------------------------------------------------------ admission

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* and return its result; cancelling this cancels the call, as far as the lane can."""
        loop = asyncio.get_running_loop()
        completion = LoopCompletion(loop)
        call = self._open(completion, func, args, kwargs, options)
        if options.timeout is not None or options.admission_timeout:
            self._set_timers(call, loop, completion)
        try:
            return await completion.future
        except (asyncio.CancelledError, GeneratorExit):
            self._cancel(call)
            raise

    def _set_timers(self, call: C, loop: asyncio.AbstractEventLoop, completion: LoopCompletion) -> None:
        for limit, end in ((call.options.timeout, self._expire), (call.options.admission_timeout, self._refuse)):
            if limit is not None and (limit > 0 or end == self._expire):
                timer = loop.call_later(limit, end, call)
                completion.future.add_done_callback(functools.partial(_cancel_timer, timer))

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call; never blocks, raises `LaneFull` when there is no place."""
        completion = ThreadCompletion()
        options = options if options.admission_timeout == 0 else dataclasses.replace(options, admission_timeout=0)
        call = self._open(completion, func, args, kwargs, options)
        completion.future.add_done_callback(functools.partial(self._on_cancelled, weakref.ref(call)))
        return completion.future

    def _on_cancelled(self, known: "weakref.ref[C]", future: "concurrent.futures.Future[Any]") -> None:
        call = known()
        if call is not None and future.cancelled():
            self._cancel(call)
            with self._lock:
                call.completion.start()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise LaneClosed(f"lane {self.name!r} is closed and takes no new calls")

    # ------------------------------------------------------------ waiting for admission

    def _wait_for_admission(self, call: C) -> None:
        options = call.options
        if options.admission_timeout is not None and options.admission_timeout <= 0:
            self._counters.ended(call.counters, "refused")
            raise self._full(call)
        self._calls[call.number] = call
        call.admission.wait(call, options.priority)

    def _refuse(self, call: C) -> None:
        """The time to wait for a place is over."""
        with self._lock:
            if call.is_over or not call.admission.stop_waiting(call):
                return
            error = self._full(call)
            self._finish(call, "refused")
            self._tell(call, error)
        self._run_deferred()

    def _full(self, call: C) -> LaneFull:
        return lane_full(self.name, self._counters, call.admission, self.queue_setting, call.options.bulkhead)

    def _admit(self) -> None:
        """Admit the waiting calls that have a place now."""
        for admission in self._admission:
            while (call := admission.next_admitted()) is not None:
                admission.admitted += 1
                self._on_admitted(call)

    def _leave(self, call: C, outcome: str) -> None:
        """Like `_finish`, for a call that was admitted: its place is free."""
        self._finish(call, outcome)
        call.admission.admitted -= 1
        if call.admission.waiting:
            self._admit()

    def _close_admission(self) -> "concurrent.futures.Future[None]":
        """Take no new calls, and refuse those that wait; the future is for the end of the last admitted one."""
        if self._closed is None:
            self._closed = concurrent.futures.Future()
            self._closed.set_running_or_notify_cancel()
            for call in [call for each in self._admission for call in each.clear_waiting()]:
                self._finish(call, "refused")
                self._tell(call, LaneClosed(f"lane {self.name!r} is closed"))
        return self._closed

    # ------------------------------------------------------------ what is told

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        with self._lock:
            waiting = [call.created for call in self._calls.values() if not call.is_over and self._is_waiting(call)]
            workers, busy = self._count()
            return LaneStats(
                workers=workers,
                max_workers=self._admission.common.workers,
                busy=busy,
                queued=len(waiting),
                queue_limit=self._admission.common.limit,
                submitted=self._counters.submitted,
                oldest_wait=now() - min(waiting) if waiting else 0.0,
                outside=sum(each.waiting for each in self._admission),
                recycled=self._counters.recycled,
                skipped_context=self._counters.skipped_context,
                deaths=dict(self._counters.deaths),
                bulkheads=self._admission.bulkhead_stats(),
                **self._counters.outcomes,
            )

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name."""
        with self._lock:
            return self._counters.task_stats()

    @property
    def has_pending_futures(self) -> bool:
        """Whether somebody without a loop waits for a call."""
        return any(isinstance(call.completion, ThreadCompletion) for call in list(self._calls.values()))


def _cancel_timer(timer: asyncio.TimerHandle, _: object) -> None:
    timer.cancel()


def _after_fork_in_child() -> None:
    for lane in list(_lanes):
        lane.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
