"""The thread lane: blocking I/O in named threads, bounded and counted. A thread that is stuck cannot be killed; the lane says so instead of hiding it."""

import asyncio
import concurrent.futures
import contextvars
import functools
import heapq
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from levelpool.errors import LaneClosed, LaneFull, TaskTimeout
from levelpool.lanes import progress
from levelpool.lanes.account import Account, LaneStats, TaskAccount, TaskStats
from levelpool.lanes.bulkheads import Bulkhead, Bulkheads, Order
from levelpool.lanes.entrance import Entrance, Entrances, lane_full
from levelpool.lanes.lane import CallOptions, now, task_name
from levelpool.lanes.tickets import LoopTicket, ThreadTicket

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
    """One call, from the entrance to its outcome."""

    __slots__ = (
        "__weakref__",
        "account",
        "context",
        "created",
        "entrance",
        "has_place",
        "is_over",
        "kwargs",
        "name",
        "number",
        "options",
        "started",
        "thread",
        "ticket",
        "work",
    )

    def __init__(
        self,
        number: int,
        ticket: LoopTicket | ThreadTicket,
        work: Callable[[], Any],
        *,
        name: str,
        options: CallOptions,
        account: TaskAccount,
        entrance: Entrance,
    ) -> None:
        self.number = number
        self.ticket = ticket
        self.work: Callable[[], Any] | None = work
        self.name = name
        self.options = options
        self.account = account
        self.entrance = entrance
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


_lanes: "weakref.WeakSet[ThreadLane]" = weakref.WeakSet()


class ThreadLane:
    """Runs calls in threads that come when they are needed and go when they are not."""

    def __init__(self, name: str, workers: int, *, queue_limit: int = 10_000, bulkheads: Mapping[str, Bulkhead] | None = None) -> None:
        self.name = name
        self._wanted = workers
        self._queue_limit = queue_limit
        self._limits = bulkheads or {}
        self._reset()
        _lanes.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._entrances = Entrances(self.name, self._queue_limit, self._wanted, self._limits)
        self._bulkheads = Bulkheads({name: each.workers for name, each in self._limits.items()})
        self._held: dict[int, _Call] = {}
        self._account = Account(self.name)
        self._calls: dict[int, _Call] = {}
        self._queue: list[tuple[int, int, _Call]] = []
        self._numbers = 0
        self._threads = 0
        self._thread_numbers = 0
        self._idle = 0
        self._running: dict[int, _Call] = {}
        self._closed: concurrent.futures.Future[None] | None = None

    # ------------------------------------------------------------ the doors

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* in a thread. Cancelling this, or its timeout, ends the waiting; a call that has begun goes on in its thread."""
        loop = asyncio.get_running_loop()
        ticket = LoopTicket(loop)
        call = self._open(ticket, func, args, kwargs, options=options)
        timers = []
        if options.timeout is not None:
            timers.append(loop.call_later(options.timeout, self._expire, call))
        if options.admission_timeout:
            timers.append(loop.call_later(options.admission_timeout, self._refuse, call))
        try:
            return await ticket.future
        except (asyncio.CancelledError, GeneratorExit):
            self._withdraw(call, "cancelled")
            raise
        finally:
            for timer in timers:
                timer.cancel()

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call; never blocks, raises `LaneFull` when there is no place."""
        ticket = ThreadTicket()
        call = self._open(ticket, func, args, kwargs, options=options, waits=False)
        ticket.future.add_done_callback(functools.partial(self._on_cancelled, weakref.ref(call)))
        return ticket.future

    def _on_cancelled(self, known: "weakref.ref[_Call]", future: "concurrent.futures.Future[Any]") -> None:
        call = known()
        if call is not None and future.cancelled():
            self._withdraw(call, "cancelled")
            with self._changed:
                call.ticket.start()

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        with self._changed:
            waiting = [call.created for call in self._calls.values() if not call.is_over and not call.started]
            return LaneStats(
                workers=self._threads,
                max_workers=self._entrances.common.seats,
                busy=len(self._running),
                queued=len(waiting),
                queue_limit=self._entrances.common.limit,
                submitted=self._account.submitted,
                oldest_wait=now() - min(waiting) if waiting else 0.0,
                outside=sum(each.outside for each in self._entrances),
                deaths={},
                bulkheads=self._entrances.bulkhead_stats(),
                **self._account.outcomes,
            )

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name."""
        with self._changed:
            return self._account.task_stats()

    def stuck(self, longer_than: float = 30.0) -> tuple[StuckThread, ...]:
        """The calls that have run for more than *longer_than* seconds, each with the stack of its thread now."""
        moment = now()
        frames = sys._current_frames()  # noqa: SLF001 - documented, in spite of its name
        with self._changed:
            running = [call for call in self._running.values() if moment - call.started > longer_than]
        return tuple(
            StuckThread(
                thread=call.thread.name,
                task=call.name,
                seconds=moment - call.started,
                is_wanted=not call.is_over,
                stack="".join(traceback.format_stack(frames[call.thread.ident])),
            )
            for call in running
            if call.thread is not None and call.thread.ident in frames
        )

    def resize(self, workers: int) -> None:
        """Allow this many threads from now on; those that are too many end with their present call."""
        with self._changed:
            self._wanted = self._entrances.common.seats = workers
            self._admit()
            self._man()
            self._changed.notify_all()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls and finish the admitted ones; after *timeout* seconds those that wait are failed, and those that run are left alone."""
        with self._changed:
            if self._closed is None:
                self._closed = concurrent.futures.Future()
                self._closed.set_running_or_notify_cancel()
                for call in [call for each in self._entrances for call in each.send_away()]:
                    self._end(call, "refused")
                    call.ticket.fail(LaneClosed(f"lane {self.name!r} is closed"))
            closed = self._closed
            self._changed.notify_all()
            if not self._calls and not self._running:
                self._finish_closing()
            else:
                timer = threading.Timer(timeout, self._drop_rest, (timeout,))
                timer.daemon = True
                timer.start()
                closed.add_done_callback(lambda _: timer.cancel())
        return closed

    def abandon(self) -> None:
        """Fail what waits; the threads are daemons, and end with the process."""
        self._drop_rest(0.0)

    def forget(self) -> None:
        """Start anew in a forked child, where the threads do not exist."""
        self._reset()

    @property
    def has_pending_futures(self) -> bool:
        """Whether somebody without a loop waits for a call."""
        return any(isinstance(call.ticket, ThreadTicket) for call in list(self._calls.values()))

    # ------------------------------------------------------------ the way of a call

    def _open(
        self,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        options: CallOptions,
        waits: bool = True,
    ) -> _Call:
        with self._changed:
            if self._closed is not None:
                raise LaneClosed(f"lane {self.name!r} is closed and takes no new calls")
            entrance = self._entrances.of(options.bulkhead)
            self._numbers += 1
            name = options.name or task_name(func)
            account = self._account.of(name)
            work = functools.partial(func, *args, **kwargs)
            call = _Call(self._numbers, ticket, work, name=name, options=options, account=account, entrance=entrance)
            self._account.submitted += 1
            if entrance.has_place(options.priority):
                self._calls[call.number] = call
                entrance.inside += 1
                self._enqueue(call)
            elif not waits or (options.admission_timeout is not None and options.admission_timeout <= 0):
                self._account.ended(account, "refused")
                raise lane_full(self.name, self._account, entrance, "io_queue_limit", options.bulkhead)
            else:
                self._calls[call.number] = call
                entrance.wait_outside(call, options.priority)
        return call

    def _enqueue(self, call: _Call) -> None:
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
        self._man()
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

    def _man(self) -> None:
        """Start the threads that are missing."""
        while (
            self._threads < self._entrances.common.seats
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
                    self._turn_everybody_away(error)
                return

    def _turn_everybody_away(self, error: RuntimeError) -> None:
        """There is no thread, and the system gives none: nobody would ever run what waits."""
        queue, self._queue = self._queue, []
        for _, _, call in queue:
            if call.waits_here:
                self._leave(call, "refused")
                call.ticket.fail(LaneFull(f"lane {self.name!r} has no thread to run {call.name} in: {error}", retry_after=1.0))

    def _work(self) -> None:
        while (call := self._next()) is not None:
            self._run(call)
            del call

    def _next(self) -> _Call | None:
        with self._changed:
            self._idle += 1
            deadline = now() + IDLE
            try:
                while True:
                    if self._threads > self._entrances.common.seats:
                        break
                    while self._queue:
                        call = heapq.heappop(self._queue)[2]
                        if not call.waits_here:
                            continue
                        if not call.ticket.start():
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
        with self._changed:
            self._running.pop(call.number, None)
            self._give_place_back(call)
            wanted = not call.is_over
            if wanted:
                self._account.ran(call.account, (call.started - call.created, now() - call.started, cpu, 0, 0))
                self._leave(call, outcome)
            self._finish_closing()
        if wanted and error is not None:
            call.ticket.fail(error)
        elif wanted:
            call.ticket.succeed(value)
        del error

    @staticmethod
    def _work_of(call: _Call) -> Any:
        report = call.options.on_progress
        progress.reports_to(functools.partial(call.ticket.call, report) if report is not None else None)
        work, call.work = call.work, None
        return work() if work is not None else None

    def _end(self, call: _Call, outcome: str) -> None:
        call.is_over = True
        call.work = None
        self._calls.pop(call.number, None)
        self._account.ended(call.account, outcome)
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
        self._end(call, outcome)
        call.entrance.inside -= 1
        self._admit()
        self._finish_closing()

    def _admit(self) -> None:
        for entrance in self._entrances:
            while (call := entrance.next_in()) is not None:
                entrance.inside += 1
                self._enqueue(call)

    def _refuse(self, call: _Call) -> None:
        with self._changed:
            if call.is_over or not call.entrance.leave_outside(call):
                return
            error = lane_full(self.name, self._account, call.entrance, "io_queue_limit", call.options.bulkhead)
            self._end(call, "refused")
        call.ticket.fail(error)

    def _expire(self, call: _Call) -> None:
        if self._withdraw(call, "timed_out"):
            where = "its thread goes on, for a thread cannot be killed" if call.started else "it had not begun"
            call.ticket.fail(TaskTimeout(f"{call.name} did not end within {call.options.timeout:g} s: {where}"))

    def _withdraw(self, call: _Call, outcome: str) -> bool:
        with self._changed:
            if call.is_over:
                return False
            if call.entrance.leave_outside(call):
                self._end(call, outcome)
            else:
                self._leave(call, outcome)
            return True

    # ------------------------------------------------------------ the end of the lane

    def _drop_rest(self, timeout: float) -> None:
        with self._changed:
            rest = [call for call in self._calls.values() if not call.is_over]
            for call in rest:
                self._leave(call, "cancelled")
            self._finish_closing(left_alone=True)
        for call in rest:
            what = "goes on in its thread" if call.started else "was not run"
            call.ticket.fail(LaneClosed(f"{call.name} {what}: lane {self.name!r} was closed, and its {timeout:g} s are over"))

    def _finish_closing(self, *, left_alone: bool = False) -> None:
        if self._closed is not None and not self._calls and (left_alone or not self._running):
            self._changed.notify_all()
            if not self._closed.done():
                self._closed.set_result(None)


def _forget_all() -> None:
    for lane in list(_lanes):
        lane.forget()


os.register_at_fork(after_in_child=_forget_all)
