"""The two lanes of a manager, made from its options: which of them count, and what they are when nobody says."""

import contextvars
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from levelpool.errors import SettingsError
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.lane import Lane, StreamingLane
from levelpool.lanes.process.lane import process_lane
from levelpool.lanes.process.limits import ProcessLimits
from levelpool.lanes.schedule import Gate
from levelpool.lanes.thread import thread_lane

# A cluster, sizes and what the container allows are loaded when somebody asks for them: `import levelpool` stays light,
# and a manager with numbers of its own never needs them.
if TYPE_CHECKING:
    from levelpool.sizing import Sizes

Lanes = tuple[StreamingLane, Lane]
"""The one for CPU-bound work, and the one for blocking I/O."""


def process_lanes(
    *,
    cpu_workers: int | None = None,
    io_workers: int | None = None,
    cpu_queue_limit: int = 1000,
    io_queue_limit: int = 10_000,
    worker_memory_limit: int | None = None,
    worker_idle_timeout: float = 30.0,
    worker_max_tasks: int | None = None,
    max_result_bytes: int | None = None,
    max_kills: int | None = None,
    cpu_bulkheads: Mapping[str, Bulkhead] | None = None,
    io_bulkheads: Mapping[str, Bulkhead] | None = None,
    carry: Sequence[contextvars.ContextVar[Any]] = (),
    preload: Sequence[str] = (),
    worker_environment: Mapping[str, str] | None = None,
    gate: Gate | None = None,
) -> Lanes:
    """Worker processes of this host, and threads; the options of `ExecutorManager`."""
    check_counts(cpu_workers=cpu_workers, io_workers=io_workers, worker_max_tasks=worker_max_tasks)
    found = sizes() if cpu_workers is None or io_workers is None else None
    limits = ProcessLimits(
        queue_limit=cpu_queue_limit,
        memory_limit=worker_memory_limit,
        idle_timeout=worker_idle_timeout,
        max_tasks=worker_max_tasks,
        max_result_bytes=max_result_bytes,
        carry=carry,
        preload=preload,
        environment=worker_environment,
        max_kills=max_kills,
        bulkheads=cpu_bulkheads or {},
        gate=gate,
    )
    cpu = process_lane("cpu", cpu_workers or (found.cpu_workers if found else 1), limits)
    threads = io_workers or (found.io_workers if found else 2)
    return cpu, thread_lane("io", threads, queue_limit=io_queue_limit, bulkheads=io_bulkheads)


def dask_lanes(
    scheduler: str,
    *,
    cpu_workers: int | None = None,
    io_workers: int | None = None,
    cpu_queue_limit: int = 1000,
    io_queue_limit: int = 10_000,
    cpu_bulkheads: Mapping[str, Bulkhead] | None = None,
    io_bulkheads: Mapping[str, Bulkhead] | None = None,
    carry: Sequence[contextvars.ContextVar[Any]] = (),
) -> Lanes:
    """The Dask cluster of the *scheduler* at this address, and threads of this process; the options of `ExecutorManager` that count there."""
    check_counts(cpu_workers=cpu_workers, io_workers=io_workers)
    cpu: StreamingLane = distributed().dask_lane(
        "cpu", scheduler, queue_limit=cpu_queue_limit, most=cpu_workers, carry=carry, bulkheads=cpu_bulkheads or {}
    )
    return cpu, thread_lane("io", io_workers or sizes().io_workers, queue_limit=io_queue_limit, bulkheads=io_bulkheads)


def check_counts(**counts: int | None) -> None:
    """Raise `SettingsError` for a count below one."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise SettingsError(f"{name} is {value}: it must be a whole number from 1 on")


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
