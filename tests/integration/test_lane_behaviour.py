"""
What a pool does when things go wrong, one row a test, on asyncio's loop and on uvloop.

The rows about whole programs (killed by -9, stuck at exit, forked) are in test_lane_life, those that hold on a cluster too in test_lanes_alike.
"""

import asyncio
import os

import pytest

import lane_tasks
from levelpool import ExecutorManager, LaneFull, WorkerDied
from processes import is_gone, until

LOOPS = ["asyncio", "uvloop"]


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=2, io_workers=1, cpu_queue_limit=100) as made:
        yield made


async def test_other_tasks_survive_os_exit_of_one(manager):
    """The standard pool is dead for good then."""
    outcomes = await asyncio.gather(
        *[manager.run_cpu_intensive(lane_tasks.tick, number, None, 7) for number in range(30)], return_exceptions=True
    )

    assert isinstance(outcomes.pop(7), WorkerDied)
    assert outcomes == [number for number in range(30) if number != 7]
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_cancelling_the_await_stops_the_work(manager, tmp_path):
    """Elsewhere the process goes on, and its core stays busy."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c, str(tmp_path / "begun")))
    await until((tmp_path / "begun").exists)
    (pid,) = manager.worker_pids()

    call.cancel()

    await until(lambda: is_gone(pid), 0.5)
    assert await asyncio.wait_for(asyncio.gather(call, return_exceptions=True), 1)


async def test_queue_is_bounded_and_submit_never_blocks(manager, tmp_path):
    """Of 5,000 calls for two busy workers and a hundred places, the rest is refused while the loop goes on; elsewhere all are taken, or the loop stands still."""
    busy = [manager.cpu_executor.submit(lane_tasks.wait_for, str(tmp_path / "go")) for _ in range(2)]
    accepted, refused = [], 0
    for _ in range(5000):
        try:
            accepted.append(manager.cpu_executor.submit(lane_tasks.noop))
        except LaneFull:
            refused += 1
    # If one of them had blocked, nobody would ever have come here.
    (tmp_path / "go").touch()
    await asyncio.gather(*map(asyncio.wrap_future, [*busy, *accepted]))

    assert (len(accepted), refused) == (100, 4900)
    assert manager.stats().cpu.refused == 4900


async def test_thousands_of_awaits_wait_outside(manager):
    """A hundred places and 5,000 calls that may wait: each gets in when there is a place, and ends."""
    assert await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, number) for number in range(5000)]) == list(range(5000))


async def test_statistics_tell_waiting_from_running(manager, tmp_path):
    """A call that waits long and runs shortly is seen as that; what is under way can be seen while it is."""
    busy = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go"))) for _ in range(2)]
    await until(lambda: len(list(tmp_path.iterdir())) == 2)
    waiting = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.noop))
    await until(lambda: manager.stats().cpu.oldest_wait > 0.2)
    before = manager.stats().cpu
    (tmp_path / "go").touch()
    await asyncio.gather(waiting, *busy)
    tasks = {task.name: task for task in manager.stats().tasks}

    assert (before.busy, before.queued, before.submitted, before.succeeded) == (2, 1, 3, 0)
    assert tasks["lane_tasks.noop"].wait_p50 > 0.2 > tasks["lane_tasks.noop"].run_p50
    assert tasks["lane_tasks.wait_for"].run_p50 > 0.2
    assert os.getpid() not in manager.worker_pids()
