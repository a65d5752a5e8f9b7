"""A call that answers with many things one after the other; whoever reads slowly slows the worker down."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from levelpool.lanes.tickets import LoopTicket

T = TypeVar("T")

WINDOW = 4
"""Items that a worker may be ahead of its reader."""


class StreamTicket(LoopTicket):
    """The way back to the reader: items in order, then the end or the error."""

    __slots__ = ("items", "wake")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.items: deque[Any] = deque()
        self.wake: asyncio.Future[None] | None = None
        self.future.add_done_callback(lambda _: self._rouse())

    def item(self, item: object) -> None:
        """Hand over one item, from any thread."""
        self.call(self._put, item)

    async def next(self) -> Any:
        """The next item; raises the call's error, or StopAsyncIteration, after the last one."""
        while not self.items:
            if self.future.done():
                self.future.result()
                raise StopAsyncIteration
            self.wake = self.loop.create_future()
            await self.wake
        return self.items.popleft()

    def succeed(self, value: object) -> None:
        # Behind the items, which take the same way.
        self.call(self._set_result, value)

    def fail(self, error: BaseException) -> None:
        self.call(self._set_error, error)

    def _put(self, item: object) -> None:
        self.items.append(item)
        self._rouse()

    def _rouse(self) -> None:
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)


class Stream(Generic[T]):
    """
    What `stream_cpu_intensive` returns: an asynchronous iterator over what a generator in a worker yields.

    Leaving the `async for` early, `aclose`, and dropping it end the worker. `async with` makes the end certain where a reference stays.
    """

    def __init__(
        self,
        ticket: StreamTicket,
        *,
        unpack: Callable[[Any], Awaitable[T]],
        ask_for_more: Callable[[], None],
        cancel: Callable[[], None],
    ) -> None:
        self._ticket = ticket
        self._unpack = unpack
        self._ask_for_more = ask_for_more
        self._cancel = cancel
        self._has_read = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._has_read:
            self._has_read = False
            self._ask_for_more()
        try:
            item = await self._ticket.next()
            self._has_read = True
            return await self._unpack(item)
        except BaseException:
            self._cancel()
            raise

    async def aclose(self) -> None:
        """End the worker, if it still runs."""
        self._cancel()
        if self._ticket.future.done() and not self._ticket.future.cancelled():
            # An error that nobody waits for any more is not worth a warning.
            self._ticket.future.exception()
        self._ticket.future.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # May be called anywhere, even under a lane's lock: only leave word. A closed loop has no use for it.
        with contextlib.suppress(RuntimeError):
            self._ticket.loop.call_soon_threadsafe(self._cancel)
        if self._ticket.future.done() and not self._ticket.future.cancelled():
            self._ticket.future.exception()
