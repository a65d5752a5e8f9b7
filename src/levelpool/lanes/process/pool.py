"""
The process lane: the lane's side of its worker processes.

Everything here happens under one lock, in short steps that never block, mostly as callbacks of the event loop that the lane lives on (see `home`).
What runs foreign code (pickling, callbacks of futures, log handlers) happens outside of the lock, from a list of due errands.
Who runs what is decided in `schedule`; how bytes travel stands in `wire`; how processes come and go in `birth`.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import logging
import os
import pickle
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levelpool.errors import LaneClosed, ResultNotPicklable, TaskTimeout, WorkerDied
from levelpool.lanes.context import Carrier
from levelpool.lanes.crew import Crew
from levelpool.lanes.home import call_on, private_loop
from levelpool.lanes.lane import (
    Account,
    CallOptions,
    Entrance,
    LaneStats,
    LoopTicket,
    TaskStats,
    ThreadTicket,
    lane_full,
    now,
    running_loop,
    task_name,
)
from levelpool.lanes.process.birth import Cradle, death, worker_environment
from levelpool.lanes.process.failures import task_not_picklable, unpack_failure
from levelpool.lanes.process.page import Page
from levelpool.lanes.process.schedule import Gate, Kill, Retire, Schedule, Send, Start, TakeBack
from levelpool.lanes.process.wire import (
    BORN,
    CREDIT,
    DONE,
    FAILED,
    ITEM,
    LOG,
    PAUSE,
    PROGRESS,
    READY,
    REPORT,
    SKIPPED,
    SMALL,
    STOP,
    TASK,
    Frame,
    Framer,
    MissingModuleError,
    Parcel,
    decode_large,
    decode_small,
    encode_large,
    encode_small,
    pack,
    receive,
    refuse_missing_module,
)
from levelpool.lanes.stream import WINDOW, Stream, StreamTicket

MEMORY_TICK = 0.05
"""Seconds between two looks at the memory of busy workers."""

GATE_TICK = 0.02
"""Seconds after which a gate that kept a call from beginning is asked again: it belongs to several processes, and none tells the others."""

AHEAD_TICK = 0.005
"""Seconds after which a call that was sent ahead is taken back from behind a slow one."""

QUICK = 0.0008
"""A task name whose calls usually take less than this many seconds may be sent ahead."""

LAST_WORDS = 1.0
"""Seconds to wait for the fork server's word on how a worker died that has closed its socket."""

GROWN = 0.6
"""An idle worker that holds this share of its memory limit is replaced."""

_log = logging.getLogger(__name__)
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_lanes: "weakref.WeakSet[ProcessLane]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """What a process lane is made with."""

    queue_limit: int = 1000
    memory_limit: int | None = None
    idle_timeout: float = 30.0
    max_tasks: int | None = None
    max_result_bytes: int | None = None
    carry: Sequence[contextvars.ContextVar[Any]] = ()
    preload: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    """Of the workers; None: that of this process without what looks like a secret."""
    gate: Gate | None = None
    """Shared with the lanes of other processes; None: this lane is alone."""


class _Call:
    """One call, from the entrance to its outcome."""

    __slots__ = (
        "__weakref__",
        "args",
        "context",
        "created",
        "func",
        "is_over",
        "kwargs",
        "meta",
        "name",
        "number",
        "options",
        "payload",
        "ticket",
    )

    def __init__(
        self,
        number: int,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        options: CallOptions,
    ) -> None:
        self.number = number
        self.ticket = ticket
        self.func: Callable[..., Any] | None = func
        self.args: tuple[Any, ...] = args
        self.kwargs = kwargs
        self.options = options
        self.name = options.name or task_name(func)
        self.context = contextvars.copy_context()
        self.created = now()
        self.is_over = False
        self.meta = b""
        self.payload: bytes | Parcel | None = None

    def let_go(self) -> None:
        """Drop what is no longer needed."""
        self.func, self.args, self.kwargs = None, (), {}
        if isinstance(self.payload, Parcel):
            self.payload.close()
        self.payload = None


class _Worker:
    """The lane's end of one worker process."""

    __slots__ = ("cause", "cradle", "framer", "line", "number", "outgoing", "page", "pid", "rss", "sent", "status", "taken", "talk")

    def __init__(self, number: int, cradle: Cradle, talk: socket.socket, line: socket.socket, page: Page) -> None:
        self.number = number
        self.cradle = cradle
        self.talk: socket.socket | None = talk
        self.line = line
        self.page = page
        self.framer = Framer()
        self.outgoing: deque[tuple[bytes, int]] = deque()
        self.sent: dict[int, _Call] = {}
        self.taken: dict[int, float] = {}
        self.pid = 0
        self.status: int | None = None
        self.cause: str | None = None
        self.rss = 0

    def read_rss(self) -> int:
        """Resident bytes now, or as last seen."""
        if self.pid:
            with contextlib.suppress(OSError, IndexError, ValueError):
                self.rss = int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]) * _PAGE_SIZE
        return self.rss


class ProcessLane:
    """Runs calls in worker processes: bounded, killable, limited in memory, replaced when they die."""

    def __init__(self, name: str, workers: int, limits: ProcessLimits) -> None:
        self.name = name
        self._limits = limits
        self._workers_wanted = workers
        self._reset()
        _lanes.add(self)

    def _reset(self) -> None:
        """The state of a lane that was never used."""
        limits = self._limits
        self._lock = threading.RLock()
        self._home: asyncio.AbstractEventLoop | None = None
        self._home_is_private = False
        self._schedule = Schedule(self._workers_wanted, max_tasks=limits.max_tasks, idle_timeout=limits.idle_timeout, gate=limits.gate)
        self._entrance = Entrance(limits.queue_limit, self._workers_wanted)
        self._account = Account(self.name)
        self._carrier = Carrier(limits.carry)
        self._crew = Crew(f"{self.name}-chores", 2)
        self._calls: dict[int, _Call] = {}
        self._numbers = 0
        self._workers: dict[int, _Worker] = {}
        self._stillborn: dict[int, str] = {}
        self._cradle: Cradle | None = None
        self._due: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._tick_at = float("inf")
        self._tick_handle: asyncio.TimerHandle | None = None
        self._closed: concurrent.futures.Future[None] | None = None

    # ------------------------------------------------------------ the doors

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* in a worker; cancelling this kills the worker under it."""
        loop = asyncio.get_running_loop()
        ticket = LoopTicket(loop)
        call = self._open(ticket, func, args, kwargs, options=options, loop=loop)
        timers = []
        if options.timeout is not None:
            timers.append(loop.call_later(options.timeout, self._expire, call))
        if options.admission_timeout:
            timers.append(loop.call_later(options.admission_timeout, self._refuse, call))
        try:
            return await ticket.future
        except asyncio.CancelledError:
            self._cancel(call)
            raise
        finally:
            for timer in timers:
                timer.cancel()

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call; never blocks, raises `LaneFull` when there is no place."""
        ticket = ThreadTicket()
        options = options if options.admission_timeout == 0 else _refusing(options)
        call = self._open(ticket, func, args, kwargs, options=options, loop=None)
        ticket.future.add_done_callback(functools.partial(self._on_cancelled, weakref.ref(call)))
        return ticket.future

    def stream(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Stream[Any]:
        """Run a generator function in a worker and return its items as they come."""
        loop = asyncio.get_running_loop()
        ticket = StreamTicket(loop)
        call = self._open(ticket, func, args, kwargs, options=options, loop=loop)
        for limit, end in ((options.timeout, self._expire), (options.admission_timeout, self._refuse)):
            if limit:
                timer = loop.call_later(limit, end, call)
                ticket.future.add_done_callback(functools.partial(_cancel_timer, timer))
        return Stream(ticket, unpack=self._unpack_item, ask_for_more=lambda: self._grant(call), cancel=lambda: self._cancel(call))

    def _on_cancelled(self, known: "weakref.ref[_Call]", future: "concurrent.futures.Future[Any]") -> None:
        call = known()
        if call is not None and future.cancelled():
            self._cancel(call)
            with self._lock:
                call.ticket.start()

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        with self._lock:
            waiting = [call.created for call in self._calls.values() if not call.is_over and self._is_waiting(call)]
            return LaneStats(
                workers=len(self._workers),
                max_workers=self._schedule.max_workers,
                busy=self._schedule.busy,
                queued=len(waiting),
                queue_limit=self._entrance.limit,
                submitted=self._account.submitted,
                oldest_wait=now() - min(waiting) if waiting else 0.0,
                outside=self._entrance.outside,
                recycled=self._account.recycled,
                skipped_context=self._account.skipped_context,
                deaths=dict(self._account.deaths),
                **self._account.outcomes,
            )

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name."""
        with self._lock:
            return self._account.task_stats()

    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live now."""
        with self._lock:
            return tuple(worker.pid for worker in self._workers.values() if worker.pid)

    def resize(self, workers: int) -> None:
        """Allow this many workers from now on; those that are too many end with their present call."""
        with self._lock:
            self._workers_wanted = workers
            self._schedule.max_workers = workers
            if self._limits.gate is not None:
                self._limits.gate.resize(workers)
            self._entrance.seats = workers
            self._admit()
            self._act()
        self._run_errands()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, finish the admitted ones, kill what is left after *timeout* seconds."""
        with self._lock:
            if self._closed is None:
                self._closed = concurrent.futures.Future()
                self._closed.set_running_or_notify_cancel()
                self._schedule.retire_all = True
                for call in self._entrance.send_away():
                    self._finish(call, "refused")
                    self._errand(call.ticket.fail, LaneClosed(f"lane {self.name!r} is closed"))
            closed = self._closed
            if self._home is None:
                if not closed.done():
                    closed.set_result(None)
            elif not closed.done():
                # A loop that does not run now may never run again. And this may be called by the garbage collector, in the middle of anything:
                # the loop does the rest.
                self._settle_home(running_loop())
                self._home.call_soon_threadsafe(self._set_deadline, timeout)
        self._run_errands()
        return closed

    def live_apart(self) -> None:
        """Move to a private loop, if the lane is not there yet: whoever blocks a thread must not block the lane."""
        with self._lock:
            self._settle_home(None)

    def abandon(self) -> None:
        """Kill everything now, without a loop's help; at interpreter exit."""
        with self._lock:
            workers, cradle = list(self._workers.values()), self._cradle
            if self._closed is None:
                self._closed = concurrent.futures.Future()
        for worker in workers:
            worker.cause = worker.cause or "cancelled"
            worker.line.close()
        if cradle is not None:
            cradle.close()
            cradle.wait()

    def forget(self) -> None:
        """Start anew in a forked child: workers, loop and calls belong to the parent."""
        for worker in list(self._workers.values()):
            worker.line.close()
            if worker.talk is not None:
                worker.talk.close()
            worker.page.close()
        if self._cradle is not None:
            self._cradle.forget()
        self._reset()

    @property
    def has_pending_futures(self) -> bool:
        """Whether somebody without a loop waits for a call."""
        return any(isinstance(call.ticket, ThreadTicket) for call in list(self._calls.values()))

    # ------------------------------------------------------------ the entrance

    def _open(
        self,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        options: CallOptions,
        loop: asyncio.AbstractEventLoop | None,
    ) -> _Call:
        with self._lock:
            if self._closed is not None:
                raise LaneClosed(f"lane {self.name!r} is closed and takes no new calls")
            self._settle_home(loop)
            self._numbers += 1
            call = _Call(self._numbers, ticket, func, args, kwargs, options=options)
            self._account.submitted += 1
            if not self._entrance.has_place(options.priority):
                if options.admission_timeout == 0:
                    self._account.ended(call.name, "refused")
                    raise lane_full(self.name, self._account, self._entrance, "LEVELPOOL_CPU_QUEUE_LIMIT")
                self._calls[call.number] = call
                self._entrance.wait_outside(call, options.priority)
                return call
            self._calls[call.number] = call
            self._entrance.inside += 1
        self._pack(call)
        return call

    def _refuse(self, call: _Call) -> None:
        """The time to wait for a place is over."""
        with self._lock:
            if call.is_over or not self._entrance.leave_outside(call):
                return
            error = lane_full(self.name, self._account, self._entrance, "LEVELPOOL_CPU_QUEUE_LIMIT")
            self._finish(call, "refused")
            self._errand(call.ticket.fail, error)
        self._run_errands()

    def _admit(self) -> None:
        while (call := self._entrance.next_in()) is not None:
            self._entrance.inside += 1
            self._errand(self._pack, call)

    def _pack(self, call: _Call) -> None:
        """Turn the call into bytes: here if they are few, by the crew if they are many. Not under the lock: pickling runs foreign code."""
        func = call.func
        if func is None:
            return
        thing = (func, call.args, dict(call.kwargs))
        try:
            context, carried, skipped = self._carrier.pack(call.context)
            wishes: dict[str, object] = {"context": context, "carried": carried, "progress": call.options.on_progress is not None}
            if isinstance(call.ticket, StreamTicket):
                wishes["window"] = WINDOW
            call.meta = pickle.dumps(wishes, 5) if any(wishes.values()) else b""
            payload = encode_small(thing)
        except BaseException as error:  # noqa: BLE001 - pickling runs the user's code, which may raise anything, SystemExit too
            self._cannot_pack(call, func, error)
            return
        if payload is None:
            self._crew.do(lambda: self._pack_large(call, func, thing))
            return
        self._arrive(call, payload, skipped)

    def _pack_large(self, call: _Call, func: Callable[..., Any], thing: object) -> None:
        try:
            payload = encode_large(thing, pause=PAUSE)
        except BaseException as error:  # noqa: BLE001 - as above
            self._cannot_pack(call, func, error)
            return
        self._arrive(call, payload, 0)

    def _cannot_pack(self, call: _Call, func: Callable[..., Any], error: BaseException) -> None:
        refusal = task_not_picklable(func, call.args, dict(call.kwargs), error)
        refusal.__cause__ = error
        with self._lock:
            if not call.is_over:
                self._leave(call, "failed")
                self._errand(call.ticket.fail, refusal)
        self._run_errands()

    def _arrive(self, call: _Call, payload: bytes | Parcel, skipped: int) -> None:
        with self._lock:
            if call.is_over:
                if isinstance(payload, Parcel):
                    payload.close()
                return
            call.payload = payload
            call.func, call.args, call.kwargs = None, (), {}
            self._account.skipped_context += skipped
            task = self._account.of(call.name)
            task.payload_bytes += payload.length if isinstance(payload, Parcel) else len(payload)
            quick = (
                task.run.count > 0 and task.usual_run < QUICK and isinstance(payload, bytes) and not isinstance(call.ticket, StreamTicket)
            )
            self._schedule.arrive(call.number, priority=call.options.priority, quick=quick)
            self._act()
        self._run_errands()

    # ------------------------------------------------------------ streams

    def _grant(self, call: _Call) -> None:
        """The reader has taken an item: the worker may make one more."""
        with self._lock:
            holder = self._schedule.holder(call.number)
            if holder is not None and not call.is_over:
                self._send(self._workers[holder], pack(CREDIT, call.number))

    async def _unpack_item(self, frame: Frame) -> Any:
        parcel = frame.parcel()
        if parcel is None:
            with contextlib.suppress(MissingModuleError):
                return decode_small(frame.body, refuse_missing_module)
        loop = asyncio.get_running_loop()
        ticket = LoopTicket(loop)

        def unpack() -> None:
            try:
                ticket.succeed(decode_large(parcel, pause=PAUSE) if parcel else decode_small(frame.body))
            except BaseException as error:  # noqa: BLE001 - unpickling runs the user's code, which may raise anything, SystemExit too
                ticket.fail(error)

        self._crew.do(unpack)
        return await ticket.future

    # ------------------------------------------------------------ the end of a call

    def _finish(self, call: _Call, outcome: str) -> None:
        """Write down how the call ended; whoever calls this hands the outcome over."""
        call.is_over = True
        call.let_go()
        self._calls.pop(call.number, None)
        self._account.ended(call.name, outcome)

    def _leave(self, call: _Call, outcome: str) -> None:
        """Likewise for a call that was inside: its place is free."""
        self._finish(call, outcome)
        self._entrance.inside -= 1
        self._admit()

    def _cancel(self, call: _Call) -> None:
        self._withdraw(call, "cancelled", "cancelled")

    def _expire(self, call: _Call) -> None:
        self._withdraw(call, "timed_out", "deadline")

    def _withdraw(self, call: _Call, outcome: str, cause: str) -> None:
        with self._lock:
            if call.is_over:
                return
            killed: WorkerDied | None = None
            if self._entrance.leave_outside(call):
                self._finish(call, outcome)
            else:
                action = self._schedule.withdraw(call.number)
                self._leave(call, outcome)
                if isinstance(action, Kill):
                    worker = self._workers[action.worker]
                    self._kill(worker, cause)
                    killed = death(call.name, cause=cause, status=None, rss=worker.rss, limit=self._limits.memory_limit)
                elif isinstance(action, TakeBack):
                    self._take_back(action)
            if outcome == "timed_out":
                self._errand(call.ticket.fail, _timeout(call, killed))
            self._act()
        self._run_errands()

    # ------------------------------------------------------------ actions

    def _act(self) -> None:
        """Do what the schedule says."""
        for action in self._schedule.decide(now()):
            match action:
                case Send():
                    self._send_call(action)
                case Start():
                    self._start(action.worker)
                case Retire():
                    self._retire(self._workers[action.worker])
        if self._schedule.held_up:
            self._arm(GATE_TICK)
        if self._stillborn:
            self._mourn()
        if self._closed is not None:
            self._wind_up()

    def _send_call(self, action: Send) -> None:
        worker, call = self._workers[action.worker], self._calls[action.call]
        if call.payload is None or not call.ticket.start():
            self._schedule.ended(action.worker, action.call, now())
            if not call.is_over:
                self._leave(call, "cancelled")
            return
        worker.sent[call.number] = call
        payload = call.payload
        frame = pack(TASK, call.number, call.meta, payload)
        if isinstance(payload, Parcel):
            self._send(worker, frame, payload.fd)
        elif len(worker.sent) > 1:
            self._send_soon(worker, frame)
        else:
            self._send(worker, frame)
        if self._limits.memory_limit is not None:
            self._arm(MEMORY_TICK)
        if len(worker.sent) > 1:
            self._arm(AHEAD_TICK)

    def _send(self, worker: _Worker, data: bytes, fd: int = -1) -> None:
        talk = worker.talk
        if talk is None:
            return
        if not worker.outgoing:
            sent = _send_some(talk, data, fd)
            if sent == len(data):
                return
            data, fd = data[sent:], -1 if sent else fd
            self._watch_writing(worker, talk)
        worker.outgoing.append((data, os.dup(fd) if fd >= 0 else -1))

    def _send_soon(self, worker: _Worker, data: bytes) -> None:
        """Send with whatever else comes in this turn of the loop: the worker is busy anyway, and a system call costs more than a no-op."""
        home, talk = self._home, worker.talk
        if not worker.outgoing and home is not None and talk is not None:
            if running_loop() is not home:
                self._send(worker, data)
                return
            home.call_soon(self._on_writable, home, worker, talk)
        worker.outgoing.append((data, -1))

    def _start(self, number: int) -> None:
        try:
            cradle = self._cradle or self._open_cradle()
            talk, their_talk = socket.socketpair()
            line, their_line = socket.socketpair()
            page_file = Page.file()
            try:
                with their_talk, their_line:
                    cradle.bear(number, (their_talk.fileno(), their_line.fileno(), page_file))
                worker = _Worker(number, cradle, talk, line, Page(page_file))
            except OSError:
                talk.close()
                line.close()
                raise
            finally:
                os.close(page_file)
        except OSError as error:
            self._stillborn[number] = f"no worker process can be started: {error}"
            return
        talk.setblocking(False)
        self._workers[number] = worker
        self._watch(worker)

    def _open_cradle(self) -> Cradle:
        environment = self._limits.environment
        self._cradle = Cradle(
            preload=self._limits.preload,
            environment=worker_environment(os.environ) if environment is None else environment,
            max_result_bytes=self._limits.max_result_bytes,
        )
        self._watch_control(self._cradle)
        return self._cradle

    def _retire(self, worker: _Worker) -> None:
        self._send(worker, pack(STOP))

    def _kill(self, worker: _Worker, cause: str) -> None:
        worker.cause = worker.cause or cause
        worker.read_rss()
        worker.line.close()
        if worker.cradle is self._cradle:
            worker.cradle.kill(worker.number)
        elif worker.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, 9)

    def _take_back(self, action: TakeBack) -> None:
        worker = self._workers[action.worker]
        worker.page.take_back(action.call)
        worker.taken[action.call] = now()
        self._arm(AHEAD_TICK)

    # ------------------------------------------------------------ what workers say

    def _on_talk(self, worker: _Worker, talk: socket.socket) -> None:
        with self._lock:
            if worker.talk is not talk:
                return
            if not self._hear(worker):
                self._lose_touch(worker)
            self._act()
        self._run_errands()

    def _hear(self, worker: _Worker) -> bool:
        """Read once; False when the worker has closed its end."""
        if worker.talk is None:
            return False
        try:
            data, fds = receive(worker.talk)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        for frame in worker.framer.feed(data, fds):
            self._on_frame(worker, frame)
        return bool(data)

    def _on_frame(self, worker: _Worker, frame: Frame) -> None:
        if frame.kind in {DONE, FAILED}:
            self._on_end(worker, frame)
        elif frame.kind == PROGRESS:
            call = worker.sent.get(frame.call)
            if call is not None and not call.is_over and call.options.on_progress is not None:
                self._errand(_pass_progress, call.ticket, call.options.on_progress, frame.body)
        elif frame.kind == ITEM:
            self._on_item(worker, frame)
        elif frame.kind == LOG:
            call = worker.sent.get(frame.call)
            self._errand(_pass_record, call, frame)
        elif frame.kind == READY:
            self._schedule.born(worker.number, now())
            self._arm(self._limits.idle_timeout)
        elif frame.kind == SKIPPED:
            worker.taken.pop(frame.call, None)
            worker.page.settle(frame.call)
            worker.sent.pop(frame.call, None)
            self._schedule.skipped(worker.number, frame.call, now())

    def _on_item(self, worker: _Worker, frame: Frame) -> None:
        call = worker.sent.get(frame.call)
        if call is not None and not call.is_over and isinstance(call.ticket, StreamTicket):
            self._errand(call.ticket.item, frame)
        else:
            _close_parcel(frame)

    def _on_end(self, worker: _Worker, frame: Frame) -> None:
        call = worker.sent.pop(frame.call, None)
        worker.taken.pop(frame.call, None)
        worker.page.settle(frame.call)
        if self._schedule.ended(worker.number, frame.call, now()):
            self._account.recycled += 1
        if call is None or call.is_over:
            _close_parcel(frame)
            return
        started, run, cpu, peak, size = REPORT.unpack(frame.meta)
        self._account.ran(call.name, wait=max(0.0, started - call.created), run=run, cpu=cpu, peak_rss=peak)
        self._account.of(call.name).result_bytes += size
        self._leave(call, "succeeded" if frame.kind == DONE else "failed")
        self._errand(self._hand_over, call, frame)

    def _hand_over(self, call: _Call, frame: Frame) -> None:
        """Unpack the outcome, here if it is small, else by the crew. Not under the lock: unpickling runs foreign code."""
        parcel = frame.parcel()
        if parcel is not None and parcel.pickle_length > SMALL:
            self._crew.do(lambda: self._unpack_apart(call, frame, parcel))
            return
        try:
            value = decode_large(_twin(parcel), refuse_missing_module) if parcel else decode_small(frame.body, refuse_missing_module)
        except MissingModuleError:
            self._crew.do(lambda: self._unpack_apart(call, frame, parcel))
            return
        except BaseException as error:  # noqa: BLE001 - unpickling runs the user's code, which may raise anything, SystemExit too
            call.ticket.fail(_cannot_unpack(call, error))
        else:
            _give(call, frame, value)
        if parcel is not None:
            parcel.close()

    def _unpack_apart(self, call: _Call, frame: Frame, parcel: Parcel | None) -> None:
        began = now()
        try:
            value = decode_large(parcel, pause=PAUSE) if parcel else decode_small(frame.body)
        except BaseException as error:  # noqa: BLE001 - as above
            call.ticket.fail(_cannot_unpack(call, error))
            return
        with self._lock:
            self._account.of(call.name).decode.add(now() - began)
        _give(call, frame, value)

    def _lose_touch(self, worker: _Worker) -> None:
        """The worker closed its socket: it is dead, and the fork server will say how."""
        self._drop_talk(worker)
        if worker.cradle is not self._cradle or worker.status is not None:
            self._bury(worker)
        elif self._home is not None:
            call_on(self._home, self._home.call_later, LAST_WORDS, self._bury_late, worker)

    def _bury_late(self, worker: _Worker) -> None:
        with self._lock:
            if self._workers.get(worker.number) is worker:
                self._kill(worker, "exit")
                self._bury(worker)
                self._act()
        self._run_errands()

    # ------------------------------------------------------------ what the fork server says

    def _on_control(self, cradle: Cradle, control: socket.socket) -> None:
        with self._lock:
            if cradle.control is not control:
                return
            try:
                for answer in cradle.answers():
                    worker = self._workers.get(answer.number)
                    if worker is None:
                        continue
                    if answer.what == BORN:
                        worker.pid = answer.pid
                    else:
                        worker.status = answer.status
                        worker.rss = max(worker.rss, answer.rss)
                        self._read_last_words(worker)
                        self._bury(worker)
            except ConnectionError:
                self._lose_cradle(cradle)
            self._act()
        self._run_errands()

    def _read_last_words(self, worker: _Worker) -> None:
        """What the worker sent before it died still counts."""
        while worker.talk is not None and self._can_read(worker.talk) and self._hear(worker):
            pass

    @staticmethod
    def _can_read(talk: socket.socket) -> bool:
        try:
            return bool(talk.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _lose_cradle(self, cradle: Cradle) -> None:
        """The fork server is gone: what it was to bear is lost; what it bore lives on until its socket closes."""
        if self._cradle is cradle:
            self._cradle = None
        self._drop_control(cradle)
        self._crew.do(cradle.wait)
        for worker in list(self._workers.values()):
            if worker.cradle is cradle and (worker.pid == 0 or worker.talk is None):
                self._drop_talk(worker)
                self._bury(worker)

    # ------------------------------------------------------------ death

    def _bury(self, worker: _Worker) -> None:
        if self._workers.pop(worker.number, None) is None:
            return
        began = worker.page.started
        casualties = self._schedule.died(worker.number, running=began if began in worker.sent else None)
        if casualties.lost is not None:
            self._lose(worker.sent[casualties.lost], worker)
        for number in casualties.given_up:
            self._lose(worker.sent[number], worker, note=" before the call began, for the third time")
        self._drop_talk(worker)
        worker.line.close()
        worker.page.close()
        worker.framer.close()
        for _, fd in worker.outgoing:
            if fd >= 0:
                os.close(fd)
        self._give_up_if_hopeless(f"worker processes die before they are ready (wait status {worker.status})")

    def _lose(self, call: _Call, worker: _Worker, note: str = "") -> None:
        if call.is_over:
            self._account.died(worker.cause or "exit")
            return
        error = death(call.name, cause=worker.cause, status=worker.status, rss=worker.rss, limit=self._limits.memory_limit, note=note)
        self._account.died(error.cause)
        self._leave(call, "died")
        self._errand(call.ticket.fail, error)

    def _mourn(self) -> None:
        """Workers that could not even be asked for."""
        stillborn, self._stillborn = self._stillborn, {}
        for number in stillborn:
            self._schedule.died(number, running=None)
        self._give_up_if_hopeless(next(iter(stillborn.values())))
        if self._schedule.waiting:
            self._arm(MEMORY_TICK)

    def _give_up_if_hopeless(self, why: str) -> None:
        for number in self._schedule.hopeless():
            call = self._calls[number]
            self._account.died("exit")
            self._leave(call, "died")
            self._errand(call.ticket.fail, WorkerDied(f"{call.name} was not run: {why}", cause="exit", task=call.name))

    # ------------------------------------------------------------ time

    def _arm(self, delay: float) -> None:
        """Have `_tick` called after *delay* seconds, or earlier."""
        at = now() + delay
        if at >= self._tick_at or self._home is None:
            return
        self._tick_at = at
        call_on(self._home, self._arm_here, self._home, delay)

    def _arm_here(self, home: asyncio.AbstractEventLoop, delay: float) -> None:
        if home is self._home:
            if self._tick_handle is not None:
                self._tick_handle.cancel()
            self._tick_handle = home.call_later(delay, self._tick, home)

    def _tick(self, home: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if home is not self._home:
                return
            self._tick_at, self._tick_handle = float("inf"), None
            moment = now()
            self._check_taken(moment)
            self._check_memory()
            for action in self._schedule.retire_idle(moment):
                self._retire(self._workers[action.worker])
            self._act()
            self._rest_or_tick_again(moment)
        self._run_errands()

    def _rest_or_tick_again(self, moment: float) -> None:
        idle_end = self._schedule.next_idle_end()
        if idle_end is not None:
            self._arm(max(0.001, idle_end - moment))
        elif self._workers:
            self._arm(max(MEMORY_TICK, self._limits.idle_timeout))
        elif self._cradle is not None and not self._calls:
            self._close_cradle()
        if self._limits.memory_limit is not None and self._schedule.busy:
            self._arm(MEMORY_TICK)
        if self._schedule.has_ahead() or any(worker.taken for worker in self._workers.values()):
            self._arm(AHEAD_TICK)
        if self._schedule.waiting and not self._workers:
            self._arm(MEMORY_TICK)

    def _check_taken(self, moment: float) -> None:
        for action in list(self._schedule.stale(moment, AHEAD_TICK)):
            self._take_back(action)
        for worker in list(self._workers.values()):
            for number, since in list(worker.taken.items()):
                if number not in worker.taken:
                    continue
                if worker.page.started == number:
                    # It had begun: a call that is wanted goes on, one that is not dies.
                    del worker.taken[number]
                    worker.page.settle(number)
                    self._schedule.begun(worker.number, number)
                    if worker.sent[number].is_over:
                        self._schedule.condemn(worker.number)
                        self._kill(worker, "cancelled")
                elif moment - since >= AHEAD_TICK / 2 and not self._has_ended(worker, number):
                    # Both sides write before they look, and this long ago: it will not begin. Its slot stays taken until the worker passes it.
                    del worker.taken[number]
                    worker.sent.pop(number, None)
                    self._schedule.moved(worker.number, number)

    def _has_ended(self, worker: _Worker, number: int) -> bool:
        """Whether a call that is not being run has been run: the worker reports the end before it unwrites the beginning, so the report is there to read."""
        self._read_last_words(worker)
        return number not in worker.taken

    def _check_memory(self) -> None:
        limit = self._limits.memory_limit
        if limit is None:
            return
        for worker in list(self._workers.values()):
            if worker.cause is not None:
                continue
            if worker.sent:
                if worker.read_rss() > limit:
                    self._schedule.condemn(worker.number)
                    self._kill(worker, "memory")
            elif worker.read_rss() > limit * GROWN and self._schedule.recycle(worker.number):
                self._account.recycled += 1

    # ------------------------------------------------------------ the end of the lane

    def _set_deadline(self, timeout: float) -> None:
        with self._lock:
            self._act()
            if self._home is not None and not (self._closed and self._closed.done()):
                self._home.call_later(timeout, self._kill_rest, timeout)
        self._run_errands()

    def _kill_rest(self, timeout: float) -> None:
        with self._lock:
            for call in list(self._calls.values()):
                worker = self._workers.get(self._schedule.holder(call.number) or 0)
                self._schedule.withdraw(call.number)
                self._leave(call, "cancelled")
                if worker is not None and worker.page.started == call.number:
                    worker.read_rss()
                    error: Exception = death(
                        call.name,
                        cause="cancelled",
                        status=None,
                        rss=worker.rss,
                        limit=None,
                        note=f", {timeout:g} s after the lane was closed",
                    )
                else:
                    error = LaneClosed(f"{call.name} was not run: lane {self.name!r} was closed, and its {timeout:g} s are over")
                self._errand(call.ticket.fail, error)
            for worker in list(self._workers.values()):
                self._schedule.condemn(worker.number)
                self._kill(worker, "cancelled")
            self._act()
            if self._home is not None and self._workers:
                self._home.call_later(LAST_WORDS, self._drop_cradle)
        self._run_errands()

    def _drop_cradle(self) -> None:
        """The fork server does not answer, busy with what it preloads perhaps: it is killed, and what it was to bear is lost."""
        with self._lock:
            if self._cradle is not None:
                self._lose_cradle(self._cradle)
            self._act()
        self._run_errands()

    def _wind_up(self) -> None:
        """While the lane closes: let idle workers go, and the fork server after the last of them."""
        if self._calls:
            return
        for action in self._schedule.retire_idle(now()):
            self._retire(self._workers[action.worker])
        if self._workers or self._closed is None or self._closed.done():
            return
        cradle, self._cradle = self._cradle, None
        if cradle is not None:
            self._drop_control(cradle)
        closed, self._closed = self._closed, concurrent.futures.Future()
        self._closed.set_result(None)
        self._crew.do(lambda: self._finish_closing(cradle, closed))

    def _finish_closing(self, cradle: Cradle | None, closed: "concurrent.futures.Future[None]") -> None:
        if cradle is not None:
            cradle.wait()
        home = self._home
        if home is not None and self._home_is_private:
            call_on(home, home.stop)
        closed.set_result(None)

    def _close_cradle(self) -> None:
        """Nobody has needed a worker for a while: the fork server goes too."""
        cradle, self._cradle = self._cradle, None
        if cradle is not None:
            self._drop_control(cradle)
            self._crew.do(cradle.wait)

    # ------------------------------------------------------------ errands: what must not happen under the lock

    def _errand(self, func: Callable[..., object], *args: object) -> None:
        self._due.append((func, args))

    def _run_errands(self) -> None:
        while self._due:
            with self._lock:
                due, self._due = self._due, []
            for at, (func, args) in enumerate(due):
                try:
                    func(*args)
                except Exception:  # noqa: BLE001 - a log handler, a progress callback: the outcomes of other calls are behind it
                    _log.exception("a callback of lane %r failed", self.name)
                except BaseException:
                    with self._lock:
                        self._due = due[at + 1 :] + self._due
                    raise

    # ------------------------------------------------------------ the home

    def _settle_home(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if self._home is loop and loop is not None:
            return
        if self._home is None:
            self._home = loop or private_loop(self.name)
            self._home_is_private = loop is None
        elif not self._home_is_private:
            self._move()

    def _move(self) -> None:
        """Move to a private loop, once and for good. Sockets get new descriptors, for the old loop lets go of the old ones when it comes to it."""
        old, new = self._home, private_loop(self.name)
        self._home, self._home_is_private = new, True
        for worker in self._workers.values():
            if worker.talk is not None:
                talk, worker.talk = worker.talk, worker.talk.dup()
                worker.talk.setblocking(False)
                _close_on(old, talk)
                self._watch(worker)
                if worker.outgoing:
                    self._watch_writing(worker, worker.talk)
        if self._cradle is not None:
            control, self._cradle.control = self._cradle.control, self._cradle.control.dup()
            self._cradle.control.setblocking(False)
            _close_on(old, control)
            self._watch_control(self._cradle)
        self._tick_at, self._tick_handle = float("inf"), None
        self._arm(AHEAD_TICK)

    def _watch(self, worker: _Worker) -> None:
        if self._home is not None and worker.talk is not None:
            call_on(self._home, self._watch_here, self._home, worker, worker.talk)

    def _watch_here(self, home: asyncio.AbstractEventLoop, worker: _Worker, talk: socket.socket) -> None:
        with self._lock:
            if worker.talk is talk and home is self._home:
                home.add_reader(talk.fileno(), self._on_talk, worker, talk)

    def _watch_writing(self, worker: _Worker, talk: socket.socket) -> None:
        if self._home is not None:
            call_on(self._home, self._watch_writing_here, self._home, worker, talk)

    def _watch_writing_here(self, home: asyncio.AbstractEventLoop, worker: _Worker, talk: socket.socket) -> None:
        with self._lock:
            if worker.talk is talk and home is self._home:
                home.add_writer(talk.fileno(), self._on_writable, home, worker, talk)

    def _on_writable(self, home: asyncio.AbstractEventLoop, worker: _Worker, talk: socket.socket) -> None:
        with self._lock:
            if worker.talk is not talk:
                return
            while worker.outgoing:
                data, fd = worker.outgoing.popleft()
                while fd < 0 and worker.outgoing and worker.outgoing[0][1] < 0 and len(data) < SMALL:
                    data += worker.outgoing.popleft()[0]
                sent = _send_some(talk, data, fd)
                if fd >= 0 and sent:
                    os.close(fd)
                    fd = -1
                if sent < len(data):
                    worker.outgoing.appendleft((data[sent:], fd))
                    home.add_writer(talk.fileno(), self._on_writable, home, worker, talk)
                    return
            home.remove_writer(talk.fileno())

    def _watch_control(self, cradle: Cradle) -> None:
        if self._home is not None:
            call_on(self._home, self._watch_control_here, self._home, cradle, cradle.control)

    def _watch_control_here(self, home: asyncio.AbstractEventLoop, cradle: Cradle, control: socket.socket) -> None:
        with self._lock:
            if cradle.control is control and control.fileno() >= 0 and home is self._home:
                home.add_reader(control.fileno(), self._on_control, cradle, control)

    def _drop_talk(self, worker: _Worker) -> None:
        talk, worker.talk = worker.talk, None
        if talk is not None:
            _close_on(self._home, talk)

    def _drop_control(self, cradle: Cradle) -> None:
        # The fork server sees the end of the control socket only when every copy of it is closed.
        cradle.close_line()
        _close_on(self._home, cradle.control)

    def _is_waiting(self, call: _Call) -> bool:
        holder = self._schedule.holder(call.number)
        return holder is None or self._schedule.runs(holder) != call.number


def _cancel_timer(timer: asyncio.TimerHandle, _: object) -> None:
    timer.cancel()


def _close_on(loop: asyncio.AbstractEventLoop | None, sock: socket.socket) -> None:
    """Close a socket that *loop* watches; a loop must let go of a descriptor before it is closed."""
    if loop is None or loop.is_closed():
        sock.close()
    else:
        call_on(loop, _close_watched, loop, sock)


def _close_watched(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        loop.remove_reader(sock.fileno())
        loop.remove_writer(sock.fileno())
        sock.close()


def _send_some(talk: socket.socket, data: bytes, fd: int) -> int:
    """How many bytes the socket took; all of them if the other side is gone, whose death is noticed elsewhere."""
    try:
        return socket.send_fds(talk, [data], [fd]) if fd >= 0 else talk.send(data)
    except BlockingIOError:
        return 0
    except ConnectionError:
        return len(data)


def _close_parcel(frame: Frame) -> None:
    parcel = frame.parcel()
    if parcel is not None:
        parcel.close()


def _refusing(options: CallOptions) -> CallOptions:
    return CallOptions(
        timeout=options.timeout, admission_timeout=0, priority=options.priority, name=options.name, on_progress=options.on_progress
    )


def _twin(parcel: Parcel) -> Parcel:
    return Parcel(os.dup(parcel.fd), parcel.pickle_length, parcel.length)


def _timeout(call: _Call, killed: WorkerDied | None) -> TaskTimeout:
    where = "while it ran" if killed else "before it began"
    error = TaskTimeout(f"{call.name} did not end within {call.options.timeout:g} s: its time was up {where}")
    error.__cause__ = killed
    return error


def _cannot_unpack(call: _Call, error: BaseException) -> ResultNotPicklable:
    refusal = ResultNotPicklable(f"the result of {call.name} cannot be unpacked here ({type(error).__name__}: {error})")
    refusal.__cause__ = error
    return refusal


def _give(call: _Call, frame: Frame, value: Any) -> None:
    if frame.kind == DONE:
        call.ticket.succeed(value)
    else:
        call.ticket.fail(unpack_failure(value))


def _pass_progress(ticket: LoopTicket | ThreadTicket, report: Callable[[float, float, str], None], body: bytes) -> None:
    ticket.call(report, *pickle.loads(body))  # noqa: S301 - from our own worker


def _pass_record(call: _Call | None, frame: Frame) -> None:
    """Put a worker's log record where this process's logging puts its own, in the context of the call."""
    parcel = frame.parcel()
    fields = decode_large(parcel) if parcel else decode_small(frame.body)
    record = logging.makeLogRecord(fields)
    record.levelpool_task = call.name if call else ""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        if call is None:
            logger.handle(record)
        else:
            call.context.copy().run(logger.handle, record)


def _forget_all() -> None:
    for lane in list(_lanes):
        lane.forget()


os.register_at_fork(after_in_child=_forget_all)
