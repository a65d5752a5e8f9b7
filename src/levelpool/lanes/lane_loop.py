"""The loop that owns a lane: the caller's event loop, or a private loop in a thread of its own; and how it watches sockets there."""

import asyncio
import contextlib
import socket
import threading
from asyncio.events import _get_running_loop
from collections.abc import Callable

from levelpool.lanes.foreign_loops import no_asyncio_here, refuse_patched_threads

LEAVE_TIMEOUT = 5.0
"""Seconds that the end of a private loop is waited for."""


running_loop = _get_running_loop
"""The loop that runs in this thread now, None if none does; unlike `asyncio.get_running_loop` it does not raise, which takes longer than all the rest of a look."""


def callers_loop() -> asyncio.AbstractEventLoop:
    """The loop that runs in this thread now; raises RuntimeError with a sentence where there is none of asyncio."""
    loop = running_loop()
    if loop is None:
        raise no_asyncio_here()
    return loop


class LaneLoop:
    """
    The loop that a lane lives on. Its lane calls it under the lane's lock, from any thread.

    The lane is bound to the first loop that uses it. The lane moves once and for good, to a private loop, as soon as anybody else uses it.
    """

    __slots__ = ("_name", "_thread", "is_private", "loop")

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_private = False

    def bind(self, user: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop | None:
        """Be where *user* (None: somebody without a loop) can use the lane; the loop that was left for it, if any."""
        if self.loop is user and user is not None:
            return None
        if self.loop is None:
            refuse_patched_threads()
            self.loop, self.is_private = user or self._open_private_loop(), user is None
            return None
        if self.is_private:
            return None
        left, self.loop, self.is_private = self.loop, self._open_private_loop(), True
        return left

    def _open_private_loop(self) -> asyncio.AbstractEventLoop:
        loop, self._thread = private_loop(self._name)
        return loop

    def leave(self) -> None:
        """End a private loop, not under the lock. Returns when its thread and its descriptors are gone, unless a callback blocks it."""
        if self.loop is not None and self._thread is not None:
            call_on(self.loop, self.loop.stop)
            if self._thread is not threading.current_thread():
                self._thread.join(LEAVE_TIMEOUT)

    @property
    def is_here(self) -> bool:
        """Whether this thread runs the loop now."""
        return self.loop is not None and running_loop() is self.loop

    def call(self, func: Callable[..., object], *args: object) -> None:
        """Call *func* in the loop: now if we are in it, else soon."""
        if self.loop is not None:
            call_on(self.loop, func, *args)

    def call_soon(self, func: Callable[..., object], *args: object) -> None:
        """Call *func* in the loop's next turn, never now."""
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # a closed loop: nobody is left who could want it
                self.loop.call_soon_threadsafe(func, *args)

    def later(self, delay: float, func: Callable[..., object], *args: object) -> None:
        """Call *func* in the loop after *delay* seconds."""
        if self.loop is not None:
            call_on(self.loop, self.loop.call_later, delay, func, *args)

    def watch(self, sock: socket.socket, func: Callable[..., object], *args: object) -> None:
        """Call *func* whenever *sock* has something to read."""
        if self.loop is not None:
            call_on(self.loop, _watch, self.loop.add_reader, sock, func, *args)

    def watch_writing(self, sock: socket.socket, func: Callable[..., object], *args: object) -> None:
        """Call *func* whenever *sock* takes something, until it is told not to."""
        if self.loop is not None:
            call_on(self.loop, _watch, self.loop.add_writer, sock, func, *args)

    def close(self, sock: socket.socket) -> None:
        """Close a socket that the loop watches."""
        close_on(self.loop, sock)


def _watch(add: Callable[..., object], sock: socket.socket, func: Callable[..., object], *args: object) -> None:
    # It may have been closed before the loop came to this.
    if sock.fileno() >= 0:
        add(sock.fileno(), func, *args)


def close_on(loop: asyncio.AbstractEventLoop | None, sock: socket.socket) -> None:
    """Close a socket that *loop* watches; a loop must let go of a descriptor before it is closed."""
    if loop is None or loop.is_closed():
        sock.close()
    else:
        call_on(loop, _close_watched, loop, sock)


def _close_watched(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        loop.remove_reader(sock.fileno())
        loop.remove_writer(sock.fileno())
        sock.close()


def private_loop(name: str) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    """A loop that runs in a daemon thread until it is stopped, and is closed then."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(ready.set)
        loop.run_forever()
        loop.close()

    thread = threading.Thread(target=run, name=f"levelpool-{name}", daemon=True)
    thread.start()
    ready.wait()
    return loop, thread


def call_on(loop: asyncio.AbstractEventLoop, func: Callable[..., object], *args: object) -> None:
    """Call *func* in *loop*: now if we are in it, soon if not; never if it is closed."""
    if running_loop() is loop:
        func(*args)
        return
    try:
        loop.call_soon_threadsafe(func, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise
