"""
The dispatcher of a lane: what every lane does with a call, whatever runs it.

It admits calls, lets them wait or refuses them, has its codec pack them, asks the schedule who runs what next, tells its backend, hears from it, counts,
ends calls whose time is up, and closes. Everything happens under one lock, in short steps that never block. What runs foreign code (pickling, callbacks of
futures, log handlers) happens when the lock is free: in the codec, or as a deferred callback.
"""

import asyncio
import concurrent.futures
import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from levelpool.errors import ClusterUnreachable, LaneClosed, LaneFull, LevelpoolError, TaskTimeout, WorkerDied
from levelpool.lanes.admission import Admission, LaneAdmission, lane_full
from levelpool.lanes.alarm import Alarm
from levelpool.lanes.arguments import check_function
from levelpool.lanes.backend import Backend, Codec, LaneLimits, LaneParts, MakeBackend, StartError
from levelpool.lanes.call import Call, LargePayload, task_name
from levelpool.lanes.completions import Deferred, DeferredCallbacks, LoopCompletion, OwnCallbacks, StreamCompletion, ThreadCompletion
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.lane_loop import LaneLoop, callers_loop, running_loop
from levelpool.lanes.place import Place
from levelpool.lanes.schedule import Kill, Retire, Schedule, Send, Start, TakeBack
from levelpool.lanes.spans import Tracing
from levelpool.lanes.stream import Stream
from levelpool.lanes.task_stats import LaneCounters, LaneStats, TaskCounters, TaskStats, Took

QUICK = 0.0008
"""A task name whose calls usually take less than this many seconds may be sent ahead."""

GATE_TICK = 0.02
"""Seconds after which a gate that kept a call from beginning is asked again: it belongs to several processes, and none tells the others."""

SPAWN_AGAIN = 0.05
"""Seconds after which a worker is asked for once more that could not be started."""

_HELPERS = 2

_NO_KWARGS: Mapping[str, Any] = {}

_lanes: "weakref.WeakSet[Dispatcher]" = weakref.WeakSet()


class Dispatcher:
    """A lane: admission, codec, schedule and backend, put together. Methods without a lock of their own are called under the lane's."""

    def __init__(self, name: str, workers: int, limits: LaneLimits, make_backend: MakeBackend) -> None:
        self.name = name
        self._limits = limits
        self._initial_workers = workers
        self._make_backend = make_backend
        self._reset()
        _lanes.add(self)

    def _reset(self) -> None:
        """The state of a lane that was never used."""
        limits = self._limits
        self.lock = threading.RLock()
        self._loop = LaneLoop(self.name)
        self._deferred: Deferred = DeferredCallbacks(self.name, self._loop) if limits.lives_on_loop else OwnCallbacks()
        self._alarm = Alarm(self._loop, self._on_alarm)
        self._admission = LaneAdmission(self.name, limits.queue_limit, self._initial_workers, limits.bulkheads)
        self._counters = LaneCounters(self.name)
        self._tracing = Tracing()
        self._schedule = Schedule(
            self._initial_workers,
            max_tasks=limits.max_tasks,
            idle_timeout=limits.idle_timeout,
            gate=limits.gate,
            bulkheads={name: each.workers for name, each in limits.bulkheads.items()},
            spawn_tries=limits.spawn_tries,
        )
        self._calls: dict[int, Call] = {}
        self._numbers = 0
        self._spawn_errors: dict[int, OSError] = {}
        self._closed: concurrent.futures.Future[None] | None = None
        self._is_wound_up = False
        parts = LaneParts(
            name=self.name,
            lock=self.lock,
            loop=self._loop,
            deferred=self._deferred,
            helpers=HelperThreads(f"{self.name}-chores", _HELPERS),
            alarm=self._alarm,
            schedule=self._schedule,
            counters=self._counters,
        )
        self._codec: Codec
        self.backend: Backend
        self._codec, self.backend = self._make_backend(parts, self)

    # ------------------------------------------------------------ calls

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* and return its result; cancelling this cancels the call, as far as the lane can."""
        loop = running_loop() or callers_loop()
        completion = LoopCompletion(loop)
        call = self._open(completion, func, args, kwargs, options)
        if options.timeout is not None or options.admission_timeout:
            self._set_timers(call, loop, completion)
        try:
            return await completion.future
        except (asyncio.CancelledError, GeneratorExit):
            self._cancel(call)
            raise

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call; never blocks. Without a place it raises `LaneFull` for an `admission_timeout` of 0, else the call waits for one, however long."""
        completion = ThreadCompletion()
        call = self._open(completion, func, args, kwargs, options)
        completion.future.add_done_callback(functools.partial(self._on_cancelled, weakref.ref(call)))
        return completion.future

    def _on_cancelled(self, known: "weakref.ref[Call]", future: "concurrent.futures.Future[Any]") -> None:
        call = known()
        if call is not None and future.cancelled():
            self._cancel(call)
            with self.lock:
                call.completion.start()

    def stream(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Stream[Any]:
        """Run a generator function where calls run, and return its items as they come."""
        loop = callers_loop()
        completion = StreamCompletion(loop)
        call = self._open(completion, func, args, kwargs, options)
        self._set_timers(call, loop, completion)
        return Stream(completion, unpack=self._codec.item, ask_for_more=lambda: self._grant(call), cancel=lambda: self._cancel(call))

    def _set_timers(self, call: Call, loop: asyncio.AbstractEventLoop, completion: LoopCompletion) -> None:
        for limit, end in ((call.options.timeout, self._expire), (call.options.admission_timeout, self._refuse)):
            if limit is not None and (limit > 0 or end == self._expire):
                timer = loop.call_later(limit, end, call)
                completion.future.add_done_callback(functools.partial(_cancel_timer, timer))

    def _grant(self, call: Call) -> None:
        """The reader of a stream has taken an item: there is room for one more."""
        with self.lock:
            slot = self._schedule.holder(call.number)
            if slot is not None and not call.is_over:
                self.backend.grant(slot, call.number)

    # ------------------------------------------------------------ admission

    def _open(
        self,
        completion: LoopCompletion | ThreadCompletion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> Call:
        """Admit a call, or let it wait."""
        check_function(func)
        name, loop = options.name or task_name(func), completion.loop
        # A program that has not imported OpenTelemetry has no spans to join.
        span = self._tracing.begin(name) if self._limits.is_traced and "opentelemetry.trace" in sys.modules else None
        try:
            with self.lock:
                if self._closed is not None:
                    raise LaneClosed(f"lane {self.name!r} is closed and takes no new calls")
                counters = self._counters.tasks.get(name) or self._counters.of(name)
                if self.backend.trouble is not None:
                    self._refuse_new(counters, self.backend.trouble)
                admission = self._admission.common if options.bulkhead is None else self._admission.of(options.bulkhead)
                if self._loop.loop is not loop or loop is None:
                    self.backend.bind(loop)
                self._numbers += 1
                call = Call(self._numbers, completion, func, args, kwargs, options, name, counters, admission, span)
                self._counters.submitted += 1
                if admission.admitted >= admission.limit + admission.workers and not admission.has_place(options.priority):
                    self._wait_for_admission(call)
                    return call
                self._calls[call.number] = call
                admission.admitted += 1
        except (LevelpoolError, RuntimeError):
            if span is not None:
                span.end("refused")
            raise
        payload = self._codec.pack(call)
        if payload is not None:
            self.packed(call, payload)
        return call

    def _refuse_new(self, counters: TaskCounters, trouble: str) -> None:
        self._counters.submitted += 1
        self._counters.ended(counters, "refused")
        raise ClusterUnreachable(trouble)

    def _wait_for_admission(self, call: Call) -> None:
        options = call.options
        if options.admission_timeout is not None and options.admission_timeout <= 0:
            self._counters.ended(call.counters, "refused")
            raise self._full(call)
        self._calls[call.number] = call
        call.admission.wait(call, options.priority)

    def _refuse(self, call: Call) -> None:
        """The time to wait for a place is over."""
        with self.lock:
            if call.is_over or not call.admission.stop_waiting(call):
                return
            error = self._full(call)
            self._finish(call, "refused")
            self._tell(call, error)
        self._deferred.run()

    def _full(self, call: Call) -> LaneFull:
        return lane_full(self.name, self._counters, call.admission, self._limits.queue_setting, call.options.bulkhead)

    def _admit(self) -> None:
        """Admit the waiting calls that have a place now."""
        for admission in self._admission:
            self._admit_waiting(admission)

    def _admit_waiting(self, admission: Admission) -> None:
        while (call := admission.next_admitted()) is not None:
            admission.admitted += 1
            self._deferred.add(self._pack, call)

    # ------------------------------------------------------------ on their way

    def _pack(self, call: Call) -> None:
        payload = self._codec.pack(call)
        if payload is not None:
            self.packed(call, payload)

    def packed(self, call: Call, payload: bytes | LargePayload) -> None:
        """The call is packed: run it as soon as the schedule says so."""
        with self.lock:
            if call.is_over:
                self._codec.release(payload)
                return
            call.payload = payload
            task = call.counters
            task.payload_bytes += len(payload) if isinstance(payload, bytes) else payload.length
            if call.skipped_context:
                self._counters.skipped_context += call.skipped_context
            breaker = self.backend.breaker
            if breaker is not None and (refusal := breaker.refusal(call, payload, now())) is not None:
                self._tell(call, refusal)
                self._leave(call, "refused")
                self.act()
            else:
                quick = (
                    self._limits.sends_ahead
                    and 0.0 < task.usual_run < QUICK
                    and type(payload) is bytes
                    and type(call.completion) is not StreamCompletion
                )
                options = call.options
                slot = self._schedule.arrive(call.number, now(), priority=options.priority, quick=quick, bulkhead=options.bulkhead)
                if slot is not None:
                    self._send(slot, call)
                else:
                    self.act()
        if self._deferred.due:
            self._deferred.run()

    def refuse(self, call: Call, error: BaseException) -> None:
        """The call cannot be packed."""
        with self.lock:
            if not call.is_over:
                self._leave(call, "failed")
                self._tell(call, error)
                self.act()
        self._deferred.run()

    def act(self) -> None:
        """Do what the schedule says."""
        has_new_slot = True
        while has_new_slot:
            has_new_slot = False
            for action in self._schedule.decide(now()):
                match action:
                    case Send():
                        self._send(action.worker, self._calls[action.call])
                    case Start():
                        has_new_slot = self._start(action.worker) or has_new_slot
                    case Retire():
                        self.backend.retire(action.worker)
            if self._spawn_errors:
                self._fail_unstartable()
        if self._schedule.held_up:
            self._alarm.set(GATE_TICK)
        if self._closed is not None:
            self._wind_up()

    def _send(self, slot: int, call: Call) -> None:
        if call.payload is None or not call.completion.start():
            self._schedule.ended(slot, call.number, now())
            if not call.is_over:
                self._leave(call, "cancelled")
            return
        self.backend.send(slot, call)

    def _start(self, slot: int) -> bool:
        """Start a worker; whether it is ready at once."""
        try:
            is_ready = self.backend.start(slot)
        except OSError as error:
            self._spawn_errors[slot] = error
            return False
        if is_ready:
            self._schedule.ready(slot, now())
        return is_ready

    def _fail_unstartable(self) -> None:
        """Workers that could not even be asked for."""
        errors, self._spawn_errors = self._spawn_errors, {}
        for slot in errors:
            self._schedule.died(slot, running=None)
        error = next(iter(errors.values()))
        self.fail_hopeless(str(error), at_once=isinstance(error, StartError) and error.is_lasting)
        if self._schedule.waiting:
            self._alarm.set(SPAWN_AGAIN)

    def fail_hopeless(self, why: str, *, at_once: bool = False) -> None:
        """Fail the calls for which there is no hope, because one worker after the other does not start, or none ever will."""
        for number in self._schedule.hopeless(at_once=at_once):
            call = self._calls[number]
            outcome, error = self.backend.unstartable(call, why)
            if isinstance(error, WorkerDied):
                self._counters.died(error.cause)
            self._leave(call, outcome)
            self._tell(call, error)

    # ------------------------------------------------------------ their end

    def ended(self, call: Call, took: Took, *, succeeded: bool, worker: int) -> None:
        """The call, which was wanted, has run to its end."""
        breaker = self.backend.breaker
        if breaker is not None:
            breaker.survived(call)
        outcome = "succeeded" if succeeded else "failed"
        if call.span is not None:
            self._deferred.add(functools.partial(call.span.ran, wait=took[0], run=took[1], worker=worker))
            self._deferred.add(call.span.end, outcome)
        self._let_go(call)
        self._counters.completed(call.counters, took, outcome)
        admission = call.admission
        admission.admitted -= 1
        if admission.waiting:
            self._admit()

    def died(self, call: Call, error: LevelpoolError) -> None:
        """The call is over without an outcome."""
        if isinstance(error, WorkerDied):
            self._counters.died(error.cause)
        if not call.is_over:
            self._leave(call, "died" if isinstance(error, WorkerDied) else "failed")
            self._tell(call, error)

    def decoded(self, call: Call, seconds: float) -> None:
        """It took so long to decode a large outcome."""
        with self.lock:
            call.counters.decode.add(seconds)

    def fail_all(self, why: Callable[[Call], LevelpoolError]) -> None:
        """No call can run any more: fail all there are, those that were admitted and those that wait."""
        for call in list(self._calls.values()):
            self._stop(call, "failed", "cancelled")
            self._tell(call, why(call))

    def _cancel(self, call: Call) -> None:
        """Nobody wants the call any more."""
        self._withdraw(call, "cancelled", "cancelled")

    def _expire(self, call: Call) -> None:
        """The time of the call is over."""
        self._withdraw(call, "timed_out", "deadline")

    def _withdraw(self, call: Call, outcome: str, cause: str) -> None:
        with self.lock:
            if call.is_over:
                return
            killed = self._stop(call, outcome, cause)
            if outcome == "timed_out":
                what = self.backend.what_if_late(call, killed)
                error = TaskTimeout(f"{call.name} did not end within {call.options.timeout:g} s: {what}")
                error.__cause__ = killed
                self._tell(call, error)
            self.act()
        self._deferred.run()

    def _stop(self, call: Call, outcome: str, cause: str, note: str = "") -> WorkerDied | None:
        """End a call wherever it is; the death of its worker, if that was killed, with a *note*."""
        if call.admission.stop_waiting(call):
            self._finish(call, outcome)
            return None
        action = self._schedule.withdraw(call.number)
        self._leave(call, outcome)
        if isinstance(action, Kill):
            return self.backend.kill(action.worker, call, cause, note)
        if isinstance(action, TakeBack):
            self.backend.revoke(action.worker, action.call)
        return None

    def _leave(self, call: Call, outcome: str) -> None:
        """Like `_finish`, for a call that was admitted: its place is free."""
        self._finish(call, outcome)
        admission = call.admission
        admission.admitted -= 1
        if admission.waiting:
            self._admit()

    def _finish(self, call: Call, outcome: str) -> None:
        """Write down how the call ended; whoever calls this hands the outcome over."""
        self._let_go(call)
        self._counters.ended(call.counters, outcome)
        if call.span is not None:
            self._deferred.add(call.span.end, outcome)

    def _let_go(self, call: Call) -> None:
        """The call is over: keep nothing of it."""
        call.is_over = True
        call.func = None
        call.args = ()
        call.kwargs = _NO_KWARGS
        payload = call.payload
        call.payload = None
        if payload and type(payload) is not bytes:
            self._codec.release(payload)
        self._calls.pop(call.number, None)

    def _tell(self, call: Call, error: BaseException) -> None:
        """Hand an error over, when the lock is free."""
        self._deferred.add(call.completion.fail, error)

    # ------------------------------------------------------------ time, size

    def _on_alarm(self) -> None:
        with self.lock:
            self._alarm.reset()
            moment = now()
            self.backend.tick(moment)
            for action in self._schedule.retire_idle(moment):
                self.backend.retire(action.worker)
            self.act()
            self._set_alarm(moment)
        self._deferred.run()

    def _set_alarm(self, moment: float) -> None:
        idle_end = self._schedule.next_idle_end()
        if idle_end is not None:
            self._alarm.set(max(0.001, idle_end - moment))
        elif self._schedule.workers:
            self._alarm.set(max(SPAWN_AGAIN, self._limits.idle_timeout))
        elif self._schedule.waiting:
            self._alarm.set(SPAWN_AGAIN)
        self.backend.look_again(is_needed=bool(self._calls or self._schedule.workers))

    def resize(self, workers: int) -> None:
        """Allow this many workers from now on; those that are too many end with their present call."""
        with self.lock:
            if self._limits.gate is not None:
                self._limits.gate.resize(workers)
            allowed = self.backend.resize(workers)
            if allowed is None:
                self._initial_workers = allowed = workers
            self.allow(allowed)
        self._deferred.run()

    def allow(self, workers: int) -> None:
        """So many calls may run at the same time from now on."""
        self._schedule.max_workers = self._admission.common.workers = workers
        self._admit()
        self.act()

    # ------------------------------------------------------------ the end of the lane

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls and finish the admitted ones; those that are left after *timeout* seconds are killed, if they can be, and failed."""
        with self.lock:
            if self._closed is None:
                self._closed = concurrent.futures.Future()
                self._closed.set_running_or_notify_cancel()
                for call in [call for each in self._admission for call in each.clear_waiting()]:
                    self._finish(call, "refused")
                    self._tell(call, LaneClosed(f"lane {self.name!r} is closed"))
            closed = self._closed
            self._schedule.retire_all = True
            if not closed.done():
                self._begin_closing(closed, timeout)
        self._deferred.run()
        return closed

    def _begin_closing(self, closed: "concurrent.futures.Future[None]", timeout: float) -> None:
        if not self._limits.lives_on_loop:
            self.act()
            if not closed.done():
                timer = threading.Timer(timeout, self._kill_rest, (timeout,))
                timer.daemon = True
                timer.start()
                closed.add_done_callback(lambda _: timer.cancel())
        elif self._loop.loop is None:
            closed.set_result(None)
        else:
            # A loop that does not run now may never run again. And this may be called by the garbage collector, in the middle of anything:
            # the loop does the rest.
            self.backend.bind(running_loop())
            self._loop.loop.call_soon_threadsafe(self._set_deadline, timeout)

    def _set_deadline(self, timeout: float) -> None:
        with self.lock:
            self.act()
            if not (self._closed and self._closed.done()):
                self._loop.later(timeout, self._kill_rest, timeout)
        self._deferred.run()

    def _kill_rest(self, timeout: float) -> None:
        with self.lock:
            for call in list(self._calls.values()):
                slot = self._schedule.holder(call.number)
                has_begun = slot is not None and self.backend.has_begun(slot, call)
                killed = self._stop(call, "cancelled", "cancelled", f", {timeout:g} s after the lane was closed")
                if killed is not None and has_begun:
                    self._tell(call, killed)
                else:
                    what = "goes on in its thread" if has_begun else "was not run"
                    self._tell(call, LaneClosed(f"{call.name} {what}: lane {self.name!r} was closed, and its {timeout:g} s are over"))
            self.backend.kill_all()
            self.act()
        self._deferred.run()

    def _wind_up(self) -> None:
        """While the lane closes: let idle workers go, and all the rest after the last of them."""
        if self._calls or self._closed is None:
            return
        for action in self._schedule.retire_idle(now()):
            self.backend.retire(action.worker)
        if self._schedule.workers or self._is_wound_up:
            return
        self._is_wound_up = True
        self.backend.close(functools.partial(self._finish_closing, self._loop, self._closed))

    @staticmethod
    def _finish_closing(loop: LaneLoop, closed: "concurrent.futures.Future[None]") -> None:
        loop.leave()
        closed.set_result(None)

    def use_private_loop(self, *, begin: bool = True) -> None:
        """Move to a private loop, if the lane lives on one and is not there yet: whoever blocks a thread must not block the lane."""
        with self.lock:
            if not begin and self._loop.loop is None:
                return
            if self._closed is None or not self._closed.done():
                self.backend.bind(None)

    def terminate(self) -> None:
        """Kill everything now, without a loop's help; at interpreter exit."""
        with self.lock:
            if self._closed is None:
                self._closed = concurrent.futures.Future()
        if not self._limits.lives_on_loop:
            self._kill_rest(0.0)
        self.backend.terminate()

    def after_fork_in_child(self) -> None:
        """Start anew in a forked child: workers, loop and calls belong to the parent."""
        self.backend.after_fork_in_child()
        self._reset()

    # ------------------------------------------------------------ what is told

    @property
    def place(self) -> Place:
        """Where its calls run, as far as that can be told."""
        return self.backend.place

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        with self.lock:
            calls = [call for call in self._calls.values() if not call.is_over]
            waiting = [call.created for call in calls if self._is_waiting(call)]
            sent = sum(1 for call in calls if self._schedule.holder(call.number) is not None and self._is_waiting(call))
            return LaneStats(
                workers=self.backend.workers,
                max_workers=self._admission.common.workers,
                busy=self._schedule.busy - sent if self.backend.tells_start else self._schedule.busy,
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

    def _is_waiting(self, call: Call) -> bool:
        slot = self._schedule.holder(call.number)
        if slot is None or self._schedule.runs(slot) != call.number:
            return True
        return self.backend.tells_start and not call.started

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name."""
        with self.lock:
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
