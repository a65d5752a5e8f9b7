"""
Large things, there and back, and how long the loop stands still meanwhile.

Two controls take turns with the candidates. "nothing" is the loop alone: what the machine itself does to it. "only builds the dicts" makes the same dicts
in a helper thread, some hundred at a time, and hands them over: what any result of that many dicts costs, for somebody has to allocate them here.
"""

import asyncio
import functools
import gc
import threading
import time
from collections.abc import Awaitable, Callable

from benchmarks.lane.peers import FOREIGN, Peer
from benchmarks.lane.readings import Readings
from benchmarks.lane.tasks import DICTS, array, arrow, dicts, make_dicts, take

ARRAY, ARROW = "100 MB array as result", "100 MB Arrow table as result"
RESULT, ARGUMENT = "300k dicts as result", "300k dicts as argument"
TOTAL, STALL = "total", "worst stall of the loop"
NOTHING, BUILDS = "control: nothing", "control: only builds the dicts"

ROUNDS = 5
STEP = 200
BLINK = 0.001  # seconds between two looks at the clock


async def measure(readings: Readings, peers: list[Peer]) -> None:
    """All tables; those of the dicts with both controls."""
    payload = make_dicts(0, DICTS)
    candidates = [peer for peer in peers if peer.name != FOREIGN]
    for peer in candidates:
        for func in (array, arrow, dicts):
            await peer.run(func)
    for _ in range(ROUNDS):
        for title in (ARRAY, ARROW, RESULT, ARGUMENT):
            await _note(readings, title, NOTHING, functools.partial(asyncio.sleep, 0.3))
        for title in (RESULT, ARGUMENT):
            await _note(readings, title, BUILDS, _build)
        for peer in candidates:
            await _note(readings, ARRAY, peer.name, functools.partial(peer.run, array))
            await _note(readings, ARROW, peer.name, functools.partial(peer.run, arrow))
            await _note(readings, RESULT, peer.name, functools.partial(peer.run, dicts))
            await _note(readings, ARGUMENT, peer.name, functools.partial(peer.run, take, payload))


async def _note(readings: Readings, title: str, name: str, work: Callable[[], Awaitable[object]]) -> None:
    # What earlier turns left for the collector is not this candidate's fault.
    gc.collect()
    took, stall = await _with_stall(work)
    readings.note(f"{title}: {TOTAL}", name, took)
    readings.note(f"{title}: {STALL}", name, stall)


async def _with_stall(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds that *work* took, and the longest time the loop did not turn meanwhile."""
    worst, going = 0.0, True

    async def watch() -> None:
        nonlocal worst
        while going:
            before = time.perf_counter()
            await asyncio.sleep(BLINK)
            worst = max(worst, time.perf_counter() - before - BLINK)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    result = await work()
    took = time.perf_counter() - began
    going = False
    await watcher
    # Only now: freeing so many objects stalls the loop too, but that is the business of whoever lets go of them.
    del result
    return took, worst


async def _build() -> object:
    """The dicts of the result, made in a thread of this process in small steps."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[object] = loop.create_future()

    def work() -> None:
        made: list[object] = []
        for begin in range(0, DICTS, STEP):
            made += make_dicts(begin, begin + STEP)
            time.sleep(0.00005)
        loop.call_soon_threadsafe(future.set_result, made)

    threading.Thread(target=work).start()
    return await future
