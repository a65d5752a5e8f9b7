"""A few daemon threads that do a lane's own chores: packing and unpacking what is too large for an event loop."""

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

IDLE_TIMEOUT = 10.0
"""Seconds after which a thread without work ends."""


class HelperThreads:
    """
    Runs jobs in at most *most* threads, which come when they are needed and go when they are not.

    A finalizer may hand a job over in the midst of anything, even of this: a `SimpleQueue` takes it, and the lock is held for counting only.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._counting = threading.RLock()
        self._threads = 0
        self._idle = 0

    def do(self, job: Callable[[], None]) -> None:
        """Run *job*, which should not raise, in one of the threads; here only if the system gives none."""
        self._jobs.put(job)
        with self._counting:
            if self._idle >= self._jobs.qsize() or self._threads >= self._most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name=f"levelpool-{self._name}", daemon=True).start()
        except RuntimeError:
            with self._counting:
                self._threads -= 1
                is_alone = not self._threads
            if is_alone:
                logger.warning("no thread can be started for %s: its work is done where it came up, which may be an event loop", self._name)
                self._do_what_is_there()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            del job

    def _next(self) -> Callable[[], None] | None:
        with self._counting:
            self._idle += 1
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_TIMEOUT)
            except queue.Empty:
                with self._counting:
                    # A job may have come between the end of the time and the lock.
                    if not self._jobs.empty():
                        continue
                    self._idle -= 1
                    self._threads -= 1
                return None
            with self._counting:
                self._idle -= 1
            return job

    def _do_what_is_there(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            self._run(job)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException:  # whatever it was, the thread is needed for the next one
            logger.exception("a job of %s failed", self._name)
