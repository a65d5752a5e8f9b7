"""One timer for all that a lane has to look at again later."""

import asyncio
from collections.abc import Callable

from levelpool.lanes.home import Home
from levelpool.lanes.lane import now


class Alarm:
    """Rings once, at the earliest moment that somebody asked for. Its lane calls it under the lane's lock, from any thread."""

    __slots__ = ("_at", "_handle", "_home", "_ring")

    def __init__(self, home: Home, ring: Callable[[], None]) -> None:
        """*ring* is called in the home's loop."""
        self._home = home
        self._ring = ring
        self._at = float("inf")
        self._handle: asyncio.TimerHandle | None = None

    def set(self, delay: float) -> None:
        """Ring after *delay* seconds, or earlier if it is to ring earlier anyway."""
        at = now() + delay
        if at < self._at and self._home.loop is not None:
            self._at = at
            self._home.call(self._set_here, self._home.loop, delay)

    def _set_here(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        if loop is self._home.loop:
            if self._handle is not None:
                self._handle.cancel()
            self._handle = loop.call_later(delay, self._go_off, loop)

    def _go_off(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._home.loop:
            self._ring()

    def reset(self) -> None:
        """Forget what was asked for, because it rings now, or because the home has moved."""
        self._at, self._handle = float("inf"), None
