"""Managers by the place where their CPU lane runs, each with the options that count there, and no other."""

from typing import Any

from levelpool.executor.lanes import dask_lanes, process_lanes
from levelpool.executor.manager import ExecutorManager
from levelpool.executor.options import ClusterOptions, ProcessOptions, takes, takes_after


@takes(ProcessOptions)
def process_executor(**options: Any) -> ExecutorManager:
    """A manager whose CPU lane runs in worker processes of this host; the options are those of `ExecutorManager`."""
    return ExecutorManager(lanes=process_lanes(ProcessOptions(**options)))


@takes_after(ClusterOptions)
def dask_executor(scheduler: str, **options: Any) -> ExecutorManager:
    """A manager whose CPU lane runs on the Dask cluster of the *scheduler* at this address; the options are those of `ExecutorManager` that count there."""
    return ExecutorManager(lanes=dask_lanes(scheduler, ClusterOptions(**options)))
