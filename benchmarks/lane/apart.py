"""
Figures that need a program of their own, with nothing else in it: memory, idle time, and the first result of a cold pool.

`python -m benchmarks.lane.apart WHAT CANDIDATE` is that program; it prints one line of JSON. `measure` runs it, the candidates taking turns.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.lane.readings import Readings
from benchmarks.lane.tasks import nap, noop, summarise
from benchmarks.measure import AS_INSTALLED, python

MEMORY = "memory of parent and two workers that use pandas and pyarrow (PSS)"
IDLE, LEFT = "idle lane: CPU seconds per second", "processes left after the idle time"
COLD_NOOP, COLD_PANDAS = "first result of a cold pool: a no-op", "first result of a cold pool: a pandas task"

SPAWN, FORKSERVER, OURS, PRELOADED = "stdlib spawn", "stdlib forkserver", "levelpool", "levelpool, preloaded"
PRELOAD = ("pandas", "pyarrow")
ROUNDS = 5
WATCHED = 10.0  # seconds of idleness

Close = Callable[[], object]
Run = Callable[..., Awaitable[Any]]


def measure(readings: Readings) -> None:
    """All tables."""
    for _ in range(ROUNDS):
        for name in (SPAWN, FORKSERVER, OURS, PRELOADED):
            readings.note(MEMORY, name, _ask("memory", name))
        for name in (SPAWN, FORKSERVER, OURS):
            readings.note(COLD_NOOP, name, _ask("noop", name))
        for name in (SPAWN, FORKSERVER, OURS, PRELOADED):
            readings.note(COLD_PANDAS, name, _ask("pandas", name))
    for name in (SPAWN, OURS):
        readings.note(IDLE, name, _ask("idle", name))
        readings.note(LEFT, name, _ask("left", name))


def _ask(what: str, name: str) -> float:
    out = subprocess.run(
        python("-m", "benchmarks.lane.apart", what, name), check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **AS_INSTALLED}
    )
    return float(json.loads(out.stdout))


# ---------------------------------------------------------------- the program


def _pool(name: str, idle_timeout: float = 30.0) -> tuple[Run, Close]:
    """A cold pool of two workers."""
    if name.startswith("stdlib"):
        import concurrent.futures
        import multiprocessing

        executor = concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(name.split()[1]))

        async def run(func: Callable[..., object], *args: object) -> object:
            return await asyncio.get_running_loop().run_in_executor(executor, func, *args)

        return run, executor.shutdown
    from levelpool import ExecutorManager

    preload = PRELOAD if name == PRELOADED else ()
    manager = ExecutorManager(cpu_workers=2, io_workers=1, preload=preload, worker_idle_timeout=idle_timeout)
    return manager.run_cpu_intensive, manager.shutdown


async def _first_result(name: str, task: Callable[[], object]) -> tuple[float, Close]:
    """Seconds from before the pool is imported to its first result."""
    began = time.perf_counter()
    run, close = _pool(name)
    await run(task)
    return time.perf_counter() - began, close


async def _memory(name: str) -> tuple[float, Close]:
    """PSS of the whole tree once both workers have worked."""
    run, close = _pool(name)
    for _ in range(2):
        # Long enough that one worker cannot do both.
        await asyncio.gather(run(summarise, 0.5), run(summarise, 0.5))
    return float(sum(_pss(pid) for pid in _tree(os.getpid()))), close


async def _idle(name: str) -> tuple[float, Close]:
    """CPU seconds that the whole tree uses in a second without calls."""
    run, close = _pool(name)
    await asyncio.gather(run(nap, 0.2), run(nap, 0.2))
    await asyncio.sleep(1.0)
    before = _cpu_seconds()
    await asyncio.sleep(WATCHED)
    return (_cpu_seconds() - before) / WATCHED, close


async def _left(name: str) -> tuple[float, Close]:
    """Processes beside this one, two seconds after an idle time of one second was over (where there is such a thing)."""
    run, close = _pool(name, idle_timeout=1.0)
    await asyncio.gather(run(nap, 0.2), run(nap, 0.2))
    await asyncio.sleep(3.0)
    return float(len(_tree(os.getpid())) - 1), close


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children = [int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text("utf-8").split()]
    return [pid, *[descendant for child in children for descendant in _tree(child)]]


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _cpu_seconds() -> float:
    """What all threads of the tree have used so far, to the nanosecond."""
    tasks = [task for pid in _tree(os.getpid()) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text(encoding="utf-8").split()[0]) for task in tasks) / 1e9


WHAT: dict[str, Callable[[str], Awaitable[tuple[float, Close]]]] = {
    "memory": _memory,
    "idle": _idle,
    "left": _left,
    "noop": lambda name: _first_result(name, noop),
    "pandas": lambda name: _first_result(name, summarise),
}


async def _answer(what: str, name: str) -> None:
    figure, close = await WHAT[what](name)
    print(json.dumps(figure), flush=True)
    close()


if __name__ == "__main__":
    asyncio.run(_answer(*sys.argv[1:]))
