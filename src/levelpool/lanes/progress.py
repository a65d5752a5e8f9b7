"""How a task tells how far it is, whichever lane it runs in."""

from collections.abc import Callable
from contextvars import ContextVar

Reporter = Callable[[float, float, str], None]

_reporter: ContextVar[Reporter | None] = ContextVar("levelpool_progress", default=None)
_process_reporter: Reporter | None = None


def report_progress(done: float, total: float, message: str = "") -> None:
    """
    Tell whoever awaits this task that *done* of *total* is done; does nothing outside of a task.

    Cheap enough for a tight loop: a worker process sends at most about twenty reports a second, and always the last one.
    """
    reporter = _reporter.get() or _process_reporter
    if reporter is not None:
        reporter(done, total, message)


def reports_to(reporter: Reporter | None) -> None:
    """Send the reports of this context to *reporter*."""
    _reporter.set(reporter)


def process_reports_to(reporter: Reporter | None) -> None:
    """Send the reports of what has no context of its own to *reporter*: a worker runs one task at a time, and its threads may report too."""
    global _process_reporter  # noqa: PLW0603 - there is one task at a time in a worker process
    _process_reporter = reporter


def current_reporter() -> Reporter | None:
    """Where the reports of this context go."""
    return _reporter.get()
