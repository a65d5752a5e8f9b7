"""Completion handles: the way of an outcome back to whoever made the call."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any, Protocol

from levelpool.errors import RemoteError
from levelpool.tracebacks import format_error, type_name

_CANCELLATIONS = (asyncio.CancelledError, concurrent.futures.CancelledError)


class Completion(Protocol):
    """The way back to whoever made the call; usable from any thread, and the first outcome counts."""

    def succeed(self, value: object) -> None:
        """Hand over the result."""
        ...

    def fail(self, error: BaseException) -> None:
        """Hand over the error."""
        ...

    def call(self, func: Callable[..., object], *args: object) -> None:
        """Call *func* where the caller lives."""
        ...

    def start(self) -> bool:
        """Say that the call begins to run; False if the caller no longer wants it."""
        ...


class LoopCompletion:
    """The outcome goes to a future of the caller's event loop."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def succeed(self, value: object) -> None:
        if running_loop() is self.loop:
            if not self.future.done():
                self.future.set_result(value)
        else:
            self.call(self._set_result, value)

    def fail(self, error: BaseException) -> None:
        if running_loop() is self.loop:
            self._set_error(error)
        else:
            self.call(self._set_error, error)

    def call(self, func: Callable[..., object], *args: object) -> None:
        if not self.loop.is_closed():
            try:
                self.loop.call_soon_threadsafe(func, *args)
            except RuntimeError:
                # Closed between the two lines: nobody is left who could want the outcome.
                if not self.loop.is_closed():
                    raise

    def start(self) -> bool:
        return not self.future.done()

    def _set_result(self, value: object) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def _set_error(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(unmistakable(error))


class ThreadCompletion:
    """The outcome goes to a `concurrent.futures.Future`. Its lane calls `start` under the lane's lock."""

    __slots__ = ("_has_started", "future")

    loop: None = None

    def __init__(self) -> None:
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._has_started = False

    def succeed(self, value: object) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(unmistakable(error))

    def call(self, func: Callable[..., object], *args: object) -> None:
        func(*args)

    def start(self) -> bool:
        if self._has_started:
            return not self.future.cancelled()
        self._has_started = True
        # Also what tells those who wait for a cancelled future that it is over.
        return self.future.set_running_or_notify_cancel()


def unmistakable(error: BaseException) -> BaseException:
    """
    *error* of a task, or another one that tells of it where the caller would take it for something else.

    That a call is cancelled is for its caller alone to say: a task group ignores a member that raises CancelledError, as if nobody wanted it any more.
    And a coroutine cannot raise StopIteration, which a future refuses.
    """
    if isinstance(error, _CANCELLATIONS):
        kind, text = type_name(error), format_error(error)
        said: BaseException = RemoteError(
            f"the task itself raised {kind}: nobody has cancelled the call", type_name=kind, traceback_text=text
        )
        said.__cause__ = error
        return said
    return in_other_words(error) if isinstance(error, StopIteration) else error


def in_other_words(error: BaseException) -> RuntimeError:
    """An error that would be taken for the end of an iteration, as one that is not."""
    said = RuntimeError(f"the task raised {type(error).__name__}")
    said.__cause__ = error
    return said


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread now, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
