"""Everything at once: deaths, cancels, timeouts, big payloads, bad pickles and resizes, from tasks and threads; every call is accounted for."""

import asyncio
import contextlib
import gc
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

import lane_tasks
from levelpool import ExecutorManager, LaneFull, ResultNotPicklable, WorkerDied

SECONDS = float(os.environ.get("LANE_TORTURE_SECONDS", "4"))
"""Longer by hand: LANE_TORTURE_SECONDS=60."""

EXPECTED = (WorkerDied, lane_tasks.CustomError, ResultNotPicklable, TimeoutError, LaneFull)


class Torture:
    """One manager, its tormentors, and what went wrong."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.manager = ExecutorManager(cpu_workers=3, io_workers=1, cpu_queue_limit=50, worker_memory_limit=400 << 20, worker_max_tasks=200)
        self.end = time.monotonic() + SECONDS
        self.calls = 0
        self.wrong = []

    @property
    def goes_on(self):
        return time.monotonic() < self.end

    async def small(self):
        assert await self.manager.run_cpu_intensive(lane_tasks.add, 7) == 7

    async def large(self):
        count = self.random.choice([10, 20_000])
        assert len(await self.manager.run_cpu_intensive(lane_tasks.return_dicts, count)) == count
        assert await self.manager.run_cpu_intensive(lane_tasks.length, b"x" * 3_000_000) == 3_000_000

    async def bad(self):
        task, *arguments = self.random.choice(
            [(lane_tasks.leave, 1), (lane_tasks.kill_self, signal.SIGKILL), (lane_tasks.raise_custom,), (lane_tasks.return_lambda,)]
        )
        await self.manager.run_cpu_intensive(task, *arguments)

    async def late(self):
        await self.manager.with_options(timeout=self.random.random() * 0.05).run_cpu_intensive(lane_tasks.sleep, 0.03)

    async def cancelled(self):
        await asyncio.wait_for(self.manager.run_cpu_intensive(lane_tasks.sleep, 0.05), self.random.random() * 0.08)

    async def impatient(self):
        await self.manager.with_options(admission_timeout=0).run_cpu_intensive(lane_tasks.noop)

    async def streamed(self):
        last = self.random.randrange(15)
        async for step in self.manager.stream_cpu_intensive(lane_tasks.count, 12):
            if step == last:
                break

    async def client(self):
        deeds = [self.small, self.small, self.small, self.large, self.bad, self.late, self.cancelled, self.impatient, self.streamed]
        while self.goes_on:
            self.calls += 1
            try:
                await self.random.choice(deeds)()
            except EXPECTED:
                continue
            except BaseException as error:  # noqa: BLE001 - nothing else may come out
                self.wrong.append(repr(error))

    def kill(self):
        while self.goes_on:
            time.sleep(random.random() * 0.2)
            for pid in self.manager.worker_pids()[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def resize(self):
        while self.goes_on:
            time.sleep(random.random() * 0.3)
            self.manager.resize(cpu_workers=random.randrange(1, 5))

    def call_from_a_thread(self):
        while self.goes_on:
            time.sleep(0.005)
            try:
                assert self.manager.cpu_executor.submit(lane_tasks.add, 5).result(30) == 5
            except (WorkerDied, LaneFull):
                continue
            except BaseException as error:  # noqa: BLE001 - as above
                self.wrong.append(repr(error))


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_call_is_accounted_for(seed):
    """Each call ends once, in a way that it may end; the books agree; nothing is left open."""
    gc.collect()
    before = descriptors()
    torture = Torture(seed)
    deeds = [torture.kill, torture.resize, *([torture.call_from_a_thread] * 2 if seed % 2 else [])]
    threads = [threading.Thread(target=deed) for deed in deeds]
    for thread in threads:
        thread.start()
    clients = [asyncio.create_task(torture.client()) for _ in range(60)]

    _, hanging = await asyncio.wait(clients, timeout=SECONDS + 25)
    for thread in threads:
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
    stats = torture.manager.stats().cpu
    await torture.manager.aclose(10)
    gc.collect()

    assert not hanging
    assert not torture.wrong
    assert stats.submitted == stats.succeeded + stats.failed + stats.cancelled + stats.timed_out + stats.died + stats.refused
    assert (stats.queued, stats.outside) == (0, 0)
    assert descriptors() <= before + 2
