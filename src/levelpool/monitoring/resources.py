"""
What the container and this process use: CPU, memory, throttling, pressure, descriptors.

Percentages are of what we may use, not of the machine: two busy cores of a container that may use two are 100 %.
"""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from levelpool.capacity.detect import Capacity, detect_capacity
from levelpool.capacity.usage import Pressure, Throttling, Usage, read_usage


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Use of the processors since the reading before."""

    percent: float
    """Of `cpus`, by everything that shares our limit."""
    cpus: float
    source: str
    """What decided `cpus`."""
    throttled_percent: float
    """Share of the periods in which the container used up its quota and stood still."""
    stood_still: float = 0.0
    """On how many processors the container stood still on average because of that: 0.5 is one for half of the time."""


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Use of memory now, in bytes."""

    used: int
    limit: int
    """What we may have without being slowed down or ended."""
    percent: float
    source: str
    """What decided `limit`."""
    high: int | None
    """`memory.high`, where the kernel begins to slow us down, when that is the `limit`; None: only the kernel's end of us is one."""
    oom_kills: int
    """Processes of our groups that the kernel killed for want of memory, ever."""


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """This process now, and its children."""

    rss: int
    """Bytes; pages shared with others count whole."""
    pss: int
    """Bytes; pages shared with others count in proportion. 0 where the system does not tell."""
    threads: int
    fds: int
    children: int
    """Processes below this one, at any depth."""
    tree_pss: int
    """Bytes; this process and all its children."""


@dataclass(frozen=True, slots=True)
class Resources:
    """All of the above at one moment."""

    cpu: CpuReading
    memory: MemoryReading
    process: ProcessReading
    pressure: dict[str, Pressure]

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        return asdict(self)


SHORTEST_SPAN = 0.2
"""Seconds; over less than this the counters of the kernel are too coarse to divide by."""


class ResourceReader:
    """
    Reads resources again and again; use of the processors is measured between two calls of `read`.

    The first call measures since the reader was made. A call very soon after another repeats its CPU reading.
    Not thread-safe: one thread reads. *root* is where `/proc` and `/sys` are looked for.
    """

    def __init__(self, root: Path = Path("/"), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._capacity = detect_capacity(root)
        self._before, self._before_at = read_usage(self._capacity, root), clock()
        self._cpu = CpuReading(0.0, self._capacity.cpus, self._capacity.cpu_source, 0.0)

    @property
    def capacity(self) -> Capacity:
        """What we may use, as of the last reading."""
        return self._capacity

    def read(self) -> Resources:
        """The reading of this moment. Takes a few milliseconds, more with many or large child processes."""
        self._capacity = detect_capacity(self._root)
        usage, at = read_usage(self._capacity, self._root), self._clock()
        if at - self._before_at >= SHORTEST_SPAN:
            self._cpu = cpu_reading(self._capacity, self._before, usage, at - self._before_at)
            self._before, self._before_at = usage, at
        return Resources(self._cpu, _memory_reading(self._capacity, usage), read_process(), usage.pressure)


def cpu_reading(capacity: Capacity, before: Usage, after: Usage, seconds: float) -> CpuReading:
    """What was used between two usages that lie *seconds* apart."""
    percent = 0.0
    # The limit may have moved to another group meanwhile: its counter has another beginning.
    comparable = before.cpu_usage_source == after.cpu_usage_source
    if comparable and before.cpu_seconds is not None and after.cpu_seconds is not None and seconds > 0:
        percent = max(0.0, after.cpu_seconds - before.cpu_seconds) / seconds / capacity.cpus * 100
    throttled, stood_still = _throttled(before.throttling, after.throttling)
    return CpuReading(percent, capacity.cpus, capacity.cpu_source, throttled, stood_still / seconds if seconds > 0 else 0.0)


def _throttled(before: tuple[Throttling, ...], after: tuple[Throttling, ...]) -> tuple[float, float]:
    """Percent of the periods of the group that was throttled most often, and seconds of the one that stood still longest."""
    earlier = {each.group: each for each in before}
    shares, seconds = [0.0], [0.0]
    for each in after:
        base = earlier.get(each.group)
        if base and each.periods > base.periods:
            shares.append((each.throttled - base.throttled) / (each.periods - base.periods) * 100)
            seconds.append(each.seconds - base.seconds)
    return max(shares), max(seconds)


def _memory_reading(capacity: Capacity, usage: Usage) -> MemoryReading:
    used = usage.memory_used or 0
    return MemoryReading(
        used=used,
        limit=capacity.usable_memory,
        percent=used / capacity.usable_memory * 100,
        source=capacity.usable_memory_source,
        high=capacity.memory_high,
        oom_kills=usage.oom_kills,
    )


# ---------------------------------------------------------------- this process


def read_process() -> ProcessReading:
    """This process and its children, from /proc; elsewhere from psutil."""
    proc = Path("/proc")
    if not (proc / "self/smaps_rollup").exists():
        return _read_process_elsewhere()
    own = os.getpid()
    children = descendants(own, proc)
    rss, pss = _rollup(proc / "self/smaps_rollup")
    return ProcessReading(
        rss=rss,
        pss=pss,
        threads=len(os.listdir(proc / "self/task")),  # noqa: PTH208 - names suffice
        fds=len(os.listdir(proc / "self/fd")) - 1,  # noqa: PTH208 - likewise; the one that lists is not ours to count
        children=len(children),
        tree_pss=pss + sum(_rollup(proc / str(child) / "smaps_rollup")[1] for child in children),
    )


def descendants(pid: int, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """The processes below *pid*, at any depth; those that end meanwhile are left out."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for thread in _names(proc / str(parent) / "task"):
            children = read_text(proc / str(parent) / "task" / thread / "children").split()
            waiting.extend(int(child) for child in children)
            found.extend(int(child) for child in children)
    return tuple(found)


def _rollup(file: Path) -> tuple[int, int]:
    """(resident, proportional) bytes; zeros for a process that has ended or is not ours to read."""
    sizes = {name: int(kib) * 1024 for name, kib in (_size_line(line) for line in read_text(file).splitlines()[1:])}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)


def _size_line(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(":")
    return name, rest.split()[0]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names suffice
    except OSError:
        return []


def read_text(file: Path) -> str:
    """What a small file of /proc says; empty when it is gone or not ours to read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _read_process_elsewhere() -> ProcessReading:
    import psutil  # noqa: PLC0415 - only where there is no /proc

    process = psutil.Process()
    rss = int(process.memory_info().rss)
    children = process.children(recursive=True)
    return ProcessReading(rss, 0, process.num_threads(), process.num_fds(), len(children), 0)
