"""Streams: what a generator in a worker yields, in order, at the reader's pace, and no longer than somebody reads."""

import asyncio

import pytest

import lane_tasks
from levelpool import ExecutorManager, TaskTimeout, WorkerDied
from processes import descriptors, is_gone, state, until


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=2, io_workers=2) as made:
        yield made


async def test_stream_brings_items_in_order(manager):
    """Every item arrives, in order, small and large ones."""
    assert [step async for step in manager.stream_cpu_intensive(lane_tasks.count, 50)] == list(range(50))
    assert [len(batch) async for batch in manager.stream_cpu_intensive(lane_tasks.dict_batches, 5, 20_000)] == [20_000] * 5


async def test_slow_reader_pauses_the_worker(manager, tmp_path):
    """The worker is never more than a few items ahead of its reader, and sleeps while it waits for it."""
    path = tmp_path / "at"
    stream = manager.stream_cpu_intensive(lane_tasks.count, 30, str(path))
    first = await anext(stream)
    (pid,) = manager.worker_pids()
    await until(lambda: state(pid) == "S" and (path.read_text() or "0") != "0")
    ahead = int(path.read_text())
    await asyncio.sleep(0.1)

    assert int(path.read_text()) == ahead <= 6
    assert state(pid) == "S"
    assert [first, *[step async for step in stream]] == list(range(30))
    assert path.read_text() == "29"


async def test_unread_stream_does_not_fill_the_socket(manager):
    """Large items that nobody reads stay with the worker: no more memory files are open than the worker may be ahead."""
    before = len(descriptors())
    stream = manager.stream_cpu_intensive(lane_tasks.dict_batches, 50, 20_000)
    await anext(stream)
    await asyncio.sleep(0.3)

    assert len(descriptors()) <= before + 12
    await stream.aclose()


async def test_other_calls_run_beside_a_paused_stream(manager):
    """A stream whose reader rests keeps its worker, and nobody else's."""
    stream = manager.stream_cpu_intensive(lane_tasks.count, 30)
    await anext(stream)

    assert await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, i) for i in range(20)]) == list(range(20))
    assert [step async for step in stream] == list(range(1, 30))


async def test_second_reader_of_a_stream_is_refused(manager):
    """As with an asynchronous generator: whoever asks while another one waits gets an error at once, and the first loses nothing."""
    stream = manager.stream_cpu_intensive(lane_tasks.count, 3)
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="one reader at a time"):
        await anext(stream)
    assert [await first, *[step async for step in stream]] == [0, 1, 2]


async def test_exception_arrives_after_the_items_before_it(manager):
    """What the generator raises in the middle comes in its place."""
    seen = []

    async def read():
        async for step in manager.stream_cpu_intensive(lane_tasks.count_and_fail, 10):
            seen.append(step)
            await asyncio.sleep(0.01)

    with pytest.raises(lane_tasks.CustomError, match="in the middle"):
        await read()

    assert seen == list(range(10))


async def test_break_ends_the_worker(manager):
    """Whoever leaves the loop early gets the core back within half a second."""
    async for step in manager.stream_cpu_intensive(lane_tasks.count_and_stick, 4):
        if step == 3:
            break
    (pid,) = manager.worker_pids()

    await until(lambda: is_gone(pid), 0.5)
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


@pytest.mark.parametrize("way", ["drop", "aclose", "async with", "cancel"])
async def test_every_way_to_leave_ends_the_worker(manager, way):
    """So does whoever drops the stream, closes it, or is cancelled while waiting for the next item, though the task is stuck in C."""
    stream = manager.stream_cpu_intensive(lane_tasks.count_and_stick, 1)
    await anext(stream)
    # The fork server names its process by another way than that of the items.
    await until(manager.worker_pids)
    (pid,) = manager.worker_pids()
    await asyncio.sleep(0.1)

    match way:
        case "drop":
            del stream
        case "aclose":
            await stream.aclose()
        case "async with":
            async with stream:
                pass
        case "cancel":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)

    await until(lambda: is_gone(pid), 0.5)
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_death_in_a_stream_arrives_after_the_items_before_it(manager):
    """A worker that dies under a stream loses nothing that it had sent."""
    seen = []

    async def read():
        async for step in manager.stream_cpu_intensive(lane_tasks.count_and_leave, 3):
            seen.append(step)  # noqa: PERF401 - what came before the death counts

    with pytest.raises(WorkerDied, match="exit code 4"):
        await read()

    assert seen == [0, 1, 2]


async def test_timeout_of_a_stream_counts_to_its_end(manager):
    """A stream that is not read to its end in time ends with TaskTimeout, and its worker is gone."""
    stream = manager.with_options(timeout=0.5).stream_cpu_intensive(lane_tasks.count_and_stick, 3)

    with pytest.raises(TaskTimeout):
        assert [step async for step in stream] == []

    await until(lambda: not manager.worker_pids(), 0.5)
