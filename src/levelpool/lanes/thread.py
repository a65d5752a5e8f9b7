"""The thread lane: blocking I/O in named threads, bounded and counted. A thread that is stuck cannot be killed; the lane says so instead of hiding it."""

import concurrent.futures
import contextvars
import functools
import heapq
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from levelpool.errors import LaneClosed, LaneFull, TaskTimeout
from levelpool.lanes import progress
from levelpool.lanes.admission import Admission
from levelpool.lanes.bulkheads import Bulkhead, Bulkheads, Order
from levelpool.lanes.completions import LoopCompletion, ThreadCompletion
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.lane import CallOptions, now, task_name
from levelpool.lanes.task_stats import TaskCounters
from levelpool.tracebacks import extract_stack

IDLE = 30.0
"""Seconds after which a thread without work ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckThread:
    """A call that has run for long, and where it is now."""

    thread: str
    task: str
    seconds: float
    is_wanted: bool
    """False when its caller has gone (cancelled, timed out), and only the thread has not noticed."""
    stack: str


class _Call:
    """One call, from its admission to its outcome."""

    __slots__ = (
        "__weakref__",
        "admission",
        "completion",
        "context",
        "counters",
        "created",
        "has_place",
        "is_over",
        "kwargs",
        "name",
        "number",
        "options",
        "started",
        "thread",
        "work",
    )

    def __init__(
        self,
        number: int,
        completion: LoopCompletion | ThreadCompletion,
        work: Callable[[], Any],
        *,
        name: str,
        options: CallOptions,
        counters: TaskCounters,
        admission: Admission,
    ) -> None:
        self.number = number
        self.completion = completion
        self.work: Callable[[], Any] | None = work
        self.name = name
        self.options = options
        self.counters = counters
        self.admission = admission
        # Behind its bulkhead, until its thread is done with it.
        self.has_place = False
        self.context = contextvars.copy_context()
        self.created = now()
        self.started = 0.0
        self.thread: threading.Thread | None = None
        self.is_over = False

    @property
    def order(self) -> Order:
        """Where it stands in the queue."""
        return -self.options.priority, self.number

    @property
    def waits_here(self) -> bool:
        """Whether it is in the queue to be run: it has not begun nor ended, and has its place behind its bulkhead."""
        return not self.is_over and not self.started and (self.has_place or self.options.bulkhead is None)


class ThreadLane(Dispatcher[_Call]):
    """
    Runs calls in threads that come when they are needed and go when they are not.

    Cancelling a call, or its timeout, ends the waiting; one that has begun goes on in its thread.
    """

    queue_setting = "io_queue_limit"

    def __init__(self, name: str, workers: int, *, queue_limit: int = 10_000, bulkheads: Mapping[str, Bulkhead] | None = None) -> None:
        self.name = name
        self._wanted = workers
        self._queue_limit = queue_limit
        self._limits = bulkheads or {}
        self._reset()

    def _reset(self) -> None:
        self._open_admission(self._queue_limit, self._wanted, self._limits)
        self._changed = threading.Condition(self._lock)
        self._bulkheads = Bulkheads({name: each.workers for name, each in self._limits.items()})
        self._held: dict[int, _Call] = {}
        self._queue: list[tuple[int, int, _Call]] = []
        self._threads = 0
        self._thread_numbers = 0
        self._idle = 0
        self._running: dict[int, _Call] = {}

    # ------------------------------------------------------------ size and end

    def stuck(self, longer_than: float = 30.0) -> tuple[StuckThread, ...]:
        """The calls that have run for more than *longer_than* seconds, each with the stack of its thread now."""
        moment = now()
        frames = sys._current_frames()  # noqa: SLF001 - documented, in spite of its name
        with self._lock:
            running = [call for call in self._running.values() if moment - call.started > longer_than]
        return tuple(
            StuckThread(
                thread=call.thread.name,
                task=call.name,
                seconds=moment - call.started,
                is_wanted=not call.is_over,
                stack="".join(extract_stack(frames[call.thread.ident]).format()),
            )
            for call in running
            if call.thread is not None and call.thread.ident in frames
        )

    def resize(self, workers: int) -> None:
        """Allow this many threads from now on; those that are too many end with their present call."""
        with self._lock:
            self._wanted = self._admission.common.workers = workers
            self._admit()
            self._start_threads()
            self._changed.notify_all()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls and finish the admitted ones; after *timeout* seconds those that wait are failed, and those that run are left alone."""
        with self._lock:
            closed = self._close_admission()
            self._changed.notify_all()
            if not self._calls and not self._running:
                self._finish_closing()
            else:
                timer = threading.Timer(timeout, self._drop_rest, (timeout,))
                timer.daemon = True
                timer.start()
                closed.add_done_callback(lambda _: timer.cancel())
        return closed

    def terminate(self) -> None:
        """Fail what waits; the threads are daemons, and end with the process."""
        self._drop_rest(0.0)

    def after_fork_in_child(self) -> None:
        """Start anew in a forked child, where the threads do not exist."""
        self._reset()

    # ------------------------------------------------------------ the way of a call

    def _open(
        self,
        completion: LoopCompletion | ThreadCompletion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> _Call:
        with self._lock:
            self._check_open()
            admission = self._admission.of(options.bulkhead)
            self._numbers += 1
            name = options.name or task_name(func)
            counters = self._counters.of(name)
            work = functools.partial(func, *args, **kwargs)
            call = _Call(self._numbers, completion, work, name=name, options=options, counters=counters, admission=admission)
            self._counters.submitted += 1
            if admission.has_place(options.priority):
                self._calls[call.number] = call
                admission.admitted += 1
                self._on_admitted(call)
            else:
                self._wait_for_admission(call)
        return call

    def _tell(self, call: _Call, error: BaseException) -> None:
        call.completion.fail(error)

    def _run_deferred(self) -> None:
        """There are none: whoever fails a call here is not in its way."""

    def _is_waiting(self, call: _Call) -> bool:
        return not call.started

    def _count(self) -> tuple[int, int]:
        return self._threads, len(self._running)

    def _on_admitted(self, call: _Call) -> None:
        bulkhead = call.options.bulkhead
        if bulkhead is None:
            self._line_up(call)
            return
        left_out = self._bulkheads.enter(bulkhead, call.order, call.number)
        if left_out == call.number:
            self._held[left_out] = call
            return
        if left_out is not None:
            # It stays in the queue too, where it is passed over.
            other = self._held[left_out] = self._calls[left_out]
            other.has_place = False
        call.has_place = True
        self._line_up(call)

    def _line_up(self, call: _Call) -> None:
        self._tidy_up()
        heapq.heappush(self._queue, (*call.order, call))
        self._start_threads()
        self._changed.notify()

    def _give_place_back(self, call: _Call) -> None:
        """The call needs its place behind the bulkhead no more: the next one of its group may run."""
        if call.has_place and call.options.bulkhead is not None:
            call.has_place = False
            follower = self._bulkheads.give_back(call.options.bulkhead, call.number, self._held)
            if follower is not None:
                next_call = self._held.pop(follower)
                next_call.has_place = True
                self._line_up(next_call)

    def _start_threads(self) -> None:
        """Start the threads that are missing."""
        while (
            self._threads < self._admission.common.workers
            and self._idle < len(self._queue)
            and self._threads - len(self._running) < len(self._queue)
        ):
            self._threads += 1
            self._thread_numbers += 1
            try:
                threading.Thread(target=self._work, name=f"levelpool-{self.name}-{self._thread_numbers}", daemon=True).start()
            except RuntimeError as error:
                self._threads -= 1
                if not self._threads:
                    self._refuse_all(error)
                return

    def _refuse_all(self, error: RuntimeError) -> None:
        """There is no thread, and the system gives none: nobody would ever run what waits."""
        queue, self._queue = self._queue, []
        for _, _, call in queue:
            if call.waits_here:
                self._leave(call, "refused")
                call.completion.fail(LaneFull(f"lane {self.name!r} has no thread to run {call.name} in: {error}", retry_after=1.0))

    def _work(self) -> None:
        while (call := self._next()) is not None:
            self._run(call)
            del call

    def _next(self) -> _Call | None:
        with self._lock:
            self._idle += 1
            deadline = now() + IDLE
            try:
                while True:
                    if self._threads > self._admission.common.workers:
                        break
                    while self._queue:
                        call = heapq.heappop(self._queue)[2]
                        if not call.waits_here:
                            continue
                        if not call.completion.start():
                            self._leave(call, "cancelled")
                            continue
                        if call.options.bulkhead is not None:
                            self._bulkheads.begin(call.options.bulkhead, call.number)
                        call.started, call.thread = now(), threading.current_thread()
                        self._running[call.number] = call
                        return call
                    if self._closed is not None and not self._calls:
                        break
                    if not self._changed.wait(deadline - now()) and not self._queue:
                        break
                self._threads -= 1
                return None
            finally:
                self._idle -= 1

    def _run(self, call: _Call) -> None:
        outcome, value, error = "succeeded", None, None
        cpu = time.thread_time()
        try:
            value = call.context.run(self._work_of, call)
        except BaseException as raised:  # noqa: BLE001 - everything a task raises belongs to its caller, SystemExit included
            outcome, error = "failed", raised
        cpu = time.thread_time() - cpu
        with self._lock:
            self._running.pop(call.number, None)
            self._give_place_back(call)
            wanted = not call.is_over
            if wanted:
                self._counters.ran(call.counters, (call.started - call.created, now() - call.started, cpu, 0, 0))
                self._leave(call, outcome)
            self._finish_closing()
        if wanted and error is not None:
            call.completion.fail(error)
        elif wanted:
            call.completion.succeed(value)
        del error

    @staticmethod
    def _work_of(call: _Call) -> Any:
        report = call.options.on_progress
        progress.reports_to(functools.partial(call.completion.call, report) if report is not None else None)
        work, call.work = call.work, None
        return work() if work is not None else None

    def _finish(self, call: _Call, outcome: str) -> None:
        call.is_over = True
        call.work = None
        self._calls.pop(call.number, None)
        self._counters.ended(call.counters, outcome)
        self._held.pop(call.number, None)
        if not call.started:
            self._give_place_back(call)
            self._tidy_up()

    def _tidy_up(self) -> None:
        """Calls that ended before they began, or lost their place, stay in the queue; where its threads are stuck, nobody would ever meet them there."""
        if len(self._queue) > 2 * len(self._calls) + 64:
            self._queue = [entry for entry in self._queue if entry[2].waits_here]
            heapq.heapify(self._queue)

    def _leave(self, call: _Call, outcome: str) -> None:
        super()._leave(call, outcome)
        self._finish_closing()

    def _cancel(self, call: _Call) -> None:
        self._withdraw(call, "cancelled")

    def _expire(self, call: _Call) -> None:
        if self._withdraw(call, "timed_out"):
            where = "its thread goes on, for a thread cannot be killed" if call.started else "it had not begun"
            call.completion.fail(TaskTimeout(f"{call.name} did not end within {call.options.timeout:g} s: {where}"))

    def _withdraw(self, call: _Call, outcome: str) -> bool:
        with self._lock:
            if call.is_over:
                return False
            if call.admission.stop_waiting(call):
                self._finish(call, outcome)
            else:
                self._leave(call, outcome)
            return True

    # ------------------------------------------------------------ the end of the lane

    def _drop_rest(self, timeout: float) -> None:
        with self._lock:
            rest = [call for call in self._calls.values() if not call.is_over]
            for call in rest:
                self._leave(call, "cancelled")
            self._finish_closing(left_alone=True)
        for call in rest:
            what = "goes on in its thread" if call.started else "was not run"
            call.completion.fail(LaneClosed(f"{call.name} {what}: lane {self.name!r} was closed, and its {timeout:g} s are over"))

    def _finish_closing(self, *, left_alone: bool = False) -> None:
        if self._closed is not None and not self._calls and (left_alone or not self._running):
            self._changed.notify_all()
            if not self._closed.done():
                self._closed.set_result(None)
