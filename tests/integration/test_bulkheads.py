"""Bulkheads in both lanes: one kind of work never has more than its share."""

import asyncio
import threading

import pytest

import lane_tasks
from levelpool import Bulkhead, ExecutorManager, LaneFull
from levelpool.errors import SettingsError

LIMITS = {"reports": Bulkhead(workers=1, queue_limit=2)}


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=2, io_workers=2, cpu_bulkheads=LIMITS, io_bulkheads=LIMITS) as made:
        yield made


@pytest.fixture
def gate():
    """Calls that wait for it are held until the test opens it."""
    event = threading.Event()
    yield event
    event.set()


async def occupy(manager, gate):
    """A call that has begun, and holds its thread until the gate opens."""
    begun = threading.Event()
    busy = asyncio.create_task(manager.run_io_intensive(lambda: (begun.set(), gate.wait(30))))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    return busy


async def test_others_pass_while_a_group_waits(manager):
    """Three slow reports with one worker for reports: another call runs at once beside the first of them."""
    reports = manager.with_options(bulkhead="reports")
    slow = [asyncio.create_task(reports.run_cpu_intensive(lane_tasks.sleep, 60)) for _ in range(3)]
    await asyncio.sleep(0)

    assert await manager.run_cpu_intensive(lane_tasks.add, 1, 2) == 3
    stats = manager.stats().cpu
    assert (stats.busy, stats.queued) == (1, 2)
    assert (stats.bulkheads["reports"].inside, stats.bulkheads["reports"].workers) == (3, 1)
    for call in slow:
        call.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert await reports.run_cpu_intensive(lane_tasks.add, 2, 2) == 4


async def test_group_has_a_queue_of_its_own(manager):
    """One report runs and two wait: the fourth is refused, and the lane's own queue is as empty as before."""
    reports = manager.with_options(bulkhead="reports", admission_timeout=0)
    slow = [asyncio.create_task(reports.run_cpu_intensive(lane_tasks.sleep, 60)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(LaneFull, match="2 calls waiting \\(limit 2\\)"):
        await reports.run_cpu_intensive(lane_tasks.noop)
    assert await manager.with_options(admission_timeout=0).run_cpu_intensive(lane_tasks.add, 1) == 1
    for call in slow:
        call.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_threads_have_bulkheads_too(manager):
    """Two calls of a group of one thread run one after the other, though two threads are there; another call runs beside the first."""
    reports = manager.with_options(bulkhead="reports")
    begun, go = threading.Semaphore(0), threading.Event()
    at_once = []

    def report():
        at_once.append(1)
        begun.release()
        go.wait(30)
        peak = len(at_once)
        at_once.pop()
        return peak

    calls = [asyncio.create_task(reports.run_io_intensive(report)) for _ in range(3)]
    assert await manager.run_io_intensive(begun.acquire, timeout=30)
    assert not begun.acquire(blocking=False)
    go.set()

    assert await asyncio.gather(*calls) == [1, 1, 1]


async def test_thread_keeps_its_place_when_its_caller_goes(manager):
    """A cancelled call of a group goes on in its thread, so the next one of the group still waits."""
    reports = manager.with_options(bulkhead="reports")
    begun, go = threading.Event(), threading.Event()
    first = asyncio.create_task(reports.run_io_intensive(lambda: (begun.set(), go.wait(30))))
    assert await manager.run_io_intensive(begun.wait, 30)
    first.cancel()
    second = asyncio.create_task(reports.run_io_intensive(lambda: "ran"))
    assert await manager.run_io_intensive(lambda: "beside") == "beside"

    assert not second.done()
    go.set()
    assert await second == "ran"


async def test_unknown_group_is_named_with_those_there_are(manager):
    """A wrong name is a sentence, not a call without limits."""
    with pytest.raises(SettingsError, match="lane 'cpu' has no bulkhead 'exports': there are reports"):
        await manager.with_options(bulkhead="exports").run_cpu_intensive(lane_tasks.noop)
    with pytest.raises(SettingsError, match="it must be a whole number from 1 on"):
        Bulkhead(workers=0)


async def test_urgent_call_of_a_group_overtakes_one_that_waits_for_a_thread(gate):
    """A call has the one place of its group and waits for a thread: a more urgent one of the group goes before it."""
    limits = {"reports": Bulkhead(workers=1)}
    async with ExecutorManager(cpu_workers=1, io_workers=1, io_bulkheads=limits) as manager:
        reports = manager.with_options(bulkhead="reports")
        order = []
        busy = await occupy(manager, gate)
        calls = [
            asyncio.create_task(reports.with_options(priority=priority).run_io_intensive(order.append, priority))
            for priority in (0, 1, 5, 2)
        ]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(busy, *calls)

    assert order == [5, 2, 1, 0]


async def test_overtaken_call_can_be_cancelled(gate):
    """Whoever was overtaken and gives up leaves its group as it was."""
    limits = {"reports": Bulkhead(workers=1)}
    async with ExecutorManager(cpu_workers=1, io_workers=1, io_bulkheads=limits) as manager:
        reports = manager.with_options(bulkhead="reports")
        busy = await occupy(manager, gate)
        overtaken, urgent = [
            asyncio.create_task(reports.with_options(priority=priority).run_io_intensive(int, priority)) for priority in (0, 1)
        ]
        await asyncio.sleep(0)
        overtaken.cancel()
        gate.set()

        assert await urgent == 1
        assert await reports.run_io_intensive(int, 7) == 7
        assert manager.stats().io.bulkheads["reports"].inside == 0
        await busy
