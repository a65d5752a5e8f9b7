"""
The near end of a remote lane: calls on their way to the machines of a cluster, and what becomes of them.

Everything here happens under one lock, in short steps, as callbacks of a private loop on which the cluster's client lives too; the caller's loop only packs
small calls. Which machine runs a call is the cluster's business. How many are there at the same time, who is next, and who is refused, is decided here: a *seat*
stands for one thread of the cluster, and a seat is to `schedule` what a worker process is.
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
from levelpool.lanes.crew import Crew
from levelpool.lanes.errands import Errands
from levelpool.lanes.home import Home
from levelpool.lanes.lane import CallOptions, now, task_name
from levelpool.lanes.process import wire
from levelpool.lanes.process.birth import death
from levelpool.lanes.process.call import Call
from levelpool.lanes.process.delivery import pass_progress, pass_record
from levelpool.lanes.process.packing import Packing, timed_out
from levelpool.lanes.process.parcel import Parcel
from levelpool.lanes.process.schedule import Kill, Retire, Schedule, Send, Start
from levelpool.lanes.process.wire import DONE, REPORT, Frame
from levelpool.lanes.remote.packet import Item, Load, Outcome, Packet
from levelpool.lanes.stream import WINDOW, StreamTicket
from levelpool.lanes.tickets import LoopTicket, ThreadTicket

FOR_EVER = float("inf")


class Cluster(Protocol):
    """What a lane needs of a cluster. All methods are called on the lane's loop and return at once; what happens is told to the lane, on the same loop."""

    def open(self, lane: "RemoteLane") -> None:
        """Begin to reach the cluster, and go on for ever, also after it was lost."""
        ...

    def send(self, packet: Packet, priority: int) -> None:
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
    """The limits and wishes of a remote lane."""

    queue_limit: int = 1000
    most: int | None = None
    """Most calls that are at the cluster at the same time; None: as many as it has threads."""
    carry: Sequence[ContextVar[Any]] = ()
    bulkheads: Mapping[str, Bulkhead] = field(default_factory=dict)


@dataclass(slots=True)
class _Trip:
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
        self._open_doors(limits.queue_limit, 0, limits.bulkheads)
        self._home = Home(self.name)
        self._errands = Errands(self.name, self._home)
        self._crew = Crew(f"{self.name}-chores", 2)
        self._open_packing(limits.carry)
        self._schedule = Schedule(0, idle_timeout=FOR_EVER, bulkheads={name: each.workers for name, each in limits.bulkheads.items()})
        self._most = limits.most
        self._threads = 0
        self._trouble: str | None = None
        self._trips: dict[int, _Trip] = {}
        self._cluster: Cluster | None = None
        self._tried: concurrent.futures.Future[None] = concurrent.futures.Future()

    # ------------------------------------------------------------ the doors

    def connect(self) -> None:
        """Begin to reach the cluster; the first call does so otherwise."""
        with self._lock:
            if self._closed is None:
                self._settle(None)

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
            self._seat()
        self._errands.run()

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, finish the admitted ones, drop what is left after *timeout* seconds."""
        with self._lock:
            closed = self._close_doors()
            if self._home.loop is None:
                if not closed.done():
                    closed.set_result(None)
            elif not closed.done():
                self._home.call_soon(self._set_deadline, timeout)
        self._errands.run()
        return closed

    def abandon(self) -> None:
        """Let go of everything; at interpreter exit. The cluster notices that nobody is there any more, and drops the calls."""
        with self._lock:
            if self._closed is None:
                self._closed = concurrent.futures.Future()

    def forget(self) -> None:
        """Start anew in a forked child: client, loop and calls belong to the parent."""
        self._reset()

    # ------------------------------------------------------------ the way of a call

    def _open(
        self,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> Call:
        if self._trouble is not None:
            self._account.submitted += 1
            self._account.ended(self._account.of(options.name or task_name(func)), "refused")
            raise ClusterUnreachable(self._trouble)
        return super()._open(ticket, func, args, kwargs, options)

    def _settle(self, user: asyncio.AbstractEventLoop | None) -> None:  # noqa: ARG002 - whoever it is, the lane lives apart
        if self._home.loop is None:
            self._home.settle(None)
            self._cluster = self._make_cluster()
            self._home.call_soon(self._cluster.open, self)

    def _pack(self, call: Call) -> None:
        if call.func is not None and getattr(call.func, "__module__", "") == "__main__":
            hint = "this program is not on the workers of the cluster: put the function into a module that they can import"
            self._turn_away(call, TaskNotPicklable(f"{call.name} cannot travel to a cluster: {hint}"))
            return
        super()._pack(call)

    def _arrive(self, call: Call, payload: bytes | Parcel, skipped: int) -> None:
        with self._lock:
            if call.is_over:
                self._release(payload)
                return
            call.payload = payload
            call.func, call.args, call.kwargs = None, (), {}
            self._account.skipped_context += skipped
            call.account.payload_bytes += len(payload) if isinstance(payload, bytes) else payload.length
            seat = self._schedule.arrive(call.number, now(), priority=call.options.priority, bulkhead=call.options.bulkhead)
            if seat is not None:
                self._begin_trip(seat, call)
            self._act()
        self._errands.run()

    def _act(self) -> None:
        """Do what the schedule says. A seat is there as soon as it is wanted, and gone as soon as it is not."""
        changed = True
        while changed:
            changed = False
            for action in list(self._schedule.decide(now())):
                match action:
                    case Start():
                        self._schedule.born(action.worker, now())
                        changed = True
                    case Send():
                        self._begin_trip(action.worker, self._calls[action.call])
                    case Retire():
                        self._schedule.died(action.worker, running=None)
        if self._closed is not None and not self._calls:
            self._wind_up()

    def _begin_trip(self, seat: int, call: Call) -> None:
        payload = call.payload
        if payload is None or not call.ticket.start():
            self._schedule.ended(seat, call.number, now())
            if not call.is_over:
                self._leave(call, "cancelled")
            return
        self._trips[call.number] = _Trip(call)
        packet = Packet(
            call=call.number,
            name=call.name,
            version=self._version,
            reference=call.reference,
            wishes=call.wishes,
            load=Load.of(payload),
            is_stream=isinstance(call.ticket, StreamTicket),
        )
        self._errands.add(self._send, call, packet)

    def _send(self, call: Call, packet: Packet) -> None:
        if self._cluster is not None and not call.is_over:
            try:
                self._cluster.send(packet, call.options.priority)
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
                for call in [call for each in self._entrances for call in each.send_away()]:
                    self._finish(call, "failed")
                    self._tell(call, ClusterUnreachable(f"{call.name} was not run: {trouble}"))
            self._seat()
        self._errands.run()
        if not self._tried.done():
            self._tried.set_result(None)

    def began(self, number: int, worker: str) -> None:
        """A call begins at *worker*."""
        with self._lock:
            trip = self._trips.get(number)
            if trip is not None and not trip.call.is_over:
                trip.worker, trip.waited = worker, now() - trip.call.created
                if isinstance(trip.call.ticket, StreamTicket) and trip.pulling is None:
                    trip.pulling = asyncio.ensure_future(self._pull(trip))

    def heard(self, number: int, kind: int, words: bytes) -> None:
        """A call has something to say: `wire.PROGRESS` or `wire.LOG`."""
        with self._lock:
            trip = self._trips.get(number)
            if trip is None or trip.call.is_over:
                return
            call = trip.call
            if kind == wire.PROGRESS and call.options.on_progress is not None:
                self._errands.add(pass_progress, call.ticket, call.options.on_progress, words)
            elif kind == wire.LOG:
                self._errands.add(pass_record, call, Frame(kind, number, b"", b"", words, None))
        self._errands.run()

    def lost(self, number: int, worker: str) -> None:
        """The worker that a call had begun at has gone."""
        what = f"the Dask worker {worker} went away while it ran"
        with self._lock:
            trip = self._trips.get(number)
            name = trip.call.name if trip is not None else ""
        error = WorkerDied(f"{what} {name}: what became of the call, nobody is left to tell", cause="exit", task=name)
        self._lose(number, error)

    def ended(self, number: int, outcome: Outcome) -> None:
        """A call has ended."""
        if outcome.error is not None:
            self._lose(number, outcome.error)
        elif outcome.load.is_large:
            self._crew.do(lambda: self._end(number, outcome))
        else:
            self._end(number, outcome)

    def failed(self, number: int, error: LevelpoolError) -> None:
        """The cluster could not run a call."""
        self._lose(number, error)

    # ------------------------------------------------------------ the end of a call

    def _end(self, number: int, outcome: Outcome) -> None:
        body = outcome.load.unpack()
        parcel = body if isinstance(body, Parcel) else None
        frame = Frame(outcome.kind, number, b"", outcome.meta, b"" if parcel else body, parcel)  # type: ignore[arg-type]
        with self._lock:
            trip = self._leave_seat(number)
            if trip is None or trip.call.is_over:
                self._release(parcel)
            else:
                self._book_end(trip, frame)
            self._act()
        self._errands.run()

    def _book_end(self, trip: _Trip, frame: Frame) -> None:
        call = trip.call
        # When it began by the worker's clock says nothing here.
        _began, run, cpu, peak, size = REPORT.unpack(frame.meta)
        self._account.ran(call.account, (trip.waited, run, cpu, peak, size))
        if call.span is not None:
            self._errands.add(functools.partial(call.span.ran, wait=trip.waited, run=run, worker=0))
        self._leave(call, "succeeded" if frame.kind == DONE else "failed")
        self._errands.add(self._hand_over, trip, frame)

    def _hand_over(self, trip: _Trip, frame: Frame) -> None:
        if trip.pulling is None:
            self._delivery.outcome(trip.call, frame)
        else:
            # What it has yielded comes first.
            trip.pulling.add_done_callback(lambda _: self._delivery.outcome(trip.call, frame))

    def _lose(self, number: int, error: LevelpoolError) -> None:
        """A call has ended without an outcome of its own."""
        with self._lock:
            trip = self._leave_seat(number)
            if trip is not None and not trip.call.is_over:
                if isinstance(error, WorkerDied):
                    self._account.died(error.cause)
                self._leave(trip.call, "died" if isinstance(error, WorkerDied) else "failed")
                self._tell(trip.call, error)
            self._act()
        self._errands.run()
        if trip is not None and self._cluster is not None:
            self._cluster.drop(number)

    def _leave_seat(self, number: int) -> _Trip | None:
        trip = self._trips.pop(number, None)
        seat = self._schedule.holder(number)
        if seat is not None:
            self._schedule.ended(seat, number, now())
        return trip

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
        self._errands.run()

    def _stop(self, call: Call, outcome: str, cause: str) -> WorkerDied | None:
        """End a call wherever it is; the death of its child process, if it had begun."""
        if call.entrance.leave_outside(call):
            self._finish(call, outcome)
            return None
        action = self._schedule.withdraw(call.number)
        trip = self._trips.pop(call.number, None)
        self._leave(call, outcome)
        if isinstance(action, Kill):
            self._schedule.died(action.worker, running=call.number)
        if trip is None:
            return None
        if trip.pulling is not None:
            self._home.call_soon(trip.pulling.cancel)
        self._errands.add(self._drop, call.number)
        return death(call.name, cause=cause, status=None, rss=0, limit=None) if trip.worker else None

    def _drop(self, number: int) -> None:
        if self._cluster is not None:
            self._cluster.drop(number)

    # ------------------------------------------------------------ streams

    async def _pull(self, trip: _Trip) -> None:
        """Take over what a generator yields, as far as its reader has room."""
        ticket = trip.call.ticket
        cluster = self._cluster
        if cluster is None or not isinstance(ticket, StreamTicket):
            return
        while True:
            await trip.room.acquire()
            item = await cluster.pull(trip.call.number, trip.worker)
            if item is None:
                return
            ticket.item(await self._unpack_item(item))

    async def _unpack_item(self, item: Item) -> Frame:
        load = item.load
        if not load.is_large:
            body = load.unpack()
            return Frame(wire.ITEM, 0, b"", b"", body, None)  # type: ignore[arg-type]
        ticket = LoopTicket(asyncio.get_running_loop())
        self._crew.do(lambda: _try_to(ticket, load.unpack))
        return Frame(wire.ITEM, 0, b"", b"", b"", await ticket.future)

    def _grant(self, call: Call) -> None:
        """The reader has taken an item: there is room for one more."""
        with self._lock:
            trip = self._trips.get(call.number)
            if trip is not None:
                self._home.call_soon(trip.room.release)

    # ------------------------------------------------------------ seats

    def _seat(self) -> None:
        """As many seats as the cluster has threads, and this lane may use."""
        seats = self._threads if self._most is None else min(self._threads, self._most)
        self._schedule.max_workers = self._entrances.common.seats = seats
        self._admit()
        self._act()

    def _is_waiting(self, call: Call) -> bool:
        trip = self._trips.get(call.number)
        return trip is None or not trip.worker

    def _count(self) -> tuple[int, int]:
        return self._entrances.common.seats, sum(1 for trip in self._trips.values() if trip.worker)

    # ------------------------------------------------------------ the end of the lane

    def _give_up(self, call: Call, error: LevelpoolError, outcome: str) -> None:
        self._stop(call, outcome, "cancelled")
        self._tell(call, error)

    def _set_deadline(self, timeout: float) -> None:
        with self._lock:
            self._act()
            if self._closed is not None and not self._closed.done():
                self._home.later(timeout, self._drop_rest, timeout)
        self._errands.run()

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
        self._errands.run()

    def _wind_up(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            self._errands.add(lambda: asyncio.ensure_future(self._finish_closing(cluster)))

    async def _finish_closing(self, cluster: Cluster) -> None:
        try:
            await cluster.close()
        finally:
            self._crew.do(self._finish_leaving)

    def _finish_leaving(self) -> None:
        self._home.leave()
        if self._closed is not None:
            self._closed.set_result(None)


def _try_to(ticket: LoopTicket, func: Callable[[], object]) -> None:
    try:
        ticket.succeed(func())
    except BaseException as error:  # noqa: BLE001 - whatever it was, somebody waits for it
        ticket.fail(error)
