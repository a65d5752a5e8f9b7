"""Errands: what a lane has decided under its lock and must not do there, because it runs foreign code."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from levelpool.lanes.home import Home

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
        if not self._home.is_here:
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
                self._run_one(func, args)
        finally:
            if self._runner == me:
                self._runner = 0
            if self._due:
                self._home.call_soon(self.run)

    def _run_one(self, func: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            func(*args)
        except Exception:  # noqa: BLE001 - a log handler, a progress callback: the outcomes of other calls are behind it
            _log.exception("a callback of lane %r failed", self._lane)
        except BaseException:
            # On the caller's own loop this is for the caller: Ctrl-C, for instance. On a loop of ours nobody else is there.
            if not self._home.is_private:
                raise
            _log.exception("a callback of lane %r failed", self._lane)
