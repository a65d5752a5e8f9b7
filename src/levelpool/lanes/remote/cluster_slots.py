"""
The near end of a remote lane: calls on their way to the machines of a cluster, and what becomes of them.

Everything here happens under one lock, in short steps, as callbacks of a private loop on which the cluster's client lives too; the caller's loop only packs
small calls. Which machine runs a call is the cluster's business. How many are there at the same time, who is next, and who is refused, is decided here: a *slot*
stands for one thread of the cluster, and a slot is to `schedule` what a worker process is.
"""

import asyncio
import concurrent.futures
import functools
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from levelpool.errors import ClusterUnreachable, LaneClosed, LevelpoolError, TaskNotPicklable, WorkerDied
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.completions import LoopCompletion, ThreadCompletion
from levelpool.lanes.deferred_callbacks import DeferredCallbacks
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane import CallOptions, now, task_name
from levelpool.lanes.lane_loop import LaneLoop
from levelpool.lanes.process import wire
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.decoding import pass_progress, pass_record
from levelpool.lanes.process.fork_server_client import death
from levelpool.lanes.process.memfd_payload import MemfdPayload
from levelpool.lanes.process.packing import Packing, timed_out
from levelpool.lanes.process.wire import DONE, REPORT, Frame
from levelpool.lanes.remote.remote_call import Item, Outcome, RemoteCall, RemotePayload
from levelpool.lanes.schedule import Kill, Retire, Schedule, Send, Start
from levelpool.lanes.stream import WINDOW, StreamCompletion

FOR_EVER = float("inf")


class Cluster(Protocol):
    """What a lane needs of a cluster. All methods are called on the lane's loop and return at once; what happens is told to the lane, on the same loop."""

    def open(self, lane: "RemoteLane") -> None:
        """Begin to reach the cluster, and go on for ever, also after it was lost."""
        ...

    def send(self, remote_call: RemoteCall, priority: int) -> None:
        """Have a call run somewhere."""
        ...

    def drop(self, call: int) -> None:
        """Nobody wants a call any more: stop it wherever it is."""
        ...

    async def pull(self, call: int, worker: str) -> Item | None:
        """The next thing that a call yields at *worker*; None after the last one, and when the worker has gone."""
        ...

    async def close(self) -> None:
        """Let go of the cluster, which stays as it is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """The limits and options of a remote lane."""

    queue_limit: int = 1000
    most: int | None = None
    """Most calls that are at the cluster at the same time; None: as many as it has threads."""
    carry: Sequence[ContextVar[Any]] = ()
    bulkheads: Mapping[str, Bulkhead] = field(default_factory=dict)


@dataclass(slots=True)
class _InFlight:
    """A call that is at the cluster."""

    call: Call
    worker: str = ""
    """Where it has begun."""
    waited: float = 0.0
    """Seconds from the call to its begin."""
    pulling: "asyncio.Task[None] | None" = None
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WINDOW))
    """How many more things its reader has room for."""


class RemoteLane(Packing):
    """Runs calls on a cluster: bounded, killable, each of them once. Cancelling a call kills the child process that runs it."""

    queue_setting = "LEVELPOOL_CPU_QUEUE_LIMIT"

    def __init__(self, name: str, make_cluster: Callable[[], Cluster], limits: RemoteLimits, *, version: str) -> None:
        """*make_cluster* is called when the lane is first used, *version* is this levelpool's, which the other machines must have too."""
        self.name = name
        self._make_cluster = make_cluster
        self._limits = limits
        self._version = version
        self._reset()

    def _reset(self) -> None:
        limits = self._limits
        self._open_admission(limits.queue_limit, 0, limits.bulkheads)
        self._lane_loop = LaneLoop(self.name)
        self._deferred = DeferredCallbacks(self.name, self._lane_loop)
        self._helpers = HelperThreads(f"{self.name}-chores", 2)
        self._open_packing(limits.carry)
        self._schedule = Schedule(0, idle_timeout=FOR_EVER, bulkheads={name: each.workers for name, each in limits.bulkheads.items()})
        self._most = limits.most
        self._threads = 0
        self._trouble: str | None = None
        self._in_flight: dict[int, _InFlight] = {}
        self._cluster: Cluster | None = None
        self._tried: concurrent.futures.Future[None] = concurrent.futures.Future()

    # ------------------------------------------------------------ reached, sized, ended

    def connect(self) -> None:
        """Begin to reach the cluster; the first call does so otherwise."""
        with self._lock:
            if self._closed is None:
                self._bind(None)

    async def reach(self) -> None:
        """Wait until the cluster is there; raises `ClusterUnreachable` when it is not, and the first try has failed."""
        self.connect()
        await asyncio.shield(asyncio.wrap_future(self._tried))
        if self._trouble is not None:
            raise ClusterUnreachable(self._trouble)

    @property
    def trouble(self) -> str | None:
        """Why calls cannot run now, in a sentence; None when they can, or nobody has tried."""
        if self._trouble is None and self._cluster is not None and not self._threads:
            return f"Lane {self.name!r} has no worker: its cluster is not reached yet, or no Dask worker has joined it."
        return self._trouble

    def resize(self, workers: int) -> None:
        """Have at most so many calls at the cluster from now on; running ones finish where they are."""
        with self._lock:
            self._most = workers
            self._size_slots()
        self._deferred.run()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, finish the admitted ones, drop what is left after *timeout* seconds."""
        with self._lock:
            closed = self._close_admission()
            if self._lane_loop.loop is None:
                if not closed.done():
                    closed.set_result(None)
            elif not closed.done():
                self._lane_loop.call_soon(self._set_deadline, timeout)
        self._deferred.run()
        return closed

    def terminate(self) -> None:
        """Let go of everything; at interpreter exit. The cluster notices that nobody is there any more, and drops the calls."""
        with self._lock:
            if self._closed is None:
                self._closed = concurrent.futures.Future()

    def after_fork_in_child(self) -> None:
        """Start anew in a forked child: client, loop and calls belong to the parent."""
        self._reset()

    # ------------------------------------------------------------ the way of a call

    def _open(
        self,
        completion: LoopCompletion | ThreadCompletion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> Call:
        if self._trouble is not None:
            self._counters.submitted += 1
            self._counters.ended(self._counters.of(options.name or task_name(func)), "refused")
            raise ClusterUnreachable(self._trouble)
        return super()._open(completion, func, args, kwargs, options)

    def _bind(self, user: asyncio.AbstractEventLoop | None) -> None:  # noqa: ARG002 - whoever it is, the lane lives apart
        if self._lane_loop.loop is None:
            self._lane_loop.bind(None)
            self._cluster = self._make_cluster()
            self._lane_loop.call_soon(self._cluster.open, self)

    def _pack(self, call: Call) -> None:
        if call.func is not None and getattr(call.func, "__module__", "") == "__main__":
            hint = "this program is not on the workers of the cluster: put the function into a module that they can import"
            self._refuse_call(call, TaskNotPicklable(f"{call.name} cannot travel to a cluster: {hint}"))
            return
        super()._pack(call)

    def _arrive(self, call: Call, payload: bytes | MemfdPayload, skipped: int) -> None:
        with self._lock:
            if call.is_over:
                self._release(payload)
                return
            call.payload = payload
            call.func, call.args, call.kwargs = None, (), {}
            self._counters.skipped_context += skipped
            call.counters.payload_bytes += len(payload) if isinstance(payload, bytes) else payload.length
            slot = self._schedule.arrive(call.number, now(), priority=call.options.priority, bulkhead=call.options.bulkhead)
            if slot is not None:
                self._begin(slot, call)
            self._act()
        self._deferred.run()

    def _act(self) -> None:
        """Do what the schedule says. A slot is there as soon as it is wanted, and gone as soon as it is not."""
        changed = True
        while changed:
            changed = False
            for action in list(self._schedule.decide(now())):
                match action:
                    case Start():
                        self._schedule.ready(action.worker, now())
                        changed = True
                    case Send():
                        self._begin(action.worker, self._calls[action.call])
                    case Retire():
                        self._schedule.died(action.worker, running=None)
        if self._closed is not None and not self._calls:
            self._wind_up()

    def _begin(self, slot: int, call: Call) -> None:
        payload = call.payload
        if payload is None or not call.completion.start():
            self._schedule.ended(slot, call.number, now())
            if not call.is_over:
                self._leave(call, "cancelled")
            return
        self._in_flight[call.number] = _InFlight(call)
        remote_call = RemoteCall(
            call=call.number,
            name=call.name,
            version=self._version,
            function_ref=call.function_ref,
            metadata=call.metadata,
            payload=RemotePayload.of(payload),
            is_stream=isinstance(call.completion, StreamCompletion),
        )
        self._deferred.add(self._send, call, remote_call)

    def _send(self, call: Call, remote_call: RemoteCall) -> None:
        if self._cluster is not None and not call.is_over:
            try:
                self._cluster.send(remote_call, call.options.priority)
            except LevelpoolError as error:
                self._lose(call.number, error)

    # ------------------------------------------------------------ what the cluster tells

    def changed(self, threads: int, trouble: str | None) -> None:
        """The cluster has so many threads now; *trouble* is why it cannot be used at all."""
        with self._lock:
            self._threads, self._trouble = threads, trouble
            if trouble is not None:
                for call in list(self._calls.values()):
                    self._give_up(call, ClusterUnreachable(f"{call.name} is lost: {trouble}"), "failed")
                for call in [call for each in self._admission for call in each.clear_waiting()]:
                    self._finish(call, "failed")
                    self._tell(call, ClusterUnreachable(f"{call.name} was not run: {trouble}"))
            self._size_slots()
        self._deferred.run()
        if not self._tried.done():
            self._tried.set_result(None)

    def began(self, number: int, worker: str) -> None:
        """A call begins at *worker*."""
        with self._lock:
            flight = self._in_flight.get(number)
            if flight is not None and not flight.call.is_over:
                flight.worker, flight.waited = worker, now() - flight.call.created
                if isinstance(flight.call.completion, StreamCompletion) and flight.pulling is None:
                    flight.pulling = asyncio.ensure_future(self._pull(flight))

    def heard(self, number: int, kind: int, words: bytes) -> None:
        """A call has something to say: `wire.PROGRESS` or `wire.LOG`."""
        with self._lock:
            flight = self._in_flight.get(number)
            if flight is None or flight.call.is_over:
                return
            call = flight.call
            if kind == wire.PROGRESS and call.options.on_progress is not None:
                self._deferred.add(pass_progress, call.completion, call.options.on_progress, words)
            elif kind == wire.LOG:
                self._deferred.add(pass_record, call, Frame(kind, number, b"", b"", words, None))
        self._deferred.run()

    def lost(self, number: int, worker: str) -> None:
        """The worker that a call had begun at has gone."""
        what = f"the Dask worker {worker} went away while it ran"
        with self._lock:
            flight = self._in_flight.get(number)
            name = flight.call.name if flight is not None else ""
        error = WorkerDied(f"{what} {name}: what became of the call, nobody is left to tell", cause="exit", task=name)
        self._lose(number, error)

    def ended(self, number: int, outcome: Outcome) -> None:
        """A call has ended."""
        if outcome.error is not None:
            self._lose(number, outcome.error)
        elif outcome.payload.is_large:
            self._helpers.do(lambda: self._end(number, outcome))
        else:
            self._end(number, outcome)

    def failed(self, number: int, error: LevelpoolError) -> None:
        """The cluster could not run a call."""
        self._lose(number, error)

    # ------------------------------------------------------------ the end of a call

    def _end(self, number: int, outcome: Outcome) -> None:
        body = outcome.payload.unpack()
        memfd = body if isinstance(body, MemfdPayload) else None
        frame = Frame(outcome.kind, number, b"", outcome.meta, b"" if memfd else body, memfd)  # type: ignore[arg-type]
        with self._lock:
            flight = self._leave_slot(number)
            if flight is None or flight.call.is_over:
                self._release(memfd)
            else:
                self._count_end(flight, frame)
            self._act()
        self._deferred.run()

    def _count_end(self, flight: _InFlight, frame: Frame) -> None:
        call = flight.call
        # When it began by the worker's clock says nothing here.
        _began, run, cpu, peak, size = REPORT.unpack(frame.meta)
        self._counters.ran(call.counters, (flight.waited, run, cpu, peak, size))
        if call.span is not None:
            self._deferred.add(functools.partial(call.span.ran, wait=flight.waited, run=run, worker=0))
        self._leave(call, "succeeded" if frame.kind == DONE else "failed")
        self._deferred.add(self._hand_over, flight, frame)

    def _hand_over(self, flight: _InFlight, frame: Frame) -> None:
        if flight.pulling is None:
            self._decoder.outcome(flight.call, frame)
        else:
            # What it has yielded comes first.
            flight.pulling.add_done_callback(lambda _: self._decoder.outcome(flight.call, frame))

    def _lose(self, number: int, error: LevelpoolError) -> None:
        """A call has ended without an outcome of its own."""
        with self._lock:
            flight = self._leave_slot(number)
            if flight is not None and not flight.call.is_over:
                if isinstance(error, WorkerDied):
                    self._counters.died(error.cause)
                self._leave(flight.call, "died" if isinstance(error, WorkerDied) else "failed")
                self._tell(flight.call, error)
            self._act()
        self._deferred.run()
        if flight is not None and self._cluster is not None:
            self._cluster.drop(number)

    def _leave_slot(self, number: int) -> _InFlight | None:
        flight = self._in_flight.pop(number, None)
        slot = self._schedule.holder(number)
        if slot is not None:
            self._schedule.ended(slot, number, now())
        return flight

    def _cancel(self, call: Call) -> None:
        self._withdraw(call, "cancelled", "cancelled")

    def _expire(self, call: Call) -> None:
        self._withdraw(call, "timed_out", "deadline")

    def _withdraw(self, call: Call, outcome: str, cause: str) -> None:
        with self._lock:
            if call.is_over:
                return
            killed = self._stop(call, outcome, cause)
            if outcome == "timed_out":
                self._tell(call, timed_out(call, killed))
            self._act()
        self._deferred.run()

    def _stop(self, call: Call, outcome: str, cause: str) -> WorkerDied | None:
        """End a call wherever it is; the death of its child process, if it had begun."""
        if call.admission.stop_waiting(call):
            self._finish(call, outcome)
            return None
        action = self._schedule.withdraw(call.number)
        flight = self._in_flight.pop(call.number, None)
        self._leave(call, outcome)
        if isinstance(action, Kill):
            self._schedule.died(action.worker, running=call.number)
        if flight is None:
            return None
        if flight.pulling is not None:
            self._lane_loop.call_soon(flight.pulling.cancel)
        self._deferred.add(self._drop, call.number)
        return death(call.name, cause=cause, status=None, rss=0, limit=None) if flight.worker else None

    def _drop(self, number: int) -> None:
        if self._cluster is not None:
            self._cluster.drop(number)

    # ------------------------------------------------------------ streams

    async def _pull(self, flight: _InFlight) -> None:
        """Take over what a generator yields, as far as its reader has room."""
        completion = flight.call.completion
        cluster = self._cluster
        if cluster is None or not isinstance(completion, StreamCompletion):
            return
        while True:
            await flight.room.acquire()
            item = await cluster.pull(flight.call.number, flight.worker)
            if item is None:
                return
            completion.item(await self._unpack_item(item))

    async def _unpack_item(self, item: Item) -> Frame:
        payload = item.payload
        if not payload.is_large:
            body = payload.unpack()
            return Frame(wire.ITEM, 0, b"", b"", body, None)  # type: ignore[arg-type]
        completion = LoopCompletion(asyncio.get_running_loop())
        self._helpers.do(lambda: _try_to(completion, payload.unpack))
        return Frame(wire.ITEM, 0, b"", b"", b"", await completion.future)

    def _grant(self, call: Call) -> None:
        """The reader has taken an item: there is room for one more."""
        with self._lock:
            flight = self._in_flight.get(call.number)
            if flight is not None:
                self._lane_loop.call_soon(flight.room.release)

    # ------------------------------------------------------------ slots

    def _size_slots(self) -> None:
        """As many slots as the cluster has threads, and this lane may use."""
        workers = self._threads if self._most is None else min(self._threads, self._most)
        self._schedule.max_workers = self._admission.common.workers = workers
        self._admit()
        self._act()

    def _is_waiting(self, call: Call) -> bool:
        flight = self._in_flight.get(call.number)
        return flight is None or not flight.worker

    def _count(self) -> tuple[int, int]:
        return self._admission.common.workers, sum(1 for flight in self._in_flight.values() if flight.worker)

    # ------------------------------------------------------------ the end of the lane

    def _give_up(self, call: Call, error: LevelpoolError, outcome: str) -> None:
        self._stop(call, outcome, "cancelled")
        self._tell(call, error)

    def _set_deadline(self, timeout: float) -> None:
        with self._lock:
            self._act()
            if self._closed is not None and not self._closed.done():
                self._lane_loop.later(timeout, self._drop_rest, timeout)
        self._deferred.run()

    def _drop_rest(self, timeout: float) -> None:
        with self._lock:
            for call in list(self._calls.values()):
                killed = self._stop(call, "cancelled", "cancelled")
                if killed is not None:
                    note = f", {timeout:g} s after the lane was closed"
                    self._tell(call, death(call.name, cause="cancelled", status=None, rss=0, limit=None, note=note))
                else:
                    self._tell(call, LaneClosed(f"{call.name} was not run: lane {self.name!r} was closed, and its {timeout:g} s are over"))
            self._act()
        self._deferred.run()

    def _wind_up(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            self._deferred.add(lambda: asyncio.ensure_future(self._finish_closing(cluster)))

    async def _finish_closing(self, cluster: Cluster) -> None:
        try:
            await cluster.close()
        finally:
            self._helpers.do(self._finish_leaving)

    def _finish_leaving(self) -> None:
        self._lane_loop.leave()
        if self._closed is not None:
            self._closed.set_result(None)


def _try_to(completion: LoopCompletion, func: Callable[[], object]) -> None:
    try:
        completion.succeed(func())
    except BaseException as error:  # noqa: BLE001 - whatever it was, somebody waits for it
        completion.fail(error)
