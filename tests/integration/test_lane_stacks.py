"""What a worker's task does at this moment, told by the worker itself; from outside where it cannot."""

import asyncio
import os
import signal

import pytest

import lane_tasks
from levelpool import ExecutorManager
from levelpool.monitoring.stacks import look_at_everything
from processes import running_pid, until


@pytest.fixture
async def manager():
    async with ExecutorManager(cpu_workers=1, io_workers=1) as made:
        yield made


async def told(manager, function):
    """What the worker tells once its task is in *function*; before, it loads the module of it, or is in what that calls."""
    async with asyncio.timeout(20):
        while True:
            for worker in (await look_at_everything(manager))["workers"]:
                if f" in {function}: " in "".join((worker["stack"] or [])[-1:]):
                    return worker


async def test_stack_of_a_task_begins_with_its_function(manager):
    """Each line says where it is and what stands there; the innermost is last, and nothing of our own machinery is in it."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 60))
    worker = await told(manager, "sleep")
    call.cancel()

    assert worker["task"] == "lane_tasks.sleep"
    assert worker["seconds"] > 0
    (line,) = worker["stack"]
    assert line.startswith(f"{lane_tasks.__file__}:")
    assert line.endswith(" in sleep: time.sleep(seconds)")


async def test_task_that_holds_the_interpreter_lock_is_seen(manager, tmp_path):
    """No Python code can run in such a worker, and it tells where it is all the same."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.spin_in_c, str(tmp_path / "begun")))
    await until((tmp_path / "begun").exists)
    worker = await told(manager, "spin_in_c")
    call.cancel()

    assert " in spin_in_c" in worker["stack"][-1]


async def test_worker_that_gets_no_processor_is_seen_from_outside(manager):
    """A worker that is stopped says nothing: its state says why, and what it was called to do is known here."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.sleep, 60))
    pid = (await told(manager, "sleep"))["pid"]
    os.kill(pid, signal.SIGSTOP)
    (worker,) = [each for each in (await look_at_everything(manager))["workers"] if each["pid"] == pid]
    call.cancel()

    assert (worker["state"], worker["task"], worker["stack"]) == ("T", "lane_tasks.sleep", None)


async def test_looking_changes_nothing(manager, tmp_path):
    """A task that is looked at many times goes on as if nobody had, and so does an idle worker."""
    call = asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "word")))
    pid = await running_pid(manager)
    for _ in range(5):
        await told(manager, "wait_for")
    (tmp_path / "word").touch()
    assert await call == pid
    others = [each for each in (await look_at_everything(manager))["workers"] if each["task"]]

    assert others == []
    assert await manager.run_cpu_intensive(lane_tasks.pid) == pid
