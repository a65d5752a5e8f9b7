"""Deferred callbacks: what a lane has decided under its lock and must not do there, because it runs foreign code."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from levelpool.lanes.completions import running_loop
from levelpool.lanes.lane_loop import LaneLoop

_log = logging.getLogger(__name__)


class DeferredCallbacks:
    """
    Due calls, in order. They are noted under the lane's lock, by any thread, and run when it is free, by the lane's loop alone.

    Whoever only submits a call must not run the callbacks of somebody else's: it may hold a lock that they want.
    """

    __slots__ = ("_due", "_lane", "_lane_loop", "_runner")

    def __init__(self, lane: str, lane_loop: LaneLoop) -> None:
        self._lane = lane
        self._lane_loop = lane_loop
        self._due: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._runner = 0

    def add(self, func: Callable[..., object], *args: object) -> None:
        """Have *func* called soon."""
        self._due.append((func, args))

    def run(self) -> None:
        """Run what is due, and what becomes due meanwhile: now if this is the lane's loop, else soon."""
        if not self._due:
            return
        if running_loop() is not self._lane_loop.loop:
            self._lane_loop.call(self.run)
            return
        me = threading.get_ident()
        if self._runner == me:
            # A callback has called the lane: what is due now is run when that callback has returned.
            return
        self._runner = me
        try:
            # The lane may move while a callback keeps its old loop waiting: then the new one runs the rest.
            while self._due and self._runner == me:
                func, args = self._due.popleft()
                try:
                    func(*args)
                except BaseException as error:  # noqa: BLE001 - the outcomes of other calls are behind it
                    self._log_failure(error)
        finally:
            if self._runner == me:
                self._runner = 0
            if self._due:
                self._lane_loop.call_soon(self.run)

    def _log_failure(self, error: BaseException) -> None:
        """A log handler, a progress callback failed. Ctrl-C on the caller's own loop is for the caller; on a loop of ours nobody else is there."""
        if not isinstance(error, Exception) and not self._lane_loop.is_private:
            raise error
        _log.error("a callback of lane %r failed", self._lane, exc_info=error)
