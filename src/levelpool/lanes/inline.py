"""The lane that runs a call in place: for tests of code that uses an executor, where a process would only be in the way."""

import asyncio
import concurrent.futures
import contextvars
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

from levelpool.errors import LaneClosed
from levelpool.lanes import progress
from levelpool.lanes.arguments import check_function
from levelpool.lanes.call import task_name
from levelpool.lanes.completions import unmistakable
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.place import Place
from levelpool.lanes.task_stats import LaneCounters, LaneStats, TaskStats


class InlineLane:
    """Runs each call where it is made, at once; limits of time and place never come into play."""

    def __init__(self, name: str, workers: int = 1) -> None:
        self.name = name
        self._workers = workers
        self._busy = 0
        self._counters = LaneCounters(name)
        self._is_closed = False
        self.place = Place()

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* here; gives other tasks a turn first, as every lane does."""
        self._check_open(func, options)
        await asyncio.sleep(0)
        return self._run(func, args, kwargs, options)

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Run *func* here and return its future, done."""
        self._check_open(func, options)
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(self._run(func, args, kwargs, options))
        except BaseException as error:  # noqa: BLE001 - the future carries whatever the task raised
            future.set_exception(error)
        return future

    async def stream(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> AsyncIterator[Any]:
        """The items of a generator function, made here one by one."""
        items = iter(await self.run(func, args, kwargs, options))
        while True:
            try:
                item = next(items)
            except StopIteration:
                return
            except BaseException as error:  # noqa: BLE001 - raised again, as its caller may see it
                _raise_unmistakably(error)
            yield item

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        return LaneStats(
            workers=self._workers,
            max_workers=self._workers,
            busy=self._busy,
            queued=0,
            queue_limit=0,
            submitted=self._counters.submitted,
            oldest_wait=0.0,
            deaths={},
            bulkheads={},
            **self._counters.outcomes,
        )

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name."""
        return self._counters.task_stats()

    def resize(self, workers: int) -> None:
        """Remember the number, for the statistics."""
        self._workers = workers

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":  # noqa: ARG002 - nothing is left to wait for
        """Take no new calls."""
        self._is_closed = True
        closed: concurrent.futures.Future[None] = concurrent.futures.Future()
        closed.set_result(None)
        return closed

    def use_private_loop(self, *, begin: bool = True) -> None:
        """It lives on none."""

    def terminate(self) -> None:
        """Take no new calls."""
        self._is_closed = True

    @property
    def has_pending_futures(self) -> bool:
        """Never: what was called has ended."""
        return False

    def _check_open(self, func: Callable[..., Any], options: CallOptions) -> None:
        check_function(func)
        if self._is_closed:
            raise LaneClosed(f"lane {self.name!r} is closed and takes no new calls")
        self._counters.submitted += 1
        self._counters.of(options.name or task_name(func))

    def _run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        name, began, outcome = options.name or task_name(func), now(), "failed"
        before = progress.current_reporter()
        progress.reports_to(options.on_progress)
        self._busy += 1
        try:
            # What a task does to the context stays with it, as in a worker.
            result = contextvars.copy_context().run(func, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised again, as its caller may see it
            _raise_unmistakably(error)
        else:
            outcome = "succeeded"
            return result
        finally:
            self._busy -= 1
            progress.reports_to(before)
            task = self._counters.of(name)
            self._counters.ran(task, (0.0, now() - began, 0.0, 0, 0))
            self._counters.ended(task, outcome)


def _raise_unmistakably(error: BaseException) -> NoReturn:
    told = unmistakable(error)
    if told is error:
        raise error
    raise told from error
