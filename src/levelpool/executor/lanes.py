"""The two lanes of a manager, made from its options: which of them count, and what they are when nobody says."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from levelpool.errors import SettingsError
from levelpool.executor.options import ClusterOptions, Lanes, ManagerOptions, ProcessOptions
from levelpool.lanes.lane import Lane, StreamingLane

# Lanes, a cluster, sizes and what the container allows are loaded when a manager is made that needs them: the import of the
# executor stays light, and a manager on a cluster, or with numbers of its own, never needs them all.
if TYPE_CHECKING:
    from levelpool.sizing import Sizes


def lanes_of(options: ManagerOptions) -> Lanes:
    """Those that the options of a manager ask for; one that would not count is refused with `SettingsError`."""
    if options.lanes is not None:
        return options.lanes
    if options.dask_scheduler is None:
        return process_lanes(options)
    idle = options.idle_on_a_cluster()
    if idle:
        raise SettingsError(
            f"{' and '.join(idle)} {'does' if len(idle) == 1 else 'do'} not count for a manager whose CPU lane runs on a Dask cluster "
            f"({options.dask_scheduler}): leave {'it' if len(idle) == 1 else 'them'} out, the workers of the cluster have limits of their own"
        )
    return dask_lanes(options.dask_scheduler, options)


def process_lanes(options: ProcessOptions) -> Lanes:
    """Worker processes of this host, and threads."""
    from levelpool.lanes.process.lane import process_lane  # noqa: PLC0415 - see the top
    from levelpool.lanes.process.limits import ProcessLimits  # noqa: PLC0415 - see the top

    found = sizes() if options.cpu_workers is None or options.io_workers is None else None
    limits = ProcessLimits(
        queue_limit=options.cpu_queue_limit,
        memory_limit=options.worker_memory_limit,
        idle_timeout=options.worker_idle_timeout,
        max_tasks=options.worker_max_tasks,
        max_result_bytes=options.max_result_bytes,
        carry=options.carry,
        preload=options.preload,
        environment=options.worker_environment,
        variables=options.worker_variables,
        max_kills=options.max_kills,
        bulkheads=options.cpu_bulkheads or {},
        gate=options.gate,
    )
    cpu = process_lane("cpu", options.cpu_workers or (found.cpu_workers if found else 1), limits)
    return cpu, _threads(options, options.io_workers or (found.io_workers if found else 2))


def dask_lanes(scheduler: str, options: ClusterOptions) -> Lanes:
    """The Dask cluster of the *scheduler* at this address, and threads of this process."""
    cpu: StreamingLane = distributed().dask_lane(
        "cpu",
        scheduler,
        queue_limit=options.cpu_queue_limit,
        most=options.cpu_workers,
        carry=options.carry,
        bulkheads=options.cpu_bulkheads or {},
    )
    return cpu, _threads(options, options.io_workers or sizes().io_workers)


def _threads(options: ClusterOptions, most: int) -> Lane:
    from levelpool.lanes.thread import thread_lane  # noqa: PLC0415 - see the top

    return thread_lane("io", most, queue_limit=options.io_queue_limit, bulkheads=options.io_bulkheads)


def distributed() -> ModuleType:
    """The door to Dask, which is optional, and large."""
    try:
        from levelpool.lanes import distributed as door  # noqa: PLC0415 - as above
    except ImportError as error:
        raise SettingsError(
            f"LEVELPOOL_CPU_BACKEND is 'dask', and Dask is not installed ({error}): pip install 'levelpool[dask]', or set it to process"
        ) from error
    return door


def sizes(**options: Any) -> "Sizes":
    """What follows from what the container allows; *options* are those of `levelpool.sizing.size`."""
    from levelpool.capacity.detect import detect_capacity  # noqa: PLC0415 - see the top
    from levelpool.sizing import size  # noqa: PLC0415 - see the top

    return size(detect_capacity(), **options)
