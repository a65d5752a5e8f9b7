"""For tests of code that uses an executor."""

from levelpool.executor import ExecutorManager
from levelpool.lanes.inline import InlineLane


def inline_manager() -> ExecutorManager:
    """A manager whose calls run in place: no processes, no threads, the same calls and errors of the task, and true statistics."""
    return ExecutorManager(lanes=(InlineLane("cpu"), InlineLane("io")))
