"""Errands: what a lane has decided under its lock and must not do there, because it runs foreign code."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from levelpool.lanes.home import Home
from levelpool.lanes.tickets import running_loop

_log = logging.getLogger(__name__)


class Errands:
    """
    Due calls, in order. They are noted under the lane's lock, by any thread, and run outside of it, by the home's loop alone.

    Whoever only submits a call must not run the callbacks of somebody else's: it may hold a lock that they want.
    """

    __slots__ = ("_due", "_home", "_lane", "_runner")

    def __init__(self, lane: str, home: Home) -> None:
        self._lane = lane
        self._home = home
        self._due: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._runner = 0

    def add(self, func: Callable[..., object], *args: object) -> None:
        """Have *func* called soon."""
        self._due.append((func, args))

    def run(self) -> None:
        """Run what is due, and what becomes due meanwhile: now if this is the home's loop, else soon."""
        if not self._due:
            return
        if running_loop() is not self._home.loop:
            self._home.call(self.run)
            return
        me = threading.get_ident()
        if self._runner == me:
            # A callback has called the lane: what is due now is run when that callback has returned.
            return
        self._runner = me
        try:
            # The lane may move while a callback keeps its old home waiting: then the new one runs the rest.
            while self._due and self._runner == me:
                func, args = self._due.popleft()
                try:
                    func(*args)
                except BaseException as error:  # noqa: BLE001 - the outcomes of other calls are behind it
                    self._bear(error)
        finally:
            if self._runner == me:
                self._runner = 0
            if self._due:
                self._home.call_soon(self.run)

    def _bear(self, error: BaseException) -> None:
        """A log handler, a progress callback failed. Ctrl-C on the caller's own loop is for the caller; on a loop of ours nobody else is there."""
        if not isinstance(error, Exception) and not self._home.is_private:
            raise error
        _log.error("a callback of lane %r failed", self._lane, exc_info=error)
