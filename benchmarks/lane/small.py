"""No-ops: one at a time beside the bare floor, and many at once."""

import asyncio
import statistics
import time

from benchmarks.lane.peers import Floor, Peer, Runner
from benchmarks.lane.readings import Readings
from benchmarks.lane.tasks import noop

ROUND_TRIP, THROUGHPUT = "round trip of a no-op", "no-ops per second, 64 in flight"
FLOOR = "bare add_reader ping-pong"

TURNS = 12  # many short ones: a noisy second hits all candidates, not one
TRIPS = 100
FLOOD, IN_FLIGHT = 1600, 64


async def measure(readings: Readings, peers: list[Peer]) -> None:
    """Both tables; the floor has its turn next to ours."""
    async with Floor() as floor:
        for _ in range(TURNS):
            readings.note(ROUND_TRIP, FLOOR, await round_trip(floor.run, TRIPS))
            for peer in peers[::-1]:
                readings.note(ROUND_TRIP, peer.name, await round_trip(peer.run, TRIPS))
    for _ in range(TURNS):
        for peer in peers:
            readings.note(THROUGHPUT, peer.name, await _throughput(peer.run, FLOOD))


async def measure_briefly(readings: Readings, peers: list[Peer]) -> None:
    """Both tables, with fewer and shorter turns: a round trip of Dask takes ten milliseconds."""
    for _ in range(TURNS // 2):
        for peer in peers:
            readings.note(ROUND_TRIP, peer.name, await round_trip(peer.run, TRIPS // 4))
            readings.note(THROUGHPUT, peer.name, await _throughput(peer.run, FLOOD // 5))


async def round_trip(run: Runner, trips: int) -> float:
    """Median seconds of one at a time."""
    times = []
    for _ in range(trips):
        began = time.perf_counter()
        await run(noop)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _throughput(run: Runner, calls: int) -> float:
    """Calls per second with 64 in flight."""

    async def client() -> None:
        for _ in range(calls // IN_FLIGHT):
            await run(noop)

    began = time.perf_counter()
    await asyncio.gather(*[client() for _ in range(IN_FLIGHT)])
    return calls // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - began)
