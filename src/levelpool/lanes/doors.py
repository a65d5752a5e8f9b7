"""The doors of a lane, the same for every kind: how calls come in, wait outside for a place, are refused or given up; and what is told of them."""

import asyncio
import concurrent.futures
import dataclasses
import functools
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from levelpool.errors import LaneClosed, LaneFull
from levelpool.lanes.account import Account, LaneStats, TaskAccount, TaskStats
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.entrance import Entrance, Entrances, lane_full
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.tickets import LoopTicket, ThreadTicket


class Visitor(Protocol):
    """A call as the doors know it."""

    number: int
    ticket: LoopTicket | ThreadTicket
    options: CallOptions
    account: TaskAccount
    entrance: Entrance
    created: float
    is_over: bool


C = TypeVar("C", bound=Visitor)

_lanes: "weakref.WeakSet[Doors[Any]]" = weakref.WeakSet()


class Doors(ABC, Generic[C]):
    """What a lane looks like from outside. What a call does inside is for each kind of lane to say; methods without a lock of their own are called under the lane's."""

    queue_setting: ClassVar[str]
    """What to raise so that more calls may wait."""

    name: str

    def _open_doors(self, queue_limit: int, seats: int, bulkheads: Mapping[str, Bulkhead]) -> None:
        """The state of doors that nobody has come through."""
        self._lock = threading.RLock()
        self._entrances = Entrances(self.name, queue_limit, seats, bulkheads)
        self._account = Account(self.name)
        self._calls: dict[int, C] = {}
        self._numbers = 0
        self._closed: concurrent.futures.Future[None] | None = None
        _lanes.add(self)

    # ------------------------------------------------------------ what each kind of lane says

    @abstractmethod
    def _open(
        self,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
    ) -> C:
        """Take a call in, or let it wait outside. Takes the lock itself."""

    @abstractmethod
    def _bring_in(self, call: C) -> None:
        """A call that waited outside has a place now."""

    @abstractmethod
    def _cancel(self, call: C) -> None:
        """Nobody wants the call any more. Takes the lock itself."""

    @abstractmethod
    def _expire(self, call: C) -> None:
        """The time of the call is over. Takes the lock itself."""

    @abstractmethod
    def _finish(self, call: C, outcome: str) -> None:
        """Write down how the call ended; whoever calls this hands the outcome over."""

    @abstractmethod
    def _tell(self, call: C, error: BaseException) -> None:
        """Hand an error over, at the latest in `_run_errands`."""

    @abstractmethod
    def _run_errands(self) -> None:
        """Do what was not to be done under the lock."""

    @abstractmethod
    def _is_waiting(self, call: C) -> bool:
        """Whether a call that is not over has not begun."""

    @abstractmethod
    def _count(self) -> tuple[int, int]:
        """How many workers there are, and how many of them are busy."""

    @abstractmethod
    def forget(self) -> None:
        """Start anew in a forked child, where the workers are somebody else's or do not exist."""

    # ------------------------------------------------------------ coming in

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* and return its result; cancelling this cancels the call, as far as the lane can."""
        loop = asyncio.get_running_loop()
        ticket = LoopTicket(loop)
        call = self._open(ticket, func, args, kwargs, options)
        if options.timeout is not None or options.admission_timeout:
            self._set_timers(call, loop, ticket)
        try:
            return await ticket.future
        except (asyncio.CancelledError, GeneratorExit):
            self._cancel(call)
            raise

    def _set_timers(self, call: C, loop: asyncio.AbstractEventLoop, ticket: LoopTicket) -> None:
        for limit, end in ((call.options.timeout, self._expire), (call.options.admission_timeout, self._refuse)):
            if limit is not None and (limit > 0 or end == self._expire):
                timer = loop.call_later(limit, end, call)
                ticket.future.add_done_callback(functools.partial(_cancel_timer, timer))

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call; never blocks, raises `LaneFull` when there is no place."""
        ticket = ThreadTicket()
        options = options if options.admission_timeout == 0 else dataclasses.replace(options, admission_timeout=0)
        call = self._open(ticket, func, args, kwargs, options)
        ticket.future.add_done_callback(functools.partial(self._on_cancelled, weakref.ref(call)))
        return ticket.future

    def _on_cancelled(self, known: "weakref.ref[C]", future: "concurrent.futures.Future[Any]") -> None:
        call = known()
        if call is not None and future.cancelled():
            self._cancel(call)
            with self._lock:
                call.ticket.start()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise LaneClosed(f"lane {self.name!r} is closed and takes no new calls")

    # ------------------------------------------------------------ waiting outside

    def _wait_outside(self, call: C) -> None:
        options = call.options
        if options.admission_timeout is not None and options.admission_timeout <= 0:
            self._account.ended(call.account, "refused")
            raise self._full(call)
        self._calls[call.number] = call
        call.entrance.wait_outside(call, options.priority)

    def _refuse(self, call: C) -> None:
        """The time to wait for a place is over."""
        with self._lock:
            if call.is_over or not call.entrance.leave_outside(call):
                return
            error = self._full(call)
            self._finish(call, "refused")
            self._tell(call, error)
        self._run_errands()

    def _full(self, call: C) -> LaneFull:
        return lane_full(self.name, self._account, call.entrance, self.queue_setting, call.options.bulkhead)

    def _admit(self) -> None:
        """Let in whoever waits outside and has a place now."""
        for entrance in self._entrances:
            while (call := entrance.next_in()) is not None:
                entrance.inside += 1
                self._bring_in(call)

    def _leave(self, call: C, outcome: str) -> None:
        """Like `_finish`, for a call that was inside: its place is free."""
        self._finish(call, outcome)
        call.entrance.inside -= 1
        if call.entrance.outside:
            self._admit()

    def _close_doors(self) -> "concurrent.futures.Future[None]":
        """Take no new calls, and send those away that wait outside; the future is for the end of the last one inside."""
        if self._closed is None:
            self._closed = concurrent.futures.Future()
            self._closed.set_running_or_notify_cancel()
            for call in [call for each in self._entrances for call in each.send_away()]:
                self._finish(call, "refused")
                self._tell(call, LaneClosed(f"lane {self.name!r} is closed"))
        return self._closed

    # ------------------------------------------------------------ what is told

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        with self._lock:
            waiting = [call.created for call in self._calls.values() if not call.is_over and self._is_waiting(call)]
            workers, busy = self._count()
            return LaneStats(
                workers=workers,
                max_workers=self._entrances.common.seats,
                busy=busy,
                queued=len(waiting),
                queue_limit=self._entrances.common.limit,
                submitted=self._account.submitted,
                oldest_wait=now() - min(waiting) if waiting else 0.0,
                outside=sum(each.outside for each in self._entrances),
                recycled=self._account.recycled,
                skipped_context=self._account.skipped_context,
                deaths=dict(self._account.deaths),
                bulkheads=self._entrances.bulkhead_stats(),
                **self._account.outcomes,
            )

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name."""
        with self._lock:
            return self._account.task_stats()

    @property
    def has_pending_futures(self) -> bool:
        """Whether somebody without a loop waits for a call."""
        return any(isinstance(call.ticket, ThreadTicket) for call in list(self._calls.values()))


def _cancel_timer(timer: asyncio.TimerHandle, _: object) -> None:
    timer.cancel()


def _forget_all() -> None:
    for lane in list(_lanes):
        lane.forget()


os.register_at_fork(after_in_child=_forget_all)
