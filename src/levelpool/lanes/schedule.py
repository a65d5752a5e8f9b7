"""
Who runs what next: the decisions of the process lane, without processes, sockets or clocks.

A `Schedule` is told what happened (a call arrived, a worker is ready, a call ended, a worker died, a call is no longer wanted) and answers with what
to do (start a worker, send a call to it, take a call back, kill or retire a worker). It is plain arithmetic on numbers, so a test can play thousands of orders.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from levelpool.lanes.bulkheads import Bulkheads
from levelpool.lanes.waiting_line import Order, WaitingLine

AHEAD = 16
"""Most calls that are with one worker at the same time."""

FAILED_SPAWNS = 3
"""Workers in a row that may die before they are ready; then the waiting calls are failed instead of trying for ever."""

TRIES = 3
"""Workers that may die with the same call in their hands before it began; then the call is given up."""


class Start(NamedTuple):
    """Start a worker process with this number."""

    worker: int


class Send(NamedTuple):
    """Send the call to the worker."""

    worker: int
    call: int


class TakeBack(NamedTuple):
    """Ask the worker not to begin the call."""

    worker: int
    call: int


class Retire(NamedTuple):
    """Let an idle worker end by itself."""

    worker: int


class Kill(NamedTuple):
    """Kill the worker: the call that it runs is no longer wanted."""

    worker: int
    call: int


Action = Start | Send | TakeBack | Retire | Kill


class _Waiting:
    """One call as the schedule knows it."""

    __slots__ = ("bulkhead", "call", "order", "quick", "tries", "wanted")

    def __init__(self, call: int, order: Order, quick: bool, bulkhead: str | None) -> None:
        self.call = call
        self.order = order
        self.quick = quick
        self.bulkhead = bulkhead
        self.tries = 0
        self.wanted = True


class _Slot:
    """One worker as the schedule knows it."""

    __slots__ = ("calls", "condemned", "done", "leaving", "number", "passing", "ready", "since")

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = False
        # It gets no more calls: it was killed, retired, or is to be replaced.
        self.leaving = False
        # It is being killed; it need not be told to go.
        self.condemned = False
        # What was sent to it and has not ended, in order: it runs the first one.
        self.calls: list[_Waiting] = []
        # What was taken back from it and it has not yet passed over; until then it gets nothing more.
        self.passing: set[int] = set()
        self.done = 0
        # When the call at the head of `calls` became the head, or when the worker became idle.
        self.since = 0.0


class Casualties(NamedTuple):
    """What a death means for the calls that were with the worker."""

    lost: int | None
    """The call that it ran: it is over."""
    given_up: tuple[int, ...]
    """Calls that killed nobody, but met death too often before they began."""
    dropped: tuple[int, ...]
    """Calls that nobody wants any more."""


class Gate(Protocol):
    """What several lanes share: how many of their workers may be at work at the same time."""

    def allow(self, workers: int) -> bool:
        """Whether so many workers of this lane may be at work; if so, they count from now on."""
        ...

    def settle(self, workers: int, ready: int, *, ended: bool) -> None:
        """So many are at work now, and *ready* more could begin a call at once; *ended*: a call has ended since the last time."""
        ...

    def leave_line(self) -> None:
        """No more than what was allowed is asked for now."""
        ...

    def resize(self, workers: int) -> None:
        """All lanes together may have so many from now on."""
        ...


class Schedule:
    """The state of the lane's decisions; every method that may lead to actions is followed by `decide`."""

    def __init__(
        self,
        max_workers: int,
        *,
        max_tasks: int | None = None,
        idle_timeout: float = 30.0,
        gate: Gate | None = None,
        bulkheads: Mapping[str, int] | None = None,
        spawn_tries: int = FAILED_SPAWNS,
    ) -> None:
        """*bulkheads* names groups of calls, and how many workers each may occupy; after *spawn_tries* workers in a row that never were ready there is no hope."""
        self._spawn_tries = spawn_tries
        self.gate = gate
        self._bulkheads = Bulkheads(bulkheads or {})
        self._call_ended = False
        self.held_up = False
        """Whether the gate kept a call from beginning when `decide` was last asked: it is to be asked again soon."""
        self.max_workers = max_workers
        self.max_tasks = max_tasks
        self.idle_timeout = idle_timeout
        self.retire_all = False
        self._slots: dict[int, _Slot] = {}
        self._idle: list[int] = []
        self._parting: list[int] = []
        # Calls that may be sent as soon as a worker is free; `_held` are those whose bulkhead is full.
        self._line: WaitingLine[int] = WaitingLine()
        self._waiting: dict[int, _Waiting] = {}
        self._held: dict[int, _Waiting] = {}
        self._where: dict[int, int] = {}
        self._arrivals = 0
        self._numbers = 0
        self._spawns_failed = 0
        self.busy = 0
        """Workers that run a call."""

    # ------------------------------------------------------------ what can be asked

    @property
    def waiting(self) -> int:
        """Calls that are with no worker, and could be."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """Calls that wait because their bulkhead is full."""
        return len(self._held)

    @property
    def workers(self) -> int:
        """Workers that live or are being started."""
        return len(self._slots)

    @property
    def slots(self) -> tuple[int, ...]:
        """The numbers of those workers."""
        return tuple(self._slots)

    @property
    def at_work(self) -> int:
        """Workers that run a call or are being started: they use a processor."""
        return sum(1 for slot in self._slots.values() if slot.calls or not slot.ready)

    def runs(self, worker: int) -> int | None:
        """The call at the head of a worker's list."""
        slot = self._slots.get(worker)
        return slot.calls[0].call if slot and slot.calls else None

    def since(self, worker: int) -> float:
        """When a worker began with the call at the head of its list, or became idle."""
        return self._slots[worker].since

    def holder(self, call: int) -> int | None:
        """The worker that a call was sent to."""
        return self._where.get(call)

    # ------------------------------------------------------------ what happens

    def arrive(self, call: int, now: float, *, priority: int = 0, quick: bool = False, bulkhead: str | None = None) -> int | None:
        """
        A call is ready to run; the worker to send it to, if one is idle and nobody else wants it.

        *quick*: calls of its name usually take well under a millisecond, so it may be sent ahead.
        """
        self._arrivals += 1
        waiting = _Waiting(call, (-priority, self._arrivals), quick and priority == 0, bulkhead)
        if bulkhead is None and self.gate is None and self._idle and not self._waiting and self.busy < self.max_workers:
            worker = self._idle.pop()
            self._give(waiting, worker, now)
            return worker
        self._wait(waiting)
        return None

    def ready(self, worker: int, now: float) -> None:
        """A worker is ready."""
        self._spawns_failed = 0
        slot = self._slots[worker]
        slot.ready = True
        slot.since = now
        self._rest(slot)

    def ended(self, worker: int, call: int, now: float) -> bool:
        """A call ended in its worker, well or badly; whether the worker is to be replaced now, for it has run its share."""
        self._call_ended = True
        slot = self._slots[worker]
        if slot.passing:
            slot.passing.discard(call)
        waiting = self._remove(slot, call)
        if waiting is not None and waiting.bulkhead is not None:
            self._drop(waiting)
        slot.done += 1
        slot.since = now
        worn = self.max_tasks is not None and slot.done >= self.max_tasks and not slot.leaving
        if worn:
            slot.leaving = True
        if not slot.calls:
            self._rest(slot)
        return worn

    def skipped(self, worker: int, call: int, now: float) -> bool:
        """A worker did not begin a call that was taken back; whether the call waits again now."""
        slot = self._slots[worker]
        slot.passing.discard(call)
        waiting = self._remove(slot, call)
        if not slot.calls:
            slot.since = now
        self._rest(slot)
        if waiting is None:
            return False
        if not waiting.wanted:
            self._drop(waiting)
            return False
        self._wait_again(waiting)
        return True

    def died(self, worker: int, *, running: int | None) -> Casualties:
        """A worker is gone; *running* is the call that it had begun and not reported."""
        slot = self._slots.pop(worker)
        for numbers in (self._idle, self._parting):
            if worker in numbers:
                numbers.remove(worker)
        if not slot.ready:
            self._spawns_failed += 1
        if slot.calls:
            self.busy -= 1
        given_up, dropped = [], []
        for waiting in slot.calls:
            del self._where[waiting.call]
            if waiting.call == running:
                self._drop(waiting)
                continue
            waiting.tries += 1
            if not waiting.wanted:
                dropped.append(waiting.call)
                self._drop(waiting)
            elif waiting.tries >= TRIES:
                given_up.append(waiting.call)
                self._drop(waiting)
            else:
                self._wait_again(waiting)
        lost = running if any(waiting.call == running for waiting in slot.calls) else None
        return Casualties(lost, tuple(given_up), tuple(dropped))

    def hopeless(self, *, at_once: bool = False) -> tuple[int, ...]:
        """The waiting calls, given up because no worker can be started; empty while there is hope. With *at_once* the next try would end as the last one."""
        tries_left = self._spawns_failed < self._spawn_tries and not at_once
        if tries_left or any(slot.ready for slot in self._slots.values()):
            return ()
        self._spawns_failed = 0
        calls = (*self._waiting, *self._held)
        for call in calls:
            self._forget(call)
        return calls

    def withdraw(self, call: int) -> Action | None:
        """Nobody wants *call* any more; None when that was all there was to do."""
        if self._forget(call):
            return None
        worker = self._where.get(call)
        if worker is None:
            return None
        slot = self._slots[worker]
        for waiting in slot.calls:
            if waiting.call == call:
                # Also of the first one: the worker may die before it has begun it.
                waiting.wanted = False
        if slot.calls[0].call == call:
            self.condemn(worker)
            return Kill(worker, call)
        slot.passing.add(call)
        return TakeBack(worker, call)

    def condemn(self, worker: int) -> None:
        """The worker is being killed: nothing more is sent to it."""
        slot = self._slots[worker]
        slot.leaving = slot.condemned = True
        for numbers in (self._idle, self._parting):
            if worker in numbers:
                numbers.remove(worker)

    def recycle(self, worker: int) -> bool:
        """Let the worker go once it has ended what it has; whether it was not going already."""
        slot = self._slots[worker]
        if slot.leaving:
            return False
        slot.leaving = True
        if worker in self._idle:
            self._idle.remove(worker)
            self._parting.append(worker)
        return True

    # ------------------------------------------------------------ what to do

    def decide(self, now: float) -> Iterable[Action]:
        """What to do now; each action counts as done when the next one is asked for."""
        self.held_up = False
        if self.gate is not None:
            ready = min(len(self._idle), len(self._waiting))
            self.gate.settle(self.at_work, ready, ended=self._call_ended)
            self._call_ended = False
        if self._waiting or self._parting or len(self._slots) > self.max_workers:
            return () if self._is_full() else self._decide(now)
        if self.gate is not None:
            self.gate.leave_line()
        return ()

    def _is_full(self) -> bool:
        """Whether who waits has to wait, whatever else is so: a moment's look where a hundred thousand calls come one after the other."""
        if self._idle or self._parting or self.gate is not None or len(self._slots) != self.max_workers:
            return False
        first = self._line.first()
        return first is None or not self._waiting[first[1]].quick

    def _decide(self, now: float) -> Iterator[Action]:
        if self._parting or len(self._slots) > self.max_workers:
            yield from self._retire_leavers()
        while self._waiting:
            worker = self._free_worker()
            if worker is None:
                break
            yield self._send(worker, now)
        if self._waiting:
            yield from self._start_workers()
        while (worker := self._worker_to_send_ahead_to()) is not None:
            yield self._send(worker, now)
        if self.gate is not None and not self.held_up:
            self.gate.leave_line()

    def retire_idle(self, now: float) -> Iterator[Retire]:
        """Let workers go that had nothing to do for the idle time."""
        for worker in list(self._idle):
            if self.retire_all or now - self._slots[worker].since >= self.idle_timeout:
                self.recycle(worker)
        while self._parting:
            yield Retire(self._parting.pop())

    def next_idle_end(self) -> float | None:
        """When the first idle worker has been idle for long enough."""
        ends = [self._slots[worker].since + self.idle_timeout for worker in self._idle]
        return min(ends, default=None)

    def stale(self, now: float, patience: float) -> Iterator[TakeBack]:
        """Take back what was sent ahead behind a call that turned out to take longer than *patience*, if somebody else could run it."""
        if self._waiting:
            return
        free = len(self._idle) + max(0, self.max_workers - len(self._slots))
        for slot in self._slots.values():
            if len(slot.calls) > 1 and now - slot.since > patience:
                for waiting in slot.calls[1:]:
                    if free and waiting.call not in slot.passing:
                        free -= 1
                        slot.passing.add(waiting.call)
                        yield TakeBack(slot.number, waiting.call)

    def moved(self, worker: int, call: int) -> None:
        """A call that was taken back in time, and that its worker is known not to have begun, waits for another worker."""
        slot = self._slots[worker]
        waiting = self._remove(slot, call)
        if waiting is None:
            return
        if waiting.wanted:
            self._wait_again(waiting)
        else:
            self._drop(waiting)

    def begun(self, worker: int, call: int) -> None:
        """A call was taken back too late: its worker had begun it."""
        self._slots[worker].passing.discard(call)

    def has_ahead(self) -> bool:
        """Whether any call sits behind another one."""
        return any(len(slot.calls) > 1 for slot in self._slots.values())

    # ------------------------------------------------------------ how

    def _wait(self, waiting: _Waiting) -> None:
        if waiting.bulkhead is None:
            self._line_up(waiting)
            return
        left_out = self._bulkheads.enter(waiting.bulkhead, waiting.order, waiting.call)
        if left_out == waiting.call:
            self._held[left_out] = waiting
            return
        if left_out is not None:
            self._held[left_out] = self._waiting.pop(left_out)
            self._line.discard(left_out)
        self._line_up(waiting)

    def _wait_again(self, waiting: _Waiting) -> None:
        """Wait for another worker, and behind the bulkhead too: somebody more urgent may have come meanwhile."""
        self._drop(waiting)
        self._wait(waiting)

    def _line_up(self, waiting: _Waiting) -> None:
        self._waiting[waiting.call] = waiting
        self._line.push(waiting.order, waiting.call)

    def _forget(self, call: int) -> bool:
        """Let go of a call that waits; whether it did."""
        held = self._held.pop(call, None)
        if held is not None and held.bulkhead is not None:
            self._bulkheads.stop_waiting(held.bulkhead, call)
            return True
        waiting = self._waiting.pop(call, None)
        if waiting is None:
            return False
        self._line.discard(call)
        self._drop(waiting)
        return True

    def _drop(self, waiting: _Waiting) -> None:
        """The call leaves its place behind the bulkhead, if it has one: it is for the next."""
        if waiting.bulkhead is not None:
            follower = self._bulkheads.give_back(waiting.bulkhead, waiting.call)
            if follower is not None:
                self._line_up(self._held.pop(follower))

    def _rest(self, slot: _Slot) -> None:
        """A worker without calls is idle, or goes."""
        if slot.calls or not slot.ready or slot.passing or slot.condemned:
            return
        if slot.number not in self._idle and slot.number not in self._parting:
            (self._parting if slot.leaving else self._idle).append(slot.number)

    def _remove(self, slot: _Slot, call: int) -> _Waiting | None:
        if self._where.get(call) != slot.number:
            return None
        del self._where[call]
        # Most often it is the first one.
        at = 0
        while slot.calls[at].call != call:
            at += 1
        waiting = slot.calls.pop(at)
        if not slot.calls:
            self.busy -= 1
        return waiting

    def _retire_leavers(self) -> Iterator[Action]:
        surplus = sum(1 for slot in self._slots.values() if not slot.leaving) - self.max_workers
        for worker in self._idle[: max(0, surplus)]:
            self.recycle(worker)
        while self._parting:
            yield Retire(self._parting.pop())

    def _free_worker(self) -> int | None:
        if not self._idle or self.busy >= self.max_workers or not self._may_work():
            return None
        # The one that worked last: its memory is warm, and the others get the chance to go.
        return self._idle.pop()

    def _may_work(self) -> bool:
        """Whether one more worker may be at work."""
        self.held_up = self.gate is not None and not self.gate.allow(self.at_work + 1)
        return not self.held_up

    def _send(self, worker: int, now: float) -> Send:
        waiting = self._waiting.pop(self._line.pop())
        self._give(waiting, worker, now)
        return Send(worker, waiting.call)

    def _give(self, waiting: _Waiting, worker: int, now: float) -> None:
        slot = self._slots[worker]
        if not slot.calls:
            slot.since = now
            self.busy += 1
        if waiting.bulkhead is not None:
            self._bulkheads.begin(waiting.bulkhead, waiting.call)
        slot.calls.append(waiting)
        self._where[waiting.call] = worker

    def _start_workers(self) -> Iterator[Action]:
        starting = sum(1 for slot in self._slots.values() if not slot.ready)
        while starting < len(self._waiting) and len(self._slots) < self.max_workers and self._may_work():
            self._numbers += 1
            self._slots[self._numbers] = _Slot(self._numbers)
            starting += 1
            yield Start(self._numbers)

    def _worker_to_send_ahead_to(self) -> int | None:
        first = self._line.first()
        if first is None or not self._waiting[first[1]].quick:
            return None
        best: _Slot | None = None
        for slot in self._slots.values():
            takes = not slot.leaving and 0 < len(slot.calls) < self._most_ahead(slot) and not slot.passing
            takes = takes and all(waiting.quick for waiting in slot.calls)
            if takes and (best is None or len(slot.calls) < len(best.calls)):
                best = slot
        return best.number if best else None

    def _most_ahead(self, slot: _Slot) -> int:
        """How many calls may be with the worker, which may not run more than its share of them."""
        return AHEAD if self.max_tasks is None else min(AHEAD, self.max_tasks - slot.done)
