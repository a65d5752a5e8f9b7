"""The bounded entrance of a lane: who may come in, who waits outside, who is refused."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

from levelpool.errors import LaneFull, SettingsError
from levelpool.lanes.account import Account, BulkheadStats
from levelpool.lanes.bulkheads import Bulkhead

URGENT = 100
"""Calls of this priority and above may use the reserved places of the waiting room."""

_MOST_GONE = 64
"""So many who have left the line, beside as many as are in it, are remembered before the line is cleaned."""


class Entrance:
    """
    The bounded waiting room: how many calls may be inside, and who waits outside for a place.

    Not thread-safe: its lane calls it under the lane's lock. *seats* is the number of workers; beside them *limit* calls may wait.
    One place in twenty (at least one) is kept for urgent calls.
    """

    def __init__(self, limit: int, seats: int) -> None:
        self.limit = limit
        self.seats = seats
        self.inside = 0
        self.refused = 0
        self._line: list[tuple[int, int, Any]] = []
        # Who has left the line without coming in is still in `_line`, and no longer here.
        self._outside: set[Any] = set()
        self._arrivals = 0

    def has_place(self, priority: int) -> bool:
        """Whether a call of this priority may come in now."""
        reserve = max(1, self.limit // 20) if priority >= URGENT else 0
        return self.inside < self.limit + self.seats + reserve

    def wait_outside(self, call: object, priority: int) -> None:
        """Remember *call* until a place is free."""
        self._arrivals += 1
        self._outside.add(call)
        heapq.heappush(self._line, (-priority, self._arrivals, call))

    def leave_outside(self, call: object) -> bool:
        """Forget *call*, if it still waits outside."""
        if call not in self._outside:
            return False
        self._outside.remove(call)
        if len(self._line) > 2 * len(self._outside) + _MOST_GONE:
            self._line = [entry for entry in self._line if entry[2] in self._outside]
            heapq.heapify(self._line)
        return True

    def next_in(self) -> Any:
        """The waiting call that may come in now, or None; the caller counts it inside."""
        while self._line and self._line[0][2] not in self._outside:
            heapq.heappop(self._line)
        if self._line and self.has_place(-self._line[0][0]):
            call = heapq.heappop(self._line)[2]
            self._outside.remove(call)
            return call
        return None

    def send_away(self) -> list[Any]:
        """Everybody who waits outside; nobody does afterwards."""
        away = [call for _, _, call in sorted(self._line, key=lambda entry: entry[:2]) if call in self._outside]
        self._line.clear()
        self._outside.clear()
        return away

    @property
    def outside(self) -> int:
        """How many calls wait for a place."""
        return len(self._outside)


class Entrances:
    """The waiting rooms of a lane: the common one, and one for each bulkhead."""

    def __init__(self, lane: str, limit: int, seats: int, bulkheads: Mapping[str, Bulkhead]) -> None:
        self._lane = lane
        self.common = Entrance(limit, seats)
        self.of_bulkheads = {name: Entrance(each.queue_limit, each.workers) for name, each in bulkheads.items()}

    def of(self, bulkhead: str | None) -> Entrance:
        """The waiting room for calls of *bulkhead*; raises `SettingsError` for an unknown name."""
        if bulkhead is None:
            return self.common
        try:
            return self.of_bulkheads[bulkhead]
        except KeyError:
            known = ", ".join(sorted(self.of_bulkheads)) or "none"
            raise SettingsError(f"lane {self._lane!r} has no bulkhead {bulkhead!r}: there are {known}") from None

    def bulkhead_stats(self) -> dict[str, BulkheadStats]:
        """The numbers of each bulkhead now."""
        return {
            name: BulkheadStats(workers=each.seats, inside=each.inside, queue_limit=each.limit, outside=each.outside)
            for name, each in self.of_bulkheads.items()
        }

    def __iter__(self) -> Iterator[Entrance]:
        yield self.common
        yield from self.of_bulkheads.values()


def lane_full(lane: str, account: Account, entrance: Entrance, variable: str, bulkhead: str | None = None) -> LaneFull:
    """The refusal, with a `retry_after` from the pace at which calls leave the lane."""
    waiting = max(0, entrance.inside - entrance.seats)
    retry_after = min(60.0, max(0.1, account.mean_run * (1 + waiting / 20) / max(1, entrance.seats)))
    where, what = (f"lane {lane!r}", variable) if bulkhead is None else (f"bulkhead {bulkhead!r} of lane {lane!r}", "its queue_limit")
    return LaneFull(
        f"{where} has {waiting} calls waiting (limit {entrance.limit}): retry in {retry_after:.1f} s or raise {what}",
        retry_after=retry_after,
    )
