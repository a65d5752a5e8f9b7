"""A few daemon threads that do a lane's own chores: packing and unpacking what is too large for an event loop."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from levelpool.lanes.lane import now

_log = logging.getLogger(__name__)

IDLE = 10.0
"""Seconds after which a thread without work ends."""


class Crew:
    """Runs jobs in at most *most* threads, which come when they are needed and go when they are not."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._idle = 0

    def do(self, job: Callable[[], None]) -> None:
        """Run *job*, which should not raise, in one of the threads."""
        with self._changed:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
                return
            if self._threads >= self._most:
                return
            self._threads += 1
        threading.Thread(target=self._work, name=f"levelpool-{self._name}", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException:  # noqa: BLE001 - whatever it was, the thread is needed for the next one
                _log.exception("a chore of lane %r failed", self._name)
            del job

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            try:
                deadline = now() + IDLE
                while not self._jobs:
                    # A job may have come between the end of the time and the lock.
                    if not self._changed.wait(deadline - now()) and not self._jobs:
                        self._threads -= 1
                        return None
                return self._jobs.popleft()
            finally:
                self._idle -= 1
