"""What a process may use, for many ways in which a container can say so."""

import os
import subprocess
import sys

import pytest

from levelpool.capacity.cgroup import count_cpus
from levelpool.capacity.detect import detect_capacity
from levelpool.capacity.host import Host, read_host
from levelpool.capacity.usage import read_usage
from levelpool.sizing import size
from machine import AS_ANYBODY

HOST = Host(cores=16, affinity=16, memory=64 << 30, memory_source="the host")
GIB = 1 << 30


def test_quota_below_one_core_stays_a_fraction(tree):
    """Half a core is half a core: not zero, and not rounded up to one."""
    tree.mount_v2("/app")
    tree.write("sys/fs/cgroup/app/cpu.max", "50000 100000")

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == 0.5
    assert capacity.cpu_source == "/sys/fs/cgroup/app/cpu.max"


def test_quota_of_an_ancestor_counts(tree):
    """The pod's quota is two levels above the container's own group, which has none."""
    tree.mount_v2("/pod/container")
    tree.write("sys/fs/cgroup/pod/cpu.max", "300000 100000")
    tree.write("sys/fs/cgroup/pod/container/cpu.max", "max 100000")

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.cpu_source) == (3.0, "/sys/fs/cgroup/pod/cpu.max")


def test_v1_quota_and_memory_limit(tree):
    """The older hierarchy says the same with other files."""
    tree.mount_v1("cpu,cpuacct", "/app")
    tree.mount_v1("memory", "/app")
    tree.write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "150000")
    tree.write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "100000")
    tree.write("sys/fs/cgroup/memory/app/memory.limit_in_bytes", str(GIB))

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.memory) == (1.5, GIB)
    assert capacity.memory_source == "/sys/fs/cgroup/memory/app/memory.limit_in_bytes"


def test_v1_without_limits_is_the_host(tree):
    """-1 and the largest number are how v1 says "no limit"."""
    tree.mount_v1("cpu", "/")
    tree.mount_v1("memory", "/")
    tree.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.memory, capacity.notes) == (16.0, 64 * GIB, ())
    assert capacity.memory_source == "the host"


def test_hybrid_takes_the_tightest_of_both(tree):
    """With v1 controllers beside an empty v2 tree, the limits of v1 hold."""
    tree.mount_v1("cpu", "/app")
    tree.mount_v2("/app", point="/sys/fs/cgroup/unified")
    tree.write("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "200000")
    tree.write("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000")
    tree.write("sys/fs/cgroup/unified/app/memory.max", str(2 * GIB))

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.memory) == (2.0, 2 * GIB)


def test_cpuset_smaller_than_the_quota_wins(tree):
    """Four cpus of quota on two processors are two cpus."""
    tree.mount_v2("/app")
    tree.write("sys/fs/cgroup/app/cpu.max", "400000 100000")
    tree.write("sys/fs/cgroup/app/cpuset.cpus.effective", "2,5")

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.cpu_source) == (2.0, "/sys/fs/cgroup/app/cpuset.cpus.effective")
    assert [limit.value for limit in capacity.cpu_limits] == [2, 4, 16, 16]


LEVELS = {"own": "pod/box/app", "parent": "pod/box", "grandparent": "pod"}


@pytest.mark.parametrize("cpuset", [None, 2, 8])
@pytest.mark.parametrize("quota", [None, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["v2", "v1", "hybrid"])
def test_tightest_of_quota_cpuset_and_memory_wins_on_every_level(tree, kind, level, quota, cpuset):
    """Whichever hierarchy, whichever level: the smallest number decides, and it is that of the file it was written to."""
    group, own = LEVELS[level], LEVELS["own"]
    v1 = "sys/fs/cgroup/{}/" + group
    v2 = f"sys/fs/cgroup/unified/{group}" if kind == "hybrid" else f"sys/fs/cgroup/{group}"
    if kind != "v2":
        for controller in ("cpu", "cpuset", "memory"):
            tree.mount_v1(controller, f"/{own}")
    if kind != "v1":
        tree.mount_v2(f"/{own}", point="/sys/fs/cgroup/unified" if kind == "hybrid" else "/sys/fs/cgroup")
    # A hybrid host has its controllers in v1; here its memory limit is set in v2, so that both are read.
    if quota is not None and kind == "v2":
        tree.write(f"{v2}/cpu.max", f"{int(quota * 100000)} 100000")
    elif quota is not None:
        tree.write(f"{v1.format('cpu')}/cpu.cfs_quota_us", str(int(quota * 100000)))
        tree.write(f"{v1.format('cpu')}/cpu.cfs_period_us", "100000")
    if cpuset is not None:
        name = f"{v2}/cpuset.cpus.effective" if kind == "v2" else f"{v1.format('cpuset')}/cpuset.cpus"
        tree.write(name, f"0-{cpuset - 1}")
    tree.write(f"{v1.format('memory')}/memory.limit_in_bytes" if kind == "v1" else f"{v2}/memory.max", str(GIB))

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == min(16, quota or 16, cpuset or 16)
    assert capacity.memory == GIB
    assert f"/{group}/" in capacity.memory_source
    if capacity.cpus < 16:
        assert f"/{group}/" in capacity.cpu_source
    assert capacity.notes == ()


def files_of(kind, group):
    """The files that set a quota of *group* in this kind of hierarchy: their names, and how they say so many cpus."""
    if kind == "v2":
        return f"sys/fs/cgroup/{group}/cpu.max", lambda cpus: f"{int(cpus * 100000)} 100000"
    return f"sys/fs/cgroup/cpu/{group}/cpu.cfs_quota_us", lambda cpus: str(int(cpus * 100000))


def mount(tree, kind, own):
    """A hierarchy of this kind, with our process in the group *own*."""
    if kind != "v2":
        tree.mount_v1("cpu", f"/{own}")
    if kind != "v1":
        tree.mount_v2(f"/{own}", point="/sys/fs/cgroup/unified" if kind == "hybrid" else "/sys/fs/cgroup")


@pytest.mark.parametrize("spoil", ["missing", "unreadable", "rubbish", "not text"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["v2", "v1", "hybrid"])
def test_spoilt_file_on_one_level_leaves_the_others(tree, kind, level, spoil):
    """Whatever is wrong with the quota of one group, the quotas of the others hold; all but a missing file is named."""
    mount(tree, kind, LEVELS["own"])
    for cpus, each in enumerate(LEVELS.values(), start=2):
        name, say = files_of(kind, each)
        tree.write(name, say(cpus))
    spoilt = tree.root / files_of(kind, LEVELS[level])[0]
    spoilt.unlink()
    if spoil == "unreadable":
        spoilt.mkdir()
    elif spoil != "missing":
        spoilt.write_bytes(b"1.5 cpus" if spoil == "rubbish" else b"\xff\xfe")

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == (3 if level == "own" else 2)
    assert [spoilt.name in note for note in capacity.notes] == ([] if spoil == "missing" else [True])


@pytest.mark.parametrize("kind", ["v2", "v1", "hybrid"])
def test_moved_process_gets_the_limits_of_its_new_group(tree, kind):
    """From a pod with two cpus into one with half a cpu on an ancestor; nothing of the old one stays."""
    mount(tree, kind, "old/app")
    for group, cpus in (("old", 2), ("new", 0.5)):
        name, say = files_of(kind, group)
        tree.write(name, say(cpus))
    before = detect_capacity(tree.root, host=HOST).cpus
    tree.write(files_of(kind, "new/app")[0], "-1" if kind != "v2" else "max 100000")
    tree.write("proc/self/cgroup", (tree.root / "proc/self/cgroup").read_text().replace("/old/", "/new/"))
    (tree.root / "sys/fs/cgroup/unified/new/app").mkdir(parents=True)

    assert (before, detect_capacity(tree.root, host=HOST).cpus) == (2, 0.5)


def test_hierarchy_that_is_mounted_twice_is_read_where_more_is_seen(tree):
    """Beside the container's own mount, the host's tree with the pod's path: the quota of the pod is only there."""
    tree.mount_v2("/kubepods/pod1/box", root="/kubepods/pod1/box")
    tree.mount_v2("/kubepods/pod1/box", point="/host/cgroup")
    tree.write("sys/fs/cgroup/cpu.max", "max 100000")
    tree.write("host/cgroup/kubepods/pod1/cpu.max", "250000 100000")
    tree.write("proc/self/cgroup", "0::/kubepods/pod1/box")

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.cpu_source, capacity.notes) == (2.5, "/host/cgroup/kubepods/pod1/cpu.max", ())


def test_unreadable_membership_leaves_the_mount_points_and_says_so(tree):
    """Without /proc/self/cgroup we do not know our group; what is mounted is usually the container's own."""
    tree.mount_v2("/")
    tree.write("sys/fs/cgroup/cpu.max", "150000 100000")
    (tree.root / "proc/self/cgroup").unlink()

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == 1.5
    assert capacity.notes == ("/sys/fs/cgroup: /proc/self/cgroup does not tell our own group; only the mount point's limits are known",)


@pytest.mark.parametrize(
    "line", ["x", "a b c d e - cgroup2 x rw", "31 23 0:28 / /sys - ", "31 23 0:28 nowhere /sys/fs/cgroup rw - cgroup2 x rw"]
)
def test_rubbish_in_the_list_of_mounts_is_passed_over(tree, line):
    """Nothing raises, and the good line beside it still counts."""
    tree.write("proc/self/cgroup", "0::/\nrubbish\n7:\n")
    tree.write("proc/self/mountinfo", f"{line}\n31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    tree.write("sys/fs/cgroup/cpu.max", "150000\t100000")

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == 1.5
    assert "cannot read the line 'rubbish'" in capacity.notes[0]


ENTER_NOTHING = """
import sys
from pathlib import Path
from levelpool.capacity.detect import detect_capacity
found = detect_capacity(Path(sys.argv[1]))
print(found.notes)
"""


def test_group_that_does_not_let_us_in_is_said(tree):
    """Even looking whether it is there may be forbidden; that is no reason to fail."""
    tree.mount_v2("/pod/app")
    closed = tree.root / "sys/fs/cgroup/pod"
    closed.chmod(0)
    command = [*AS_ANYBODY, sys.executable, "-c", ENTER_NOTHING, str(tree.root)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    closed.chmod(0o700)

    assert said.stderr == ""
    assert "our own group /pod/app is not visible here" in said.stdout


def test_affinity_smaller_than_everything_wins(tree):
    """`taskset` is a limit like any other."""
    tree.mount_v2("/")

    capacity = detect_capacity(tree.root, host=Host(cores=8, affinity=3, memory=GIB, memory_source="the host"))

    assert (capacity.cpus, capacity.cpu_source) == (3.0, "os.sched_getaffinity")


def test_container_mount_that_starts_at_its_own_group(tree):
    """Docker on v1 mounts the container's own group over the hierarchy: its path is the mount's root."""
    tree.mount_v1("memory", "/docker/abc", root="/docker/abc")
    tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", str(GIB))

    assert detect_capacity(tree.root, host=HOST).memory == GIB


def test_v1_tells_of_an_ancestor_that_is_not_mounted_here(tree):
    """The tightest limit above the mount point is in its memory.stat."""
    tree.mount_v1("memory", "/docker/abc", root="/docker/abc")
    tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", str(4 * GIB))
    tree.write("sys/fs/cgroup/memory/memory.stat", f"cache 1\nhierarchical_memory_limit {GIB}")

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.memory == GIB
    assert capacity.memory_source == "/sys/fs/cgroup/memory/memory.stat (hierarchical_memory_limit)"


def test_host_tree_in_a_namespace_finds_our_group_by_our_process(tree):
    """With the host's tree mounted into a namespace, names above us are hidden; the group that lists us is ours."""
    tree.mount_v2("/", root="/../..")
    tree.write("sys/fs/cgroup/cgroup.procs", "1")
    tree.write("sys/fs/cgroup/pod/cgroup.procs", "")
    tree.write("sys/fs/cgroup/pod/app/cgroup.procs", f"1\n{os.getpid()}")
    tree.write("sys/fs/cgroup/pod/cpu.max", "250000 100000")

    assert detect_capacity(tree.root, host=HOST).cpus == 2.5


def test_group_that_is_not_visible_leaves_the_mount_point_and_says_so(tree):
    """A process that was moved out of what is mounted here still gets the limits that are visible."""
    tree.mount_v2("/elsewhere", root="/docker/abc")
    tree.write("sys/fs/cgroup/cpu.max", "200000 100000")

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == 2.0
    assert "not visible" in capacity.notes[0]


def test_process_that_moves_gets_its_new_limits(tree):
    """Nothing is cached: the next reading follows the process into its new group."""
    tree.mount_v2("/a")
    tree.write("sys/fs/cgroup/a/cpu.max", "200000 100000")
    tree.write("sys/fs/cgroup/b/cpu.max", "50000 100000")
    before = detect_capacity(tree.root, host=HOST).cpus
    tree.write("proc/self/cgroup", "0::/b")

    assert (before, detect_capacity(tree.root, host=HOST).cpus) == (2.0, 0.5)


@pytest.mark.parametrize("text", ["rubbish", "-5 100000", "0 100000", "100000 0", "max", "", "100000 rubbish", "1e5 100000"])
def test_nonsense_quota_is_left_out(tree, text):
    """A quota that cannot be a quota never decides; all but "max" and an empty file are named."""
    tree.mount_v2("/app")
    tree.write("sys/fs/cgroup/app/cpu.max", text)

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.cpus == 16.0
    assert bool(capacity.notes) == (text != "max")


@pytest.mark.parametrize("text", ["rubbish", "-1", "0", "12 MB"])
def test_nonsense_memory_limit_is_left_out_and_said(tree, text):
    """A memory limit that cannot be one never decides."""
    tree.mount_v2("/app")
    tree.write("sys/fs/cgroup/app/memory.max", text)

    capacity = detect_capacity(tree.root, host=HOST)

    assert capacity.memory == 64 * GIB
    assert "/sys/fs/cgroup/app/memory.max" in capacity.notes[0]


def test_unreadable_file_is_left_out_and_said(tree):
    """A folder where a file should be cannot be read, by root neither."""
    tree.mount_v2("/app")
    (tree.root / "sys/fs/cgroup/app/cpu.max").mkdir()
    tree.write("sys/fs/cgroup/app/memory.max", str(GIB))

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.memory) == (16.0, GIB)
    assert "cannot be read" in capacity.notes[0]


def test_memory_high_is_told_apart(tree):
    """The kernel slows us down at `memory.high`, but does not end us there."""
    tree.mount_v2("/app")
    tree.write("sys/fs/cgroup/app/memory.max", str(2 * GIB))
    tree.write("sys/fs/cgroup/app/memory.high", str(GIB))

    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.memory, capacity.memory_high) == (2 * GIB, GIB)
    assert capacity.memory_high_source == "/sys/fs/cgroup/app/memory.high"


@pytest.mark.parametrize(
    ("files", "usable", "source"),
    [
        ({"pod/app/memory.high": 2 * GIB, "pod/app/memory.max": "max"}, 2 * GIB, "/sys/fs/cgroup/pod/app/memory.high"),
        ({"pod/memory.high": 3 * GIB, "pod/app/memory.max": 4 * GIB}, 3 * GIB, "/sys/fs/cgroup/pod/memory.high"),
        ({"pod/memory.high": GIB, "pod/app/memory.high": 2 * GIB}, GIB, "/sys/fs/cgroup/pod/memory.high"),
        ({"pod/app/memory.high": 2 * GIB, "pod/app/memory.max": GIB}, GIB, "/sys/fs/cgroup/pod/app/memory.max"),
        ({"pod/app/memory.high": 100 * GIB}, 64 * GIB, "the host"),
        ({"pod/app/memory.high": "max"}, 64 * GIB, "the host"),
    ],
    ids=["alone", "of the pod", "two", "above the limit", "above the host", "none"],
)
def test_sizes_and_alarms_go_by_what_is_not_held_back(tree, files, usable, source):
    """`memory.high` counts where it is the tightest; all workers together have no more, and use is measured where it is set."""
    tree.mount_v2("/pod/app")
    for file, value in files.items():
        tree.write(f"sys/fs/cgroup/{file}", str(value))
    for group, used in (("pod", 5 * GIB), ("pod/app", 4 * GIB)):
        tree.write(f"sys/fs/cgroup/{group}/memory.current", str(used))
    tree.write("proc/meminfo", f"MemTotal: {64 * GIB >> 10} kB\nMemAvailable: {61 * GIB >> 10} kB\n")
    capacity = detect_capacity(tree.root, host=HOST)
    sizes = size(capacity)

    assert (capacity.usable_memory, capacity.usable_memory_source) == (usable, source)
    assert sizes.worker_memory_limit * sizes.cpu_workers <= usable
    in_use = {"pod": 5 * GIB, "app": 4 * GIB, "host": 3 * GIB}
    assert read_usage(capacity, tree.root).memory_used == in_use["host" if source == "the host" else source.split("/")[-2]]


def test_no_cgroup_at_all_is_the_host(tree):
    """Outside of Linux, and where /proc is hidden, the host's own numbers hold."""
    capacity = detect_capacity(tree.root, host=HOST)

    assert (capacity.cpus, capacity.cpu_source, capacity.notes) == (16.0, "os.sched_getaffinity", ())


def test_unreadable_mount_list_looks_at_the_usual_places(tree):
    """Without a list of mounts, the places that every distribution uses are tried."""
    tree.write("proc/self/cgroup", "0::/app")
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory")
    tree.write("sys/fs/cgroup/app/cpu.max", "100000 100000")

    assert detect_capacity(tree.root, host=HOST).cpus == 1.0


def test_mount_point_with_a_blank(tree):
    """The kernel writes a blank in a path as \\040."""
    tree.write("proc/self/cgroup", "0::/")
    tree.write("proc/self/mountinfo", "31 23 0:28 / /sys/my\\040groups rw - cgroup2 cgroup2 rw")
    tree.write("sys/my groups/memory.max", str(GIB))

    assert detect_capacity(tree.root, host=HOST).memory == GIB


@pytest.mark.parametrize(
    ("text", "count"), [("0-3", 4), ("0,2,4", 3), ("0-1,4-7", 6), ("5", 1), ("0-3,2-5", 6), ("x", 0), ("3-", 0), ("", 0)]
)
def test_list_of_processors(text, count):
    """Ranges may overlap; what is no list counts nothing."""
    assert count_cpus(text) == count


def test_this_machine_has_cpus_and_memory_from_somewhere():
    """On the machine this runs on, every number is above zero and has a source."""
    capacity = detect_capacity()

    assert 0 < capacity.cpus <= (os.cpu_count() or 1)
    assert capacity.memory > 64 << 20
    assert capacity.cpu_source
    assert capacity.memory_source


@pytest.mark.parametrize("text", [None, "MemTotal: 0 kB\n", "MemTotal: much\n", b"MemTotal: \xff kB\n", ""])
def test_host_memory_without_meminfo_comes_from_the_system(tmp_path, text):
    """Other systems have no /proc/meminfo, and what is written there may be nonsense."""
    (tmp_path / "proc").mkdir()
    if text is not None:
        (tmp_path / "proc/meminfo").write_bytes(text if isinstance(text, bytes) else text.encode())
    host = read_host(tmp_path)

    assert host.memory_source == "sysconf(SC_PHYS_PAGES)"
    assert abs(host.memory - read_host().memory) < 64 << 20
