"""How a lane's workers are stopped and come back: from the cancel to the end of the process, and to the next result."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.lane.peers import OURS
from benchmarks.lane.readings import Readings
from benchmarks.lane.tasks import ignore_sigterm, nap, spin
from levelpool import ExecutorManager

GONE, WHOLE = "cancel to process gone", "cancel to a new worker's first result"
TIMES = 40  # for each of the three tasks
SETTLE = 0.03

STUCK: list[tuple[Callable[..., object], tuple[object, ...]]] = [(nap, (600,)), (spin, ()), (ignore_sigterm, ())]
"""A task that sleeps, one inside C code that holds the interpreter lock, one that ignores SIGTERM."""


async def measure(readings: Readings) -> None:
    """Both tables."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        for _ in range(TIMES):
            for func, args in STUCK:
                gone, whole = await _cancel(manager, func, args)
                readings.note(GONE, OURS, gone)
                readings.note(WHOLE, OURS, whole)


async def _cancel(manager: ExecutorManager, func: Callable[..., object], args: tuple[object, ...]) -> tuple[float, float]:
    pid = await manager.run_cpu_intensive(nap, 0)
    call = asyncio.create_task(manager.run_cpu_intensive(func, *args))
    await asyncio.sleep(SETTLE)
    began = time.perf_counter()
    call.cancel()
    after = asyncio.create_task(manager.run_cpu_intensive(nap, 0))
    while not _is_gone(pid):  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.0005)
    gone = time.perf_counter() - began
    successor = await after
    whole = time.perf_counter() - began
    if successor == pid:
        raise RuntimeError(f"worker {pid} was cancelled, and answers")
    return gone, whole


def _is_gone(pid: int) -> bool:
    """Absent, or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
