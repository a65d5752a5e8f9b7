"""One timer for all that a lane has to look at again later."""

import asyncio
from collections.abc import Callable

from levelpool.lanes.lane import now
from levelpool.lanes.lane_loop import LaneLoop


class Alarm:
    """Rings once, at the earliest moment that somebody asked for. Its lane calls it under the lane's lock, from any thread."""

    __slots__ = ("_at", "_handle", "_lane_loop", "_ring")

    def __init__(self, lane_loop: LaneLoop, ring: Callable[[], None]) -> None:
        """*ring* is called in the lane's loop."""
        self._lane_loop = lane_loop
        self._ring = ring
        self._at = float("inf")
        self._handle: asyncio.TimerHandle | None = None

    def set(self, delay: float) -> None:
        """Ring after *delay* seconds, or earlier if it is to ring earlier anyway."""
        at = now() + delay
        if at < self._at and self._lane_loop.loop is not None:
            self._at = at
            self._lane_loop.call(self._set_here, self._lane_loop.loop, delay)

    def _set_here(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        if loop is self._lane_loop.loop:
            if self._handle is not None:
                self._handle.cancel()
            self._handle = loop.call_later(delay, self._go_off, loop)

    def _go_off(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._lane_loop.loop:
            self._ring()

    def reset(self) -> None:
        """Drop what was asked for, because it rings now, or because the lane has moved."""
        self._at, self._handle = float("inf"), None
