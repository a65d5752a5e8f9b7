"""
levelpool keeps an asyncio backend level while heavy work runs.

The executor is loaded when it is asked for: whoever reads a workbook with `levelpool.sheets` comes by here too, and needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from levelpool._version import __version__
from levelpool.errors import (
    ClusterUnreachable,
    LaneClosed,
    LaneFull,
    LevelpoolError,
    NoRoom,
    RemoteError,
    ResultNotPicklable,
    ResultTooLarge,
    TaskExited,
    TaskNotPicklable,
    TaskRefused,
    TaskTimeout,
    WorkerDied,
)
from levelpool.lanes.progress import report_progress

if TYPE_CHECKING:
    from levelpool.executor import ExecutorManager, ExecutorStats, get_executor_manager
    from levelpool.lanes.bulkheads import Bulkhead

__all__ = [
    "Bulkhead",
    "ClusterUnreachable",
    "ExecutorManager",
    "ExecutorStats",
    "LaneClosed",
    "LaneFull",
    "LevelpoolError",
    "NoRoom",
    "RemoteError",
    "ResultNotPicklable",
    "ResultTooLarge",
    "TaskExited",
    "TaskNotPicklable",
    "TaskRefused",
    "TaskTimeout",
    "WorkerDied",
    "__version__",
    "get_executor_manager",
    "report_progress",
]

_LOADED_WHEN_ASKED_FOR = {
    "Bulkhead": "levelpool.lanes.bulkheads",
    "ExecutorManager": "levelpool.executor",
    "ExecutorStats": "levelpool.executor",
    "get_executor_manager": "levelpool.executor",
}


def __getattr__(name: str) -> object:
    """A name of the executor; from then on it stands here like the others."""
    if name not in _LOADED_WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LOADED_WHEN_ASKED_FOR[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
