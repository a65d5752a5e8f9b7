"""How a worker waits for its next call."""

import os
import select
import socket
import time

AWAKE = 0.0003
"""Seconds for which a worker that expects the next call at once stays awake for it."""


class Pause:
    """
    The pause between two calls of a worker that is called again at once.

    To wake a processor that sleeps takes as long as a whole small call. So after a short pause a worker expects another short one and stays awake for it,
    a moment at most, leaving its processor to whoever else wants it. After a long pause it goes to sleep at once.
    """

    def __init__(self, talk: socket.socket) -> None:
        self._ready = select.poll()
        self._ready.register(talk, select.POLLIN)
        self._expects_more = False

    def wait(self, patience: float | None = None) -> bool:
        """Wait until there is something to read, at most *patience* seconds; whether there is."""
        began = moment = time.monotonic()
        end = began + AWAKE if self._expects_more else began
        while not self._ready.poll(0):
            if moment >= end:
                if not self._ready.poll(patience and patience * 1000):
                    return False
                moment = time.monotonic()
                break
            os.sched_yield()
            moment = time.monotonic()
        self._expects_more = moment - began < AWAKE
        return True
