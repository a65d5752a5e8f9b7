"""Bulkheads: groups of calls that may occupy some of the workers and no more, so that one kind of work never floods the whole lane."""

import heapq
from collections.abc import Container, Mapping
from dataclasses import dataclass

from levelpool.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulkhead:
    """A group of calls with limits of its own inside a lane: however many come, the other calls have the rest of the lane for themselves."""

    workers: int
    """Most workers (or threads) that run calls of this group at the same time."""
    queue_limit: int = 1000
    """Most calls of this group that wait beside those that run; they take no place in the lane's own queue."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.queue_limit < 0:
            raise SettingsError(
                f"a bulkhead with {self.workers} workers and a queue of {self.queue_limit}: it needs 1 worker at least, and no negative queue"
            )


class Bulkheads:
    """How many places each group has left, and which calls of it wait for one."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._free = dict(limits)
        self._queues: dict[str, list[tuple[tuple[int, int], int]]] = {name: [] for name in limits}

    def take(self, name: str, order: tuple[int, int], call: int) -> bool:
        """Take a place for *call*; False if there is none, and the call is remembered, the lowest *order* first."""
        if self._free[name] > 0:
            self._free[name] -= 1
            return True
        heapq.heappush(self._queues[name], (order, call))
        return False

    def give_back(self, name: str, waiting: Container[int]) -> int | None:
        """A place is free again: the call that gets it, if one of those that are remembered still waits."""
        queue = self._queues[name]
        while queue:
            call = heapq.heappop(queue)[1]
            if call in waiting:
                return call
        self._free[name] += 1
        return None
