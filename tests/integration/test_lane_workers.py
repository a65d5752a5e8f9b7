"""Workers come when there is work, wear out, are more or fewer as one likes, and go; and what they start with."""

import asyncio
import os
import time

import pytest

import lane_tasks
from levelpool import ExecutorManager, TaskTimeout, WorkerDied
from processes import children, is_gone, parent, run, until


async def test_nobody_is_there_before_the_first_call():
    """A manager that nobody uses has no process and no thread."""
    before = children(os.getpid())
    async with ExecutorManager(cpu_workers=4, io_workers=4) as manager:
        stats = manager.stats()

        assert (stats.cpu.workers, stats.io.workers) == (0, 0)
        assert children(os.getpid()) == before


async def test_one_call_needs_one_worker():
    """Workers come one by one, when a call would wait otherwise."""
    async with ExecutorManager(cpu_workers=4, io_workers=1) as manager:
        pids = [await manager.run_cpu_intensive(lane_tasks.pid) for _ in range(10)]

        assert len(set(pids)) == 1
        assert manager.stats().cpu.workers == 1


async def test_idle_workers_go():
    """After the idle time no worker is left, nor the process that they came from; the next call starts anew."""
    before = set(children(os.getpid()))
    async with ExecutorManager(cpu_workers=2, io_workers=1, worker_idle_timeout=0.1) as manager:
        await asyncio.gather(*[manager.run_cpu_intensive(lane_tasks.sleep, 0.05) for _ in range(2)])
        await until(lambda: manager.stats().cpu.workers == 0)
        await until(lambda: set(children(os.getpid())) <= before)

        assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1


async def test_worn_worker_is_replaced():
    """A worker ends after its share of calls, and no call is lost."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, worker_max_tasks=3) as manager:
        pids = [await manager.run_cpu_intensive(lane_tasks.pid) for _ in range(7)]

        assert len(set(pids)) == 3
        assert manager.stats().cpu.recycled == 2


async def test_worker_that_has_grown_is_replaced():
    """A task that leaks costs a worker now and then, and no call: whoever keeps much of the memory limit is let go while idle."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, worker_memory_limit=300 << 20) as manager:
        first = await manager.run_cpu_intensive(lane_tasks.keep, 210 << 20)
        await until(lambda: is_gone(first))

        assert await manager.run_cpu_intensive(lane_tasks.pid) != first
        assert manager.stats().cpu.recycled == 1
        assert manager.stats().cpu.died == 0


async def test_more_workers_at_once(tmp_path):
    """After a resize the calls that wait run beside the one that runs."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.meet, str(tmp_path), 3)) for _ in range(3)]
        await until(lambda: len(list(tmp_path.iterdir())) == 1)

        manager.resize(cpu_workers=3)

        assert len(set(await asyncio.gather(*calls))) == 3
        assert manager.stats().cpu.max_workers == 3


async def test_fewer_workers_without_harm(tmp_path):
    """After a resize to one, calls that run end well, and then one worker does it all."""
    async with ExecutorManager(cpu_workers=3, io_workers=1) as manager:
        calls = [asyncio.create_task(manager.run_cpu_intensive(lane_tasks.wait_for, str(tmp_path / "go"))) for _ in range(3)]
        await until(lambda: len(list(tmp_path.iterdir())) == 3)

        manager.resize(cpu_workers=1)
        (tmp_path / "go").touch()

        assert len(set(await asyncio.gather(*calls))) == 3
        await until(lambda: manager.stats().cpu.workers == 1)
        assert len({await manager.run_cpu_intensive(lane_tasks.pid) for _ in range(5)}) == 1


async def test_preloaded_module_is_there_from_the_start():
    """What is preloaded is imported once, in the process that workers are forked from; the rest only where it is used."""
    async with ExecutorManager(cpu_workers=2, io_workers=1, preload=["wave"]) as manager:
        assert await manager.run_cpu_intensive(lane_tasks.has_imported, "wave")
        assert not await manager.run_cpu_intensive(lane_tasks.has_imported, "sunau")


async def test_preload_that_fails_costs_nothing(caplog):
    """A module that cannot be preloaded is named, and calls run all the same."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, preload=["there_is_no_such_module"]) as manager:
        assert await manager.run_cpu_intensive(lane_tasks.add, 1) == 1

    assert "cannot preload there_is_no_such_module" in caplog.text


def test_preload_that_starts_a_thread_is_named_and_calls_run(tmp_path):
    """So it is where each warning is an exception, too: from 3.12 on Python warns a process that has threads and forks."""
    (tmp_path / "keeps_a_thread.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='beside', daemon=True).start()\n"
    )
    program = """
    import operator
    sys.warnoptions[:] = ["error"]
    if __name__ == "__main__":
        manager = ExecutorManager(cpu_workers=1, io_workers=1, preload=["keeps_a_thread"])
        print(manager.cpu_executor.submit(operator.add, 40, 2).result(30))
        manager.shutdown()
    """

    said, complaints, status = run(tmp_path, program)

    assert (said.split(), status) == (["42"], 0), complaints
    assert "preloading keeps_a_thread has started a thread (beside)" in complaints


async def test_preload_that_hangs_does_not_hang_the_end():
    """While the fork server is stuck in a preloaded module, a call can time out and the manager can close."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1, preload=["slow_to_import"])
    with pytest.raises(TaskTimeout):
        await manager.with_options(timeout=0.2).run_cpu_intensive(lane_tasks.add, 1)
    began = time.monotonic()

    await manager.aclose(timeout=0.1)

    assert time.monotonic() - began < 5


async def test_worker_that_cannot_start_is_an_error_not_a_hang():
    """When no worker process gets ready, the calls are told why."""
    async with ExecutorManager(cpu_workers=1, io_workers=1, preload=["dies_on_import"]) as manager:
        with pytest.raises(WorkerDied, match="was not run"):
            async with asyncio.timeout(20):
                await manager.run_cpu_intensive(lane_tasks.add, 1)


async def test_workers_of_two_managers_are_apart():
    """Two managers share nothing: each has workers and a fork server of its own."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as one, ExecutorManager(cpu_workers=1, io_workers=1) as two:
        pids = [await manager.run_cpu_intensive(lane_tasks.pid) for manager in (one, two)]
        fork_servers = [parent(pid) for pid in pids]

    assert len({*pids, *fork_servers, os.getpid()}) == 5
    await until(lambda: all(is_gone(pid) for pid in [*pids, *fork_servers]), 1.0)


async def test_worker_sees_no_secret(monkeypatch):
    """Variables that look like secrets stay out of the workers, unless the manager says otherwise; the others are there."""
    variables = {
        "BROKER": "redis://:secret@host/0",
        "MY_TOKEN": "secret",
        "MAPS_TOKEN": "secret",
        "MY_COLOUR": "green",
        "PAD_TOKEN": "<pad>",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with ExecutorManager(cpu_workers=1, io_workers=1, worker_variables=["MAPS_*"]) as manager:
        seen = [await manager.run_cpu_intensive(lane_tasks.environment, name) for name in variables]

    assert seen == [None, None, "secret", "green", "<pad>"]
