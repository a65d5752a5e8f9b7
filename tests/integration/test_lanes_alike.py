"""What the process lane promises, held on every place where it may run: worker processes of this host, and a real Dask cluster."""

import asyncio

import pytest

import lane_tasks
from levelpool import ExecutorManager, LaneFull, RemoteError, ResultNotPicklable, TaskExited, TaskNotPicklable, TaskTimeout, WorkerDied
from levelpool.lanes.bulkheads import Bulkhead
from processes import begun, is_gone, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def process_manager():
    manager = ExecutorManager(cpu_workers=2, io_workers=1, cpu_bulkheads={"narrow": Bulkhead(workers=1)})
    yield manager
    manager.shutdown(timeout=10.0)


@pytest.fixture(params=["process", "dask"])
def manager(request) -> ExecutorManager:
    return request.getfixturevalue(f"{request.param}_manager")


async def test_result_comes_back(manager):
    """Positional and keyword arguments there, the result back."""
    assert await manager.run_cpu_intensive(lane_tasks.add, 1, b=2) == 3


async def test_other_tasks_survive_os_exit_of_one(manager):
    """One call costs one worker process, and the others nothing."""
    outcomes = await asyncio.gather(
        *[manager.run_cpu_intensive(lane_tasks.tick, number, None, 7) for number in range(12)], return_exceptions=True
    )
    died = outcomes.pop(7)

    assert (type(died), died.cause, died.exit_code, died.signal, died.task) == (WorkerDied, "exit", 9, None, "lane_tasks.tick")
    assert outcomes == [number for number in range(12) if number != 7]


async def test_cancelling_the_await_stops_the_work(manager, tmp_path):
    """Elsewhere the process goes on, and its core stays busy."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
    (pid,) = await begun(tmp_path)

    call.cancel()

    await until(lambda: is_gone(pid), 1)
    assert await asyncio.wait_for(asyncio.gather(call, return_exceptions=True), 1)
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_timeout_kills_the_work_and_says_so(manager, tmp_path):
    """The caller hears at once, with the death of the worker as the cause; the process is gone."""
    (tmp_path / "warm").mkdir()
    await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.meet, str(tmp_path / "warm"), 2) for _ in range(2)])
    call = asyncio.create_task(manager.with_options(timeout=3.0).run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
    (pid,) = await begun(tmp_path)

    with pytest.raises(TaskTimeout, match=r"lane_tasks.wait_for did not end within 3 s: its time was up while it ran") as raised:
        await call

    assert (raised.value.__cause__.cause, raised.value.__cause__.task) == ("deadline", "lane_tasks.wait_for")
    await until(lambda: is_gone(pid), 1)


async def test_segmentation_fault_is_told_as_one(manager):
    """What the operating system said of the worker process reaches the caller."""
    with pytest.raises(WorkerDied, match="SIGSEGV") as raised:
        await manager.run_cpu_intensive(lane_tasks.crash_in_c)

    assert (raised.value.cause, raised.value.signal, raised.value.exit_code) == ("signal", 11, None)


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        (lane_tasks.raise_key_error, KeyError, "plain"),
        (lane_tasks.raise_custom, lane_tasks.CustomError, "7: custom arguments"),
        (lane_tasks.raise_panic, lane_tasks.Panic, "not an Exception"),
        (lane_tasks.raise_parcel, lane_tasks.ParcelError, "Parcel"),
        (lane_tasks.raise_unpicklable, RemoteError, "ValueError: holds a lock"),
    ],
)
async def test_exception_arrives_as_itself(manager, task, kind, message):
    """With the worker's traceback as its cause; one that cannot travel is described."""
    with pytest.raises(kind, match=message) as raised:
        await manager.run_cpu_intensive(task)

    assert f"in {task.__name__}" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("task", "code", "cause"), [(lane_tasks.raise_exit, 4, "SystemExit"), (lane_tasks.interrupt_itself, None, "KeyboardInterrupt")]
)
async def test_task_that_exits_does_not_end_its_caller(manager, task, code, cause):
    """`sys.exit` and Ctrl-C in a task are an Exception here, awaited and as a future."""
    with pytest.raises(TaskExited) as raised:
        await manager.run_cpu_intensive(task)

    assert (raised.value.code, raised.value.cause, type(raised.value.__cause__).__name__) == (code, cause, cause)
    assert f"in {task.__name__}" in str(raised.value.__cause__.__cause__)
    assert (await asyncio.gather(asyncio.wrap_future(manager.cpu_executor.submit(task)), return_exceptions=True))[0].code == code


async def test_unpicklable_argument_is_refused_at_once(manager):
    """Elsewhere the call hangs, or says no more than "cannot pickle"."""
    with pytest.raises(TaskNotPicklable, match="argument 0 of add"):
        await manager.run_cpu_intensive(lane_tasks.add, lambda: 1)
    with pytest.raises(TaskNotPicklable, match="argument 0 of add"):
        await asyncio.wrap_future(manager.cpu_executor.submit(lane_tasks.add, lambda: 1))

    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_unpicklable_result_does_not_kill_the_lane(manager):
    """Elsewhere the caller hangs, or the pool stays dead."""
    outcomes = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.return_lambda) for _ in range(3)], return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ResultNotPicklable] * 3


async def test_context_variables_travel(manager):
    """Each call sees the request that it belongs to, and no other's."""

    async def handle(request):
        lane_tasks.REQUEST.set(request)
        return await manager.run_cpu_intensive(lane_tasks.read_request)

    answers = await asyncio.gather(*[asyncio.create_task(handle(f"request-{number}")) for number in range(8)])

    assert answers == [(f"request-{number}", None) for number in range(8)]


async def test_progress_reaches_the_caller_in_its_loop(manager):
    """In order, and always the last one."""
    heard, loops = [], set()

    def hear(*report):
        heard.append(report)
        loops.add(asyncio.get_running_loop())

    await manager.with_options(on_progress=hear).run_cpu_intensive(lane_tasks.report, 200)

    assert heard == sorted(heard)
    assert heard[-1] == (200, 200, "step")
    assert loops == {asyncio.get_running_loop()}


async def test_log_records_of_a_task_are_logged_here(manager, caplog):
    """Where this process's logging puts its own, with the name of the task."""
    await manager.with_options(name="chatty").run_cpu_intensive(lane_tasks.log_warning, "hello")

    await until(lambda: [record.levelpool_task for record in caplog.records if record.getMessage() == "said hello"] == ["chatty"])


async def test_array_of_megabytes_travels_there_and_back_writable(manager):
    """Larger than what fits into a message, by the side way for buffers."""
    import numpy as np

    array = np.arange(1_000_000, dtype=np.int64).reshape(-1, 10)
    result = await manager.run_cpu_intensive(lane_tasks.seal, array)
    result[0, 0] += 1

    assert result.sum() == array.sum() + len(array) + 1


async def test_stream_arrives_in_order_with_its_error_behind(manager):
    """Items first, then the exception of the generator as itself."""
    stream = manager.stream_cpu_intensive(lane_tasks.count_and_fail, 15)

    assert [await anext(stream) for _ in range(15)] == list(range(15))
    with pytest.raises(lane_tasks.CustomError, match="9: in the middle"):
        await anext(stream)


async def test_stream_of_a_worker_that_dies_ends_with_its_death(manager):
    """What it had yielded before is not lost in silence: the stream does not just stop."""
    with pytest.raises(WorkerDied):
        assert [item async for item in manager.stream_cpu_intensive(lane_tasks.count_and_leave, 3)]


async def test_slow_reader_slows_the_generator(manager, tmp_path):
    """It is some items ahead at most, and ends when the reader leaves."""
    async with manager.stream_cpu_intensive(lane_tasks.count, 1000, str(tmp_path / "step")) as stream:
        assert [await anext(stream) for _ in range(2)] == [0, 1]
        await until(lambda: int((tmp_path / "step").read_text() or 0) >= 4)
        await asyncio.sleep(0.1)
        assert int((tmp_path / "step").read_text()) <= 12

    await until(lambda: manager.stats().cpu.busy == 0)


async def test_more_urgent_call_runs_first(manager, tmp_path):
    """While all workers are busy, calls wait here, and the larger priority is next; `resize` says how many workers there are."""
    manager.resize(cpu_workers=1)
    try:
        busy = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
        await begun(tmp_path)
        order = str(tmp_path / "order")
        calls = [
            asyncio.create_task(manager.with_options(priority=priority).run_cpu_intensive(lane_tasks.tick, priority, order))
            for priority in (0, 5, 9)
        ]
        await until(lambda: manager.stats().cpu.queued == 3)
        (tmp_path / "go").touch()
        await asyncio.gather(busy, *calls)
    finally:
        manager.resize(cpu_workers=2)

    assert (tmp_path / "order").read_text().split() == ["9", "5", "0"]


async def test_bulkhead_leaves_the_rest_of_the_lane_free(manager, tmp_path):
    """Of a group that may have one worker, one call runs, and a call of nobody's group passes the others."""
    narrow = manager.with_options(bulkhead="narrow")
    held = [asyncio.create_task(narrow.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go"))) for _ in range(3)]
    await begun(tmp_path)

    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1
    assert len(list(tmp_path.glob("go.*"))) == 1
    (tmp_path / "go").touch()
    await asyncio.gather(*held)


async def test_waiting_call_is_refused_when_nobody_may_wait(manager, tmp_path):
    """`resize` and `admission_timeout` hold: one at a time runs, and what is over the queue is told to come again."""
    manager.resize(cpu_workers=1)
    try:
        first = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
        await begun(tmp_path)
        waiting = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.noop)) for _ in range(1000)]
        await until(lambda: manager.stats().cpu.queued == 1000)
        with pytest.raises(LaneFull, match="limit 1000") as raised:
            await manager.with_options(admission_timeout=0).run_cpu_intensive(lane_tasks.noop)
        for call in waiting:
            call.cancel()
        (tmp_path / "go").touch()
        await first
    finally:
        manager.resize(cpu_workers=2)

    assert raised.value.retry_after > 0


async def test_drop_in_executor_maps(manager):
    """The futures of `concurrent.futures`, and blocking on them from a thread."""
    squares = await asyncio.get_running_loop().run_in_executor(
        manager.io_executor, lambda: list(manager.cpu_executor.map(lane_tasks.add, range(4), range(4)))
    )

    assert squares == [0, 2, 4, 6]
