"""Bulkheads: groups of calls that may occupy some of the workers and no more, so that one kind of work never floods the whole lane."""

from collections.abc import Mapping
from dataclasses import dataclass

from levelpool.lanes.arguments import whole_number
from levelpool.lanes.waiting_line import Order, WaitingLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulkhead:
    """A group of calls with limits of its own inside a lane: however many come, the other calls have the rest of the lane for themselves."""

    workers: int
    """Most workers (or threads) that run calls of this group at the same time."""
    queue_limit: int = 1000
    """Most calls of this group that wait beside those that run; they take no place in the lane's own queue."""

    def __post_init__(self) -> None:
        whole_number("workers of a bulkhead", self.workers, 1)
        whole_number("queue_limit of a bulkhead", self.queue_limit, 0)


class _Group:
    """One group: how many places it has left, who has one and has not begun, and who waits for one."""

    __slots__ = ("free", "line", "placed")

    def __init__(self, places: int) -> None:
        self.free = places
        self.placed: dict[int, Order] = {}
        self.line: WaitingLine[int] = WaitingLine()


class Bulkheads:
    """How many places each group has left, and which calls of it wait for one."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._groups = {name: _Group(places) for name, places in limits.items()}

    def enter(self, name: str, order: Order, call: int) -> int | None:
        """
        Let *call* have a place of its group; who waits for one now, if anybody: the call itself, or one of a larger *order* that had a place and has not begun.

        Whoever waits gets the next place that is given back, the lowest order first.
        """
        group = self._groups[name]
        if group.free:
            group.free -= 1
            group.placed[call] = order
            return None
        last = max(group.placed, key=group.placed.__getitem__, default=call)
        if last != call and order < group.placed[last]:
            group.placed[call] = order
            order, call = group.placed.pop(last), last
        group.line.push(order, call)
        return call

    def begin(self, name: str, call: int) -> None:
        """The call is on its way to a worker: its place is nobody else's."""
        self._groups[name].placed.pop(call, None)

    def stop_waiting(self, name: str, call: int) -> None:
        """The call that waits for a place is no longer wanted."""
        self._groups[name].line.discard(call)

    def give_back(self, name: str, call: int) -> int | None:
        """The place of *call* is free: who gets it, if anybody waits for one."""
        group = self._groups[name]
        group.placed.pop(call, None)
        first = group.line.first()
        if first is None:
            group.free += 1
            return None
        order, follower = first
        group.line.discard(follower)
        group.placed[follower] = order
        return follower
