"""
What our control groups allow: CPU quota, CPU set and memory, from cgroup v2, v1, or both at once.

A limit may sit on our own group or on any of its ancestors (a pod's quota is not on the container's own group), so
every visible one is read. Nothing is cached: a process may be moved to another group while it runs.
Files that are absent, unreadable or nonsense never raise; what was odd about them is said in `notes`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

# v1 says "no limit" with the largest page-aligned number; no machine has an exbibyte.
_NO_MEMORY_LIMIT = 1 << 60
_SEARCH_LIMIT = 4096


class Limit(NamedTuple):
    """One limit, and the file or call that sets it."""

    value: float  # cpus, or bytes
    source: str


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """Every limit that was found, of our own group first, then of its ancestors."""

    cpus: tuple[Limit, ...] = ()
    """Quotas, in cpus: 0.5 is half of one."""
    cpusets: tuple[Limit, ...] = ()
    """How many processors each group may run on."""
    memory: tuple[Limit, ...] = ()
    """Hard limits, in bytes."""
    memory_high: tuple[Limit, ...] = ()
    """Where the kernel begins to slow the group down and to reclaim, in bytes; v2 only."""
    notes: tuple[str, ...] = ()


class Hierarchy(NamedTuple):
    """One mounted hierarchy and our place in it."""

    version: int
    controllers: frozenset[str]
    groups: tuple[Path, ...]
    """The folder of our own group, then of each visible ancestor, up to the mount point."""


class _Mount(NamedTuple):
    version: int
    controllers: frozenset[str]
    root: PurePosixPath
    point: PurePosixPath


def read_limits(root: Path = Path("/")) -> CgroupLimits:
    """All limits of our group and its visible ancestors; *root* is where `/proc` and `/sys` are looked for."""
    return _Reader(root).limits()


def find_hierarchies(root: Path = Path("/")) -> tuple[Hierarchy, ...]:
    """The hierarchies that are mounted here, each with our own group and its visible ancestors."""
    return _Reader(root).hierarchies()


class _Reader:
    """One reading: it collects what was odd on the way."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._notes: list[str] = []

    def limits(self) -> CgroupLimits:
        cpus: list[Limit] = []
        cpusets: list[Limit] = []
        memory: list[Limit] = []
        memory_high: list[Limit] = []
        for hierarchy in self.hierarchies():
            for group in hierarchy.groups:
                found = self._limits_v2(group) if hierarchy.version == 2 else self._limits_v1(group, hierarchy)
                for limits, limit in zip((cpus, cpusets, memory, memory_high), found, strict=True):
                    limits.extend(limit)
        return CgroupLimits(tuple(cpus), tuple(cpusets), tuple(memory), tuple(memory_high), tuple(self._notes))

    # -- where we are

    def hierarchies(self) -> tuple[Hierarchy, ...]:
        memberships = self._memberships()
        best: dict[tuple[int, frozenset[str]], Hierarchy] = {}
        for mount in self._mounts():
            path = self._membership_of(mount, memberships)
            if path is None and memberships:
                continue
            found = Hierarchy(mount.version, mount.controllers, self._groups(mount, path))
            key = (mount.version, mount.controllers)
            # The same hierarchy may be mounted twice: the mount that shows more ancestors tells more.
            if key not in best or len(found.groups) > len(best[key].groups):
                best[key] = found
        return tuple(best.values())

    def _memberships(self) -> dict[str, str]:
        """Controller (empty for v2) to the path of our group, as `/proc/self/cgroup` says."""
        text = self._read("proc/self/cgroup")
        if text is None:
            return {}
        paths: dict[str, str] = {}
        for line in text.splitlines():
            _number, _, rest = line.partition(":")
            controllers, colon, path = rest.partition(":")
            if not colon or not path.startswith("/"):
                self._notes.append(f"/proc/self/cgroup: cannot read the line {line!r}")
                continue
            for controller in controllers.split(","):
                paths[controller] = path.removesuffix(" (deleted)")
        return paths

    @staticmethod
    def _membership_of(mount: _Mount, memberships: dict[str, str]) -> str | None:
        if mount.version == 2:
            return memberships.get("")
        return next((memberships[name] for name in sorted(mount.controllers) if name in memberships), None)

    def _mounts(self) -> Iterator[_Mount]:
        text = self._read("proc/self/mountinfo")
        if text is None:
            yield from self._usual_mounts()
            return
        for line in text.splitlines():
            left, dash, right = line.partition(" - ")
            before, after = left.split(), right.split()
            if not dash or len(before) < 5 or not before[4].startswith("/") or not after:
                continue
            root, point = PurePosixPath(_unescape(before[3])), PurePosixPath(_unescape(before[4]))
            if after[0] == "cgroup2":
                yield _Mount(2, frozenset(), root, point)
            elif after[0] == "cgroup" and len(after) >= 3:
                yield _Mount(1, frozenset(after[2].split(",")) & {"cpu", "cpuacct", "cpuset", "memory"}, root, point)

    def _usual_mounts(self) -> Iterator[_Mount]:
        """Where hierarchies usually are, for when the list of mounts cannot be read."""
        base = PurePosixPath("/sys/fs/cgroup")
        top = PurePosixPath("/")
        for point in (base, base / "unified"):
            if _is_there(self._at(point) / "cgroup.controllers"):
                yield _Mount(2, frozenset(), top, point)
        for names in (("cpu", "cpuacct"), ("cpuset",), ("memory",)):
            for folder in (",".join(names), *names):
                if _is_there(self._at(base / folder)):
                    yield _Mount(1, frozenset(folder.split(",")), top, base / folder)

    def _groups(self, mount: _Mount, path: str | None) -> tuple[Path, ...]:
        point = self._at(mount.point)
        own = self._own_group(mount, path, point) if path is not None else None
        if own is None:
            ours = f"our own group {path} is not visible here" if path is not None else "/proc/self/cgroup does not tell our own group"
            self._notes.append(f"{mount.point}: {ours}; only the mount point's limits are known")
            own = point
        groups = [own]
        while groups[-1] != point:
            groups.append(groups[-1].parent)
        return tuple(groups)

    def _own_group(self, mount: _Mount, path: str, point: Path) -> Path | None:
        if ".." not in mount.root.parts and ".." not in path:
            try:
                own = point / PurePosixPath(path).relative_to(mount.root)
            except ValueError:
                return None
            return own if _is_there(own) else None
        # The mount reaches above our cgroup namespace: the kernel shows the way up only as "..", without the names.
        return _group_with_process(point, str(os.getpid()))

    # -- what is allowed there

    def _limits_v2(self, group: Path) -> tuple[list[Limit], ...]:
        return (
            self._quota_v2(group / "cpu.max"),
            self._cpuset(group / "cpuset.cpus.effective"),
            self._bytes(group / "memory.max"),
            self._bytes(group / "memory.high"),
        )

    def _limits_v1(self, group: Path, hierarchy: Hierarchy) -> tuple[list[Limit], ...]:
        cpus = self._quota_v1(group) if "cpu" in hierarchy.controllers else []
        cpusets = self._cpuset_v1(group) if "cpuset" in hierarchy.controllers else []
        memory = self._bytes(group / "memory.limit_in_bytes") if "memory" in hierarchy.controllers else []
        if "memory" in hierarchy.controllers and group == hierarchy.groups[-1]:
            memory += self._inherited_memory_v1(group / "memory.stat")
        return cpus, cpusets, memory, []

    def _quota_v2(self, file: Path) -> list[Limit]:
        text = self._read_file(file)
        if text is None:
            return []
        quota, _, period = " ".join(text.split()).partition(" ")
        if quota == "max":
            return []
        return self._quota(file, quota, period or "100000", text)

    def _quota_v1(self, group: Path) -> list[Limit]:
        file = group / "cpu.cfs_quota_us"
        quota = self._read_file(file)
        if quota is None or quota == "-1":
            return []
        period = self._read_file(group / "cpu.cfs_period_us") or "100000"
        return self._quota(file, quota, period, f"{quota} (period {period})")

    def _quota(self, file: Path, quota: str, period: str, shown: str) -> list[Limit]:
        numbers = _whole(quota), _whole(period)
        if not (numbers[0] and numbers[1]):
            self._notes.append(f"{self._shown(file)}: cannot use {shown!r} as a quota")
            return []
        return [Limit(numbers[0] / numbers[1], self._shown(file))]

    def _cpuset(self, file: Path) -> list[Limit]:
        text = self._read_file(file)
        if not text:  # an empty set means "as the parent"
            return []
        count = count_cpus(text)
        if not count:
            self._notes.append(f"{self._shown(file)}: cannot use {text!r} as a list of processors")
            return []
        return [Limit(float(count), self._shown(file))]

    def _cpuset_v1(self, group: Path) -> list[Limit]:
        effective = group / "cpuset.effective_cpus"
        return self._cpuset(effective if _is_there(effective) else group / "cpuset.cpus")

    def _bytes(self, file: Path) -> list[Limit]:
        text = self._read_file(file)
        if text is None or text == "max":
            return []
        value = _whole(text)
        if not value:
            self._notes.append(f"{self._shown(file)}: cannot use {text!r} as a number of bytes")
            return []
        return [Limit(float(value), self._shown(file))] if value < _NO_MEMORY_LIMIT else []

    def _inherited_memory_v1(self, file: Path) -> list[Limit]:
        """v1 tells the tightest limit above a group: at the mount point, that of the ancestors which are not visible here."""
        text = self._read_file(file)
        match = re.search(r"^hierarchical_memory_limit (\d+)$", text, re.MULTILINE) if text else None
        if match is None or not 0 < int(match[1]) < _NO_MEMORY_LIMIT:
            return []
        return [Limit(float(match[1]), f"{self._shown(file)} (hierarchical_memory_limit)")]

    # -- files

    def _at(self, path: PurePosixPath) -> Path:
        return self._root / path.relative_to("/")

    def _shown(self, file: Path) -> str:
        return f"/{file.relative_to(self._root)}"

    def _read(self, name: str) -> str | None:
        return self._read_file(self._root / name)

    def _read_file(self, file: Path) -> str | None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None  # the root group and other versions do not have every file
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            self._notes.append(f"{self._shown(file)}: cannot be read ({reason})")
            return None


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False  # also where a folder above it does not let us in
    return True


def count_cpus(text: str) -> int:
    """How many processors a list such as `0-3,7` names; 0 when it is not such a list."""
    processors: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if match is None:
            return 0
        processors.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return len(processors)


def _group_with_process(point: Path, pid: str) -> Path | None:
    """The folder under *point* whose `cgroup.procs` names *pid*; gives up after some thousand folders."""
    for count, (folder, _folders, _files) in enumerate(os.walk(point)):
        if count == _SEARCH_LIMIT:
            return None
        try:
            if pid in (Path(folder) / "cgroup.procs").read_text(encoding="ascii").split():
                return Path(folder)
        except OSError:
            continue  # not ours to read, or gone meanwhile
    return None


def _whole(text: str) -> int:
    """The positive whole number in *text*, else 0."""
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text.strip()) else 0


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
