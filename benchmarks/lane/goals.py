"""What the lane is to reach, and whether it did in this run."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.lane import apart, large, life, placed, small
from benchmarks.lane.peers import FOREIGN, OURS, STDLIB
from benchmarks.lane.readings import Readings
from benchmarks.measure import percentile


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure, and its bound."""

    what: str
    reached: float
    bound: float
    unit: str = "x"
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is on the right side of the bound."""
        return self.reached >= self.bound if self.at_least else self.reached <= self.bound

    def line(self) -> str:
        """The goal in one line of the table."""
        relation = ">=" if self.at_least else "<="
        return f"  {'yes' if self.is_met else 'NO ':3}  {self.reached:9.2f} {relation} {self.bound:7.2f} {self.unit:7}  {self.what}"

    def kept(self) -> dict[str, object]:
        """The goal as plain data."""
        return {**dataclasses.asdict(self), "is_met": self.is_met}


def goals(readings: Readings, *, collector_changed: bool) -> Iterator[Goal]:
    """All of them."""
    yield from _small(readings)
    yield from _large(readings)
    yield Goal("the process's garbage collector: settings changed by a run", float(collector_changed), 0, "changes")
    yield from _life(readings)


def _small(readings: Readings) -> Iterator[Goal]:
    table, mine = small.ROUND_TRIP, {OURS, FOREIGN, small.FLOOR}
    best = readings.best_of_others(table, mine)
    # On a processor for each what both sides compute is hidden behind the waking; on one processor it is all there is to the time.
    for place, bound in ((placed.APART, 2), (placed.TOGETHER, 2.5)):
        yield Goal(f"{place}, beside the ping-pong", readings.ratio(place, OURS, small.FLOOR), bound)
    yield Goal("round trip, beside stdlib", readings.ratio(table, OURS, STDLIB), 0.3)
    yield Goal("round trip, beside the best peer", readings.median(table, OURS) / best, 1)
    yield Goal("round trip from a foreign thread, beside stdlib", readings.ratio(table, FOREIGN, STDLIB), 0.6)
    table, mine = small.THROUGHPUT, {OURS, FOREIGN}
    best = readings.best_of_others(table, mine, most=True)
    yield Goal("no-ops with 64 in flight, beside stdlib", readings.ratio(table, OURS, STDLIB), 3, at_least=True)
    yield Goal("no-ops with 64 in flight, beside the best peer", readings.median(table, OURS) / best, 1, at_least=True)


def _large(readings: Readings) -> Iterator[Goal]:
    for title in (large.ARRAY, large.ARROW):
        yield Goal(f"{title}: time, beside stdlib", readings.ratio(f"{title}: {large.TOTAL}", OURS, STDLIB), 0.25)
        yield Goal(f"{title}: {large.STALL}", readings.median(f"{title}: {large.STALL}", OURS) * 1000, 10, "ms")
    for title, bound in ((large.RESULT, 15), (large.ARGUMENT, 30)):
        yield Goal(f"{title}: {large.STALL}, beyond the control", beyond_control(readings, title, OURS) * 1000, bound, "ms")
        yield Goal(f"{title}: time, beside stdlib", readings.ratio(f"{title}: {large.TOTAL}", OURS, STDLIB), 1)


def beyond_control(readings: Readings, title: str, name: str) -> float:
    """Seconds by which the worst stall of a candidate is longer than that of making the same dicts here; medians of both."""
    table = f"{title}: {large.STALL}"
    return max(0.0, readings.median(table, name) - readings.median(table, large.BUILDS))


def _life(readings: Readings) -> Iterator[Goal]:
    yield Goal("cancel to process gone, p99", percentile(readings.of(life.GONE, OURS), 99) * 1000, 500, "ms")
    yield Goal("cancel to a whole lane, p99", percentile(readings.of(life.WHOLE, OURS), 99), 2, "s")
    yield Goal("memory of two workers, preloaded, beside stdlib spawn", readings.ratio(apart.MEMORY, apart.PRELOADED, STDLIB), 0.85)
    yield Goal(apart.LEFT, readings.median(apart.LEFT, OURS), 0, "")
    yield Goal("idle lane: CPU per second", readings.median(apart.IDLE, OURS) * 1000, 1, "ms/s")
    yield Goal("cold no-op without preload, beside stdlib spawn", readings.ratio(apart.COLD_NOOP, OURS, STDLIB), 1)
    yield Goal("cold pandas task with preload, beside stdlib spawn", readings.ratio(apart.COLD_PANDAS, apart.PRELOADED, STDLIB), 1)


def print_goals(found: list[Goal]) -> None:
    """The last table of a run."""
    print(f"\ngoals: {sum(goal.is_met for goal in found)} of {len(found)} met")
    for goal in found:
        print(goal.line())
