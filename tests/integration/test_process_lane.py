"""The process lane with real processes: every promise tried for real."""

import asyncio
import contextlib
import gc
import logging
import os
import threading
from pathlib import Path

import pytest

import imported_late
import lane_tasks
from levelpool import (
    ExecutorManager,
    LaneClosed,
    LaneFull,
    RemoteError,
    ResultNotPicklable,
    ResultTooLarge,
    TaskExited,
    TaskNotPicklable,
    TaskRefused,
    TaskTimeout,
    WorkerDied,
)
from processes import descriptors, is_gone, running_pid, until


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=2, io_workers=2) as made:
        yield made


def large_mappings():
    """How many memory files of more than a page are mapped here."""
    spans = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:levelpool" in line]
    return sum(int(end, 16) - int(start, 16) > 4096 for start, end in spans)


async def test_call_brings_its_result(manager):
    """Arguments and keyword arguments go to the function, in another process, and the result comes back."""
    assert await manager.run_cpu_intensive(lane_tasks.add, 1, b=2) == 3
    assert await manager.run_cpu_intensive(lane_tasks.pid) != os.getpid()


@pytest.mark.parametrize("patience", [0, 0.05])
async def test_full_lane_refuses_in_time(patience):
    """When no place is free in time, the call is refused with the seconds after which to come back."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, cpu_queue_limit=1) as manager:
        inside = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 0.5)) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(LaneFull) as full:
            await manager.with_options(admission_timeout=patience).run_cpu_intensive(lane_tasks.add, 1)

        assert full.value.retry_after > 0
        await asyncio.gather(*inside)
        assert manager.stats().cpu.refused == 1


async def test_probe_gets_into_a_full_lane(tmp_path):
    """A call of priority 100 finds a place that ordinary calls cannot take, and runs next."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, cpu_queue_limit=2) as manager:
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go"))) for _ in range(3)]
        await running_pid(manager)
        with pytest.raises(LaneFull):
            await manager.with_options(admission_timeout=0, priority=99).run_cpu_intensive(lane_tasks.noop)

        probe = asyncio.create_task(manager.with_options(admission_timeout=0, priority=100).run_cpu_intensive(lane_tasks.pid))
        await until(lambda: manager.stats().cpu.queued == 3)
        (tmp_path / "go").touch()

        assert await probe in await asyncio.gather(*calls)


async def test_full_lane_lets_wait():
    """Without a limit a call waits outside until there is a place, and runs."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, cpu_queue_limit=1) as manager:
        results = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.add, i) for i in range(20)])

        assert results == list(range(20))


async def test_urgent_call_overtakes():
    """A call of a higher priority runs before those that wait."""
    order = []

    async def call(manager, name, priority):
        await manager.with_options(priority=priority).run_cpu_intensive(lane_tasks.sleep, 0.01)
        order.append(name)

    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        first = asyncio.create_task(call(manager, "first", 0))
        await running_pid(manager)
        await asyncio.gather(call(manager, "low", 0), call(manager, "high", 5), first)

    assert order == ["first", "high", "low"]


@pytest.mark.parametrize(
    ("task", "kind", "text"),
    [
        (lane_tasks.raise_key_error, KeyError, "plain"),
        (lane_tasks.raise_custom, lane_tasks.CustomError, "7: custom arguments"),
        (lane_tasks.raise_panic, lane_tasks.Panic, "not an Exception"),
        (lane_tasks.raise_sealed, lane_tasks.SealedError, "B"),
        (lane_tasks.raise_unpicklable, RemoteError, "ValueError: holds a lock"),
    ],
)
async def test_exception_arrives(manager, task, kind, text):
    """The task's exception arrives as itself where it can travel, and the worker's traceback is its cause."""
    with pytest.raises(kind) as raised:
        await manager.run_cpu_intensive(task)

    assert text in str(raised.value)
    assert task.__name__ in str(raised.value.__cause__)


async def test_custom_exception_keeps_its_fields(manager):
    """An exception with arguments of its own keeps what it knows."""
    with pytest.raises(lane_tasks.CustomError) as raised:
        await manager.run_cpu_intensive(lane_tasks.raise_custom)

    assert raised.value.code == 7


async def test_what_cannot_travel_is_named(manager):
    """A lambda, an argument or a part of a result that cannot be pickled is named, and the lane lives on."""
    with pytest.raises(TaskNotPicklable, match="lambda"):
        await manager.run_cpu_intensive(lambda: 1)
    with pytest.raises(TaskNotPicklable, match=r"argument 'b'\['key'\]"):
        await manager.run_cpu_intensive(lane_tasks.add, 1, b={"key": lambda: 1})
    with pytest.raises(ResultNotPicklable, match=r"result\['rows'\]\[1\]"):
        await manager.run_cpu_intensive(lane_tasks.return_lambda)
    with pytest.raises(ResultNotPicklable, match="one by one with stream_cpu_intensive"):
        await manager.run_cpu_intensive(lane_tasks.count, 3)

    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_large_things_travel_both_ways(manager):
    """Megabytes go there and back, as buffers and as many small objects."""
    rows = await manager.run_cpu_intensive(lane_tasks.return_dicts, 50_000)
    data = await manager.run_cpu_intensive(lane_tasks.return_bytes, 5 << 20)

    assert rows[-1] == {"id": 49_999, "name": "user-49999"}
    assert data == b"x" * (5 << 20)
    assert await manager.run_cpu_intensive(lane_tasks.length, rows) == 50_000
    assert await manager.run_cpu_intensive(lane_tasks.length, bytearray(data)) == 5 << 20


async def test_received_array_is_writable(manager):
    """What arrives as a mapped buffer belongs to the caller."""
    import numpy as np

    array = await manager.run_cpu_intensive(np.zeros, 1_000_000)
    array[0] = 5

    assert array.sum() == 5


@pytest.mark.parametrize("length", [10, 1_000_000])
async def test_array_that_was_read_only_arrives_writable_too(manager, length):
    """Whoever receives it owns it, whatever it was where it came from; in both directions, in memory order."""
    import numpy as np

    array = np.asfortranarray(np.arange(2.0 * length).reshape(2, length))
    array.flags.writeable = False

    received = await manager.run_cpu_intensive(lane_tasks.seal, array)
    received[1, 0] += 5

    assert received[1, 0] == 1 + length + 5
    assert received.flags.f_contiguous
    assert array[1, 0] == length


async def test_arrow_table_travels_both_ways(manager):
    """Its columns are buffers, which travel beside the pickle; what arrives is equal to what was made."""
    table = await manager.run_cpu_intensive(lane_tasks.return_arrow, 100_000)

    assert table["half"][-1].as_py() == 49_999.5
    assert table.equals(lane_tasks.return_arrow(100_000))
    assert await manager.run_cpu_intensive(lane_tasks.length, table) == 100_000


async def test_garbage_collector_of_this_process_is_left_alone(manager):
    """However many objects arrive, nobody turns the collector off, tunes or freezes it behind the program's back."""
    gc.unfreeze()  # of what the suite has frozen, now this and then that goes
    before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.return_dicts, 100_000))
    during = set()
    while not call.done():
        during.add((gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()))
        await asyncio.sleep(0.001)

    assert len(await call) == 100_000
    assert during | {(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())} == {before}


async def test_result_over_the_limit_is_refused():
    """A result over max_result_bytes stays where it is."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, max_result_bytes=1 << 20) as manager:
        with pytest.raises(ResultTooLarge, match="1048576 bytes"):
            await manager.run_cpu_intensive(lane_tasks.return_bytes, 2 << 20)

        assert len(await manager.run_cpu_intensive(lane_tasks.return_bytes, 1000)) == 1000


async def test_progress_reaches_the_caller(manager):
    """The last report always arrives, in the caller's loop."""
    seen = []

    await manager.with_options(on_progress=lambda *report: seen.append(report)).run_cpu_intensive(lane_tasks.report, 100)

    assert seen[-1] == (100, 100, "step")


async def test_context_variable_waits_for_its_module(manager):
    """A variable of a module that the call itself imports has the caller's value, once; the next call has its own."""
    token = imported_late.TENANT.set("acme")
    try:
        assert await manager.run_cpu_intensive(lane_tasks.read_late_module) == "acme"
    finally:
        imported_late.TENANT.reset(token)

    assert await manager.run_cpu_intensive(lane_tasks.read_late_module) == "nobody"


async def test_kernel_would_pick_the_worker_first(manager):
    """When the machine runs out of memory, a worker is the likelier victim than this process."""
    ours = lane_tasks.read_text("/proc/self/oom_score_adj")

    assert int(await manager.run_cpu_intensive(lane_tasks.read_text, "/proc/self/oom_score_adj")) > int(ours)


async def test_call_that_kills_one_worker_after_another_is_refused(tmp_path):
    """After two deaths the same call with the same arguments is refused, with the time to wait; other arguments are not."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, max_kills=2) as manager:
        for _ in range(2):
            with pytest.raises(WorkerDied):
                await manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path / "absent"))
        with pytest.raises(TaskRefused, match="has killed 2 workers in a row") as refused:
            await manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path / "absent"))

        assert 55 < refused.value.retry_after <= 60
        assert await manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path)) == "survived"
        assert manager.stats().cpu.refused == 1


@pytest.mark.parametrize("kind", [bytes, bytearray], ids=["in the pickle", "beside it"])
async def test_large_arguments_that_kill_are_known_by_every_byte(tmp_path, kind):
    """A call with a megabyte is refused as one with a word is; one that differs in a single byte of it is not."""
    fatal, other = kind(1 << 20), kind(bytes(1 << 19) + b"x" + bytes((1 << 19) - 1))
    async with ExecutorManager(cpu_workers=1, io_workers=1, max_kills=2) as manager:
        for _ in range(2):
            with pytest.raises(WorkerDied):
                await manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path / "absent"), fatal)
        with pytest.raises(TaskRefused, match="has killed 2 workers in a row"):
            await manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path / "absent"), fatal)

        with pytest.raises(WorkerDied):
            await manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path / "absent"), other)


async def test_large_call_that_survives_begins_anew(tmp_path):
    """Deaths count in a row: one good end, and the next death is the first."""
    path = tmp_path / "there"
    async with ExecutorManager(cpu_workers=1, io_workers=1, max_kills=2) as manager:
        for survives in (False, True, False, True):
            if survives:
                path.touch()
                assert await manager.run_cpu_intensive(lane_tasks.die_if_told, str(path), bytes(1 << 20)) == "survived"
                path.unlink()
            else:
                with pytest.raises(WorkerDied):
                    await manager.run_cpu_intensive(lane_tasks.die_if_told, str(path), bytes(1 << 20))


async def test_drain_waits_for_a_death_that_is_being_written_down(tmp_path):
    """A manager that closes as a call with large arguments dies still tells its caller."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, max_kills=2) as manager:
        call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.die_if_told, str(tmp_path / "absent"), bytes(64 << 20)))
        await asyncio.sleep(0)
        await manager.aclose()

        with pytest.raises(WorkerDied):
            await call


async def test_dropping_a_large_array_frees_its_memory_elsewhere(manager):
    """The last user of a large result may be the loop: the memory is given back by a helper thread, and it is given back."""
    gc.collect()
    before = large_mappings()
    array = await manager.run_cpu_intensive(lane_tasks.return_array, 64 << 20)
    array += 1
    view = array
    while not isinstance(view, memoryview):
        view = view.base
    memory, freed_in = view.obj, []
    free = memory.free
    memory.free = lambda unmap: free(lambda: (unmap(), freed_in.append(threading.current_thread().name)))
    assert large_mappings() == before + 1
    del array, view, memory

    await until(lambda: freed_in)
    assert freed_in[0].startswith("levelpool-cpu-chores")
    assert large_mappings() == before


async def test_context_variable_travels_in_and_not_back(manager):
    """A plain value of a module's ContextVar is seen by the task; what the task sets stays in the worker, for that call only."""
    token = lane_tasks.REQUEST.set("r-1")
    try:
        assert await manager.run_cpu_intensive(lane_tasks.read_request) == ("r-1", None)
        await manager.run_cpu_intensive(lane_tasks.set_request)
        assert lane_tasks.REQUEST.get() == "r-1"
    finally:
        lane_tasks.REQUEST.reset(token)
    assert await manager.run_cpu_intensive(lane_tasks.read_request) == ("none", None)


async def test_carried_variable_travels_pickled():
    """`carry` adds variables with values of any picklable type."""
    token = lane_tasks.CARRIED.set({"user": [1, 2]})
    try:
        async with ExecutorManager(cpu_workers=1, io_workers=1, carry=[lane_tasks.CARRIED]) as manager:
            assert await manager.run_cpu_intensive(lane_tasks.read_request) == ("none", {"user": [1, 2]})
    finally:
        lane_tasks.CARRIED.reset(token)


async def test_log_record_of_a_worker_reaches_our_logging(manager, caplog):
    """What a task logs is handled here, in the context of its call: with the name of the task, and with the request that a filter adds."""

    def add_request(record):
        record.request = lane_tasks.REQUEST.get()
        return True

    async def handle(request):
        lane_tasks.REQUEST.set(request)
        await manager.with_options(name=f"talker of {request}").run_cpu_intensive(lane_tasks.log_warning, request)

    caplog.handler.addFilter(add_request)
    try:
        with caplog.at_level(logging.WARNING):
            await asyncio.gather(*[asyncio.create_task(handle(f"request-{number}")) for number in range(5)])
    finally:
        caplog.handler.removeFilter(add_request)

    records = [record for record in caplog.records if record.name == "lane_tasks"]
    assert sorted((record.getMessage(), record.levelpool_task, record.request) for record in records) == [
        (f"said request-{number}", f"talker of request-{number}", f"request-{number}") for number in range(5)
    ]
    assert {record.process for record in records} <= set(manager.worker_pids())


async def test_drain_lets_running_calls_finish(manager):
    """While the manager closes, new calls are refused and admitted ones end well."""
    calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 0.1, i)) for i in range(4)]
    await running_pid(manager)
    closing = asyncio.create_task(manager.aclose())
    await asyncio.sleep(0)

    with pytest.raises(LaneClosed):
        await manager.run_cpu_intensive(lane_tasks.add, 1)

    assert await asyncio.gather(*calls) == list(range(4))
    await closing
    assert manager.stats().cpu.workers == 0


async def test_drain_can_be_hurried_by_cancelling(manager):
    """While the manager closes, a stuck call can be cancelled as ever; then there is nothing left to wait for."""
    stuck = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 60))
    pid = await running_pid(manager)
    limited = asyncio.create_task(manager.with_options(timeout=0.3).run_cpu_intensive(lane_tasks.sleep, 60))
    closing = asyncio.create_task(manager.aclose(timeout=30))
    await asyncio.sleep(0.1)
    assert not closing.done()

    stuck.cancel()
    await until(lambda: is_gone(pid), 0.5)

    with pytest.raises(TaskTimeout):
        await limited
    await asyncio.wait_for(closing, 2)


async def test_drain_tells_those_that_wait(tmp_path):
    """What waits inside runs during the drain, or is told at the deadline that it was not run; who waits outside is refused at once."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, cpu_queue_limit=1) as manager:
        running = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
        await until(lambda: list(tmp_path.iterdir()))
        inside = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.mark, str(tmp_path / "begun")))
        await until(lambda: manager.stats().cpu.queued == 1)
        outside = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.noop))
        await until(lambda: manager.stats().cpu.outside == 1)

        await manager.aclose(timeout=0.3)

        for call, error, words in ((outside, LaneClosed, "closed"), (inside, LaneClosed, "was not run"), (running, WorkerDied, "closed")):
            with pytest.raises(error, match=words):
                await call
        assert not (tmp_path / "begun").exists()


async def test_drain_kills_at_its_deadline(manager):
    """What does not end in time is killed, and its caller is told."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 60))
    pid = await running_pid(manager)
    await until(lambda: manager.stats().cpu.busy == 1)
    await asyncio.sleep(0.1)

    await manager.aclose(timeout=0.1)

    with pytest.raises(WorkerDied, match="after the lane was closed"):
        await call
    assert is_gone(pid)


async def test_nothing_is_left_behind():
    """After all of it: no descriptor, no process."""
    gc.collect()
    before = descriptors()
    async with ExecutorManager(cpu_workers=2, io_workers=1, worker_memory_limit=300 << 20) as manager:
        await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.return_bytes, 1 << 20) for _ in range(10)])
        for task, args in ((lane_tasks.leave, (1,)), (lane_tasks.return_lambda, ()), (lane_tasks.raise_custom, ())):
            with contextlib.suppress(WorkerDied, ResultNotPicklable, lane_tasks.CustomError):
                await manager.run_cpu_intensive(task, *args)
        pids = manager.worker_pids()
    gc.collect()

    assert all(is_gone(pid) for pid in pids)
    assert len(descriptors().keys() - before.keys()) <= 1


async def test_every_outcome_is_counted(manager, tmp_path):
    """Each call stands in the books once, under the way it ended, in the lane's and in its own name."""
    await manager.run_cpu_intensive(lane_tasks.noop)
    cancelled = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c, str(tmp_path / "begun")))
    await until((tmp_path / "begun").exists)
    cancelled.cancel()
    for call, error in (
        (manager.run_cpu_intensive(lane_tasks.raise_key_error), KeyError),
        (manager.run_cpu_intensive(lane_tasks.return_lambda), ResultNotPicklable),
        (manager.run_cpu_intensive(lambda: 1), TaskNotPicklable),
        (manager.run_cpu_intensive(lane_tasks.leave, 1), WorkerDied),
        (manager.with_options(timeout=0.2).run_cpu_intensive(lane_tasks.sleep, 60), TaskTimeout),
        (cancelled, asyncio.CancelledError),
    ):
        with pytest.raises(error):
            await call
    await until(lambda: sum(manager.stats().cpu.deaths.values()) == 3)
    stats = manager.stats()

    lane = stats.cpu
    assert (lane.submitted, lane.succeeded, lane.failed, lane.died, lane.timed_out, lane.cancelled, lane.refused) == (7, 1, 3, 1, 1, 1, 0)
    assert lane.deaths == {"exit": 1, "deadline": 1, "cancelled": 1}
    assert sum(task.count for task in stats.tasks) == 7
    assert {task.name: task.died for task in stats.tasks}["lane_tasks.leave"] == 1


async def test_sizes_and_times_per_task_name(manager):
    """Bytes there and back, processor time, and the time that unpacking a large result took here."""
    rows = await manager.run_cpu_intensive(lane_tasks.return_dicts, 50_000)
    await manager.run_cpu_intensive(lane_tasks.length, rows)
    tasks = {task.name: task for task in manager.stats().tasks}

    made, taken = tasks["lane_tasks.return_dicts"], tasks["lane_tasks.length"]
    assert made.result_bytes > 1_000_000 > made.payload_bytes > 0
    assert taken.payload_bytes > 1_000_000 > taken.result_bytes > 0
    assert made.decode_p99 > 0 == taken.decode_p99
    assert 0 < made.cpu_seconds <= made.run_p99 * 1.26
    assert made.peak_rss > 10 << 20


async def test_stats_are_the_json_of_the_endpoint(manager):
    """Counts, waits and run times per lane and task name."""
    await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.sleep, 0.02) for _ in range(5)])

    stats = manager.stats().to_dict()

    assert stats["lanes"]["cpu"]["succeeded"] == 5
    (task,) = [task for task in stats["tasks"] if task["name"] == "lane_tasks.sleep"]
    assert task["lane"] == "cpu"
    assert task["count"] == 5
    assert 0.02 <= task["run_p50"] < 0.2
    assert task["peak_rss"] > 0


def test_plain_thread_and_many_loops(tmp_path):
    """One manager serves a first loop, a second one, and a program without a loop."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    assert asyncio.run(manager.run_cpu_intensive(lane_tasks.add, 1)) == 1
    assert asyncio.run(manager.run_cpu_intensive(lane_tasks.add, 2)) == 2
    assert manager.cpu_executor.submit(lane_tasks.add, 3).result(5) == 3
    manager.shutdown()


async def test_pickling_code_that_exits_hurts_nobody_else(manager):
    """Code that raises SystemExit while it is pickled or unpickled, here or there, costs its own call only."""
    with pytest.raises(ResultNotPicklable):
        await manager.run_cpu_intensive(lane_tasks.return_thing, "ExitsWhenUnpickled")
    with pytest.raises(TaskNotPicklable):
        await manager.run_cpu_intensive(lane_tasks.length, lane_tasks.ExitsWhenPickled())
    with pytest.raises((ResultNotPicklable, TaskExited)):
        await manager.run_cpu_intensive(lane_tasks.return_thing, "ExitsWhenPickled")
    with pytest.raises((TaskNotPicklable, TaskExited)):
        await manager.run_cpu_intensive(lane_tasks.length, lane_tasks.ExitsWhenUnpickled())

    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_log_filter_that_fails_costs_no_call(manager, caplog):
    """A filter of the user's logging that raises is reported, and the calls behind it end well."""

    def refuse(record):
        raise ValueError("a broken filter")

    logging.getLogger("lane_tasks").addFilter(refuse)
    try:
        await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.log_warning, "hello") for _ in range(5)])
    finally:
        logging.getLogger("lane_tasks").removeFilter(refuse)

    assert "a callback of lane 'cpu' failed" in caplog.text


def test_manager_closes_in_another_loop_than_its_own():
    """The loop that used the manager first has stopped, but is not closed; closing in another one ends all the same."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    first = asyncio.new_event_loop()
    try:
        assert first.run_until_complete(manager.run_cpu_intensive(lane_tasks.add, 1)) == 1
        asyncio.run(asyncio.wait_for(manager.aclose(), 10))
    finally:
        first.run_until_complete(asyncio.sleep(0))
        first.close()
    assert manager.worker_pids() == ()
