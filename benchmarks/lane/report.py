"""One whole run: who takes part, what is measured, what is printed and kept."""

import asyncio
import gc
import os

from benchmarks.lane import apart, large, life, placed, small
from benchmarks.lane.goals import beyond_control, goals, print_goals
from benchmarks.lane.peers import OURS, PACKAGES, STDLIB, usual
from benchmarks.lane.readings import Readings
from benchmarks.measure import keep, percentile, print_series

UNITS = {small.THROUGHPUT: ("/s", 1.0), apart.MEMORY: ("MB", 1e-6), apart.LEFT: ("", 1.0)}
"""The others are seconds, shown in ms."""


def report() -> None:
    """Measure, print, keep."""
    before, load = _collector(), os.getloadavg()[0]
    readings = Readings()
    asyncio.run(_measure(readings))
    apart.measure(readings)
    found = list(goals(readings, collector_changed=_collector() != before))
    for table, rows in readings.tables():
        unit, scale = UNITS.get(table, ("ms", 1000.0))
        names = {row.name for row in rows}
        baseline = small.FLOOR if small.FLOOR in names else STDLIB if STDLIB in names else OURS
        print_series(table, rows, unit=unit, baseline=baseline, scale=scale)
    _print_beyond_control(readings)
    _print_percentiles(readings)
    print_goals(found)
    print(f"load of the machine: {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end")
    figures = {"goals": [goal.kept() for goal in found], "load": [load, os.getloadavg()[0]], "readings": readings.kept()}
    path = keep("lane", figures, packages=PACKAGES)
    print(f"kept in {path.name}")


async def _measure(readings: Readings) -> None:
    async with usual() as peers:
        await small.measure(readings, peers)
        await placed.measure(readings)
        await large.measure(readings, peers)
    await life.measure(readings)


def _collector() -> tuple[object, ...]:
    """The settings of this process's garbage collector."""
    return gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.get_debug()


def _print_beyond_control(readings: Readings) -> None:
    for title in (large.RESULT, large.ARGUMENT):
        print(f"\n{title}: worst stall of the loop beyond the control that only builds the dicts (medians, ms)")
        for row in dict(readings.tables())[f"{title}: {large.STALL}"]:
            if row.name not in {large.NOTHING, large.BUILDS}:
                print(f"  {row.name:24} {beyond_control(readings, title, row.name) * 1000:10.1f}")


def _print_percentiles(readings: Readings) -> None:
    for table in (life.GONE, life.WHOLE):
        times = readings.of(table, OURS)
        shown = "  ".join(f"p{percent} {percentile(times, percent) * 1000:.1f}" for percent in (50, 90, 99, 100))
        print(f"\n{table}, {len(times)} times (ms):  {shown}")
