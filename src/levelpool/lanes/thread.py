"""The thread lane: blocking I/O in named threads, bounded and counted. A thread that is stuck cannot be killed; the lane says so instead of hiding it."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from levelpool.errors import LaneFull, LevelpoolError, WorkerDied
from levelpool.lanes import progress
from levelpool.lanes.backend import Events, LaneLimits, LaneParts
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.call import Call, LargePayload
from levelpool.lanes.dispatcher import Dispatcher
from levelpool.lanes.lane import now
from levelpool.lanes.place import Place

logger = logging.getLogger(__name__)

IDLE_TIMEOUT = 30.0
"""Seconds after which a thread without work ends."""


def thread_lane(name: str, workers: int, *, queue_limit: int = 10_000, bulkheads: Mapping[str, Bulkhead] | None = None) -> Dispatcher:
    """
    A lane that runs calls in at most *workers* threads, which come when they are needed and go when they are not.

    Cancelling a call, or its timeout, ends the waiting; one that has begun goes on in its thread.
    """
    limits = LaneLimits(
        queue_limit=queue_limit,
        queue_setting="io_queue_limit",
        bulkheads=bulkheads or {},
        # Where the system gives no thread now, it gives none in a moment either.
        spawn_tries=1,
        lives_on_loop=False,
        is_traced=False,
    )
    return Dispatcher(name, workers, limits, lambda parts, events: (_AsItIs(), Threads(parts, events)))


class _AsItIs:
    """The codec of calls that stay in this process."""

    def pack(self, call: Call) -> bytes | None:  # noqa: ARG002 - there is nothing to pack
        return b""

    def release(self, payload: bytes | LargePayload | None) -> None:
        """Nothing is held."""

    async def item(self, item: Any) -> Any:
        return item


class _Thread:
    """One thread of the lane, as its slot."""

    __slots__ = ("call", "is_leaving", "is_lost", "name", "running", "thread", "wake", "work")

    def __init__(self, name: str, lock: threading.RLock) -> None:
        self.name = name
        self.wake = threading.Condition(lock)
        self.thread: threading.Thread | None = None
        # What it is to run next, and what it runs.
        self.call: Call | None = None
        self.work: Callable[[], Any] | None = None
        self.running: Call | None = None
        self.is_leaving = False
        # The schedule knows it no more.
        self.is_lost = False


class Threads:
    """Threads of this process. Methods without a lock of their own are called under the lane's."""

    tells_start = True
    breaker = None
    trouble = None

    def __init__(self, parts: LaneParts, events: Events) -> None:
        self._name = parts.name
        self._lock = parts.lock
        self._schedule = parts.schedule
        self._deferred = parts.deferred
        self._events = events
        self._threads: dict[int, _Thread] = {}
        self.idle = 0
        """Threads that wait for a call."""
        self.place = Place()

    # ------------------------------------------------------------ what the dispatcher says

    def start(self, slot: int) -> bool:
        """Start a thread."""
        made = _Thread(f"levelpool-{self._name}-{slot}", self._lock)
        made.thread = threading.Thread(target=self._work, args=(slot, made), name=made.name, daemon=True)
        try:
            made.thread.start()
        except RuntimeError as error:
            raise OSError(str(error)) from error
        self._threads[slot] = made
        return True

    def send(self, slot: int, call: Call) -> None:
        """Hand the call to its thread."""
        thread, func = self._threads[slot], call.func
        if func is not None:
            thread.call, thread.work = call, functools.partial(func, *call.args, **call.kwargs)
            thread.wake.notify()

    def revoke(self, slot: int, call: int) -> None:
        """Nothing is ever sent ahead."""

    def kill(self, slot: int, call: Call, cause: str, note: str = "") -> None:  # noqa: ARG002 - it is not killed
        """A thread cannot be killed: one that has begun goes on, and is gone when it has ended; one that has not leaves at once."""
        thread = self._threads[slot]
        thread.is_leaving = True
        if thread.call is not None:
            thread.call = thread.work = None
            self._let_go(slot, thread)
            self._schedule.died(slot, running=call.number)

    def retire(self, slot: int) -> None:
        """Let an idle thread go."""
        self._let_go(slot, self._threads[slot])
        self._schedule.died(slot, running=None)

    def _let_go(self, slot: int, thread: _Thread) -> None:
        del self._threads[slot]
        thread.is_leaving = thread.is_lost = True
        thread.wake.notify()

    def grant(self, slot: int, call: int) -> None:
        """There are no streams."""

    def has_begun(self, slot: int, call: Call) -> bool:  # noqa: ARG002 - the call knows
        """Whether its thread has taken it."""
        return bool(call.started)

    def resize(self, workers: int) -> None:
        """There is nothing to say against it."""

    def what_if_late(self, call: Call, killed: WorkerDied | None) -> str:  # noqa: ARG002 - nothing is killed
        """In words."""
        return "its thread goes on, for a thread cannot be killed" if call.started else "it had not begun"

    def unstartable(self, call: Call, why: str) -> tuple[str, LevelpoolError]:
        """There is no thread, and the system gives none: nobody would ever run what waits."""
        return "refused", LaneFull(f"lane {self._name!r} has no thread to run {call.name} in: {why}", retry_after=1.0)

    @property
    def workers(self) -> int:
        """The threads that there are."""
        return len(self._threads)

    def bind(self, user: asyncio.AbstractEventLoop | None) -> None:
        """Everybody can use it everywhere."""

    def tick(self, moment: float) -> None:
        """Nothing is to be looked after."""

    def look_again(self, *, is_needed: bool) -> None:
        """Nor later."""

    def kill_all(self) -> None:
        """Leave alone what runs: its threads are daemons."""
        for slot, thread in list(self._threads.items()):
            self._let_go(slot, thread)
            self._schedule.died(slot, running=None)

    def close(self, done: Callable[[], None]) -> None:
        """All threads are gone, or on their way out."""
        done()

    def terminate(self) -> None:
        """The threads are daemons, and end with the process."""

    def after_fork_in_child(self) -> None:
        """The threads do not exist here."""

    # ------------------------------------------------------------ in a thread

    def _work(self, slot: int, thread: _Thread) -> None:
        while (taken := self._next(slot, thread)) is not None:
            self._run(slot, thread, *taken)
            del taken

    def _next(self, slot: int, thread: _Thread) -> tuple[Call, Callable[[], Any]] | None:
        """The next call of this thread; None when it is to end."""
        with self._lock:
            self.idle += 1
            deadline = now() + IDLE_TIMEOUT
            try:
                while thread.call is None or thread.work is None:
                    if thread.is_leaving:
                        return None
                    if not thread.wake.wait(deadline - now()) and thread.call is None and not thread.is_leaving:
                        self._let_go(slot, thread)
                        self._schedule.died(slot, running=None)
                        return None
                taken = thread.call, thread.work
                thread.call = thread.work = None
                thread.running = taken[0]
                taken[0].started = now()
                return taken
            finally:
                self.idle -= 1

    def _run(self, slot: int, thread: _Thread, call: Call, work: Callable[[], Any]) -> None:
        value, error = None, None
        cpu = time.thread_time()
        try:
            value = call.context.run(_report_and_run, call, work)
        except BaseException as raised:  # noqa: BLE001 - everything a task raises belongs to its caller, SystemExit included
            error = raised
        del work
        cpu = time.thread_time() - cpu
        with self._lock:
            thread.running = None
            wanted = not call.is_over
            if not thread.is_lost:
                if thread.is_leaving:
                    self._let_go(slot, thread)
                    self._schedule.died(slot, running=call.number)
                else:
                    self._schedule.ended(slot, call.number, now())
            if wanted:
                took = (call.started - call.created, now() - call.started, cpu, 0, 0)
                self._events.ended(call, took, succeeded=error is None, worker=0)
            self._events.act()
        try:
            try:
                self._deferred.run()
            finally:
                if wanted and error is not None:
                    call.completion.fail(error)
                elif wanted:
                    call.completion.succeed(value)
        except BaseException:  # a done-callback has called `sys.exit`: this thread is the lane's, and has calls to run
            logger.exception("a callback of lane %r failed", self._name)
        del error


def _report_and_run(call: Call, work: Callable[[], Any]) -> Any:
    report = call.options.on_progress
    progress.reports_to(functools.partial(call.completion.call, report) if report is not None else None)
    return work()
