"""Capacity against the kernel of this machine: real groups, a real quota, a real limit, and a real process in them."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from control_groups import group, half_a_core, v1_top

pytestmark = pytest.mark.cgroup

MIB = 1 << 20

READ = """
import json, sys, time
from levelpool.capacity.detect import detect_capacity
from levelpool.capacity.usage import read_usage

for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end:
        pass
    capacity = detect_capacity()
    usage = read_usage(capacity)
    print(json.dumps({
        "cpus": capacity.cpus, "cpu_source": capacity.cpu_source, "memory": capacity.memory, "memory_source": capacity.memory_source,
        "notes": capacity.notes, "cpu_seconds": usage.cpu_seconds, "cpu_usage_source": usage.cpu_usage_source,
        "memory_used": usage.memory_used, "throttled": sum(each.throttled for each in usage.throttling),
    }), flush=True)
"""


@contextlib.contextmanager
def reader(*groups: Path):
    """A process in *groups*; yields a function that lets it be busy for some seconds and then returns what it reads."""

    with subprocess.Popen([sys.executable, "-c", READ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for folder in groups:
            (folder / "cgroup.procs").write_text(str(process.pid))

        def read(busy=0.0):
            process.stdin.write(f"{busy}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield read


@pytest.fixture
def cpu():
    """A parent group with a quota of half a core, and a child group without one."""
    with half_a_core() as child:
        yield child


@pytest.fixture
def memory():
    """A parent group with a memory limit, and a child group without one."""
    name = f"levelpool-test-{uuid.uuid4().hex[:8]}"
    with group(v1_top("memory"), name, "child") as child:
        (child.parent / "memory.limit_in_bytes").write_text(str(200 * MIB))
        yield child


def test_quota_of_the_parent_is_found_from_the_child(cpu):
    """Half a core, and the file that says so; a new quota is seen by the running process."""
    with reader(cpu) as read:
        first = read()
        (cpu.parent / "cpu.cfs_quota_us").write_text("150000")
        second = read()

    assert (first["cpus"], first["cpu_source"]) == (0.5, str(cpu.parent / "cpu.cfs_quota_us"))
    assert second["cpus"] == 1.5
    assert first["notes"] == []


def test_memory_limit_of_the_parent_is_found_from_the_child(memory):
    """The limit, its file, and how much of it is used."""
    with reader(memory) as read:
        found = read()

    assert (found["memory"], found["memory_source"]) == (200 * MIB, str(memory.parent / "memory.limit_in_bytes"))
    assert 1 * MIB < found["memory_used"] < 200 * MIB


def test_busy_process_under_a_quota_is_throttled(cpu):
    """The kernel counts the periods in which the group stood still, and we read them."""
    with reader(cpu) as read:
        before = read()
        # So little that it is used up in each period, however crowded the machine is.
        (cpu.parent / "cpu.cfs_quota_us").write_text("5000")
        after = read(busy=0.6)
        (cpu.parent / "cpu.cfs_quota_us").write_text("-1")

    assert after["throttled"] > before["throttled"]


def test_process_that_is_moved_follows_its_new_group(cpu):
    """Somebody moves the running process out of the group: the next reading has no quota."""
    with reader(cpu) as read:
        inside = read()
        for process in (cpu / "cgroup.procs").read_text().split():
            (cpu.parent.parent / "cgroup.procs").write_text(process)
        outside = read()

    assert inside["cpus"] == 0.5
    assert outside["cpus"] == os.cpu_count() or outside["cpu_source"] != inside["cpu_source"]


RUN = """
import asyncio, logging, sys, time
import levelpool.runtime
from levelpool.runtime import Runtime
from levelpool.settings import Settings

levelpool.runtime.CAPACITY_INTERVAL = 0.2
logging.basicConfig(stream=sys.stdout, format="%(message)s")

async def main():
    workers = int(sys.argv[1]) or None
    async with Runtime(Settings(cpu_executor_workers=workers, loop_lag_threshold=30.0, shutdown_timeout=1.0, monitor_enabled=False)) as runtime:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        busy = [asyncio.create_task(runtime.manager.run_cpu_intensive(sum, range(10**12))) for _ in range(workers or 0)]
        await asyncio.to_thread(sys.stdin.readline)
        stats = runtime.manager.stats()
        print("workers", stats.cpu.max_workers, "threads", stats.io.max_workers, flush=True)
        for each in busy:
            each.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

asyncio.run(main())
"""


@contextlib.contextmanager
def runtime_in(folder: Path, workers: int):
    """A process with a runtime of *workers* worker processes (0: as follows) in a group, which says what happens."""
    with subprocess.Popen([sys.executable, "-c", RUN, str(workers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        (folder / "cgroup.procs").write_text(str(process.pid))
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()
        process.wait(20)


def tell(process):
    """Let the process go on to its next step."""
    process.stdin.write("\n")
    process.stdin.flush()


def test_changed_quota_resizes_the_running_lanes_and_is_logged_once(cpu):
    """From half a core to one and a half on the parent group: seven threads instead of two, and one line that names the file."""
    with runtime_in(cpu, 0) as process:
        tell(process)
        (cpu.parent / "cpu.cfs_quota_us").write_text("150000")
        first = process.stdout.readline()
        tell(process)
        second = process.stdout.readline()

    assert first.startswith(f"the container now allows 1.5 CPUs ({cpu.parent / 'cpu.cfs_quota_us'}; before: 0.5)")
    assert second == "workers 1 threads 7\n"


def test_throttled_container_runs_fewer_worker_processes(cpu):
    """Two busy workers on a fifth of a core: the kernel throttles them, and one of them has to go."""
    (cpu.parent / "cpu.cfs_quota_us").write_text("-1")
    with runtime_in(cpu, 2) as process:
        (cpu.parent / "cpu.cfs_quota_us").write_text("20000")
        lines = [process.stdout.readline()]
        tell(process)
        while "gives way" not in lines[-1]:
            lines.append(process.stdout.readline())
        (cpu.parent / "cpu.cfs_quota_us").write_text("-1")
        tell(process)
        while not lines[-1].startswith("workers"):
            lines.append(process.stdout.readline())

    assert any("the CPU lane gives way, 1 of 2 worker processes" in line for line in lines)
    assert lines[-1].startswith("workers 1 ")
