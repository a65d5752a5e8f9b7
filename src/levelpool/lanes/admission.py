"""Admission to a lane: which calls are admitted, which wait for it, which are refused."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

from levelpool.errors import LaneFull, SettingsError
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.task_stats import BulkheadStats, LaneCounters

URGENT = 100
"""Calls of this priority and above may use the reserved places of the queue."""

_MOST_GONE = 64
"""So many who have left the line, beside as many as are in it, are remembered before the line is cleaned."""


class Admission:
    """
    How many calls may be admitted at the same time, and which wait for it.

    Not thread-safe: its lane calls it under the lane's lock. *workers* is the number of workers; beside them *limit* calls may wait.
    One place in twenty (at least one) is kept for urgent calls.
    """

    def __init__(self, limit: int, workers: int) -> None:
        self.limit = limit
        self.workers = workers
        self.admitted = 0
        self.refused = 0
        self._line: list[tuple[int, int, Any]] = []
        # A call that was not admitted and waits no more is still in `_line`, and no longer here.
        self._waiting: set[Any] = set()
        self._arrivals = 0

    def has_place(self, priority: int) -> bool:
        """Whether a call of this priority may be admitted now."""
        reserve = max(1, self.limit // 20) if priority >= URGENT else 0
        return self.admitted < self.limit + self.workers + reserve

    def wait(self, call: object, priority: int) -> None:
        """Remember *call* until a place is free."""
        self._arrivals += 1
        self._waiting.add(call)
        heapq.heappush(self._line, (-priority, self._arrivals, call))

    def stop_waiting(self, call: object) -> bool:
        """Let *call* wait no more; whether it did."""
        if call not in self._waiting:
            return False
        self._waiting.remove(call)
        if len(self._line) > 2 * len(self._waiting) + _MOST_GONE:
            self._line = [entry for entry in self._line if entry[2] in self._waiting]
            heapq.heapify(self._line)
        return True

    def next_admitted(self) -> Any:
        """The waiting call that may be admitted now, or None; the caller counts it as admitted."""
        while self._line and self._line[0][2] not in self._waiting:
            heapq.heappop(self._line)
        if self._line and self.has_place(-self._line[0][0]):
            call = heapq.heappop(self._line)[2]
            self._waiting.remove(call)
            return call
        return None

    def clear_waiting(self) -> list[Any]:
        """All calls that wait; none does afterwards."""
        away = [call for _, _, call in sorted(self._line, key=lambda entry: entry[:2]) if call in self._waiting]
        self._line.clear()
        self._waiting.clear()
        return away

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._waiting)


class LaneAdmission:
    """The admission of a lane: the common one, and one for each bulkhead."""

    def __init__(self, lane: str, limit: int, workers: int, bulkheads: Mapping[str, Bulkhead]) -> None:
        self._lane = lane
        self.common = Admission(limit, workers)
        self.of_bulkheads = {name: Admission(each.queue_limit, each.workers) for name, each in bulkheads.items()}

    def of(self, bulkhead: str | None) -> Admission:
        """The admission for calls of *bulkhead*; raises `SettingsError` for an unknown name."""
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
            name: BulkheadStats(workers=each.workers, inside=each.admitted, queue_limit=each.limit, outside=each.waiting)
            for name, each in self.of_bulkheads.items()
        }

    def __iter__(self) -> Iterator[Admission]:
        yield self.common
        yield from self.of_bulkheads.values()


def lane_full(lane: str, counters: LaneCounters, admission: Admission, variable: str, bulkhead: str | None = None) -> LaneFull:
    """The refusal, with a `retry_after` from the pace at which calls leave the lane."""
    waiting = max(0, admission.admitted - admission.workers)
    retry_after = min(60.0, max(0.1, counters.mean_run * (1 + waiting / 20) / max(1, admission.workers)))
    where, what = (f"lane {lane!r}", variable) if bulkhead is None else (f"bulkhead {bulkhead!r} of lane {lane!r}", "its queue_limit")
    return LaneFull(
        f"{where} has {waiting} calls waiting (limit {admission.limit}): retry in {retry_after:.1f} s or raise {what}",
        retry_after=retry_after,
    )
