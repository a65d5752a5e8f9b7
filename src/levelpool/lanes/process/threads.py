"""Which call of a worker a thread works for: that whose code has started it, also when it goes on after that call."""

import threading
from collections.abc import Callable

_MARK = "levelpool_call"

_current: Callable[[], int] | None = None


def follow_threads(current: Callable[[], int]) -> None:
    """
    From now on mark every thread with the call that starts it; *current* is that of the main thread.

    A thread begins with an empty context, and may outlive its call: nothing but its beginning says whose it is.
    """
    global _current  # noqa: PLW0603 - a worker process has one main thread
    _current = current
    start = threading.Thread.start

    def start_marked(thread: threading.Thread) -> None:
        vars(thread)[_MARK] = call_here()
        start(thread)

    threading.Thread.start = start_marked  # type: ignore[assignment, method-assign]


def call_here() -> int:
    """The call that this thread works for; 0 if nobody knows."""
    thread = threading.current_thread()
    if thread is threading.main_thread():
        return _current() if _current is not None else 0
    return int(vars(thread).get(_MARK, 0))
