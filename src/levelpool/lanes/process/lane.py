"""The process lane, put together: a dispatcher whose calls run in worker processes of this host."""

from levelpool.lanes.backend import Events, LaneLimits, LaneParts
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.process.codec import PickleCodec
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.process.local_workers import LocalWorkers
from levelpool.lanes.process.poison_tasks import PoisonTasks


def process_lane(name: str, workers: int, limits: ProcessLimits) -> Dispatcher:
    """
    A lane that runs calls in at most *workers* processes: bounded, killable, limited in memory, replaced when they die.

    Cancelling a call kills the worker under it.
    """

    def make(parts: LaneParts, events: Events) -> tuple[PickleCodec, LocalWorkers]:
        poison_tasks = PoisonTasks(limits.max_kills, parts.lock) if limits.max_kills is not None else None
        codec = PickleCodec(parts, events, carry=limits.carry, inspect=poison_tasks.inspect if poison_tasks is not None else None)
        return codec, LocalWorkers(parts, events, limits, reader=codec, poison_tasks=poison_tasks)

    return Dispatcher(name, workers, lane_limits(limits), make)


def lane_limits(limits: ProcessLimits) -> LaneLimits:
    """Those of *limits* that hold whatever runs the calls."""
    return LaneLimits(
        queue_limit=limits.queue_limit,
        queue_setting="LEVELPOOL_CPU_QUEUE_LIMIT",
        bulkheads=limits.bulkheads,
        idle_timeout=limits.idle_timeout,
        max_tasks=limits.max_tasks,
        gate=limits.gate,
        sends_ahead=True,
    )
