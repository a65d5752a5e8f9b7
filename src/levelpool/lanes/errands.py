"""Errands: what a lane has decided under its lock and must not do there, because it runs foreign code."""

import logging
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Errands:
    """A list of due calls; written under the lane's lock, run outside of it, in order."""

    __slots__ = ("_due", "_lane")

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._due: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()

    def add(self, func: Callable[..., object], *args: object) -> None:
        """Call *func* when the lock is free again."""
        self._due.append((func, args))

    def run(self) -> None:
        """Run what is due, and what becomes due meanwhile; several threads may do so at once."""
        while self._due:
            try:
                func, args = self._due.popleft()
            except IndexError:
                return
            try:
                func(*args)
            except Exception:  # noqa: BLE001 - a log handler, a progress callback: the outcomes of other calls are behind it
                _log.exception("a callback of lane %r failed", self._lane)
