"""What the container and this process use."""

import os
import subprocess
import sys
from pathlib import Path

from levelpool.capacity.detect import Capacity
from levelpool.capacity.usage import Throttling, Usage, read_usage
from levelpool.monitoring.resources import ResourceReader, cpu_reading, descendants, read_process

GIB = 1 << 30
CAPACITY = Capacity(2.0, "a test", GIB, "a test")


def usage(cpu_seconds, *throttling, source="a"):
    return Usage(cpu_seconds, source, throttling, 0, "a", 0)


def write(root: Path, name: str, text: str):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


def v2_tree(root: Path):
    """A container with a quota of half a core, a gigabyte, and one ancestor."""
    write(root, "proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    write(root, "proc/self/cgroup", "0::/pod/app")
    write(root, "sys/fs/cgroup/pod/app/cpu.max", "50000 100000")
    write(root, "sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 3000000\nnr_periods 100\nnr_throttled 20\nthrottled_usec 500000")
    write(root, "sys/fs/cgroup/pod/app/memory.max", str(GIB))
    write(root, "sys/fs/cgroup/pod/app/memory.current", str(GIB // 2))
    write(root, "sys/fs/cgroup/pod/app/memory.stat", f"anon 1\ninactive_file {GIB // 4}")
    write(root, "sys/fs/cgroup/pod/app/memory.events", "low 0\noom 2\noom_kill 1")
    write(
        root, "sys/fs/cgroup/pod/app/memory.pressure", "some avg10=12.50 avg60=0 avg300=0 total=1\nfull avg10=2.00 avg60=0 avg300=0 total=1"
    )


def test_percent_is_of_what_we_may_use():
    """One second of processor time in one second is half of two CPUs."""
    assert cpu_reading(CAPACITY, usage(10.0), usage(11.0), 1.0).percent == 50.0


def test_percent_is_zero_when_the_counter_changed():
    """A limit that moved to another group has another counter: nothing is compared."""
    assert cpu_reading(CAPACITY, usage(1.0, source="a"), usage(500.0, source="b"), 1.0).percent == 0.0


def test_throttled_percent_is_that_of_the_worst_group():
    """Of the periods between two readings, not since the group was made."""
    before = (Throttling("/pod", 100, 90, 1.0), Throttling("/app", 100, 0, 0.0))
    after = (Throttling("/pod", 200, 90, 1.0), Throttling("/app", 150, 10, 0.5))

    reading = cpu_reading(CAPACITY, usage(0.0, *before), usage(0.0, *after), 2.0)

    assert (reading.throttled_percent, reading.stood_still) == (20.0, 0.25)


def test_container_is_read_from_its_own_group(tmp_path):
    """Memory without idle caches, throttled periods, OOM kills and pressure come from the group whose limit decided."""
    v2_tree(tmp_path)
    clock = iter([0.0, 2.0])
    reader = ResourceReader(tmp_path, clock=lambda: next(clock))
    write(tmp_path, "sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 3500000\nnr_periods 120\nnr_throttled 30\nthrottled_usec 900000")

    resources = reader.read()

    assert resources.cpu.percent == 50.0  # half a second of the one that half a core gives in two
    assert resources.cpu.throttled_percent == 50.0
    assert resources.cpu.source == "/sys/fs/cgroup/pod/app/cpu.max"
    assert (resources.memory.used, resources.memory.limit, resources.memory.percent) == (GIB // 4, GIB, 25.0)
    assert resources.memory.oom_kills == 1
    assert (resources.pressure["memory"].some, resources.pressure["memory"].full) == (12.5, 2.0)


def test_memory_is_counted_against_what_is_not_held_back(tmp_path):
    """With `memory.high` far below the limit, the percentage of which alarms speak is one of `memory.high`."""
    v2_tree(tmp_path)
    write(tmp_path, "sys/fs/cgroup/pod/app/memory.high", str(GIB // 2))

    memory = ResourceReader(tmp_path).read().memory

    assert (memory.used, memory.limit, memory.high, memory.percent) == (GIB // 4, GIB // 2, GIB // 2, 50.0)
    assert memory.source == "/sys/fs/cgroup/pod/app/memory.high"


def test_v1_time_is_found_in_a_hierarchy_of_its_own(tmp_path):
    """cpu and cpuacct may be mounted apart; the group is the same."""
    mounts = [f"3{n} 31 0:2{n} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}" for n, name in enumerate(("cpu", "cpuacct"))]
    write(tmp_path, "proc/self/mountinfo", "\n".join(mounts))
    write(tmp_path, "proc/self/cgroup", "2:cpu:/app\n1:cpuacct:/app")
    write(tmp_path, "sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "50000")
    write(tmp_path, "sys/fs/cgroup/cpu/app/cpu.stat", "nr_periods 10\nnr_throttled 1\nthrottled_time 250000000")
    write(tmp_path, "sys/fs/cgroup/cpuacct/app/cpuacct.usage", "1500000000")

    found = read_usage(Capacity(0.5, "/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", GIB, "a test"), tmp_path)

    assert (found.cpu_seconds, found.throttling) == (1.5, (Throttling("/sys/fs/cgroup/cpu/app", 10, 1, 0.25),))


def test_nothing_to_read_is_no_error(tmp_path):
    """On a system without any of these files every number is zero or unknown."""
    found = read_usage(CAPACITY, tmp_path)

    assert (found.cpu_seconds, found.memory_used, found.throttling, found.oom_kills, found.pressure) == (None, None, (), 0, {})


def test_two_readings_in_a_blink_repeat_the_first(tmp_path):
    """The kernel counts in hundredths of a second: over less than a few of them nothing can be measured."""
    v2_tree(tmp_path)
    clock = iter([0.0, 1.0, 1.01])
    reader = ResourceReader(tmp_path, clock=lambda: next(clock))
    write(tmp_path, "sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 3250000\nnr_periods 1\nnr_throttled 0")

    assert reader.read().cpu == reader.read().cpu


def test_own_process_is_counted():
    """This process has memory, threads and descriptors, and a child is one more child."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        reading, below = read_process(), descendants(os.getpid())
        child.communicate(b"\n")

    assert child.pid in below
    assert reading.children >= 1
    assert 0 < reading.pss <= reading.rss
    assert reading.tree_pss > reading.pss
    assert reading.threads >= 1
    assert reading.fds > 3


def test_real_numbers_of_this_machine():
    """A reading of this machine is within its bounds."""
    resources = ResourceReader().read()

    assert resources.cpu.percent >= 0
    assert 0 < resources.memory.used < resources.memory.limit
    assert 0 < resources.memory.percent < 100
