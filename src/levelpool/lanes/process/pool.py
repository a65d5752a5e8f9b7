"""
The process lane: calls on their way through worker processes, and what becomes of them.

Everything here happens under one lock, in short steps that never block, mostly as callbacks of the event loop that the lane lives on (see `home`).
What runs foreign code (pickling, callbacks of futures, log handlers) happens outside of the lock, from a list of due errands.
How calls come in stands in `doors`, how they become bytes in `packing`; the lives of workers in `staff`.
"""

import concurrent.futures
import functools

from levelpool.errors import LaneClosed, WorkerDied
from levelpool.lanes.lane import now
from levelpool.lanes.process import wire
from levelpool.lanes.process.birth import Cradle, death
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.delivery import pass_progress, pass_record
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.packing import Packing, timed_out
from levelpool.lanes.process.parcel import Parcel
from levelpool.lanes.process.schedule import Kill, TakeBack
from levelpool.lanes.process.staff import AHEAD_TICK, LAST_WORDS, MEMORY_TICK, Staff
from levelpool.lanes.process.suspects import Suspects
from levelpool.lanes.process.wire import CREDIT, DONE, REPORT, STOP, TASK, Frame, pack
from levelpool.lanes.stream import StreamTicket
from levelpool.lanes.tickets import running_loop

QUICK = 0.0008
"""A task name whose calls usually take less than this many seconds may be sent ahead."""


class ProcessLane(Staff, Packing):
    """Runs calls in worker processes: bounded, killable, limited in memory, replaced when they die. Cancelling a call kills the worker under it."""

    queue_setting = "LEVELPOOL_CPU_QUEUE_LIMIT"

    def _reset(self) -> None:
        super()._reset()
        self._open_packing(self._limits.carry)
        self._suspects = Suspects(self._limits.max_kills)
        self._is_wound_up = False

    # ------------------------------------------------------------ the doors

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

    # ------------------------------------------------------------ the entrance

    def _look_at(self, payload: Parcel) -> None:
        if self._suspects.is_watching and self._resembles_a_suspect(payload):
            payload.take_digest()

    def _resembles_a_suspect(self, parcel: Parcel) -> bool:
        with self._lock:
            return self._suspects.resembles(parcel)

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
                self._act()
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

    # ------------------------------------------------------------ the end of a call

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
                self._tell(call, timed_out(call, killed))
            self._act()
        self._errands.run()

    # ------------------------------------------------------------ streams

    def _grant(self, call: Call) -> None:
        """The reader has taken an item: the worker may make one more."""
        with self._lock:
            holder = self._schedule.holder(call.number)
            if holder is not None and not call.is_over:
                self._links[holder].send(pack(CREDIT, call.number))

    # ------------------------------------------------------------ the way to a worker and back

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

    # ------------------------------------------------------------ death

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
        self._home.leave()
        closed.set_result(None)
