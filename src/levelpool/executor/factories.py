"""Managers by the place where their CPU lane runs, each with the options that count there, and no other."""

import contextvars
from collections.abc import Mapping, Sequence
from typing import Any

from levelpool.executor.lanes import dask_lanes, process_lanes
from levelpool.executor.manager import ExecutorManager
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.schedule import Gate


def process_executor(
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
) -> ExecutorManager:
    """A manager whose CPU lane runs in worker processes of this host; the options are those of `ExecutorManager`."""
    lanes = process_lanes(
        cpu_workers=cpu_workers,
        io_workers=io_workers,
        cpu_queue_limit=cpu_queue_limit,
        io_queue_limit=io_queue_limit,
        worker_memory_limit=worker_memory_limit,
        worker_idle_timeout=worker_idle_timeout,
        worker_max_tasks=worker_max_tasks,
        max_result_bytes=max_result_bytes,
        max_kills=max_kills,
        cpu_bulkheads=cpu_bulkheads,
        io_bulkheads=io_bulkheads,
        carry=carry,
        preload=preload,
        worker_environment=worker_environment,
        gate=gate,
    )
    return ExecutorManager(lanes=lanes)


def dask_executor(
    scheduler: str,
    *,
    cpu_workers: int | None = None,
    io_workers: int | None = None,
    cpu_queue_limit: int = 1000,
    io_queue_limit: int = 10_000,
    cpu_bulkheads: Mapping[str, Bulkhead] | None = None,
    io_bulkheads: Mapping[str, Bulkhead] | None = None,
    carry: Sequence[contextvars.ContextVar[Any]] = (),
) -> ExecutorManager:
    """A manager whose CPU lane runs on the Dask cluster of the *scheduler* at this address; the options are those of `ExecutorManager` that count there."""
    lanes = dask_lanes(
        scheduler,
        cpu_workers=cpu_workers,
        io_workers=io_workers,
        cpu_queue_limit=cpu_queue_limit,
        io_queue_limit=io_queue_limit,
        cpu_bulkheads=cpu_bulkheads,
        io_bulkheads=io_bulkheads,
        carry=carry,
    )
    return ExecutorManager(lanes=lanes)
