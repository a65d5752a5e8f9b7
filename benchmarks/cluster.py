"""The CPU lane on a Dask cluster beside the process lane: a small call there and back, a cancel until the process is gone, and how late the caller's loop is meanwhile."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from benchmarks.lane.tasks import DICTS, dicts, nap, noop
from benchmarks.measure import Series, keep, print_series
from levelpool.executor import ExecutorManager

ROUNDS = 30
HELD = 0.1
"""Seconds that a call runs before it is cancelled."""
HERE, THERE = "process lane", "on Dask"

Reading = Callable[[ExecutorManager], Awaitable[float]]


def main() -> None:
    """Measure in turns, print, keep."""
    with tempfile.TemporaryDirectory(prefix="levelpool-cluster-") as folder, cluster(Path(folder)) as address:
        tables = asyncio.run(measure(address))
    for title, series in tables.items():
        print_series(title, series, unit="ms", baseline=HERE, scale=1000.0)
    kept = {title: {each.name: list(each.readings) for each in series} for title, series in tables.items()}
    path = keep("cluster", {"rounds": ROUNDS, "dicts": DICTS, "readings": kept}, packages=["dask", "distributed"])
    print(f"kept in {path.name}")


async def measure(address: str) -> dict[str, tuple[Series, ...]]:
    """Both lanes in turns, one table for each question."""
    async with managers(address) as lanes:
        return {
            "a call that does nothing, there and back": await take(lanes, round_trip, ROUNDS),
            "from the cancel to the end of the process": await take(lanes, kill, ROUNDS),
            f"longest stop of the caller's loop while {DICTS:,} dicts come back": await take(lanes, lateness, 5),
        }


@contextlib.asynccontextmanager
async def managers(address: str) -> AsyncIterator[dict[str, ExecutorManager]]:
    """Two managers with one worker each, warm."""
    there = ExecutorManager(dask_scheduler=address, io_workers=1)
    async with ExecutorManager(cpu_workers=1, io_workers=1) as here, there:
        lanes = {HERE: here, THERE: there}
        for manager in lanes.values():
            await manager.run_cpu_intensive(noop)
        yield lanes


async def take(lanes: dict[str, ExecutorManager], read: Reading, rounds: int) -> tuple[Series, ...]:
    """The readings of each lane, taken in turns."""
    readings: dict[str, list[float]] = {name: [] for name in lanes}
    for _ in range(rounds):
        for name, manager in lanes.items():
            readings[name].append(await read(manager))
    return tuple(Series(name, tuple(values)) for name, values in readings.items())


async def round_trip(manager: ExecutorManager) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    await manager.run_cpu_intensive(noop)
    return time.perf_counter() - begin


async def kill(manager: ExecutorManager) -> float:
    """Seconds from the cancel of a call until its process is gone."""
    pid = await manager.run_cpu_intensive(nap, 0.0)
    call = asyncio.ensure_future(manager.run_cpu_intensive(nap, 60.0))
    await asyncio.sleep(HELD)
    begin = time.perf_counter()
    call.cancel()
    while not is_gone(pid):  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.0002)
    return time.perf_counter() - begin


async def lateness(manager: ExecutorManager) -> float:
    """The longest time between two turns of this loop, beyond the millisecond that it sleeps, while a large result comes."""
    longest, call = 0.0, asyncio.ensure_future(manager.run_cpu_intensive(dicts))
    while not call.done():
        begin = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - begin - 0.001)
    await call
    return longest


def is_gone(pid: int) -> bool:
    """Absent, or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a scheduler of our own, with one worker of one thread; both processes of their own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    command = [sys.executable, "-m", "dask"]
    scheduler = [*command, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
    worker = [*command, "worker", address, "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with contextlib.ExitStack() as stack, (folder / "log").open("wb") as log:
        for each in (scheduler, [*worker, "--local-directory", str(folder)]):
            process = stack.enter_context(subprocess.Popen(each, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment))
            stack.callback(process.send_signal, signal.SIGKILL)
        yield address
