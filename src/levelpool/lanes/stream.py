"""A call that answers with many things one after the other; whoever reads slowly slows the worker down."""

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from levelpool.lanes.completions import StreamCompletion

T = TypeVar("T")

WINDOW = 4
"""Items that a worker may be ahead of its reader."""


class Stream(Generic[T]):
    """
    What `stream_cpu_intensive` returns: an asynchronous iterator over what a generator in a worker yields.

    Leaving the `async for` early, `aclose`, and dropping it end the worker. `async with` makes the end certain where a reference stays.
    It has one reader at a time: who asks for an item while another one waits gets a RuntimeError, as from an asynchronous generator.
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
        self._is_being_read = False
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_being_read:
            raise RuntimeError("this stream is being read already: somebody waits for its next item, and it has one reader at a time")
        if self._is_over:
            raise StopAsyncIteration
        if self._has_read:
            self._has_read = False
            self._ask_for_more()
        self._is_being_read = True
        try:
            item = await self._completion.next()
            self._has_read = True
            return await self._unpack(item)
        except BaseException:
            self._end()
            raise
        finally:
            self._is_being_read = False

    async def outcome(self) -> Any:
        """What the call ended with behind its last item."""
        return await self._completion.future

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
