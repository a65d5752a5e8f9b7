"""Workers that die, and calls that are stopped: what it costs, what the caller is told, and how soon all is well again."""

import asyncio
import os
import signal

import pytest

import lane_tasks
from levelpool import ExecutorManager, RemoteError, TaskTimeout, WorkerDied
from processes import is_gone, parent, running_pid, until


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=2, io_workers=2) as made:
        yield made


# ---------------------------------------------------------------- one death, one call


@pytest.mark.parametrize(
    ("task", "args", "cause", "words"),
    [
        (lane_tasks.leave, (3,), "exit", "exit code 3"),
        (lane_tasks.leave, (0,), "exit", "exit code 0"),
        (lane_tasks.kill_self, (signal.SIGKILL,), "signal", "SIGKILL"),
        (lane_tasks.kill_self, (signal.SIGTERM,), "signal", "SIGTERM"),
        (lane_tasks.crash_in_c, (), "signal", "SIGSEGV"),
        (lane_tasks.abort, (), "signal", "SIGABRT"),
        (lane_tasks.overflow_the_stack, (), "signal", "SIGSEGV"),
    ],
)
async def test_death_costs_one_call(manager, task, args, cause, words):
    """The call of a worker that dies fails with its cause in words; the calls beside and behind it end well."""
    beside = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 0.02, i)) for i in range(6)]

    with pytest.raises(WorkerDied, match=words) as died:
        await manager.run_cpu_intensive(task, *args)

    assert died.value.cause == cause
    assert died.value.exit_code == (args[0] if cause == "exit" else None)
    assert (died.value.signal is None) == (cause == "exit")
    assert died.value.task == f"lane_tasks.{task.__name__}"
    assert await asyncio.gather(*beside) == list(range(6))
    assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1
    assert (manager.stats().cpu.died, manager.stats().cpu.deaths) == (1, {cause: 1})


async def test_panic_is_an_error_and_no_death(manager):
    """A panic of a Rust library is no Exception, and its class can be imported nowhere: it arrives described, and the worker lives on."""
    pid = await manager.run_cpu_intensive(lane_tasks.pid)

    with pytest.raises(RemoteError, match="out-of-range date") as panic:
        await manager.run_cpu_intensive(lane_tasks.panic_in_rust)

    assert panic.value.type_name == "pyo3_runtime.PanicException"
    assert "panic_in_rust" in panic.value.traceback_text
    assert await manager.run_cpu_intensive(lane_tasks.pid) == pid


async def test_memory_limit_kills_with_figures():
    """A call that takes too much memory is killed, and the error says how much it used and what it may use."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, worker_memory_limit=200 << 20) as manager:
        with pytest.raises(WorkerDied, match="the limit is 200 MiB") as died:
            await manager.run_cpu_intensive(lane_tasks.hog)

        assert died.value.cause == "memory"
        assert died.value.rss > 200 << 20
        assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_kill_from_outside_hits_the_running_call_only(manager, tmp_path):
    """The kernel's OOM killer or a person with `kill -9`: the call that ran there says SIGKILL, the one in the other worker ends well."""
    calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go"))) for _ in range(2)]
    await until(lambda: len(list(tmp_path.iterdir())) == 2)
    killed, spared = manager.worker_pids()
    os.kill(killed, signal.SIGKILL)
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    (tmp_path / "go").touch()
    (other,) = [call for call in calls if call not in done]

    with pytest.raises(WorkerDied, match="SIGKILL") as died:
        await done.pop()
    assert (died.value.cause, died.value.signal) == ("signal", signal.SIGKILL)
    assert await other == spared


async def test_death_of_an_idle_worker_costs_nothing(manager):
    """A worker that is killed while it has nothing to do takes no call with it."""
    await manager.run_cpu_intensive(lane_tasks.noop)
    (pid,) = manager.worker_pids()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: pid not in manager.worker_pids())

    assert await manager.run_cpu_intensive(lane_tasks.pid) != pid
    assert (manager.stats().cpu.died, manager.stats().cpu.deaths) == (0, {})


async def test_death_of_the_fork_server_costs_nothing(manager, tmp_path):
    """The process that workers come from is killed: the call that runs ends well, and there will be new workers."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
    fork_server = parent(await running_pid(manager))
    os.kill(fork_server, signal.SIGKILL)
    await until(lambda: is_gone(fork_server))

    (meeting := tmp_path / "meeting").mkdir()
    with pytest.raises(WorkerDied, match="exit code 5"):
        await manager.run_cpu_intensive(lane_tasks.leave, 5)
    (tmp_path / "go").touch()
    await call
    pids = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.meet, str(meeting), 2) for _ in range(2)])

    assert len(set(pids)) == 2


async def test_call_sent_ahead_runs_elsewhere(tmp_path):
    """Of many quick calls that sit in one worker's socket, its death costs the one that ran; each other one runs once."""
    path, fatal = tmp_path / "run", 20
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        # Only a name that is known to be quick is sent ahead.
        await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.tick, i) for i in range(50)])
        outcomes = await asyncio.gather(
            *[manager.run_cpu_intensive(lane_tasks.tick, i, str(path), fatal) for i in range(40)], return_exceptions=True
        )

    assert isinstance(outcomes.pop(fatal), WorkerDied)
    assert outcomes == [number for number in range(40) if number != fatal]
    assert sorted(int(line) for line in path.read_text().split()) == list(range(40))


@pytest.mark.parametrize("way", ["they crash", "they are cancelled"])
async def test_lane_is_at_full_strength_again(manager, tmp_path, way):
    """Two seconds after all workers went there are as many new ones, and they run calls at the same time."""
    if way == "they crash":
        await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.leave, 1) for _ in range(2)], return_exceptions=True)
    else:
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c, str(tmp_path / name))) for name in ("one", "two")]
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        for call in calls:
            call.cancel()

    (meeting := tmp_path / "meeting").mkdir()
    async with asyncio.timeout(2):
        pids = await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.meet, str(meeting), 2) for _ in range(2)])

    assert len(set(pids)) == 2


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize(
    ("task", "args"),
    [(lane_tasks.sleep, (60,)), (lane_tasks.spin_in_c, ()), (lane_tasks.sleep_in_c, (60,)), (lane_tasks.ignore_sigterm, (60,))],
)
@pytest.mark.parametrize("way", ["cancel", "asyncio.timeout", "with_options"])
async def test_stopped_call_ends_its_process(manager, task, args, way):
    """Whoever cancels the await or sets a limit gets the core back within half a second, whatever the task is stuck in."""
    limited = manager.with_options(timeout=0.3) if way == "with_options" else manager

    async def wait():
        async with asyncio.timeout(0.3 if way == "asyncio.timeout" else None):
            await limited.run_cpu_intensive(task, *args)

    await manager.run_cpu_intensive(lane_tasks.noop)
    call = asyncio.create_task(wait())
    pid = await running_pid(manager)
    if way == "cancel":
        await asyncio.sleep(0.1)
        call.cancel()

    with pytest.raises(asyncio.CancelledError if way == "cancel" else TimeoutError):
        await call

    await until(lambda: is_gone(pid), 0.5)
    stats = manager.stats().cpu
    assert (stats.cancelled, stats.timed_out) == ((0, 1) if way == "with_options" else (1, 0))


async def test_timeout_says_what_was_done(manager):
    """A call over its time fails with TaskTimeout, whose cause is the death of the worker."""
    await manager.run_cpu_intensive(lane_tasks.noop)  # a worker is there
    with pytest.raises(TaskTimeout) as late:
        await manager.with_options(timeout=0.3).run_cpu_intensive(lane_tasks.spin_in_c)

    assert isinstance(late.value, TimeoutError)
    assert isinstance(late.value.__cause__, WorkerDied)
    assert late.value.__cause__.cause == "deadline"


async def test_failed_sibling_in_a_task_group_stops_the_work(manager, tmp_path):
    """When one task of a TaskGroup fails, the worker of the other one is gone too."""

    async def fail():
        await until((tmp_path / "begun").exists)
        raise KeyError("the sibling")

    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c, str(tmp_path / "begun")))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        await work()

    await until(lambda: not manager.worker_pids(), 0.5)


async def test_waiting_call_leaves_without_starting(tmp_path):
    """A call that is cancelled or runs out of time while it waits never begins."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        first = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
        await running_pid(manager)
        cancelled = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.mark, str(tmp_path / "begun")))
        await until(lambda: manager.stats().cpu.queued == 1)

        cancelled.cancel()
        with pytest.raises(TaskTimeout, match="before it began"):
            await manager.with_options(timeout=0.05).run_cpu_intensive(lane_tasks.mark, str(tmp_path / "begun"))
        (tmp_path / "go").touch()
        pid = await first

        assert await manager.run_cpu_intensive(lane_tasks.pid) == pid
        assert not (tmp_path / "begun").exists()


async def test_stopped_call_takes_nobody_along(manager, tmp_path):
    """While calls are cancelled one after the other, those beside them run on."""
    beside = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go")))
    pid = await running_pid(manager)
    for number in range(5):
        begun = tmp_path / f"begun-{number}"
        call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c, str(begun)))
        await until(begun.exists)
        call.cancel()
        await asyncio.wait([call])
    (tmp_path / "go").touch()

    assert await beside == pid


async def test_call_cancelled_on_its_way_is_forgotten(manager, tmp_path):
    """A call that is cancelled after it was sent and before its worker began it ends once; the lane is at full strength again."""
    for number in range(10):
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c)) for _ in range(2)]
        await until(lambda: manager.stats().cpu.busy == 2 and len(manager.worker_pids()) == 2)
        for call in calls:
            call.cancel()
        (meeting := tmp_path / str(number)).mkdir()
        async with asyncio.timeout(2):
            await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.meet, str(meeting), 2) for _ in range(2)])
