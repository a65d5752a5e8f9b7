"""levelpool keeps an asyncio backend level while heavy work runs."""

from levelpool._version import __version__
from levelpool.errors import (
    ClusterUnreachable,
    LaneClosed,
    LaneFull,
    LevelpoolError,
    RemoteError,
    ResultNotPicklable,
    ResultTooLarge,
    TaskNotPicklable,
    TaskRefused,
    TaskTimeout,
    WorkerDied,
)
from levelpool.executor import ExecutorManager, ExecutorStats, get_executor_manager
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.progress import report_progress

__all__ = [
    "Bulkhead",
    "ClusterUnreachable",
    "ExecutorManager",
    "ExecutorStats",
    "LaneClosed",
    "LaneFull",
    "LevelpoolError",
    "RemoteError",
    "ResultNotPicklable",
    "ResultTooLarge",
    "TaskNotPicklable",
    "TaskRefused",
    "TaskTimeout",
    "WorkerDied",
    "__version__",
    "get_executor_manager",
    "report_progress",
]
