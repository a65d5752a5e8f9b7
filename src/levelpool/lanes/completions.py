"""Completion handles: the way of an outcome back to whoever made the call; and deferred callbacks, which carry it out from under the lock of a lane."""

import asyncio
import concurrent.futures
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from levelpool.errors import RemoteError, TaskExited, plain_code
from levelpool.lanes.lane_loop import LaneLoop, running_loop
from levelpool.tracebacks import format_error, type_name

logger = logging.getLogger(__name__)

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
            self.succeed_here(value)
        else:
            self.call(self.succeed_here, value)

    def succeed_here(self, value: object) -> None:
        """The same, for whoever knows that the loop runs here: to ask which one does is a question to the kernel, on Pythons before 3.12."""
        if not self.future.done():
            self.future.set_result(value)

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

    def _set_error(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(unmistakable(error))


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
        self.call(self.succeed_here, value)

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
    SystemExit and KeyboardInterrupt end the program, through every `except Exception` of a server. And a coroutine cannot raise StopIteration, which a
    future refuses. In a group of exceptions too: servers raise the only member of a group in its place.
    """
    if isinstance(error, _CANCELLATIONS):
        kind, text = type_name(error), format_error(error)
        said: BaseException = RemoteError(
            f"the task itself raised {kind}: nobody has cancelled the call", type_name=kind, traceback_text=text
        )
        said.__cause__ = error
        return said
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return _exited(error)
    if isinstance(error, BaseExceptionGroup):
        return _unmistakable_group(error)
    return in_other_words(error) if isinstance(error, StopIteration) else error


def _exited(error: SystemExit | KeyboardInterrupt) -> TaskExited:
    code, cause = (plain_code(error), "SystemExit") if isinstance(error, SystemExit) else (None, "KeyboardInterrupt")
    what = f"called sys.exit, with code {code!r}" if cause == "SystemExit" else "was interrupted"
    said = TaskExited(f"the task {what} ({type_name(error)}): that ended this call, and nothing else", code=code, cause=cause)
    said.__cause__ = error
    return said


def _unmistakable_group(group: BaseExceptionGroup[Any]) -> BaseException:
    members = [unmistakable(each) for each in group.exceptions]
    if all(said is each for said, each in zip(members, group.exceptions, strict=True)):
        return group
    try:
        told = group.derive(members)
    except Exception:  # noqa: BLE001 - a class of the program's own may not take other members: then it is a group like any other
        told = BaseExceptionGroup(group.message, members)
    told = told.with_traceback(group.__traceback__)
    told.__cause__ = group.__cause__
    for note in getattr(group, "__notes__", ()):
        told.add_note(note)
    return told


def in_other_words(error: BaseException) -> RuntimeError:
    """An error that would be taken for the end of an iteration, as one that is not."""
    said = RuntimeError(f"the task raised {type(error).__name__}")
    said.__cause__ = error
    return said


# ---------------------------------------------------------------- out from under the lock


class Deferred(Protocol):
    """What has been decided under the lock of a lane and must not be done there, because it runs foreign code."""

    due: deque[tuple[Callable[..., object], tuple[object, ...]]]

    def add(self, func: Callable[..., object], *args: object) -> None:
        """Have *func* called when the lock is free; noted under the lock."""
        ...

    def run(self) -> None:
        """Have run what is due; never called under the lock."""
        ...

    def run_here(self) -> None:
        """The same, for whoever knows that it is to be run here."""
        ...


class DeferredCallbacks:
    """
    Deferred callbacks of a lane that lives on an event loop.

    Due calls, in order. They are noted under the lock, by any thread, and run when it is free, by the lane's loop alone: whoever only submits a call must not
    run the callbacks of somebody else's, for it may hold a lock that they want.
    """

    __slots__ = ("_lane", "_lane_loop", "_runner", "due")

    def __init__(self, lane: str, lane_loop: LaneLoop) -> None:
        self._lane = lane
        self._lane_loop = lane_loop
        self.due: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._runner = 0

    def add(self, func: Callable[..., object], *args: object) -> None:
        """Have *func* called soon."""
        self.due.append((func, args))

    def run(self) -> None:
        """Run what is due, and what becomes due meanwhile: now if this is the lane's loop, else soon."""
        if not self.due:
            return
        if running_loop() is not self._lane_loop.loop:
            self._lane_loop.call(self.run)
        else:
            self.run_here()

    def run_here(self) -> None:
        """The same, for whoever knows that this is the lane's loop, or was a moment ago."""
        me = threading.get_ident()
        if self._runner == me:
            # A callback has called the lane: what is due now is run when that callback has returned.
            return
        self._runner = me
        try:
            # The lane may move while a callback keeps its old loop waiting: then the new one runs the rest.
            while self.due and self._runner == me:
                try:
                    func, args = self.due.popleft()
                except IndexError:
                    break
                try:
                    func(*args)
                except BaseException as error:  # noqa: BLE001 - the outcomes of other calls are behind it
                    self._log_failure(error)
        finally:
            if self._runner == me:
                self._runner = 0
            if self.due:
                self._lane_loop.call_soon(self.run)

    def _log_failure(self, error: BaseException) -> None:
        """A log handler, a progress callback failed. Ctrl-C on the caller's own loop is for the caller; on a loop of ours nobody else is there."""
        if not isinstance(error, Exception) and not self._lane_loop.is_private:
            raise error
        logger.error("a callback of lane %r failed", self._lane, exc_info=error)


class OwnCallbacks(threading.local):
    """Deferred callbacks of a lane that lives on no loop: each thread runs what it has noted itself, as soon as it has left the lock."""

    def __init__(self) -> None:
        self.due: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()

    def add(self, func: Callable[..., object], *args: object) -> None:
        """Have *func* called by this thread."""
        self.due.append((func, args))

    def run(self) -> None:
        """Run what this thread has noted, all of it; then raise what the first of them raised."""
        first: BaseException | None = None
        while self.due:
            func, args = self.due.popleft()
            try:
                func(*args)
            except BaseException as error:  # noqa: BLE001 - the outcomes of other calls are behind it
                first = first or error
        if first is not None:
            raise first

    run_here = run
