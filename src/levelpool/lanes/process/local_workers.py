"""
The process lane: calls on their way through worker processes, and what becomes of them.

Everything here happens under one lock, in short steps that never block, mostly as callbacks of the event loop that the lane lives on (see `lane_loop`).
What runs foreign code (pickling, callbacks of futures, log handlers) happens outside of the lock, from a list of deferred callbacks.
How calls are admitted stands in `dispatcher`, how they become bytes in `packing`; the lives of workers in `supervisor`.
"""

import concurrent.futures
import functools

from levelpool.errors import LaneClosed, WorkerDied
from levelpool.lanes.completions import running_loop
from levelpool.lanes.lane import now
from levelpool.lanes.process import wire
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.decoding import pass_progress, pass_record
from levelpool.lanes.process.fork_server_client import ForkServerClient, death
from levelpool.lanes.process.link import Link
from levelpool.lanes.process.memfd_payload import MemfdPayload
from levelpool.lanes.process.packing import Packing, timed_out
from levelpool.lanes.process.poison_tasks import PoisonTasks
from levelpool.lanes.process.supervisor import AHEAD_TICK, DEATH_NOTICE_TIMEOUT, MEMORY_TICK, Supervisor
from levelpool.lanes.process.wire import CREDIT, DONE, REPORT, STOP, TASK, Frame, pack
from levelpool.lanes.schedule import Kill, TakeBack
from levelpool.lanes.stream import StreamCompletion

QUICK = 0.0008
"""A task name whose calls usually take less than this many seconds may be sent ahead."""


class ProcessLane(Supervisor, Packing):
    """Runs calls in worker processes: bounded, killable, limited in memory, replaced when they die. Cancelling a call kills the worker under it."""

    queue_setting = "LEVELPOOL_CPU_QUEUE_LIMIT"

    def _reset(self) -> None:
        super()._reset()
        self._open_packing(self._limits.carry)
        self._poison_tasks = PoisonTasks(self._limits.max_kills)
        self._is_wound_up = False

    # ------------------------------------------------------------ size and end

    def resize(self, workers: int) -> None:
        """Allow this many workers from now on; those that are too many end with their present call."""
        with self._lock:
            self._workers_wanted = workers
            self._schedule.max_workers = workers
            if self._limits.gate is not None:
                self._limits.gate.resize(workers)
            self._admission.common.workers = workers
            self._admit()
            self._act()
        self._deferred.run()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, finish the admitted ones, kill what is left after *timeout* seconds."""
        with self._lock:
            closed = self._close_admission()
            self._schedule.retire_all = True
            if self._lane_loop.loop is None:
                if not closed.done():
                    closed.set_result(None)
            elif not closed.done():
                # A loop that does not run now may never run again. And this may be called by the garbage collector, in the middle of anything:
                # the loop does the rest.
                self._bind(running_loop())
                self._lane_loop.loop.call_soon_threadsafe(self._set_deadline, timeout)
        self._deferred.run()
        return closed

    # ------------------------------------------------------------ packed calls

    def _look_at(self, payload: MemfdPayload) -> None:
        if self._poison_tasks.is_watching and self._resembles_poison(payload):
            payload.take_digest()

    def _resembles_poison(self, memfd: MemfdPayload) -> bool:
        with self._lock:
            return self._poison_tasks.resembles(memfd)

    def _arrive(self, call: Call, payload: bytes | MemfdPayload, skipped: int) -> None:
        with self._lock:
            if call.is_over:
                self._release(payload)
                return
            call.payload = payload
            call.func, call.args, call.kwargs = None, (), {}
            self._counters.skipped_context += skipped
            task = call.counters
            task.payload_bytes += len(payload) if isinstance(payload, bytes) else payload.length
            if self._poison_tasks.is_watching and self._is_refused(call, payload):
                self._leave(call, "refused")
                self._act()
            else:
                quick = isinstance(payload, bytes) and 0.0 < task.usual_run < QUICK and not isinstance(call.completion, StreamCompletion)
                options = call.options
                worker = self._schedule.arrive(call.number, now(), priority=options.priority, quick=quick, bulkhead=options.bulkhead)
                if worker is not None:
                    self._send_call(worker, call)
                else:
                    self._act()
        self._deferred.run()

    def _is_refused(self, call: Call, payload: bytes | MemfdPayload) -> bool:
        refusal = self._poison_tasks.refusal(call.name, call.function_ref, payload, now())
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
            if call.admission.stop_waiting(call):
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
        self._deferred.run()

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
        if call.payload is None or not call.completion.start():
            self._schedule.ended(worker, call.number, now())
            if not call.is_over:
                self._leave(call, "cancelled")
            return
        link.sent[call.number] = call
        frame = pack(TASK, call.number, call.metadata, call.payload, call.function_ref)
        is_ahead = len(link.sent) > 1
        if isinstance(call.payload, MemfdPayload):
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
                    self._deferred.add(pass_progress, call.completion, call.options.on_progress, frame.body)
            case wire.ITEM:
                self._on_item(call, frame)
            case wire.LOG:
                self._deferred.add(pass_record, call, frame)
            case wire.READY:
                self._schedule.ready(link.number, now())
                self._alarm.set(self._limits.idle_timeout)
            case wire.SKIPPED:
                link.taken.pop(frame.call, None)
                link.flags.clear(frame.call)
                link.sent.pop(frame.call, None)
                self._schedule.skipped(link.number, frame.call, now())

    def _on_item(self, call: Call | None, frame: Frame) -> None:
        if call is not None and not call.is_over and isinstance(call.completion, StreamCompletion):
            call.completion.item(frame)
        else:
            self._release(frame.memfd)

    def _on_end(self, link: Link, frame: Frame) -> None:
        call = link.sent.pop(frame.call, None)
        if link.taken:
            link.taken.pop(frame.call, None)
            link.flags.clear(frame.call)
        if self._schedule.ended(link.number, frame.call, now()):
            self._counters.recycled += 1
        if call is None or call.is_over:
            self._release(frame.memfd)
            return
        started, run, cpu, peak, size = REPORT.unpack(frame.meta)
        wait = started - call.created
        self._counters.ran(call.counters, (max(0.0, wait), run, cpu, peak, size))
        if self._poison_tasks.is_watching and call.payload is not None:
            self._poison_tasks.survived(call.function_ref, call.payload)
        if call.span is not None:
            self._deferred.add(functools.partial(call.span.ran, wait=wait, run=run, worker=link.pid))
        self._leave(call, "succeeded" if frame.kind == DONE else "failed")
        self._deferred.add(self._decoder.outcome, call, frame)

    # ------------------------------------------------------------ death

    def _lose(self, call: Call, link: Link, note: str = "") -> None:
        if call.is_over:
            self._counters.died(link.cause or "exit")
            return
        error = death(call.name, cause=link.cause, status=link.status, rss=link.rss, limit=self._limits.memory_limit, note=note)
        self._counters.died(error.cause)
        if self._poison_tasks.is_watching and isinstance(call.payload, MemfdPayload) and call.payload.digest is None:
            # Its caller hears of it when it is written down: whoever tries again at once is judged already.
            memfd, call.payload = call.payload, None
            self._helpers.do(lambda: self._digest_and_tell(call, memfd, error))
        else:
            self._tell_death(call, call.payload, error)

    def _digest_and_tell(self, call: Call, memfd: MemfdPayload, error: WorkerDied) -> None:
        try:
            memfd.take_digest()
        finally:
            with self._lock:
                self._tell_death(call, memfd, error)
                self._act()
            self._deferred.run()
            memfd.close()

    def _tell_death(self, call: Call, payload: bytes | MemfdPayload | None, error: WorkerDied) -> None:
        if payload is not None:
            self._poison_tasks.killed(call.function_ref, payload, now())
        if not call.is_over:
            self._leave(call, "died")
            self._tell(call, error)

    # ------------------------------------------------------------ the end of the lane

    def _set_deadline(self, timeout: float) -> None:
        with self._lock:
            self._act()
            if not (self._closed and self._closed.done()):
                self._lane_loop.later(timeout, self._kill_rest, timeout)
        self._deferred.run()

    def _kill_rest(self, timeout: float) -> None:
        with self._lock:
            for call in list(self._calls.values()):
                link = self._links.get(self._schedule.holder(call.number) or 0)
                self._schedule.withdraw(call.number)
                self._leave(call, "cancelled")
                if link is not None and link.flags.started == call.number:
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
                self._lane_loop.later(DEATH_NOTICE_TIMEOUT, self._drop_fork_server)
        self._deferred.run()

    def _drop_fork_server(self) -> None:
        """The fork server does not answer, busy with what it preloads perhaps: it is killed, and what it was to spawn is lost."""
        with self._lock:
            if not self._fork_server.is_absent:
                self._lose_fork_server(self._fork_server.fork_server())
            self._act()
        self._deferred.run()

    def _wind_up(self) -> None:
        """While the lane closes: let idle workers go, and the fork server after the last of them."""
        if self._calls:
            return
        for action in self._schedule.retire_idle(now()):
            self._links[action.worker].send(pack(STOP))
        if self._links or self._closed is None or self._is_wound_up:
            return
        self._is_wound_up = True
        fork_server, closed = self._fork_server.close(), self._closed
        self._helpers.do(lambda: self._finish_closing(fork_server, closed))

    def _finish_closing(self, fork_server: ForkServerClient | None, closed: "concurrent.futures.Future[None]") -> None:
        if fork_server is not None:
            fork_server.wait()
        self._lane_loop.leave()
        closed.set_result(None)
