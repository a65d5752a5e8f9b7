"""
The process lane: the lane's side of its worker processes.

Everything here happens under one lock, in short steps that never block, mostly as callbacks of the event loop that the lane lives on (see `home`).
What runs foreign code (pickling, callbacks of futures, log handlers) happens outside of the lock, from a list of due errands.
Who runs what is decided in `schedule`; how bytes travel stands in `wire`; how processes come and go in `birth`.
"""

import asyncio
import concurrent.futures
import contextvars
import functools
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from levelpool.errors import LaneClosed, LevelpoolError, TaskNotPicklable, TaskTimeout, WorkerDied
from levelpool.lanes.alarm import Alarm
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.crew import Crew
from levelpool.lanes.doors import Doors
from levelpool.lanes.errands import Errands
from levelpool.lanes.home import Home, call_on
from levelpool.lanes.lane import CallOptions, now, task_name
from levelpool.lanes.process import wire
from levelpool.lanes.process.birth import Cradle, death
from levelpool.lanes.process.call import Call, Packer, pack_large, pack_small
from levelpool.lanes.process.culprits import task_not_picklable
from levelpool.lanes.process.delivery import Delivery, pass_progress, pass_record
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.nursery import Nursery
from levelpool.lanes.process.parcel import HEAVY, Parcel
from levelpool.lanes.process.schedule import Gate, Kill, Retire, Schedule, Send, Start, TakeBack
from levelpool.lanes.process.suspects import Suspects
from levelpool.lanes.process.wire import BORN, CREDIT, DONE, FAILED, REPORT, STOP, TASK, Frame, pack
from levelpool.lanes.process.witness import WorkerStack, stack_in
from levelpool.lanes.spans import Tracing
from levelpool.lanes.stream import Stream, StreamTicket
from levelpool.lanes.tickets import LoopTicket, ThreadTicket, running_loop

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
    bulkheads: Mapping[str, Bulkhead] = field(default_factory=dict)
    max_kills: int | None = None
    """A call that has killed so many workers with the same arguments is refused for a while."""
    gate: Gate | None = None
    """Shared with the lanes of other processes; None: this lane is alone."""


class ProcessLane(Doors[Call]):
    """Runs calls in worker processes: bounded, killable, limited in memory, replaced when they die. Cancelling a call kills the worker under it."""

    queue_setting = "LEVELPOOL_CPU_QUEUE_LIMIT"

    def __init__(self, name: str, workers: int, limits: ProcessLimits) -> None:
        self.name = name
        self._limits = limits
        self._workers_wanted = workers
        self._reset()

    def _reset(self) -> None:
        """The state of a lane that was never used."""
        limits = self._limits
        self._open_doors(limits.queue_limit, self._workers_wanted, limits.bulkheads)
        self._home = Home(self.name)
        self._errands = Errands(self.name, self._home)
        self._schedule = Schedule(
            self._workers_wanted,
            max_tasks=limits.max_tasks,
            idle_timeout=limits.idle_timeout,
            gate=limits.gate,
            bulkheads={name: each.workers for name, each in limits.bulkheads.items()},
        )
        self._suspects = Suspects(limits.max_kills)
        self._crew = Crew(f"{self.name}-chores", 2)
        self._alarm = Alarm(self._home, self._tick)
        self._nursery = Nursery(
            self._home,
            self._crew,
            preload=limits.preload,
            environment=limits.environment,
            max_result_bytes=limits.max_result_bytes,
            idle_timeout=limits.idle_timeout,
            listener=self._on_control,
        )
        self._packer = Packer(limits.carry)
        self._tracing = Tracing()
        self._delivery = Delivery(self._crew, book=self._book_decoding)
        self._links: dict[int, Link] = {}
        self._stillborn: dict[int, str] = {}
        self._is_wound_up = False

    # ------------------------------------------------------------ the doors

    def stream(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Stream[Any]:
        """Run a generator function in a worker and return its items as they come."""
        loop = asyncio.get_running_loop()
        ticket = StreamTicket(loop)
        call = self._open(ticket, func, args, kwargs, options)
        self._set_timers(call, loop, ticket)
        return Stream(ticket, unpack=self._delivery.item, ask_for_more=lambda: self._grant(call), cancel=lambda: self._cancel(call))

    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that live now."""
        with self._lock:
            return tuple(link.pid for link in self._links.values() if link.pid)

    def ask_for_stacks(self) -> None:
        """Have every worker that runs a call write down what it does."""
        with self._lock:
            for link in self._links.values():
                if link.page.started and link.cradle.is_open:
                    link.ask_for_stack()

    def stacks(self) -> tuple[WorkerStack, ...]:
        """What the workers that run a call have answered."""
        with self._lock:
            answers = [
                (link.pid, call.name, now() - self._schedule.since(link.number), link.witness.read())
                for link in self._links.values()
                if (call := link.sent.get(link.page.started)) is not None
            ]
        return tuple(WorkerStack(pid=pid, task=task, seconds=seconds, stack=stack_in(text)) for pid, task, seconds, text in answers)

    def resize(self, workers: int) -> None:
        """Allow this many workers from now on; those that are too many end with their present call."""
        with self._lock:
            self._workers_wanted = workers
            self._schedule.max_workers = workers
            if self._limits.gate is not None:
                self._limits.gate.resize(workers)
            self._entrances.common.seats = workers
            self._admit()
            self._act()
        self._errands.run()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, finish the admitted ones, kill what is left after *timeout* seconds."""
        with self._lock:
            closed = self._close_doors()
            self._schedule.retire_all = True
            if self._home.loop is None:
                if not closed.done():
                    closed.set_result(None)
            elif not closed.done():
                # A loop that does not run now may never run again. And this may be called by the garbage collector, in the middle of anything:
                # the loop does the rest.
                self._settle(running_loop())
                self._home.loop.call_soon_threadsafe(self._set_deadline, timeout)
        self._errands.run()
        return closed

    def live_apart(self) -> None:
        """Move to a private loop, if the lane is not there yet: whoever blocks a thread must not block the lane."""
        with self._lock:
            if self._closed is None or not self._closed.done():
                self._settle(None)

    def abandon(self) -> None:
        """Kill everything now, without a loop's help; at interpreter exit."""
        with self._lock:
            links = list(self._links.values())
            if self._closed is None:
                self._closed = concurrent.futures.Future()
        for link in links:
            link.cause = link.cause or "cancelled"
            link.line.close()
        self._nursery.abandon()

    def forget(self) -> None:
        """Start anew in a forked child: workers, loop and calls belong to the parent."""
        for link in list(self._links.values()):
            link.forget()
        self._nursery.forget()
        self._reset()

    # ------------------------------------------------------------ the entrance

    def _open(
        self,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> Call:
        name, loop = options.name or task_name(func), ticket.loop
        span = self._tracing.begin(name)
        try:
            with self._lock:
                self._check_open()
                entrance = self._entrances.of(options.bulkhead)
                if self._home.loop is not loop or loop is None:
                    self._settle(loop)
                self._numbers += 1
                account = self._account.of(name)
                call = Call(
                    self._numbers, ticket, func, args, kwargs, options=options, name=name, account=account, entrance=entrance, span=span
                )
                self._account.submitted += 1
                if not entrance.has_place(options.priority):
                    self._wait_outside(call)
                    return call
                self._calls[call.number] = call
                entrance.inside += 1
        except LevelpoolError:
            if span is not None:
                span.end("refused")
            raise
        self._pack(call)
        return call

    def _bring_in(self, call: Call) -> None:
        self._errands.add(self._pack, call)

    def _tell(self, call: Call, error: BaseException) -> None:
        self._errands.add(call.ticket.fail, error)

    def _run_errands(self) -> None:
        self._errands.run()

    def _pack(self, call: Call) -> None:
        """Turn the call into bytes: here if they are few, by the crew if they are many. Not under the lock: pickling runs foreign code."""
        if call.is_over:
            return
        try:
            skipped = self._packer.address(call)
            payload = pack_small(call)
        except BaseException as error:  # pickling runs the user's code, which may raise anything, SystemExit too
            self._cannot_pack(call, error)
            if isinstance(error, KeyboardInterrupt):
                raise
            return
        if payload is None:
            self._crew.do(lambda: self._pack_large(call, skipped))
        else:
            self._arrive(call, payload, skipped)

    def _pack_large(self, call: Call, skipped: int) -> None:
        try:
            payload = pack_large(call)
            if self._suspects.is_watching and self._resembles_a_suspect(payload):
                payload.take_digest()
        except BaseException as error:  # noqa: BLE001 - as above
            self._cannot_pack(call, error)
        else:
            self._arrive(call, payload, skipped)

    def _resembles_a_suspect(self, parcel: Parcel) -> bool:
        with self._lock:
            return self._suspects.resembles(parcel)

    def _cannot_pack(self, call: Call, error: BaseException) -> None:
        if isinstance(error, TaskNotPicklable):
            self._turn_away(call, error)
        elif isinstance(error, KeyboardInterrupt):
            self._turn_away(call, TaskNotPicklable(f"{call.name} was not sent: Ctrl-C came while it was pickled"))
        else:
            # Looking for the part that cannot travel may take long.
            self._crew.do(lambda: self._name_culprit(call, error))

    def _name_culprit(self, call: Call, error: BaseException) -> None:
        func = call.func
        if func is None:
            # It ended meanwhile, and has let go of what it was.
            return
        try:
            refusal = task_not_picklable(func, call.args, call.kwargs, error)
        except BaseException as broken:  # noqa: BLE001 - looking for it runs the user's code too
            # Not even in their own words, which may fail as well.
            why, also = type(error).__name__, type(broken).__name__
            refusal = TaskNotPicklable(
                f"{call.name} cannot travel to a worker process ({why}), and what of it cannot, nobody can say ({also})"
            )
        refusal.__cause__ = error
        self._turn_away(call, refusal)

    def _turn_away(self, call: Call, error: BaseException) -> None:
        with self._lock:
            if not call.is_over:
                self._leave(call, "failed")
                self._tell(call, error)
        self._errands.run()

    def _arrive(self, call: Call, payload: bytes | Parcel, skipped: int) -> None:
        with self._lock:
            if call.is_over:
                self._release(payload)
                return
            call.payload = payload
            call.func, call.args, call.kwargs = None, (), {}
            self._account.skipped_context += skipped
            task = call.account
            task.payload_bytes += len(payload) if isinstance(payload, bytes) else payload.length
            if self._suspects.is_watching and self._is_refused(call, payload):
                self._leave(call, "refused")
            else:
                quick = isinstance(payload, bytes) and 0.0 < task.usual_run < QUICK and not isinstance(call.ticket, StreamTicket)
                options = call.options
                worker = self._schedule.arrive(call.number, now(), priority=options.priority, quick=quick, bulkhead=options.bulkhead)
                if worker is not None:
                    self._send_call(worker, call)
                else:
                    self._act()
        self._errands.run()

    def _is_refused(self, call: Call, payload: bytes | Parcel) -> bool:
        refusal = self._suspects.refusal(call.name, call.reference, payload, now())
        if refusal is not None:
            self._tell(call, refusal)
        return refusal is not None

    def _release(self, payload: bytes | Parcel | None) -> None:
        """Let go of what was sent. The last one to close a large memory file pays for it, and that must not be a loop."""
        if isinstance(payload, Parcel):
            if payload.length >= HEAVY:
                self._crew.do(payload.close)
            else:
                payload.close()

    # ------------------------------------------------------------ the end of a call

    def _finish(self, call: Call, outcome: str) -> None:
        call.is_over = True
        call.func, call.args, call.kwargs = None, (), {}
        payload, call.payload = call.payload, None
        if payload:
            self._release(payload)
        self._calls.pop(call.number, None)
        self._account.ended(call.account, outcome)
        if call.span is not None:
            self._errands.add(call.span.end, outcome)

    def _cancel(self, call: Call) -> None:
        self._withdraw(call, "cancelled", "cancelled")

    def _expire(self, call: Call) -> None:
        self._withdraw(call, "timed_out", "deadline")

    def _withdraw(self, call: Call, outcome: str, cause: str) -> None:
        with self._lock:
            if call.is_over:
                return
            killed: WorkerDied | None = None
            if call.entrance.leave_outside(call):
                self._finish(call, outcome)
            else:
                action = self._schedule.withdraw(call.number)
                self._leave(call, outcome)
                if isinstance(action, Kill):
                    link = self._links[action.worker]
                    link.kill(cause)
                    killed = death(call.name, cause=cause, status=None, rss=link.rss, limit=self._limits.memory_limit)
                elif isinstance(action, TakeBack):
                    self._take_back(action)
            if outcome == "timed_out":
                self._tell(call, _timeout(call, killed))
            self._act()
        self._errands.run()

    # ------------------------------------------------------------ streams

    def _grant(self, call: Call) -> None:
        """The reader has taken an item: the worker may make one more."""
        with self._lock:
            holder = self._schedule.holder(call.number)
            if holder is not None and not call.is_over:
                self._links[holder].send(pack(CREDIT, call.number))

    # ------------------------------------------------------------ actions

    def _act(self) -> None:
        """Do what the schedule says."""
        for action in self._schedule.decide(now()):
            match action:
                case Send():
                    self._send_call(action.worker, self._calls[action.call])
                case Start():
                    self._start(action.worker)
                case Retire():
                    self._links[action.worker].send(pack(STOP))
        if self._schedule.held_up:
            self._alarm.set(GATE_TICK)
        if self._stillborn:
            self._mourn()
        if self._closed is not None:
            self._wind_up()

    def _send_call(self, worker: int, call: Call) -> None:
        link = self._links[worker]
        if call.payload is None or not call.ticket.start():
            self._schedule.ended(worker, call.number, now())
            if not call.is_over:
                self._leave(call, "cancelled")
            return
        link.sent[call.number] = call
        frame = pack(TASK, call.number, call.wishes, call.payload, call.reference)
        is_ahead = len(link.sent) > 1
        if isinstance(call.payload, Parcel):
            link.send(frame, call.payload.fd)
        elif is_ahead:
            link.send_soon(frame)
        else:
            link.send(frame)
        if is_ahead:
            self._alarm.set(AHEAD_TICK)
        elif self._limits.memory_limit is not None:
            self._alarm.set(MEMORY_TICK)

    def _start(self, number: int) -> None:
        try:
            self._links[number] = self._ask_for_worker(number)
        except OSError as error:
            self._stillborn[number] = f"no worker process can be started: {error}"

    def _ask_for_worker(self, number: int) -> Link:
        cradle = self._nursery.cradle()
        try:
            return Link(number, cradle, lock=self._lock, home=self._home, listener=self._on_talk)
        except ConnectionError:
            # It has gone, and there was no loop to hear of it.
            self._lose_cradle(cradle)
            return Link(number, self._nursery.cradle(), lock=self._lock, home=self._home, listener=self._on_talk)

    def _take_back(self, action: TakeBack) -> None:
        link = self._links[action.worker]
        link.page.take_back(action.call)
        link.taken[action.call] = now()
        self._alarm.set(AHEAD_TICK)

    # ------------------------------------------------------------ what workers say

    def _on_talk(self, link: Link, talk: socket.socket) -> None:
        with self._lock:
            if link.talk is not talk:
                return
            if not self._hear(link):
                self._lose_touch(link)
            self._act()
        self._errands.run()

    def _hear(self, link: Link) -> bool:
        """Hear once; False when the worker has closed its end."""
        frames = link.hear()
        if frames is None:
            return False
        for frame in frames:
            if frame.kind == DONE or frame.kind == FAILED:  # noqa: PLR1714 - a set would be built each time
                self._on_end(link, frame)
            else:
                self._on_word(link, frame)
        return True

    def _on_word(self, link: Link, frame: Frame) -> None:
        call = link.sent.get(frame.call)
        match frame.kind:
            case wire.PROGRESS:
                if call is not None and not call.is_over and call.options.on_progress is not None:
                    self._errands.add(pass_progress, call.ticket, call.options.on_progress, frame.body)
            case wire.ITEM:
                self._on_item(call, frame)
            case wire.LOG:
                self._errands.add(pass_record, call, frame)
            case wire.READY:
                self._schedule.born(link.number, now())
                self._alarm.set(self._limits.idle_timeout)
            case wire.SKIPPED:
                link.taken.pop(frame.call, None)
                link.page.settle(frame.call)
                link.sent.pop(frame.call, None)
                self._schedule.skipped(link.number, frame.call, now())

    def _on_item(self, call: Call | None, frame: Frame) -> None:
        if call is not None and not call.is_over and isinstance(call.ticket, StreamTicket):
            call.ticket.item(frame)
        else:
            self._release(frame.parcel)

    def _on_end(self, link: Link, frame: Frame) -> None:
        call = link.sent.pop(frame.call, None)
        if link.taken:
            link.taken.pop(frame.call, None)
            link.page.settle(frame.call)
        if self._schedule.ended(link.number, frame.call, now()):
            self._account.recycled += 1
        if call is None or call.is_over:
            self._release(frame.parcel)
            return
        started, run, cpu, peak, size = REPORT.unpack(frame.meta)
        wait = started - call.created
        self._account.ran(call.account, (max(0.0, wait), run, cpu, peak, size))
        if self._suspects.is_watching and call.payload is not None:
            self._suspects.survived(call.reference, call.payload)
        if call.span is not None:
            self._errands.add(functools.partial(call.span.ran, wait=wait, run=run, worker=link.pid))
        self._leave(call, "succeeded" if frame.kind == DONE else "failed")
        self._errands.add(self._delivery.outcome, call, frame)

    def _book_decoding(self, call: Call, seconds: float) -> None:
        with self._lock:
            call.account.decode.add(seconds)

    def _lose_touch(self, link: Link) -> None:
        """The worker closed its socket: it is dead, and the fork server will say how."""
        link.hang_up()
        if link.status is not None or not self._nursery.is_home_of(link.cradle):
            self._bury(link)
        else:
            self._home.later(LAST_WORDS, self._bury_late, link)

    def _bury_late(self, link: Link) -> None:
        with self._lock:
            if self._links.get(link.number) is link:
                link.kill("exit")
                self._bury(link)
                self._act()
        self._errands.run()

    # ------------------------------------------------------------ what the fork server says

    def _on_control(self, cradle: Cradle, control: socket.socket) -> None:
        with self._lock:
            answers, is_there = self._nursery.hear(cradle, control)
            for answer in answers:
                link = self._links.get(answer.number)
                if link is None:
                    continue
                if answer.what == BORN:
                    link.pid = answer.pid
                else:
                    link.status = answer.status
                    link.rss = max(link.rss, answer.rss)
                    self._read_last_words(link)
                    self._bury(link)
            if not is_there:
                self._lose_cradle(cradle)
            self._act()
        self._errands.run()

    def _read_last_words(self, link: Link) -> None:
        """What the worker sent before it died still counts."""
        while link.has_word() and self._hear(link):
            pass

    def _lose_cradle(self, cradle: Cradle) -> None:
        """The fork server is gone: what it was to bear is lost; what it bore lives on until its socket closes."""
        self._nursery.lose(cradle)
        for link in list(self._links.values()):
            if link.cradle is cradle and (link.pid == 0 or link.talk is None):
                self._bury(link)

    # ------------------------------------------------------------ death

    def _bury(self, link: Link) -> None:
        if self._links.pop(link.number, None) is None:
            return
        began = link.page.started
        if link.cause == "descriptors":
            self._lose_all(link)
            began = 0
        casualties = self._schedule.died(link.number, running=began if began in link.sent else None)
        if casualties.lost is not None:
            self._lose(link.sent[casualties.lost], link)
        for number in casualties.given_up:
            self._lose(link.sent[number], link, note=" before the call began, for the third time")
        link.close()
        self._give_up_if_hopeless(f"worker processes die before they are ready (wait status {link.status})")

    def _lose_all(self, link: Link) -> None:
        """What the worker said last is lost, and which of its calls had ended nobody knows: none of them must run twice."""
        for number, call in link.sent.items():
            self._schedule.withdraw(number)
            self._lose(call, link)

    def _lose(self, call: Call, link: Link, note: str = "") -> None:
        if call.is_over:
            self._account.died(link.cause or "exit")
            return
        error = death(call.name, cause=link.cause, status=link.status, rss=link.rss, limit=self._limits.memory_limit, note=note)
        self._account.died(error.cause)
        if self._suspects.is_watching and isinstance(call.payload, Parcel) and call.payload.digest is None:
            # Its caller hears of it when it is written down: whoever tries again at once is judged already.
            parcel, call.payload = call.payload, None
            self._crew.do(lambda: self._digest_and_tell(call, parcel, error))
        else:
            self._tell_death(call, call.payload, error)

    def _digest_and_tell(self, call: Call, parcel: Parcel, error: WorkerDied) -> None:
        try:
            parcel.take_digest()
        finally:
            with self._lock:
                self._tell_death(call, parcel, error)
                self._act()
            self._errands.run()
            parcel.close()

    def _tell_death(self, call: Call, payload: bytes | Parcel | None, error: WorkerDied) -> None:
        if payload is not None:
            self._suspects.killed(call.reference, payload, now())
        if not call.is_over:
            self._leave(call, "died")
            self._tell(call, error)

    def _mourn(self) -> None:
        """Workers that could not even be asked for."""
        stillborn, self._stillborn = self._stillborn, {}
        for number in stillborn:
            self._schedule.died(number, running=None)
        self._give_up_if_hopeless(next(iter(stillborn.values())))
        if self._schedule.waiting:
            self._alarm.set(MEMORY_TICK)

    def _give_up_if_hopeless(self, why: str) -> None:
        for number in self._schedule.hopeless():
            call = self._calls[number]
            self._account.died("exit")
            self._leave(call, "died")
            self._tell(call, WorkerDied(f"{call.name} was not run: {why}", cause="exit", task=call.name))

    # ------------------------------------------------------------ time

    def _tick(self) -> None:
        with self._lock:
            self._alarm.reset()
            moment = now()
            self._check_taken(moment)
            self._check_memory()
            for action in self._schedule.retire_idle(moment):
                self._links[action.worker].send(pack(STOP))
            self._act()
            self._rest_or_tick_again(moment)
        self._errands.run()

    def _rest_or_tick_again(self, moment: float) -> None:
        idle_end = self._schedule.next_idle_end()
        if idle_end is not None:
            self._alarm.set(max(0.001, idle_end - moment))
        elif self._links:
            self._alarm.set(max(MEMORY_TICK, self._limits.idle_timeout))
        elif not self._calls:
            # Nobody has needed a worker for a while: the fork server goes too.
            cradle = self._nursery.close()
            if cradle is not None:
                self._crew.do(cradle.wait)
        if self._limits.memory_limit is not None and self._schedule.busy:
            self._alarm.set(MEMORY_TICK)
        if self._schedule.has_ahead() or any(link.taken for link in self._links.values()):
            self._alarm.set(AHEAD_TICK)
        if self._schedule.waiting and not self._links:
            self._alarm.set(MEMORY_TICK)

    def _check_taken(self, moment: float) -> None:
        for action in list(self._schedule.stale(moment, AHEAD_TICK)):
            self._take_back(action)
        for link in list(self._links.values()):
            for number, since in list(link.taken.items()):
                if number not in link.taken:
                    continue
                if link.page.started == number:
                    self._leave_begun(link, number)
                elif moment - since >= AHEAD_TICK / 2 and not self._has_ended(link, number):
                    # Both sides write before they look, and this long ago: it will not begin. Its slot stays taken until the worker passes it.
                    del link.taken[number]
                    link.sent.pop(number, None)
                    self._schedule.moved(link.number, number)

    def _leave_begun(self, link: Link, number: int) -> None:
        """It had begun before it was taken back: a call that is wanted goes on, one that is not dies."""
        del link.taken[number]
        link.page.settle(number)
        self._schedule.begun(link.number, number)
        if link.sent[number].is_over:
            self._schedule.condemn(link.number)
            link.kill("cancelled")

    def _has_ended(self, link: Link, number: int) -> bool:
        """Whether a call that is not being run has been run: the worker reports the end before it unwrites the beginning, so the report is there to read."""
        self._read_last_words(link)
        return number not in link.taken

    def _check_memory(self) -> None:
        limit = self._limits.memory_limit
        if limit is None:
            return
        for link in list(self._links.values()):
            if link.cause is not None:
                continue
            if link.sent:
                if link.read_rss() > limit:
                    self._schedule.condemn(link.number)
                    link.kill("memory")
            elif link.read_rss() > limit * GROWN and self._schedule.recycle(link.number):
                self._account.recycled += 1

    # ------------------------------------------------------------ the end of the lane

    def _set_deadline(self, timeout: float) -> None:
        with self._lock:
            self._act()
            if not (self._closed and self._closed.done()):
                self._home.later(timeout, self._kill_rest, timeout)
        self._errands.run()

    def _kill_rest(self, timeout: float) -> None:
        with self._lock:
            for call in list(self._calls.values()):
                link = self._links.get(self._schedule.holder(call.number) or 0)
                self._schedule.withdraw(call.number)
                self._leave(call, "cancelled")
                if link is not None and link.page.started == call.number:
                    link.read_rss()
                    error: Exception = death(
                        call.name,
                        cause="cancelled",
                        status=None,
                        rss=link.rss,
                        limit=None,
                        note=f", {timeout:g} s after the lane was closed",
                    )
                else:
                    error = LaneClosed(f"{call.name} was not run: lane {self.name!r} was closed, and its {timeout:g} s are over")
                self._tell(call, error)
            for link in list(self._links.values()):
                self._schedule.condemn(link.number)
                link.kill("cancelled")
            self._act()
            if self._links:
                self._home.later(LAST_WORDS, self._drop_cradle)
        self._errands.run()

    def _drop_cradle(self) -> None:
        """The fork server does not answer, busy with what it preloads perhaps: it is killed, and what it was to bear is lost."""
        with self._lock:
            if not self._nursery.is_empty:
                self._lose_cradle(self._nursery.cradle())
            self._act()
        self._errands.run()

    def _wind_up(self) -> None:
        """While the lane closes: let idle workers go, and the fork server after the last of them."""
        if self._calls:
            return
        for action in self._schedule.retire_idle(now()):
            self._links[action.worker].send(pack(STOP))
        if self._links or self._closed is None or self._is_wound_up:
            return
        self._is_wound_up = True
        cradle, closed = self._nursery.close(), self._closed
        self._crew.do(lambda: self._finish_closing(cradle, closed))

    def _finish_closing(self, cradle: Cradle | None, closed: "concurrent.futures.Future[None]") -> None:
        if cradle is not None:
            cradle.wait()
        loop = self._home.loop
        if loop is not None and self._home.is_private:
            call_on(loop, loop.stop)
        closed.set_result(None)

    # ------------------------------------------------------------ the home

    def _settle(self, user: asyncio.AbstractEventLoop | None) -> None:
        """Live where *user* (None: somebody without a loop) can use the lane."""
        left = self._home.settle(user)
        if left is None:
            return
        for link in self._links.values():
            link.move(left)
        self._nursery.move(left)
        self._alarm.reset()
        self._alarm.set(AHEAD_TICK)

    def _is_waiting(self, call: Call) -> bool:
        holder = self._schedule.holder(call.number)
        return holder is None or self._schedule.runs(holder) != call.number

    def _count(self) -> tuple[int, int]:
        return len(self._links), self._schedule.busy


def _timeout(call: Call, killed: WorkerDied | None) -> TaskTimeout:
    where = "while it ran" if killed else "before it began"
    error = TaskTimeout(f"{call.name} did not end within {call.options.timeout:g} s: its time was up {where}")
    error.__cause__ = killed
    return error
