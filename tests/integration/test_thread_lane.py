"""The thread lane with real threads."""

import asyncio
import contextvars
import threading
import time

import pytest

from levelpool import ExecutorManager, LaneClosed, LaneFull, TaskTimeout, report_progress
from levelpool.lanes.lane import CallOptions
from levelpool.lanes.thread import thread_lane

WHO = contextvars.ContextVar("WHO", default="nobody")


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=1, io_workers=2, io_queue_limit=2) as made:
        yield made


@pytest.fixture
def gate():
    """Calls that wait for it are held until the test opens it."""
    event = threading.Event()
    yield event
    event.set()


async def test_lambda_runs_in_a_named_thread(manager):
    """Anything that can be called runs, in a thread whose name says whose it is."""
    assert (await manager.run_io_intensive(lambda: threading.current_thread().name)).startswith("levelpool-io-")


async def test_context_travels(manager):
    """The whole context of the caller is there; changes stay in the thread."""
    WHO.set("me")

    assert await manager.run_io_intensive(lambda: (WHO.get(), WHO.set("other"))[0]) == "me"
    assert WHO.get() == "me"


async def test_never_more_threads_than_allowed(manager, gate):
    """As many calls run at once as there are threads, and the rest waits."""
    calls = [asyncio.create_task(manager.run_io_intensive(gate.wait)) for _ in range(4)]
    await asyncio.sleep(0.05)
    stats = manager.stats().io
    gate.set()
    await asyncio.gather(*calls)

    assert (stats.busy, stats.queued, stats.workers) == (2, 2, 2)


async def test_full_lane_refuses(manager, gate):
    """Beyond the waiting room a call is refused at once, or after the wait that it allows."""
    calls = [asyncio.create_task(manager.run_io_intensive(gate.wait)) for _ in range(4)]
    await asyncio.sleep(0)

    for patience in (0, 0.02):
        with pytest.raises(LaneFull):
            await manager.with_options(admission_timeout=patience).run_io_intensive(gate.wait)
    with pytest.raises(LaneFull):
        manager.io_executor.submit(gate.wait)
    gate.set()
    await asyncio.gather(*calls)


async def test_timeout_frees_the_caller(gate):
    """A thread cannot be killed: its caller goes on, and is told so."""
    lane = thread_lane("io", 1)
    with pytest.raises(TaskTimeout, match="cannot be killed"):
        await lane.run(gate.wait, (), {}, CallOptions(timeout=0.05, name="waiter"))


async def test_cancelled_waiting_call_never_begins(gate):
    """A call that is cancelled while it waits leaves the queue."""
    lane, begun = thread_lane("io", 1), []
    first = asyncio.create_task(lane.run(gate.wait, (), {}, CallOptions()))
    second = asyncio.create_task(lane.run(begun.append, (1,), {}, CallOptions()))
    await asyncio.sleep(0.02)

    second.cancel()
    gate.set()
    await first
    await asyncio.wrap_future(lane.close(5))

    assert not begun


async def test_resize_lets_more_run(manager, gate):
    """More threads come at once when they are allowed."""
    calls = [asyncio.create_task(manager.run_io_intensive(gate.wait)) for _ in range(4)]
    await asyncio.sleep(0.02)
    manager.resize(io_workers=4)
    deadline = time.monotonic() + 5
    while manager.stats().io.busy < 4:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    gate.set()
    await asyncio.gather(*calls)


async def test_fewer_threads_without_harm(manager, gate):
    """After a resize to one, calls that run end well, and then one thread does it all."""
    calls = [asyncio.create_task(manager.run_io_intensive(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0.02)
    manager.resize(io_workers=1)
    gate.set()
    await asyncio.gather(*calls)
    names = {await manager.run_io_intensive(lambda: threading.current_thread().name) for _ in range(10)}

    assert len(names) == 1
    assert manager.stats().io.workers == 1


async def test_urgent_call_overtakes(manager, gate):
    """A call of a higher priority runs before those that wait."""
    order = []
    busy = [asyncio.create_task(manager.run_io_intensive(gate.wait)) for _ in range(2)]
    low = asyncio.create_task(manager.run_io_intensive(order.append, "low"))
    await asyncio.sleep(0)
    high = asyncio.create_task(manager.with_options(priority=5).run_io_intensive(order.append, "high"))
    await asyncio.sleep(0.02)
    manager.resize(io_workers=1)
    gate.set()
    await asyncio.gather(*busy, low, high)

    assert order == ["high", "low"]


async def test_statistics_tell_waiting_from_running(manager, gate):
    """Outcomes, waits and run times, as in the process lane."""

    def work():
        time.sleep(0.02)

    def fail():
        raise KeyError

    await asyncio.gather(*[manager.run_io_intensive(work) for _ in range(4)])
    with pytest.raises(KeyError):
        await manager.run_io_intensive(fail)
    with pytest.raises(TaskTimeout):
        await manager.with_options(timeout=0.02).run_io_intensive(gate.wait)
    stats = manager.stats()
    (task,) = [task for task in stats.tasks if task.name.endswith("work")]

    assert (stats.io.submitted, stats.io.succeeded, stats.io.failed, stats.io.timed_out) == (6, 4, 1, 1)
    assert (task.lane, task.count) == ("io", 4)
    assert task.wait_p99 >= 0.02 <= task.run_p50


async def test_progress_is_called_in_the_loop(manager):
    """`on_progress` runs in the caller's loop, not in the thread."""
    seen = []

    await manager.with_options(on_progress=lambda *report: seen.append((threading.get_ident(), report))).run_io_intensive(
        report_progress, 1, 2, "x"
    )
    await asyncio.sleep(0)

    assert seen == [(threading.get_ident(), (1, 2, "x"))]


async def test_exception_arrives_as_itself(manager):
    """What the function raises is raised here, the very object."""
    error = KeyError("mine")

    def fail():
        raise error

    with pytest.raises(KeyError) as raised:
        await manager.run_io_intensive(fail)

    assert raised.value is error


async def test_close_does_not_wait_for_ever(gate):
    """At its deadline a closing lane tells the caller, and leaves the stuck thread alone."""
    lane = thread_lane("io", 1)
    call = asyncio.create_task(lane.run(gate.wait, (), {}, CallOptions()))
    await asyncio.sleep(0.02)

    await asyncio.wrap_future(lane.close(0.05))

    with pytest.raises(LaneClosed, match="goes on in its thread"):
        await call
