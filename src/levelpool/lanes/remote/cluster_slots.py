"""
The slots of a cluster as the backend of a lane: calls on their way to its machines, and what becomes of them.

Everything here happens under the lane's lock, in short steps, as callbacks of a private loop on which the cluster's client lives too; the caller's loop only
packs small calls. Which machine runs a call is the cluster's business. How many are there at the same time, who is next, and who is refused, is decided here:
a *slot* stands for one thread of the cluster, and is to `schedule` what a worker process is.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from levelpool.errors import ClusterUnreachable, LevelpoolError, WorkerDied
from levelpool.lanes.backend import Events, LaneLimits, LaneParts
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.call import Call
from levelpool.lanes.completions import LoopCompletion, StreamCompletion
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.lane import now
from levelpool.lanes.place import Place
from levelpool.lanes.process import wire
from levelpool.lanes.process.codec import PickleCodec
from levelpool.lanes.process.fork_server_client import death
from levelpool.lanes.process.memfd_payload import MemfdPayload
from levelpool.lanes.process.wire import DONE, REPORT, Frame
from levelpool.lanes.remote.remote_call import Item, Outcome, RemoteCall, RemotePayload
from levelpool.lanes.stream import WINDOW

_NEEDS_MODULE = "this program is not on the workers of the cluster: put the function into a module that they can import"


class Cluster(Protocol):
    """What a lane needs of a cluster. All methods are called on the lane's loop and return at once; what happens is told to the slots, on the same loop."""

    def open(self, slots: "ClusterSlots") -> None:
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


def remote_lane(name: str, make_cluster: Callable[[], Cluster], limits: RemoteLimits, *, version: str) -> Dispatcher:
    """
    A lane that runs calls on a cluster: bounded, killable, each of them once. Cancelling a call kills the child process that runs it.

    *make_cluster* is called when the lane is first used, *version* is this levelpool's, which the other machines must have too.
    """

    def make(parts: LaneParts, events: Events) -> tuple[PickleCodec, ClusterSlots]:
        codec = PickleCodec(parts, events, carry=limits.carry, needs_module=_NEEDS_MODULE)
        return codec, ClusterSlots(parts, events, codec, make_cluster, most=limits.most, version=version)

    lane_limits = LaneLimits(queue_limit=limits.queue_limit, queue_setting="LEVELPOOL_CPU_QUEUE_LIMIT", bulkheads=limits.bulkheads)
    # As long as no cluster was reached it has no thread.
    return Dispatcher(name, 0, lane_limits, make)


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


class ClusterSlots:
    """The slots of one cluster, reached when the lane is first used. Methods without a lock of their own are called under the lane's."""

    tells_start = True
    breaker = None

    def __init__(
        self, parts: LaneParts, events: Events, codec: PickleCodec, make_cluster: Callable[[], Cluster], *, most: int | None, version: str
    ) -> None:
        self._lane = parts
        self._events = events
        self._codec = codec
        self._make_cluster = make_cluster
        self._most = most
        self._version = version
        self._threads = 0
        self.trouble: str | None = None
        self._in_flight: dict[int, _InFlight] = {}
        self._cluster: Cluster | None = None
        self._tried: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._closing: asyncio.Task[None] | None = None
        self.place = Place(is_elsewhere=True, trouble=self._all_trouble, connect=self._connect, reach=self._reach)

    # ------------------------------------------------------------ reached

    def _connect(self) -> None:
        with self._lane.lock:
            self.bind(None)

    async def _reach(self) -> None:
        self._connect()
        await asyncio.shield(asyncio.wrap_future(self._tried))
        if self.trouble is not None:
            raise ClusterUnreachable(self.trouble)

    def _all_trouble(self) -> str | None:
        if self.trouble is None and self._cluster is not None and not self._threads:
            return f"Lane {self._lane.name!r} has no worker: its cluster is not reached yet, or no Dask worker has joined it."
        return self.trouble

    def bind(self, user: asyncio.AbstractEventLoop | None) -> None:  # noqa: ARG002 - whoever it is, the lane has a loop of its own
        """Reach the cluster, from a private loop."""
        if self._lane.loop.loop is None:
            self._lane.loop.bind(None)
            self._cluster = self._make_cluster()
            self._lane.loop.call_soon(self._cluster.open, self)

    # ------------------------------------------------------------ what the dispatcher says

    def start(self, slot: int) -> bool:  # noqa: ARG002 - one is as good as the other
        """A slot is there as soon as it is wanted."""
        return True

    def send(self, slot: int, call: Call) -> None:  # noqa: ARG002 - one is as good as the other
        """Send the call to the cluster."""
        payload = call.payload
        if not isinstance(payload, bytes | MemfdPayload):
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
        self._lane.deferred.add(self._send, call, remote_call)

    def _send(self, call: Call, remote_call: RemoteCall) -> None:
        if self._cluster is not None and not call.is_over:
            try:
                self._cluster.send(remote_call, call.options.priority)
            except LevelpoolError as error:
                self._lose(call.number, error)

    def revoke(self, slot: int, call: int) -> None:
        """Nothing is ever sent ahead."""

    def kill(self, slot: int, call: Call, cause: str, note: str = "") -> WorkerDied | None:
        """Have the cluster drop the call; the death of its child process, if it had begun."""
        self._lane.schedule.died(slot, running=call.number)
        flight = self._in_flight.pop(call.number, None)
        if flight is None:
            return None
        if flight.pulling is not None:
            self._lane.loop.call_soon(flight.pulling.cancel)
        self._lane.deferred.add(self._drop, call.number)
        return death(call.name, cause=cause, status=None, rss=0, limit=None, note=note) if flight.worker else None

    def _drop(self, number: int) -> None:
        if self._cluster is not None:
            self._cluster.drop(number)

    def retire(self, slot: int) -> None:
        """A slot is gone as soon as it is not wanted."""
        self._lane.schedule.died(slot, running=None)

    def grant(self, slot: int, call: int) -> None:  # noqa: ARG002 - the call is enough
        """The reader of a stream has taken an item: there is room for one more."""
        flight = self._in_flight.get(call)
        if flight is not None:
            self._lane.loop.call_soon(flight.room.release)

    def has_begun(self, slot: int, call: Call) -> bool:  # noqa: ARG002 - the call knows
        """Whether a machine has said so."""
        return bool(call.started)

    def resize(self, workers: int) -> int:
        """At most so many calls are at the cluster from now on."""
        self._most = workers
        return self._slots_allowed()

    def _slots_allowed(self) -> int:
        """As many slots as the cluster has threads, and this lane may use."""
        return self._threads if self._most is None else min(self._threads, self._most)

    def what_if_late(self, call: Call, killed: WorkerDied | None) -> str:  # noqa: ARG002 - as for every backend
        """In words."""
        return "its time was up while it ran" if killed else "its time was up before it began"

    def unstartable(self, call: Call, why: str) -> tuple[str, LevelpoolError]:
        """A slot can always be had."""
        return "died", WorkerDied(f"{call.name} was not run: {why}", cause="exit", task=call.name)

    @property
    def workers(self) -> int:
        """The slots that may be used."""
        return self._slots_allowed()

    def tick(self, moment: float) -> None:
        """There is nothing to look after: the cluster does."""

    def look_again(self, *, is_needed: bool) -> None:
        """Nor later."""

    # ------------------------------------------------------------ what the cluster tells

    def changed(self, threads: int, trouble: str | None) -> None:
        """The cluster has so many threads now; *trouble* is why it cannot be used at all."""
        with self._lane.lock:
            self._threads, self.trouble = threads, trouble
            if trouble is not None:
                self._events.fail_all(lambda call: ClusterUnreachable(f"{call.name} is lost: {trouble}"))
            self._events.allow(self._slots_allowed())
        self._lane.deferred.run()
        if not self._tried.done():
            self._tried.set_result(None)

    def began(self, number: int, worker: str) -> None:
        """A call begins at *worker*."""
        with self._lane.lock:
            flight = self._in_flight.get(number)
            if flight is not None and not flight.call.is_over:
                flight.worker, flight.call.started = worker, now()
                flight.waited = flight.call.started - flight.call.created
                if isinstance(flight.call.completion, StreamCompletion) and flight.pulling is None:
                    flight.pulling = asyncio.ensure_future(self._pull(flight))

    def heard(self, number: int, kind: int, words: bytes) -> None:
        """A call has something to say: `wire.PROGRESS` or `wire.LOG`."""
        with self._lane.lock:
            flight = self._in_flight.get(number)
            if flight is not None and not flight.call.is_over:
                self._lane.deferred.add(self._codec.said, flight.call, Frame(kind, number, b"", b"", words, None))
        self._lane.deferred.run()

    def lost(self, number: int, worker: str) -> None:
        """The worker that a call had begun at has gone."""
        what = f"the Dask worker {worker} went away while it ran"
        with self._lane.lock:
            flight = self._in_flight.get(number)
            name = flight.call.name if flight is not None else ""
        error = WorkerDied(f"{what} {name}: what became of the call, nobody is left to tell", cause="exit", task=name)
        self._lose(number, error)

    def ended(self, number: int, outcome: Outcome) -> None:
        """A call has ended."""
        if outcome.error is not None:
            self._lose(number, outcome.error)
        elif outcome.payload.is_large:
            self._lane.helpers.do(lambda: self._end(number, outcome))
        else:
            self._end(number, outcome)

    def failed(self, number: int, error: LevelpoolError) -> None:
        """The cluster could not run a call."""
        self._lose(number, error)

    # ------------------------------------------------------------ the end of a call

    def _end(self, number: int, outcome: Outcome) -> None:
        frame = _frame(outcome.kind, outcome.payload.unpack(), number=number, meta=outcome.meta)
        with self._lane.lock:
            flight = self._leave_slot(number)
            if flight is None or flight.call.is_over:
                self._codec.release(frame.memfd)
            else:
                # When it began by the worker's clock says nothing here.
                _began, run, cpu, peak, size = REPORT.unpack(frame.meta)
                took = (flight.waited, run, cpu, peak, size)
                self._events.ended(flight.call, took, succeeded=frame.kind == DONE, worker=0)
                self._lane.deferred.add(self._hand_over, flight, frame)
            self._events.act()
        self._lane.deferred.run()

    def _hand_over(self, flight: _InFlight, frame: Frame) -> None:
        if flight.pulling is None:
            self._codec.deliver(flight.call, frame)
        else:
            # What it has yielded comes first.
            flight.pulling.add_done_callback(lambda _: self._codec.deliver(flight.call, frame))

    def _lose(self, number: int, error: LevelpoolError) -> None:
        """A call has ended without an outcome of its own."""
        with self._lane.lock:
            flight = self._leave_slot(number)
            if flight is not None and not flight.call.is_over:
                self._events.died(flight.call, error)
            self._events.act()
        self._lane.deferred.run()
        if flight is not None and self._cluster is not None:
            self._cluster.drop(number)

    def _leave_slot(self, number: int) -> _InFlight | None:
        flight = self._in_flight.pop(number, None)
        slot = self._lane.schedule.holder(number)
        if slot is not None:
            self._lane.schedule.ended(slot, number, now())
        return flight

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
            return _frame(wire.ITEM, payload.unpack())
        completion = LoopCompletion(asyncio.get_running_loop())
        self._lane.helpers.do(lambda: _try_to(completion, payload.unpack))
        return _frame(wire.ITEM, await completion.future)

    # ------------------------------------------------------------ the end of the lane

    def kill_all(self) -> None:
        """The calls were dropped one by one; the cluster stays as it is."""

    def close(self, done: Callable[[], None]) -> None:
        """Let go of the cluster."""
        cluster, self._cluster = self._cluster, None
        self._lane.deferred.add(self._begin_closing, cluster, done)

    def _begin_closing(self, cluster: Cluster | None, done: Callable[[], None]) -> None:
        self._closing = asyncio.ensure_future(self._close(cluster, done))

    async def _close(self, cluster: Cluster | None, done: Callable[[], None]) -> None:
        try:
            if cluster is not None:
                await cluster.close()
        finally:
            self._lane.helpers.do(done)

    def terminate(self) -> None:
        """The cluster notices that nobody is there any more, and drops the calls."""

    def after_fork_in_child(self) -> None:
        """Client and loop belong to the parent."""


def _frame(kind: int, body: bytes | MemfdPayload, *, number: int = 0, meta: bytes = b"") -> Frame:
    if isinstance(body, MemfdPayload):
        return Frame(kind, number, b"", meta, b"", body)
    return Frame(kind, number, b"", meta, body, None)


def _try_to(completion: LoopCompletion, func: Callable[[], object]) -> None:
    try:
        completion.succeed(func())
    except BaseException as error:  # noqa: BLE001 - whatever it was, somebody waits for it
        completion.fail(error)
