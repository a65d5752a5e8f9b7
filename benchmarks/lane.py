"""The process lane beside its peers: round trip, throughput, big results and arguments, cancel, cold start; all take turns in one run."""

import asyncio
import concurrent.futures
import functools
import gc
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_process
import deadpool
import loky
import numpy as np
import pebble

from benchmarks.measure import Series, keep, print_series
from levelpool import ExecutorManager

ROUNDS = 5
TRIPS = 400
FLOOD, IN_FLIGHT = 3200, 64
DICTS = 300_000
BASELINE = "stdlib spawn"

Runner = Callable[..., Awaitable[Any]]

_kept: dict[str, object] = {}


# ---------------------------------------------------------------- tasks


def noop() -> None:
    """Nothing."""


def nap(seconds: float) -> int:
    """Keep a worker busy for a moment."""
    time.sleep(seconds)
    return os.getpid()


def array() -> object:
    """100 MB of numbers, made once."""
    if "array" not in _kept:
        _kept["array"] = np.random.default_rng(0).random(100 * (1 << 20) // 8)
    return _kept["array"]


def dicts() -> object:
    """300,000 dicts, made once."""
    if "dicts" not in _kept:
        _kept["dicts"] = make_dicts()
    return _kept["dicts"]


def make_dicts() -> list[dict[str, object]]:
    """300,000 dicts."""
    return [{"id": i, "name": f"user-{i}", "score": i / 7, "ok": bool(i & 1)} for i in range(DICTS)]


def take(thing: list[object]) -> int:
    """The length of an argument."""
    return len(thing)


# ---------------------------------------------------------------- peers


class Peer:
    """One way of running a function in another process, awaited from a loop."""

    def __init__(self, name: str, run: Runner, close: Callable[[], object]) -> None:
        self.name = name
        self.run = run
        self.close = close


def executor_peer(name: str, executor: concurrent.futures.Executor) -> Peer:
    """A peer that is a `concurrent.futures.Executor`."""

    async def run(func: Callable[..., object], *args: object) -> object:
        return await asyncio.get_running_loop().run_in_executor(executor, func, *args)

    return Peer(name, run, executor.shutdown)


def pebble_peer() -> Peer:
    """pebble's own pool."""
    pool = pebble.ProcessPool(max_workers=2, context=multiprocessing.get_context("spawn"))

    async def run(func: Callable[..., object], *args: object) -> object:
        return await asyncio.wrap_future(pool.schedule(func, args=list(args)))

    return Peer("pebble", run, lambda: (pool.close(), pool.join()))


def anyio_peer() -> Peer:
    """anyio's worker processes, limited to two."""
    limiter = anyio.CapacityLimiter(2)
    return Peer("anyio", functools.partial(anyio.to_process.run_sync, limiter=limiter), lambda: None)


def stdlib_peer(method: str) -> Peer:
    """The standard pool with one of its start methods."""
    return executor_peer(f"stdlib {method}", concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(method)))


def foreign_peer() -> Peer:
    """Ours, used from a loop that does not own it."""
    manager = ExecutorManager(cpu_workers=2, io_workers=1)
    executor = manager.cpu_executor
    return Peer("levelpool, foreign thread", executor_peer("", executor).run, manager.shutdown)


def own_peer() -> Peer:
    """Ours."""
    manager = ExecutorManager(cpu_workers=2, io_workers=1)
    return Peer("levelpool", manager.run_cpu_intensive, manager.shutdown)


def peers() -> list[Peer]:
    """All of them, ours last."""
    return [
        stdlib_peer("spawn"),
        stdlib_peer("forkserver"),
        executor_peer("loky", loky.ProcessPoolExecutor(2)),
        pebble_peer(),
        anyio_peer(),
        executor_peer("deadpool", deadpool.Deadpool(max_workers=2)),
        foreign_peer(),
        own_peer(),
    ]


# ---------------------------------------------------------------- what is measured


async def ping_pong() -> float:
    """Median seconds of a bare socket round trip to another process through `add_reader`: the floor."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while data := theirs.recv(64):
            theirs.send(data)
        os._exit(0)
    theirs.close()
    ours.setblocking(False)
    loop, times = asyncio.get_running_loop(), []
    for _ in range(TRIPS):
        began, future = time.perf_counter(), loop.create_future()
        loop.add_reader(ours, lambda future=future: future.set_result(ours.recv(64)))
        ours.send(b"ping")
        await future
        times.append(time.perf_counter() - began)
    loop.remove_reader(ours)
    ours.close()
    os.waitpid(child, 0)  # noqa: ASYNC222 - it ends with its socket
    return statistics.median(times)


async def round_trip(run: Runner) -> float:
    """Median seconds of one no-op at a time."""
    times = []
    for _ in range(TRIPS):
        began = time.perf_counter()
        await run(noop)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def flood(run: Runner) -> float:
    """No-ops per second with 64 in flight."""

    async def client() -> None:
        for _ in range(FLOOD // IN_FLIGHT):
            await run(noop)

    began = time.perf_counter()
    await asyncio.gather(*[client() for _ in range(IN_FLIGHT)])
    return FLOOD / (time.perf_counter() - began)


async def with_stall(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds that *work* took, and the longest time the loop did not turn meanwhile."""
    worst, going = 0.0, True

    async def watch() -> None:
        nonlocal worst
        while going:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - before - 0.001)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    await work()
    took = time.perf_counter() - began
    going = False
    await watcher
    return took, worst


async def cancel_to_gone(manager: ExecutorManager) -> float:
    """Seconds from the cancel to the end of the process."""
    call = asyncio.create_task(manager.run_cpu_intensive(nap, 60))
    while not (manager.stats().cpu.busy and manager.worker_pids()):  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    began = time.perf_counter()
    call.cancel()
    while manager.stats().cpu.busy:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    return time.perf_counter() - began


async def cold(make: Callable[[], Peer]) -> float:
    """Seconds from nothing to the first result."""
    began = time.perf_counter()
    peer = make()
    await peer.run(noop)
    took = time.perf_counter() - began
    peer.close()
    return took


class Tables:
    """The readings, by table and candidate."""

    def __init__(self) -> None:
        self._readings: dict[str, dict[str, list[float]]] = {}

    def note(self, table: str, name: str, value: float) -> None:
        """Add one reading."""
        self._readings.setdefault(table, {}).setdefault(name, []).append(value)

    def series(self) -> dict[str, list[Series]]:
        """All of them."""
        return {table: [Series(name, tuple(values)) for name, values in rows.items()] for table, rows in self._readings.items()}


async def measure_small(tables: Tables, everybody: list[Peer]) -> None:
    """No-ops, one at a time and many."""
    tables.note("round trip of a no-op", "bare ping-pong", await ping_pong())
    for peer in everybody:
        tables.note("round trip of a no-op", peer.name, await round_trip(peer.run))
        tables.note("no-ops per second, 64 in flight", peer.name, await flood(peer.run))


async def measure_large(tables: Tables, everybody: list[Peer], payload: list[dict[str, object]]) -> None:
    """What is large, there and back, and what it does to the loop."""
    for peer in everybody:
        for table, work in (
            ("100 MB array as result", functools.partial(peer.run, array)),
            ("300k dicts as result", functools.partial(peer.run, dicts)),
            ("300k dicts as argument", functools.partial(peer.run, take, payload)),
        ):
            took, stall = await with_stall(work)
            tables.note(f"{table}: total", peer.name, took)
            tables.note(f"{table}: worst stall of the loop", peer.name, stall)


async def measure_life(tables: Tables) -> None:
    """Cold starts and deaths."""
    for _ in range(ROUNDS):
        for make, name in ((functools.partial(stdlib_peer, "spawn"), BASELINE), (own_peer, "levelpool")):
            tables.note("first result of a cold pool", name, await cold(make))
    async with ExecutorManager(cpu_workers=2, io_workers=1) as manager:
        for _ in range(20):
            tables.note("cancel to process gone", "levelpool", await cancel_to_gone(manager))


async def measure() -> dict[str, list[Series]]:
    """Every figure of every peer, all taking turns."""
    tables, everybody, payload = Tables(), peers(), make_dicts()
    gc.collect()
    for peer in everybody:
        await asyncio.gather(*[peer.run(nap, 0.2) for _ in range(2)])
    for _ in range(ROUNDS):
        await measure_small(tables, everybody)
        await measure_large(tables, [peer for peer in everybody if peer.name != "levelpool, foreign thread"], payload)
    for peer in everybody:
        peer.close()
    await measure_life(tables)
    return tables.series()


def main() -> None:
    """Print each table with the ratios to the standard library's pool, and keep the readings."""
    tables = asyncio.run(measure())
    for table, rows in tables.items():
        per_second = "per second" in table
        names = {row.name for row in rows}
        print_series(
            table,
            rows,
            unit="/s" if per_second else "ms",
            baseline=BASELINE if BASELINE in names else rows[0].name,
            scale=1 if per_second else 1000,
        )
    kept = {table: {row.name: row.readings for row in rows} for table, rows in tables.items()}
    path = keep("lane", kept, packages=["loky", "pebble", "anyio", "deadpool-executor", "numpy"])
    print(f"kept in {path.name}")


if __name__ == "__main__":
    main()
