"""A call that answers with many things one after the other; whoever reads slowly slows the worker down."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from levelpool.lanes.completions import LoopCompletion, in_other_words

T = TypeVar("T")

WINDOW = 4
"""Items that a worker may be ahead of its reader."""


class StreamCompletion(LoopCompletion):
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
                if not self.future.cancelled():
                    self.future.result()
                raise StopAsyncIteration
            self.wake = self.loop.create_future()
            await self.wake
        return self.items.popleft()

    def end(self) -> None:
        """Nobody reads any more: let go of what has come."""
        self.items.clear()
        if self.future.done() and not self.future.cancelled():
            # An error that nobody waits for is not worth a warning.
            self.future.exception()
        self.future.cancel()

    def succeed(self, value: object) -> None:
        # Behind the items, which take the same way.
        self.call(self._set_result, value)

    def fail(self, error: BaseException) -> None:
        self.call(self._set_error, error)

    def _set_error(self, error: BaseException) -> None:
        if isinstance(error, StopAsyncIteration):
            # It would end the reader's loop as if all had come.
            error = in_other_words(error)
        super()._set_error(error)

    def _put(self, item: object) -> None:
        if not self.future.done():
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
        completion: StreamCompletion,
        *,
        unpack: Callable[[Any], Awaitable[T]],
        ask_for_more: Callable[[], None],
        cancel: Callable[[], None],
    ) -> None:
        self._completion = completion
        self._unpack = unpack
        self._ask_for_more = ask_for_more
        self._cancel = cancel
        self._has_read = False
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_over:
            raise StopAsyncIteration
        if self._has_read:
            self._has_read = False
            self._ask_for_more()
        try:
            item = await self._completion.next()
            self._has_read = True
            return await self._unpack(item)
        except BaseException:
            self._end()
            raise

    async def aclose(self) -> None:
        """End the worker, if it still runs; the stream is over then, also for somebody who waits for its next item."""
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._cancel()
        self._completion.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # May be called anywhere, even under a lane's lock: only leave word. A closed loop has no use for it.
        if not self._is_over:
            with contextlib.suppress(RuntimeError):
                self._completion.loop.call_soon_threadsafe(_end_stream, self._cancel, self._completion)


def _end_stream(cancel: Callable[[], None], completion: StreamCompletion) -> None:
    cancel()
    completion.end()
