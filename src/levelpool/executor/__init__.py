"""The executor: a manager that owns its lanes, ways to make one, and the one of this process."""

from levelpool.executor.default import get_executor_manager, make_manager, reach_cluster
from levelpool.executor.factories import dask_executor, process_executor
from levelpool.executor.futures import LaneExecutor
from levelpool.executor.manager import ExecutorManager, ExecutorStats, ExecutorView

__all__ = [
    "ExecutorManager",
    "ExecutorStats",
    "ExecutorView",
    "LaneExecutor",
    "dask_executor",
    "get_executor_manager",
    "make_manager",
    "process_executor",
    "reach_cluster",
]
