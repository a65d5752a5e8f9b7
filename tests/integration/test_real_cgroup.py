"""Capacity against the kernel of this machine: real groups, a real quota, a real limit, and a real process in them."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from levelpool.capacity.cgroup import find_hierarchies

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


def v1_top(controller):
    """Where this machine has a writable v1 hierarchy of *controller*, at its top; skips the test where it has none."""
    for hierarchy in find_hierarchies():
        if (
            hierarchy.version == 1
            and controller in hierarchy.controllers
            and os.access(hierarchy.groups[-1], os.W_OK)
            and os.geteuid() == 0
        ):
            return hierarchy.groups[-1]
    pytest.skip(f"no writable cgroup v1 hierarchy of {controller} here")


@contextlib.contextmanager
def group(top: Path, *names: str):
    """Nested groups below *top*, removed at the end; yields the innermost."""
    folder = top
    with contextlib.ExitStack() as stack:
        for name in names:
            folder /= name
            folder.mkdir()
            stack.callback(folder.rmdir)
        yield folder


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
    """A parent group with a quota, and a child group without one."""
    name = f"levelpool-test-{uuid.uuid4().hex[:8]}"
    with group(v1_top("cpu"), name, "child") as child:
        (child.parent / "cpu.cfs_period_us").write_text("100000")
        (child.parent / "cpu.cfs_quota_us").write_text("50000")
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
