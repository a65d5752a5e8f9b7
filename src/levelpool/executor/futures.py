"""Lanes as executors of `concurrent.futures`, for code that wants one."""

import collections
import concurrent.futures
import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from levelpool.errors import LaneClosed, LaneFull
from levelpool.lanes.arguments import check_function, seconds, whole_number
from levelpool.lanes.lane import DEFAULT_OPTIONS, CallOptions, Lane, now

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = CallOptions(admission_timeout=0)
"""Refused when the queue has no place."""

facades: "weakref.WeakSet[LaneExecutor]" = weakref.WeakSet()
"""All that there are, for a forked child to start anew."""


class LaneExecutor(concurrent.futures.Executor):
    """A lane that behaves as the executors of `concurrent.futures` do, but never blocks in `submit`: it raises `LaneFull`."""

    def __init__(self, lane: Lane, owner: object) -> None:
        self._lane = lane
        # A program may keep the executor only; its owner must not be collected meanwhile.
        self._owner = owner
        self._lock = threading.Lock()
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._is_shut = False
        facades.add(self)

    def after_fork_in_child(self) -> None:
        """Start anew in a forked child: the calls are the parent's."""
        self._lock = threading.Lock()
        self._pending = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "concurrent.futures.Future[T]":
        """Queue the call and return its future."""
        return self._submit(fn, args, kwargs, _AT_ONCE)

    def _submit(
        self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[T]":
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
        try:
            future = self._lane.submit(fn, args, kwargs, options)
        except LaneClosed as error:
            raise RuntimeError(f"cannot schedule new futures: {error}") from error
        with self._lock:
            self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """
        The results of *fn* over the iterables, in order; *chunksize* of them travel together.

        Without *buffersize* the iterables are read to their end at once; with it, only so many calls (or chunks) are submitted ahead of the
        result that is taken next, and the iterables may be endless: as in Python 3.14, on every Python.
        What the queue has no place for is submitted while results are taken, and waits for a place where others have taken them all.
        Raises `LaneFull` when there is none for the first.
        """
        check_function(fn)
        chunksize = whole_number("chunksize", chunksize, 1)
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end_by = None if timeout is None else now() + seconds("timeout", timeout)
        rows: Iterator[tuple[Any, ...]] = zip(*iterables, strict=False)
        if buffersize is None:
            rows = iter(list(rows))
        if chunksize == 1:
            return _MapCalls(self._submit, fn, rows, buffersize).results(end_by)
        return _flatten(_MapCalls(self._submit, _run_chunk, _chunks(fn, rows, chunksize), buffersize).results(end_by))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no new calls through this facade; *wait* for those that were made through it. The lane itself stays open."""
        with self._lock:
            self._is_shut = True
            pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            concurrent.futures.wait(pending)


class _MapCalls(Generic[T]):
    """The calls of one `map`: as many are submitted as the queue has places for, or as its caller wants submitted ahead."""

    def __init__(
        self,
        submit: Callable[..., "concurrent.futures.Future[T]"],
        fn: Callable[..., T],
        rows: Iterator[tuple[Any, ...]],
        buffersize: int | None,
    ) -> None:
        self._submit = submit
        self._fn = fn
        self._rows = rows
        self._buffersize = buffersize
        self._has_begun = False
        self._refused: tuple[Any, ...] | None = None  # the row that the queue had no place for
        self._pending: collections.deque[concurrent.futures.Future[T]] = collections.deque()
        self._submit_what_fits(buffersize)

    def results(self, end_by: float | None) -> Iterator[T]:
        """The results in order, until the moment *end_by*; what nobody takes is cancelled."""
        pending = self._pending
        few = len(pending) // 2
        ahead = None if self._buffersize is None else self._buffersize + 1
        try:
            while pending or self._refused is not None:
                # A queue that was full is not asked again for each result: the lane counts what it refuses.
                if self._refused is None or len(pending) <= few:
                    self._submit_what_fits(ahead)
                yield _take_first(pending, None if end_by is None else end_by - now())
        finally:
            for future in pending:
                future.cancel()

    def _submit_what_fits(self, ahead: int | None) -> None:
        while ahead is None or len(self._pending) < ahead:
            row = self._refused or next(self._rows, None)
            if row is None:
                return
            self._refused = row
            try:
                self._pending.append(self._submit(self._fn, row, {}, _AT_ONCE))
            except LaneFull:
                if not self._has_begun:
                    raise
                if self._pending:
                    return
                # Others have taken all places. A map that has begun waits for one like everybody else: half of its results are of no use.
                self._pending.append(self._submit(self._fn, row, {}, DEFAULT_OPTIONS))
            self._has_begun = True
            self._refused = None


def _chunks(fn: Callable[..., T], rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[tuple[Callable[..., T], list[tuple[Any, ...]]]]:
    while chunk := list(itertools.islice(rows, size)):
        yield fn, chunk


def _take_first(pending: "collections.deque[concurrent.futures.Future[T]]", timeout: float | None) -> T:
    # The first one stays where it can be cancelled until its result is there; then nothing may hold the result but who takes it.
    result = pending[0].result(timeout)
    pending.popleft()
    return result


def _run_chunk(fn: Callable[..., T], rows: list[tuple[Any, ...]]) -> list[T]:
    return [fn(*row) for row in rows]


def _flatten(results: Iterator[list[T]]) -> Iterator[T]:
    for chunk in results:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
