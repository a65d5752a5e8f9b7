"""What a dispatcher, the backend that runs its calls, and the codec that packs them know of each other."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from levelpool.errors import LevelpoolError, WorkerDied
from levelpool.lanes.alarm import Alarm
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.call import Call, LargePayload
from levelpool.lanes.completions import Deferred
from levelpool.lanes.helper_threads import HelperThreads
from levelpool.lanes.lane_loop import LaneLoop
from levelpool.lanes.place import Place
from levelpool.lanes.schedule import FAILED_SPAWNS, Gate, Schedule
from levelpool.lanes.task_stats import LaneCounters, Took

FOR_EVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """The limits of a lane that hold whatever runs its calls; times in seconds."""

    queue_limit: int
    queue_setting: str
    """What to raise so that more calls may wait."""
    bulkheads: Mapping[str, Bulkhead] = field(default_factory=dict)
    idle_timeout: float = FOR_EVER
    """After which a slot without work is retired."""
    max_tasks: int | None = None
    """Calls after which a slot is replaced."""
    gate: Gate | None = None
    spawn_tries: int = FAILED_SPAWNS
    sends_ahead: bool = False
    """Whether a worker that is busy may be sent calls that are usually over in an instant; its backend must be able to revoke them."""
    lives_on_loop: bool = True
    """Whether the lane has an event loop that it lives on; if not, what is to be told is told at once, by whoever finds it out."""
    is_traced: bool = True
    """Whether its calls get spans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneParts:
    """What dispatcher, backend and codec of one lane share. The lock guards all of it."""

    name: str
    lock: threading.RLock
    loop: LaneLoop
    deferred: Deferred
    helpers: HelperThreads
    alarm: Alarm
    schedule: Schedule
    counters: LaneCounters


class StartError(OSError):
    """No worker can be started now; where *is_lasting*, not a moment later either."""

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class Events(Protocol):
    """What a dispatcher wants to hear. `ended`, `died` and `act` are called under the lane's lock, the others take it themselves."""

    def packed(self, call: Call, payload: bytes | LargePayload) -> None:
        """The call is packed, later than its codec was asked to."""
        ...

    def refuse(self, call: Call, error: BaseException) -> None:
        """The call cannot be packed."""
        ...

    def decoded(self, call: Call, seconds: float) -> None:
        """It took so long to decode a large outcome."""
        ...

    def ended(self, call: Call, took: Took, *, succeeded: bool, worker: int) -> None:
        """The call, which was wanted, has run to its end in the process *worker*. Whoever says so hands the outcome over afterwards."""
        ...

    def died(self, call: Call, error: LevelpoolError) -> None:
        """The call is over without an outcome: what ran it has died, or cannot be asked any more."""
        ...

    def act(self) -> None:
        """Something has changed in the schedule: do what follows."""
        ...

    def allow(self, workers: int) -> None:
        """So many calls may run at the same time from now on."""
        ...

    def fail_hopeless(self, why: str, *, at_once: bool = False) -> None:
        """A worker has died, perhaps before it was ready: fail the calls for which there is no hope any more; with *at_once* no other try would end otherwise."""
        ...

    def fail_all(self, why: Callable[[Call], LevelpoolError]) -> None:
        """No call can run any more: fail all there are, those that were admitted and those that wait."""
        ...


class Breaker(Protocol):
    """Refuses calls that would do harm; called under the lane's lock."""

    def refusal(self, call: Call, payload: bytes | LargePayload, moment: float) -> LevelpoolError | None:
        """Why the call is not run now, if it is not."""
        ...

    def survived(self, call: Call) -> None:
        """The call has done none."""
        ...


class Codec(Protocol):
    """Turns calls into what a backend can send. Never called under the lane's lock: packing runs foreign code."""

    def pack(self, call: Call) -> bytes | LargePayload | None:
        """The payload of *call*; None if it comes later, by `Events.packed` or `Events.refuse`."""
        ...

    def release(self, payload: bytes | LargePayload | None) -> None:
        """Let go of a payload; also under the lock."""
        ...

    async def item(self, item: Any) -> Any:
        """One thing that a call yields, from what its backend has put into the `StreamCompletion`."""
        ...


class Backend(Protocol):
    """
    Runs calls in slots: worker processes, threads of a cluster, threads of this process.

    All methods return at once and are called under the lane's lock, except `terminate` and `after_fork_in_child`.
    What becomes of slots it writes into the schedule itself (`ready`, `ended`, `died`, ...), and tells calls to `Events`.
    """

    @property
    def place(self) -> Place:
        """What can be told of the workers."""
        ...

    @property
    def workers(self) -> int:
        """How many workers there are."""
        ...

    @property
    def tells_start(self) -> bool:
        """Whether it sets `Call.started`; if not, the first call of a slot is taken to have begun."""
        ...

    @property
    def breaker(self) -> Breaker | None:
        """Who refuses calls that would do harm."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why no call can be taken now, in a sentence."""
        ...

    def start(self, slot: int) -> bool:
        """Start a worker for a new slot; whether it is ready at once. Raises OSError when there can be none."""
        ...

    def send(self, slot: int, call: Call) -> None:
        """Run the call there, behind those that were sent before."""
        ...

    def revoke(self, slot: int, call: int) -> None:
        """Do not begin a call that was sent behind another one, if it has not begun."""
        ...

    def kill(self, slot: int, call: Call, cause: str, note: str = "") -> WorkerDied | None:
        """Kill the worker under the call; its death as the caller is to hear of it, None if the call had not begun or goes on."""
        ...

    def retire(self, slot: int) -> None:
        """Let an idle worker go."""
        ...

    def grant(self, slot: int, call: int) -> None:
        """The reader of a stream has taken an item: there is room for one more."""
        ...

    def has_begun(self, slot: int, call: Call) -> bool:
        """Whether the first call of a slot has begun, as far as is known here."""
        ...

    def kill_all(self) -> None:
        """The lane closes and its time is up: let go of all workers, dead or alive."""
        ...

    def close(self, done: Callable[[], None]) -> None:
        """All workers are gone: release the rest and call *done*, on whatever thread. Called once."""
        ...

    def bind(self, user: asyncio.AbstractEventLoop | None) -> None:
        """Live where *user* (None: somebody without a loop) can use the lane."""
        ...

    def tick(self, moment: float) -> None:
        """The alarm has rung: look after the workers."""
        ...

    def look_again(self, *, is_needed: bool) -> None:
        """Set the alarm for what is to be looked at again; without calls and workers nothing is needed, and what stands ready may go."""
        ...

    def resize(self, workers: int) -> int | None:
        """So many workers are wanted; how many calls may run then, where the place has a say in it."""
        ...

    def what_if_late(self, call: Call, killed: WorkerDied | None) -> str:
        """What became of a call whose time was up, in words for its caller."""
        ...

    def unstartable(self, call: Call, why: str) -> tuple[str, LevelpoolError]:
        """The outcome and the error of a call that waited for a worker, and none can be started."""
        ...

    def terminate(self) -> None:
        """Kill and release everything now, without a loop's help."""
        ...

    def after_fork_in_child(self) -> None:
        """Let go of everything without a word: it is the parent's."""
        ...


MakeBackend = Callable[[LaneParts, Events], tuple[Codec, Backend]]
"""Makes codec and backend of a lane that was never used; also in a forked child."""
