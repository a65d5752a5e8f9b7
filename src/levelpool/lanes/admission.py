"""Admission to a lane: which calls are admitted, which wait for it, which are refused."""

from collections.abc import Iterator, Mapping
from typing import Any

from levelpool.errors import LaneFull, SettingsError
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.task_stats import BulkheadStats, LaneCounters
from levelpool.lanes.waiting_line import WaitingLine

URGENT = 100
"""Calls of this priority and above may use the reserved places of the queue."""


class Admission:
    """
    How many calls may be admitted at the same time, and which wait for it.

    Not thread-safe: its lane calls it under the lane's lock. *workers* is the number of workers; beside them *limit* calls may wait.
    One place in twenty (at least one) is kept for urgent calls.
    """

    __slots__ = ("_arrivals", "_line", "admitted", "limit", "waiting", "workers")

    def __init__(self, limit: int, workers: int) -> None:
        self.limit = limit
        self.workers = workers
        self.admitted = 0
        self.waiting = 0
        """How many calls wait for a place."""
        self._line: WaitingLine[Any] = WaitingLine()
        self._arrivals = 0

    def has_place(self, priority: int) -> bool:
        """Whether a call of this priority may be admitted now."""
        reserve = max(1, self.limit // 20) if priority >= URGENT else 0
        return self.admitted < self.limit + self.workers + reserve

    def wait(self, call: object, priority: int) -> None:
        """Remember *call* until a place is free."""
        self._arrivals += 1
        self._line.push((-priority, self._arrivals), call)
        self.waiting = len(self._line)

    def stop_waiting(self, call: object) -> bool:
        """Let *call* wait no more; whether it did."""
        did = self._line.discard(call)
        self.waiting = len(self._line)
        return did

    def next_admitted(self) -> Any:
        """The waiting call that may be admitted now, or None; the caller counts it as admitted."""
        first = self._line.first()
        if first is None or not self.has_place(-first[0][0]):
            return None
        self.waiting -= 1
        return self._line.pop()

    def clear_waiting(self) -> list[Any]:
        """All calls that wait; none does afterwards."""
        away = list(self._line)
        self._line, self.waiting = WaitingLine(), 0
        return away


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
