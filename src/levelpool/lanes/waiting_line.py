"""A line of those who wait: the lowest order comes first, and whoever no longer wants to wait leaves it at once."""

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

M = TypeVar("M")

Order = tuple[int, int]
"""Who goes first: the lower one."""

_MOST_STALE = 64
"""So many entries of members that have left, beside as many as there are members, are kept before the heap is made anew."""


class WaitingLine(Generic[M]):
    """
    Members by their order. Joining and leaving take a moment however long the line is; not thread-safe.

    A member stands in it once; whoever left may join again.
    """

    __slots__ = ("_heap", "_members", "_serial")

    def __init__(self) -> None:
        # The entry of a member that has left stays in the heap, and is no longer what `_members` says of it.
        self._heap: list[tuple[Order, int, M]] = []
        self._members: dict[M, int] = {}
        self._serial = 0

    def push(self, order: Order, member: M) -> None:
        """Let *member* wait."""
        self._serial += 1
        self._members[member] = self._serial
        heapq.heappush(self._heap, (order, self._serial, member))
        if len(self._heap) > 2 * len(self._members) + _MOST_STALE:
            self._drop_stale()

    def discard(self, member: M) -> bool:
        """Let *member* wait no more; whether it did."""
        if self._members.pop(member, None) is None:
            return False
        if len(self._heap) > 2 * len(self._members) + _MOST_STALE:
            self._drop_stale()
        return True

    def first(self) -> tuple[Order, M] | None:
        """Who comes first, and its order; None when nobody waits."""
        heap = self._heap
        while heap:
            order, serial, member = heap[0]
            if self._members.get(member) == serial:
                return order, member
            heapq.heappop(heap)
        return None

    def pop(self) -> M:
        """Who comes first, who waits no more then; raises IndexError when nobody waits."""
        while True:
            _, serial, member = heapq.heappop(self._heap)
            if self._members.get(member) == serial:
                del self._members[member]
                return member

    def _drop_stale(self) -> None:
        self._heap = [entry for entry in self._heap if self._members.get(entry[2]) == entry[1]]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[M]:
        """All members, the first one first."""
        return (entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2]) if self._members.get(entry[2]) == entry[1])
