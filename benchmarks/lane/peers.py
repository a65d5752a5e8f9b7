"""Who is compared: each way of running a function in another process, awaited from an event loop, with two workers."""

import asyncio
import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import anyio.to_process
import deadpool
import loky
import mpire
import pebble

from benchmarks.lane.tasks import nap
from levelpool import ExecutorManager

Runner = Callable[..., Awaitable[Any]]

WORKERS = 2
STDLIB, FOREIGN, OURS = "stdlib spawn", "levelpool, foreign thread", "levelpool"
PACKAGES = ["loky", "pebble", "anyio", "deadpool-executor", "numpy", "pyarrow", "pandas"]
BUSYBODIES = ["mpire", "distributed", "ray"]


@dataclass(frozen=True, slots=True)
class Peer:
    """One candidate."""

    name: str
    run: Runner
    close: Callable[[], object]


@contextlib.asynccontextmanager
async def usual() -> AsyncIterator[list[Peer]]:
    """The candidates of every table, with warm workers, ours last."""
    made = [
        stdlib("spawn"),
        stdlib("forkserver"),
        from_executor("loky", loky.ProcessPoolExecutor(WORKERS)),
        from_pebble(),
        from_anyio(),
        from_executor("deadpool", deadpool.Deadpool(max_workers=WORKERS)),
        foreign(),
        ours(),
    ]
    async with _warm(made):
        yield made


@contextlib.asynccontextmanager
async def busybodies() -> AsyncIterator[list[Peer]]:
    """
    Candidates whose threads and heartbeats slow down everybody else in the process, and so have a sitting of their own.

    The standard pool and ours are there again, to compare with.
    """
    async with from_dask() as dask:
        made = [stdlib("spawn"), from_mpire(), dask, from_ray(), ours()]
        async with _warm(made):
            yield made


@contextlib.asynccontextmanager
async def _warm(peers: list[Peer]) -> AsyncIterator[None]:
    for peer in peers:
        await asyncio.gather(*[peer.run(nap, 0.3) for _ in range(WORKERS)])
    try:
        yield
    finally:
        for peer in peers:
            peer.close()


def from_executor(name: str, executor: concurrent.futures.Executor) -> Peer:
    """A peer that is a `concurrent.futures.Executor`."""

    async def run(func: Callable[..., object], *args: object) -> object:
        return await asyncio.get_running_loop().run_in_executor(executor, func, *args)

    return Peer(name, run, executor.shutdown)


def stdlib(method: str) -> Peer:
    """The standard pool with one of its start methods."""
    context = multiprocessing.get_context(method)
    return from_executor(f"stdlib {method}", concurrent.futures.ProcessPoolExecutor(WORKERS, context))


def from_pebble() -> Peer:
    """pebble's own pool."""
    pool = pebble.ProcessPool(max_workers=WORKERS, context=multiprocessing.get_context("spawn"))

    async def run(func: Callable[..., object], *args: object) -> object:
        return await asyncio.wrap_future(pool.schedule(func, args=list(args)))

    return Peer("pebble", run, lambda: (pool.close(), pool.join()))


def from_anyio() -> Peer:
    """anyio's worker processes, limited to two."""
    limiter = anyio.CapacityLimiter(WORKERS)
    return Peer("anyio", functools.partial(anyio.to_process.run_sync, limiter=limiter), lambda: None)


def from_mpire() -> Peer:
    """mpire's pool, whose results come through callbacks in a thread of its own."""
    pool = mpire.WorkerPool(WORKERS, start_method="spawn", keep_alive=True)

    async def run(func: Callable[..., object], *args: object) -> object:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        pool.apply_async(
            func,
            args,
            callback=lambda result: loop.call_soon_threadsafe(future.set_result, result),
            error_callback=lambda error: loop.call_soon_threadsafe(future.set_exception, error),
        )
        return await future

    return Peer("mpire", run, pool.terminate)


@contextlib.asynccontextmanager
async def from_dask() -> AsyncIterator[Peer]:
    """A local Dask cluster, whose client lives in this loop."""
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, asynchronous=True, silence_logs=50
    )
    async with cluster, distributed.Client(cluster, asynchronous=True) as client:

        async def run(func: Callable[..., object], *args: object) -> object:
            return await client.submit(func, *args, pure=False)

        yield Peer("dask", run, lambda: None)


def from_ray() -> Peer:
    """A local Ray of its own: on the loopback only, with no dashboard, reporting to nobody, its files gone with it."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_enable_metrics_collection="0")
    import ray

    # Short, for it holds sockets, whose paths may not be long.
    folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    ray.init(
        address="local",
        num_cpus=WORKERS,
        object_store_memory=1 << 30,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
        _temp_dir=folder.name,
    )
    remote = functools.cache(ray.remote)

    async def run(func: Callable[..., object], *args: object) -> object:
        return await remote(func).remote(*args)

    def close() -> None:
        ray.shutdown()
        folder.cleanup()

    return Peer("ray", run, close)


def foreign() -> Peer:
    """Ours, used from a loop that does not own it."""
    manager = ExecutorManager(cpu_workers=WORKERS, io_workers=1)
    return Peer(FOREIGN, from_executor("", manager.cpu_executor).run, manager.shutdown)


def ours() -> Peer:
    """Ours, on the loop that owns it."""
    manager = ExecutorManager(cpu_workers=WORKERS, io_workers=1)
    return Peer(OURS, manager.run_cpu_intensive, manager.shutdown)


ECHO = """
import socket, sys
other = socket.socket(fileno=int(sys.argv[1]))
while data := other.recv(64):
    other.send(data)
"""


class Floor:
    """The least that a round trip to another process can cost: one socket, `add_reader`, and a process that sends back what it gets."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._echo = subprocess.Popen([sys.executable, "-c", ECHO, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        self._ours.setblocking(False)
        self._answer: asyncio.Future[bytes] | None = None

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        await self.run()
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        self._ours.close()
        self._echo.wait()

    def live_on(self, processors: set[int]) -> None:
        """Put the other process there."""
        os.sched_setaffinity(self._echo.pid, processors)

    async def run(self, *_: object) -> bytes:
        """There and back."""
        self._answer = asyncio.get_running_loop().create_future()
        self._ours.send(b"ping")
        return await self._answer

    def _read(self) -> None:
        if self._answer is not None:
            self._answer.set_result(self._ours.recv(64))
