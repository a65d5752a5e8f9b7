"""Everything at once: deaths, cancels, timeouts, big payloads, bad pickles and resizes, from tasks and threads; every call is accounted for."""

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import random
import resource
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import corner_tasks
import lane_tasks
from levelpool import Bulkhead, ExecutorManager, LaneFull, NoRoom, RemoteError, ResultNotPicklable, TaskNotPicklable, WorkerDied
from processes import children, descriptors, is_gone, parent, until

SECONDS = float(os.environ.get("LANE_TORTURE_SECONDS", "12"))
"""Longer by hand: `make torture`."""


@contextlib.contextmanager
def short_time_limit_for_sockets():
    """`socket.setdefaulttimeout` as a program may have it."""
    socket.setdefaulttimeout(0.05)
    try:
        yield
    finally:
        socket.setdefaulttimeout(None)


@contextlib.contextmanager
def many_descriptors():
    """1,500 of them are open before the lane opens any: more than `select` can tell of."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1500)]
    try:
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def blocked_signals():
    """In the thread that starts the lane, and so in each that it starts."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR2})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def short_files():
    """`ulimit -f`: no file, and no memory file, may become longer than 2 MiB; what is larger is refused by name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


UNDER = {
    each.__name__.replace("_", " "): each
    for each in (contextlib.nullcontext, short_time_limit_for_sockets, many_descriptors, blocked_signals, short_files)
}
TRIED = [
    *((seed, "nullcontext") for seed in (1, 2)),
    *((3, name) for name in UNDER if name != "nullcontext" and "LANE_TORTURE_SECONDS" in os.environ),
]
"""Seeds, and what the program has done to itself; all of it by hand only."""

EXPECTED = (WorkerDied, lane_tasks.CustomError, RemoteError, ResultNotPicklable, TaskNotPicklable, TimeoutError, LaneFull)


class Torture:
    """One manager, its tormentors, and what went wrong."""

    def __init__(self, seed, expected):
        self.expected = expected
        self.random = random.Random(seed)
        self.manager = ExecutorManager(
            cpu_workers=3,
            io_workers=1,
            cpu_queue_limit=50,
            worker_memory_limit=400 << 20,
            worker_max_tasks=200,
            # Deaths are written down, and nobody is refused.
            max_kills=1_000_000,
            cpu_bulkheads={"few": Bulkhead(workers=1, queue_limit=10)},
        )
        self.end = time.monotonic() + SECONDS
        self.lock = threading.Lock()
        self.calls = 0
        self.looks = 0
        self.outcomes = Counter()
        self.wrong = []

    @property
    def goes_on(self):
        return time.monotonic() < self.end

    def count(self):
        with self.lock:
            self.calls += 1

    async def call(self, func, *args, **options):
        self.count()
        return await self.manager.with_options(**options).run_cpu_intensive(func, *args)

    # -- what clients do

    async def small(self):
        assert await self.call(lane_tasks.add, 7) == 7

    async def grouped(self):
        assert await self.call(lane_tasks.add, 7, bulkhead="few", priority=self.random.randrange(3)) == 7

    async def dicts(self):
        count = self.random.choice([10, 20_000])
        rows = await self.call(lane_tasks.return_dicts, count)
        assert len(rows) == count
        assert await self.call(lane_tasks.length, rows) == count

    async def buffers(self):
        assert await self.call(lane_tasks.length, bytearray(3_000_000)) == 3_000_000
        array = await self.call(np.full, 500_000, 7.0)
        array[0] = 0.0
        assert array.sum() == 7.0 * 499_999

    async def bad(self):
        task, *arguments = self.random.choice(
            [
                (lane_tasks.leave, 1),
                (lane_tasks.kill_self, signal.SIGKILL),
                (lane_tasks.die_if_told, "/absent", bytes(200_000)),
                (lane_tasks.raise_custom,),
                (corner_tasks.throw, asyncio.CancelledError),
                (lane_tasks.return_lambda,),
                (lane_tasks.return_thing, "ExitsWhenUnpickled"),
                (lane_tasks.length, lane_tasks.ExitsWhenPickled()),
                (lane_tasks.add, lambda: 1),
            ]
        )
        await self.call(task, *arguments)

    async def late(self):
        await self.call(lane_tasks.sleep, 0.03, timeout=self.random.random() * 0.05)

    async def cancelled(self):
        task, argument = self.random.choice(
            [(lane_tasks.sleep, 0.05), (lane_tasks.return_dicts, 20_000), (lane_tasks.length, bytes(3_000_000))]
        )
        await asyncio.wait_for(self.call(task, argument), self.random.random() * 0.08)

    async def impatient(self):
        await self.call(lane_tasks.noop, admission_timeout=self.random.choice([0, 0.005]))

    async def streamed(self):
        last = self.random.randrange(15)
        self.count()
        async for step in self.manager.stream_cpu_intensive(lane_tasks.count, 12):
            if step == last:
                break

    async def client(self):
        deeds = [
            self.small,
            self.small,
            self.grouped,
            self.dicts,
            self.buffers,
            self.bad,
            self.late,
            self.cancelled,
            self.impatient,
            self.streamed,
        ]
        while self.goes_on:
            deed = self.random.choice(deeds)
            try:
                await deed()
            except self.expected as error:
                self.outcomes[type(error).__name__] += 1
            except BaseException as error:  # noqa: BLE001 - nothing else may come out
                self.wrong.append(f"{deed.__name__}: {error!r}")
            else:
                self.outcomes["well"] += 1

    # -- what happens beside them, each in a thread

    def kill(self):
        mine, seen = random.Random(self.random.random()), 0
        while self.goes_on:
            time.sleep(mine.random() * 0.2)
            # On a machine with much else to do, workers would otherwise be killed while they are being started, and nothing else.
            until_calm = time.monotonic() + 3
            while self.outcomes["well"] < seen + 3 and time.monotonic() < min(until_calm, self.end):
                time.sleep(0.01)
            seen = self.outcomes["well"]
            pids = self.manager.worker_pids()
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
                pid = mine.choice(pids)
                # Now and then the process that workers come from.
                os.kill(parent(pid) if mine.random() < 0.05 and parent(pid) not in {1, os.getpid()} else pid, signal.SIGKILL)

    def resize(self):
        mine = random.Random(self.random.random())
        while self.goes_on:
            time.sleep(mine.random() * 0.3)
            self.manager.resize(cpu_workers=mine.randrange(1, 5))

    def look(self):
        while self.goes_on:
            self.manager.ask_for_stacks()
            time.sleep(0.02)
            self.looks += sum(each.stack is not None for each in self.manager.worker_stacks())

    def call_from_a_thread(self):
        while self.goes_on:
            time.sleep(0.005)
            self.count()
            try:
                future = self.manager.cpu_executor.submit(lane_tasks.add, 5)
                if random.random() < 0.1:
                    future.cancel()
                assert future.result(30) == 5
            except (WorkerDied, LaneFull, concurrent.futures.CancelledError):
                continue
            except BaseException as error:  # noqa: BLE001 - as above
                self.wrong.append(f"from a thread: {error!r}")


def mapped():
    """Memory files and shared memory that this process has mapped."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if "/memfd:" in line or "/dev/shm/" in line]


def left_open(before):
    """What the descriptors lead to that were not there before."""
    return [target for number, target in descriptors().items() if number not in before]


@pytest.mark.timeout(SECONDS + 56)
@pytest.mark.parametrize(("seed", "under"), TRIED)
async def test_every_call_is_accounted_for(seed, under):
    """Each call ends once, in a way that it may end; the books agree; no descriptor, memory file, shared memory, zombie or process is left."""
    with UNDER[under]():
        await _torture(seed, (*EXPECTED, NoRoom) if under == "short files" else EXPECTED)


async def _torture(seed, expected):
    gc.collect()
    before, family, maps = descriptors(), set(children(os.getpid())), set(mapped())
    torture = Torture(seed, expected)
    deeds = [torture.kill, torture.resize, torture.resize, torture.look, *([torture.call_from_a_thread] * 2 if seed % 2 else [])]
    threads = [threading.Thread(target=deed) for deed in deeds]
    for thread in threads:
        thread.start()
    clients = [asyncio.create_task(torture.client()) for _ in range(60)]

    _, hanging = await asyncio.wait(clients, timeout=SECONDS + 25)
    await until(lambda: not any(thread.is_alive() for thread in threads), 30)
    await until(lambda: not torture.manager.stats().cpu.busy, 5)
    stats, pids = torture.manager.stats().cpu, torture.manager.worker_pids()
    await torture.manager.aclose(10)
    gc.collect()
    print(f"\n{torture.calls} calls, {torture.looks} looks, {dict(torture.outcomes)}, {stats}")

    assert not hanging
    assert not torture.wrong
    assert torture.looks
    assert stats.submitted == torture.calls
    assert stats.submitted == stats.succeeded + stats.failed + stats.cancelled + stats.timed_out + stats.died + stats.refused
    assert (stats.queued, stats.outside) == (0, 0)
    assert all(is_gone(pid) for pid in pids)
    await until(lambda: set(children(os.getpid())) <= family)
    # The last thread of a call may only just be letting go of it, or of its descriptor.
    await until(
        lambda: gc.collect() >= 0 and not left_open(before) and not set(mapped()) - maps,
        complaint="a descriptor or a mapped memory file is left",
    )
