"""
The round trip with the processors given.

Where the kernel puts two processes that talk decides what their talk costs: on one processor a message is a switch of processes, on two it wakes a processor
that may sleep. It changes its mind from turn to turn, and not for all candidates alike; so here the choice is made for them.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.lane.peers import OURS, STDLIB, Floor, Peer, from_executor
from benchmarks.lane.readings import Readings
from benchmarks.lane.small import FLOOR, TRIPS, TURNS, round_trip
from benchmarks.lane.tasks import live_on
from levelpool import ExecutorManager

TOGETHER = "round trip of a no-op, both processes on one processor"
APART = "round trip of a no-op, each process on a processor of its own"


async def measure(readings: Readings) -> None:
    """Both tables, the candidates in turns; each has one worker."""
    home = os.sched_getaffinity(0)
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager, Floor() as floor:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as standard:
            peers = [from_executor(STDLIB, standard), Peer(OURS, manager.run_cpu_intensive, manager.shutdown)]
            for table, ours, theirs in _placements(home):
                for peer in peers:
                    await peer.run(live_on, {theirs})
                floor.live_on({theirs})
                with _all_threads_on({ours}, afterwards=home):
                    for _ in range(TURNS):
                        readings.note(table, FLOOR, await round_trip(floor.run, TRIPS))
                        for peer in peers:
                            readings.note(table, peer.name, await round_trip(peer.run, TRIPS))


def _placements(home: set[int]) -> Iterator[tuple[str, int, int]]:
    first, *others = sorted(home)
    yield TOGETHER, first, first
    if others:
        yield APART, first, others[0]


@contextlib.contextmanager
def _all_threads_on(processors: set[int], *, afterwards: set[int]) -> Iterator[None]:
    try:
        _put_threads_on(processors)
        yield
    finally:
        _put_threads_on(afterwards)


def _put_threads_on(processors: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), processors)
