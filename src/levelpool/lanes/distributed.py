"""
The CPU lane on a Dask cluster; the only door to Dask.

`DaskCluster` is the near end, in the calling process: its client lives on the lane's private loop. `StartOnce` lets each call begin once, in the scheduler.
`ChildProcesses` holds the child processes of one Dask worker, and kills what is no longer wanted, which Dask itself never does. A call is one Dask task, `perform`.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from dask.utils import parse_bytes
from distributed import Client, Future, Scheduler, Worker, get_worker
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

from levelpool._version import __version__
from levelpool.errors import ClusterUnreachable, LevelpoolError, SettingsError, WorkerDied
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.worker_variables import worker_environment
from levelpool.lanes.remote.cluster_slots import ClusterSlots, RemoteLimits, remote_lane
from levelpool.lanes.remote.relay import Pull, Relay, Teller
from levelpool.lanes.remote.remote_call import Item, Outcome, RemoteCall, RemotePayload

logger = logging.getLogger(__name__)

PLUGIN = f"levelpool-{__version__}"
"""Name of our plugins in the scheduler and in each worker: two versions at one cluster do not meet."""

CONNECT_TIMEOUT = 10.0
"""Seconds that a scheduler has to answer at first."""
CHECK_CLUSTER_EVERY = 0.5
"""Seconds between two checks of the cluster: whether it is there, and how many threads it has."""
CHECK_CLUSTER_TIMEOUT = 5.0
"""Seconds that a scheduler has to answer such a check; then it is taken for lost."""
CANCEL_TASK_AGAIN_AFTER = 1.0
"""Seconds after which a task that was cancelled, and goes on, is cancelled once more."""
RECONNECT_AFTER = 1.0
"""Seconds between two tries to reach a scheduler that is away."""


def dask_lane(
    name: str, address: str, *, queue_limit: int, most: int | None, carry: Sequence[ContextVar[Any]], bulkheads: Mapping[str, Bulkhead]
) -> Dispatcher:
    """The lane *name* on the cluster of the scheduler at *address*, which is reached when the lane is first used; see `RemoteLimits`."""
    limits = RemoteLimits(queue_limit=queue_limit, most=most, carry=carry, bulkheads=bulkheads)
    return remote_lane(name, lambda: DaskCluster(address), limits, version=__version__)


def check_scheduler(address: str) -> int:
    """
    How many threads the cluster at *address* has now; blocks until it has answered, so call it before there is a loop.

    Raises `SettingsError` with one line when it cannot be reached, or cannot run our calls.
    """

    async def ask() -> int:
        async with _reached(address) as client:
            await _check_versions(client)
            return sum((await client.scheduler.ncores()).values())

    try:
        return asyncio.run(ask())
    except ClusterUnreachable as error:
        raise SettingsError(str(error)) from None


# ---------------------------------------------------------------- the near end


class DaskCluster:
    """The cluster as the lane sees it, reached again whenever it was lost; see `levelpool.lanes.remote.cluster_slots.Cluster`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None  # Dask's client; half of its methods have no types
        self._sent: dict[int, Future[Outcome]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._is_suspect = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._said = ""
        self._was_there = False

    def open(self, slots: ClusterSlots) -> None:
        """Begin to reach the cluster."""
        self._slots = slots
        self._keeping = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """Let go of the cluster."""
        self._sent = {}
        ending = {*self._tasks, *([self._keeping] if self._keeping is not None else [])}
        while ending:
            # More than once: a client that is just being closed may swallow a cancellation.
            for task in ending:
                task.cancel()
            _, ending = await asyncio.wait(ending, timeout=CANCEL_TASK_AGAIN_AFTER)

    def send(self, remote_call: RemoteCall, priority: int) -> None:
        """Have a call run somewhere, at the worker that the scheduler chooses."""
        client = self._client
        if client is None:
            raise ClusterUnreachable(f"{remote_call.name} was not run: the Dask scheduler at {self._address} is just being lost")
        key = f"levelpool-{client.id}-{remote_call.call}-{uuid.uuid4().hex}"
        # Dask would advise against what is large in a task; here it is nobody's data but the call's.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": parse_bytes("1 TiB")}):
            future = client.submit(perform, key, _topic(client.id), remote_call, key=key, pure=False, priority=priority, fifo_timeout=0)
        self._sent[remote_call.call] = future
        task = asyncio.ensure_future(self._wait_for(remote_call.call, remote_call.name, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_for(self, call: int, name: str, future: "Future[Outcome]") -> None:
        try:
            outcome: Outcome = await future
        except (asyncio.CancelledError, concurrent.futures.CancelledError):
            await self._find_out(call, name, future)
            return
        except Exception as error:  # noqa: BLE001 - Dask's own words for a task that it could not run
            told = WorkerDied(f"the Dask cluster could not run {name} ({type(error).__name__}: {error})", cause="exit", task=name)
            told.__cause__ = error
            self._slots.failed(call, told)
        else:
            self._slots.ended(call, outcome)
        self.drop(call)

    async def _find_out(self, call: int, name: str, future: "Future[Outcome]") -> None:
        """Dask has cancelled a task: because nobody wants it, because the scheduler is lost, or because somebody else told it to."""
        if self._sent.get(call) is future:
            # A scheduler that is lost is lost for every call: then this one has ended by the time.
            self._is_suspect.set()
            await asyncio.sleep(CHECK_CLUSTER_TIMEOUT + 1.0)
            if self._sent.get(call) is future:
                self._slots.failed(
                    call, ClusterUnreachable(f"the Dask scheduler at {self._address} has dropped {name}, and not on our word")
                )

    def drop(self, call: int) -> None:
        """Nobody wants a call any more: the scheduler drops it, and its worker kills the child process that runs it."""
        future = self._sent.pop(call, None)
        if future is not None:
            future.release()  # type: ignore[no-untyped-call]

    async def pull(self, call: int, worker: str) -> Item | None:
        """The next thing that a call yields."""
        client, future = self._client, self._sent.get(call)
        if client is None or future is None:
            return None
        try:
            answers = await client.run(next_item, future.key, workers=[worker])
        except Exception as error:  # noqa: BLE001 - of whatever kind: an item may be lost
            # If the worker has gone, that is said first.
            await asyncio.sleep(RECONNECT_AFTER)
            told = ClusterUnreachable(f"an item of the stream from the Dask worker {worker} is lost ({type(error).__name__}: {error})")
            self._slots.failed(call, told)
            return None
        item: Item | None = answers[worker]
        return item

    # ------------------------------------------------------------ there or not

    async def _keep(self) -> None:
        while True:
            try:
                async with _reached(self._address) as client:
                    await self._move_in(client)
                    await self._stay(client)
                    # Said before the client is closed, which takes a while when nobody answers.
                    self._lose("has gone: start it again, and the lane is back")
            except ClusterUnreachable as error:
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 - whatever Dask says: it is told, and tried again
                self._lose(f"cannot be used ({type(error).__name__}: {error})")
            finally:
                self._client, self._sent = None, {}
            await asyncio.sleep(RECONNECT_AFTER)

    def _lose(self, what: str) -> None:
        self._say(f"the Dask scheduler at {self._address} (LEVELPOOL_DASK_SCHEDULER) {what}")

    def _say(self, trouble: str) -> None:
        self._client, self._sent = None, {}
        self._slots.changed(0, trouble)
        # Of a scheduler that never was there each call tells.
        if self._was_there and trouble != self._said:
            logger.warning("%s", trouble)
        self._said = trouble

    async def _move_in(self, client: Any) -> None:
        await _check_versions(client)
        await client.register_plugin(StartOnce(), name=PLUGIN)
        await client.register_plugin(ChildProcesses(), name=PLUGIN)
        client.subscribe_topic(_topic(client.id), self._hear)
        threads = await _count_threads(client)
        self._client, self._said, self._was_there = client, "", True
        self._slots.changed(threads, None)
        logger.info("the CPU lane runs on the Dask cluster at %s, which has %d threads", self._address, threads)

    async def _stay(self, client: Any) -> None:
        """Return when the scheduler is lost."""
        known = None
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_suspect.wait(), CHECK_CLUSTER_EVERY)
            self._is_suspect.clear()
            try:
                threads = await _count_threads(client) if client.status == "running" else None
            except (OSError, TimeoutError):
                threads = None
            if threads is None:
                return
            if threads != known:
                self._slots.changed(threads, None)
                known = threads

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        word = event[1]
        match word["what"]:
            case "began":
                self._slots.began(word["call"], word["worker"])
            case "lost":
                self._slots.lost(word["call"], word["worker"])
            case "said":
                self._slots.heard(word["call"], word["kind"], word["words"])


@contextlib.asynccontextmanager
async def _reached(address: str) -> AsyncIterator[Any]:
    """A client on this loop, as long as the body runs; raises `ClusterUnreachable` with a sentence when there is no scheduler."""
    with _told(address):
        client: Any = Client(address, asynchronous=True, set_as_default=False, timeout=CONNECT_TIMEOUT, name="levelpool")  # type: ignore[no-untyped-call]
    try:
        with _told(address):
            await client
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            await client.close(timeout=CHECK_CLUSTER_TIMEOUT)


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Say in a sentence that a scheduler cannot be reached."""
    try:
        yield
    except (OSError, ValueError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClusterUnreachable(
            f"LEVELPOOL_DASK_SCHEDULER is {address!r}, and no Dask scheduler answers there ({why}): "
            "start one with `dask scheduler`, correct the address, or set LEVELPOOL_CPU_BACKEND to process"
        ) from error


async def _check_versions(client: Any) -> None:
    """Raise `ClusterUnreachable` when the scheduler or a worker has another Python or levelpool."""
    found = await client.get_versions(packages=["levelpool"])
    ours = _versions(found["client"])
    members = {f"the Dask scheduler {client.scheduler.address}": found["scheduler"]}
    members |= {f"the Dask worker {address}": each for address, each in found["workers"].items()}
    for member, each in members.items():
        if _versions(each) != ours:
            raise ClusterUnreachable(
                f"{member} (LEVELPOOL_DASK_SCHEDULER) has {_versions(each)}, and this process has {ours}: "
                "install the same Python and the same levelpool on the scheduler and on every Dask worker"
            )


def _versions(member: dict[str, Any]) -> str:
    python, levelpool = ".".join(member["host"]["python"].split(".")[:2]), member["packages"].get("levelpool")
    return f"Python {python} and {f'levelpool {levelpool}' if levelpool else 'no levelpool'}"


async def _count_threads(client: Any) -> int:
    """How many threads the cluster has."""
    return sum((await asyncio.wait_for(client.scheduler.ncores(), CHECK_CLUSTER_TIMEOUT)).values())


def _topic(client: str) -> str:
    """Where the scheduler notes what this client is to be told."""
    return f"levelpool-{client}"


# ---------------------------------------------------------------- in the scheduler


class StartOnce(SchedulerPlugin):
    """Lets each call begin once, and says where; says too when the worker has gone at which it began."""

    idempotent = True

    def __init__(self) -> None:
        self._begun: dict[str, tuple[str, int, str]] = {}

    async def start(self, scheduler: Scheduler) -> None:
        """Answer the workers' question."""
        self._scheduler = scheduler
        scheduler.handlers["levelpool_begin"] = self.begin

    def begin(self, key: str, topic: str, call: int, worker: str) -> bool:
        """Whether the task *key* may begin at *worker*: nobody has begun it, and somebody still wants it."""
        if key in self._begun or key not in self._scheduler.tasks:
            return False
        self._begun[key] = (topic, call, worker)
        self._scheduler.log_event(topic, {"what": "began", "call": call, "worker": worker})
        return True

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        """What had begun there is over, whatever Dask thinks of running it again."""
        for topic, call, place in list(self._begun.values()):
            if place == worker:
                scheduler.log_event(topic, {"what": "lost", "call": call, "worker": worker})

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:  # noqa: ARG002
        """Forget what the scheduler forgets."""
        if finish == "forgotten":
            self._begun.pop(key, None)

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Nobody reads its events any more; the scheduler would keep the last thousand of them."""
        scheduler._broker.truncate(_topic(client))  # noqa: SLF001 - there is no public way


# ---------------------------------------------------------------- in a worker


@dataclass(slots=True)
class _InFlight:
    """A call that is at this worker."""

    stream: "asyncio.Future[Pull | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Its items. The sender hears that it begins, and asks for the first one, perhaps before it has begun."""
    running: "asyncio.Future[Outcome] | None" = None
    is_wanted: bool = True

    def end(self) -> None:
        """Nobody wants it any more."""
        self.is_wanted = False
        if self.running is not None:
            self.running.cancel()


class ChildProcesses(WorkerPlugin):
    """The child processes of one Dask worker: as many as it has threads."""

    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Make room; child processes start when they are needed."""
        self._worker = worker
        self._in_flight: dict[str, _InFlight] = {}
        scratch = Path(tempfile.mkdtemp(prefix="levelpool-", dir=worker.local_directory))
        # What the setting of that name says on this machine; the manager that sends the calls is on another.
        rules = os.environ.get("LEVELPOOL_WORKER_VARIABLES", "").split()
        threads, memory = worker.state.nthreads, worker.memory_manager.memory_limit
        self._relay = Relay(
            "dask",
            threads,
            ProcessLimits(
                queue_limit=10_000,
                memory_limit=memory // threads if memory else None,
                environment=worker_environment(os.environ, rules) | {"TMPDIR": str(scratch)},
            ),
            scratch=scratch,
        )

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask names it
        """The worker ends, and the child processes with it."""
        await asyncio.wrap_future(self._relay.close(0.0))

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Kill what runs and is no longer wanted: Dask itself would let it run to its end."""
        if start in {"executing", "long-running"} and finish == "released" and key in self._in_flight:
            self._in_flight[key].end()

    async def perform(self, key: str, topic: str, remote_call: RemoteCall) -> Outcome:
        """Run a call to its end, or to that of its wanting."""
        if remote_call.version != __version__:
            return _refusal(
                f"{remote_call.name} was sent by levelpool {remote_call.version}, and {self._worker.address} has {__version__}: install the same"
            )
        flight = self._in_flight[key] = _InFlight()
        try:
            if not await self._worker.scheduler.levelpool_begin(key=key, topic=topic, call=remote_call.call, worker=self._worker.address):
                # Dask runs what it has lost once more; whoever wants that says so himself.
                return _refusal(f"{remote_call.name} had begun at another worker before")
            if not flight.is_wanted:
                return _refusal(f"{remote_call.name} was cancelled")
            flight.running = asyncio.ensure_future(self._run(topic, remote_call, flight.stream))
            await asyncio.wait([flight.running])
            return _refusal(f"{remote_call.name} was cancelled") if flight.running.cancelled() else flight.running.result()
        finally:
            del self._in_flight[key]
            if not flight.stream.done():
                flight.stream.set_result(None)

    async def _run(self, topic: str, remote_call: RemoteCall, stream: "asyncio.Future[Pull | None]") -> Outcome:
        def tell(kind: int, words: bytes) -> None:
            self._worker.log_event(topic, {"what": "said", "call": remote_call.call, "kind": kind, "words": words})

        try:
            return await (self._run_stream(remote_call, tell, stream) if remote_call.is_stream else self._relay.perform(remote_call, tell))
        except LevelpoolError as error:
            error.add_note(f"on the Dask worker {self._worker.address}")
            return Outcome(0, b"", RemotePayload(b""), error)

    async def _run_stream(self, remote_call: RemoteCall, tell: Teller, stream: "asyncio.Future[Pull | None]") -> Outcome:
        async with self._relay.open_stream(remote_call, tell) as pull:
            stream.set_result(pull)
            return await pull.end()

    async def next_item(self, key: str) -> Item | None:
        """The next thing that a call yields; None when there is none any more."""
        flight = self._in_flight.get(key)
        pull = await asyncio.shield(flight.stream) if flight is not None else None
        return await pull.next() if pull is not None else None


async def perform(key: str, topic: str, remote_call: RemoteCall) -> Outcome:
    """The Dask task of one call."""
    return await _child_processes(get_worker()).perform(key, topic, remote_call)


async def next_item(key: str, dask_worker: Worker) -> Item | None:
    """Asked of the worker at which a stream runs."""
    return await _child_processes(dask_worker).next_item(key)


def _child_processes(worker: Worker) -> ChildProcesses:
    plugin = worker.plugins[PLUGIN]
    if not isinstance(plugin, ChildProcesses):
        raise TypeError(f"the plugin {PLUGIN} of {worker.address} is {plugin!r}")
    return plugin


def _refusal(sentence: str) -> Outcome:
    return Outcome(0, b"", RemotePayload(b""), WorkerDied(sentence, cause="exit"))
