"""The process lane beside mpire, Dask and Ray, whose threads and heartbeats slow down every other candidate of a process: a sitting of their own."""

import asyncio


def main() -> None:
    """Measure, print, keep."""
    # Worker processes import this package for its tasks, and must not pay for its peers.
    from benchmarks.lane import small
    from benchmarks.lane.peers import BUSYBODIES, STDLIB, busybodies
    from benchmarks.lane.readings import Readings
    from benchmarks.measure import keep, print_series

    readings = Readings()

    async def measure() -> None:
        async with busybodies() as peers:
            await small.measure_briefly(readings, peers)

    asyncio.run(measure())
    for table, rows in readings.tables():
        unit, scale = ("/s", 1.0) if table == small.THROUGHPUT else ("ms", 1000.0)
        print_series(table, rows, unit=unit, baseline=STDLIB, scale=scale)
    figures = {"sitting": "of its own: the readings compare with each other, not with those of lane.json", "readings": readings.kept()}
    path = keep("busybodies", figures, packages=BUSYBODIES)
    print(f"kept in {path.name}")
