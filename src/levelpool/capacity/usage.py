"""
How much of what we may use is in use: counters of our control groups and of the host, at one moment.

Use is measured where the limit is: with the quota of a pod, everything in the pod counts, for it eats the same quota.
Nothing raises: a number that cannot be read is None, or zero for a counter.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from levelpool.capacity.cgroup import Hierarchy, find_hierarchies
from levelpool.capacity.detect import Capacity

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class Throttling:
    """How often one group used up its quota, since it was made."""

    group: str
    periods: int
    throttled: int
    """Periods in which it stood still for a while."""
    seconds: float
    """For how long its threads stood still, all together."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Share of the last 10 seconds in percent in which some, or all, threads waited for a resource."""

    some: float
    full: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters and levels at one moment."""

    cpu_seconds: float | None
    """CPU time used so far by everything that shares our limit."""
    cpu_usage_source: str | None
    throttling: tuple[Throttling, ...]
    memory_used: int | None
    """Bytes that could not be taken back by dropping caches, of everything that shares our limit."""
    memory_usage_source: str | None
    oom_kills: int
    """Processes of our groups that the kernel killed for want of memory."""
    pressure: dict[str, Pressure] = field(default_factory=dict)
    """By resource: cpu, memory, io; empty where the kernel does not tell."""


def read_usage(capacity: Capacity, root: Path = Path("/")) -> Usage:
    """The counters of this moment for the limits that decided *capacity*. Takes about a millisecond."""
    files = _Files(root)
    hierarchies = find_hierarchies(root)
    cpu_seconds, cpu_source = _cpu_seconds(files, capacity.cpu_source, hierarchies)
    used, used_source = _memory_used(files, capacity.usable_memory_source)
    return Usage(
        cpu_seconds=cpu_seconds,
        cpu_usage_source=cpu_source,
        throttling=tuple(_throttling(files, hierarchies)),
        memory_used=used,
        memory_usage_source=used_source,
        oom_kills=_oom_kills(files, hierarchies),
        pressure=_pressure(files, hierarchies),
    )


class _Files:
    """Small files under a root; what cannot be read is None."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def text(self, file: Path) -> str | None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def at(self, shown: str) -> Path:
        return self.root / shown.lstrip("/")

    def shown(self, file: Path) -> str:
        return f"/{file.relative_to(self.root)}"

    def whole(self, file: Path) -> int | None:
        text = self.text(file)
        return int(text) if text and text.strip().isdecimal() else None

    def fields(self, file: Path) -> dict[str, int]:
        """A file of lines such as `nr_periods 12`."""
        return {name: int(value) for name, value in re.findall(r"^(\S+) (\d+)$", self.text(file) or "", re.MULTILINE)}


# ---------------------------------------------------------------- CPU


def _cpu_seconds(files: _Files, limit: str, hierarchies: tuple[Hierarchy, ...]) -> tuple[float | None, str | None]:
    if limit.endswith("/cpu.max"):
        stat = files.at(limit).parent / "cpu.stat"
        usage = files.fields(stat).get("usage_usec")
        return (usage / 1e6, files.shown(stat)) if usage is not None else _host_cpu_seconds(files)
    if limit.endswith("/cpu.cfs_quota_us"):
        found = _cpuacct(files, files.at(limit).parent, hierarchies)
        return found or _host_cpu_seconds(files)
    return _host_cpu_seconds(files)


def _cpuacct(files: _Files, group: Path, hierarchies: tuple[Hierarchy, ...]) -> tuple[float, str] | None:
    """v1 counts CPU time in a controller of its own; it may be mounted elsewhere, with the same group in the same place."""
    candidates = [group / "cpuacct.usage"]
    cpu = next((each for each in hierarchies if group in each.groups), None)
    accounts = next((each for each in hierarchies if "cpuacct" in each.controllers), None)
    if cpu and accounts:
        candidates.append(accounts.groups[-1] / group.relative_to(cpu.groups[-1]) / "cpuacct.usage")
    for file in candidates:
        usage = files.whole(file)
        if usage is not None:
            return usage / 1e9, files.shown(file)
    return None


def _host_cpu_seconds(files: _Files) -> tuple[float | None, str | None]:
    """Busy time of the processors that this process may run on, whoever used it."""
    lines = re.findall(r"^cpu(\d+)((?: +\d+)+)$", files.text(files.root / "proc/stat") or "", re.MULTILINE)
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    busy = 0
    for number, rest in lines:
        if ours is None or int(number) in ours:
            values = [int(value) for value in rest.split()[:8]]
            # user nice system idle iowait irq softirq steal: all but idle and iowait
            busy += sum(values) - sum(values[3:5])
    return (busy / _TICKS, "/proc/stat") if lines else (None, None)


def _throttling(files: _Files, hierarchies: tuple[Hierarchy, ...]) -> list[Throttling]:
    found = []
    for hierarchy in hierarchies:
        if hierarchy.version == 1 and "cpu" not in hierarchy.controllers:
            continue
        for group in hierarchy.groups:
            stat = files.fields(group / "cpu.stat")
            if stat.get("nr_periods"):
                seconds = stat["throttled_usec"] / 1e6 if "throttled_usec" in stat else stat.get("throttled_time", 0) / 1e9
                found.append(Throttling(files.shown(group), stat["nr_periods"], stat.get("nr_throttled", 0), seconds))
    return found


# ---------------------------------------------------------------- memory


def _memory_used(files: _Files, limit: str) -> tuple[int | None, str | None]:
    if limit.endswith(("/memory.max", "/memory.high")):
        return _group_memory(files, files.at(limit).parent, "memory.current", "inactive_file")
    if "/memory.limit_in_bytes" in limit or "hierarchical_memory_limit" in limit:
        return _group_memory(files, files.at(limit.split(" ", maxsplit=1)[0]).parent, "memory.usage_in_bytes", "total_inactive_file")
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB$", files.text(files.root / "proc/meminfo") or "", re.MULTILINE))
    if "MemTotal" in meminfo and "MemAvailable" in meminfo:
        return (int(meminfo["MemTotal"]) - int(meminfo["MemAvailable"])) * 1024, "/proc/meminfo"
    return None, None


def _group_memory(files: _Files, group: Path, usage: str, cache: str) -> tuple[int | None, str | None]:
    used = files.whole(group / usage)
    if used is None:
        return None, None
    # Pages of files that nobody used lately go first when memory is short: they are not in the way.
    return max(0, used - files.fields(group / "memory.stat").get(cache, 0)), files.shown(group / usage)


def _oom_kills(files: _Files, hierarchies: tuple[Hierarchy, ...]) -> int:
    counts = [0]
    for hierarchy in hierarchies:
        if hierarchy.version == 2:
            counts.append(files.fields(hierarchy.groups[0] / "memory.events").get("oom_kill", 0))
        elif "memory" in hierarchy.controllers:
            counts.append(files.fields(hierarchy.groups[0] / "memory.oom_control").get("oom_kill", 0))
    return max(counts)


# ---------------------------------------------------------------- pressure


def _pressure(files: _Files, hierarchies: tuple[Hierarchy, ...]) -> dict[str, Pressure]:
    own = next((each.groups[0] for each in hierarchies if each.version == 2), None)
    found = {}
    for resource in ("cpu", "memory", "io"):
        text = (files.text(own / f"{resource}.pressure") if own else None) or files.text(files.root / "proc/pressure" / resource)
        shares = dict(re.findall(r"^(some|full) avg10=(\d+(?:\.\d+)?)", text or "", re.MULTILINE))
        if shares:
            found[resource] = Pressure(float(shares.get("some", 0)), float(shares.get("full", 0)))
    return found
