"""
What this process may use: the tightest of all limits wins, and its source is remembered.

CPUs: the quotas and CPU sets of our control groups and their visible ancestors, the affinity, the cores of the host.
Memory: the limits of the same groups, and the memory of the host. Fractions stay fractions.
"""

from dataclasses import dataclass
from pathlib import Path

from levelpool.capacity.cgroup import Limit, read_limits
from levelpool.capacity.host import Host, read_host


@dataclass(frozen=True, slots=True)
class Capacity:
    """What this process may use, and which limit decided it."""

    cpus: float
    """1.5 is one and a half cores."""
    cpu_source: str
    """The file or call that set the number."""
    memory: int
    """Bytes."""
    memory_source: str
    memory_high: int | None = None
    """Bytes at which the kernel begins to slow us down; None: nowhere before `memory`."""
    memory_high_source: str | None = None
    cpu_limits: tuple[Limit, ...] = ()
    """Every limit that was found, the tightest first."""
    memory_limits: tuple[Limit, ...] = ()
    notes: tuple[str, ...] = ()
    """What was odd: files that could not be read or made no sense, and were left out."""

    @property
    def usable_memory(self) -> int:
        """
        Bytes that we may have without being held back or ended: sizes and alarms go by it.

        Above `memory.high` the kernel lets every allocation wait for reclaim, until hardly anything moves; nobody is ended there, so nobody notices why.
        """
        return self.memory if self.memory_high is None else self.memory_high

    @property
    def usable_memory_source(self) -> str:
        """The file or call that set it."""
        return self.memory_source if self.memory_high_source is None else self.memory_high_source


def detect_capacity(root: Path = Path("/"), *, host: Host | None = None) -> Capacity:
    """
    What the container and the host allow this process right now. Takes a few milliseconds at most; nothing is cached.

    *root* is where `/proc` and `/sys` are looked for; *host* replaces what the machine itself says.
    Raises nothing: a file that cannot be used is left out and named in `notes`.
    """
    groups = read_limits(root)
    machine = host or read_host(root)
    cpus = _tightest_first((*groups.cpus, *groups.cpusets, *_processors(machine)))
    memory = _tightest_first((*groups.memory, Limit(float(machine.memory), machine.memory_source)))
    high = min(groups.memory_high, key=_value, default=None)
    below = high if high and high.value < memory[0].value else None
    return Capacity(
        cpus=cpus[0].value,
        cpu_source=cpus[0].source,
        memory=int(memory[0].value),
        memory_source=memory[0].source,
        memory_high=int(below.value) if below else None,
        memory_high_source=below.source if below else None,
        cpu_limits=cpus,
        memory_limits=memory,
        notes=groups.notes,
    )


def _processors(machine: Host) -> tuple[Limit, ...]:
    # The host comes last: of two equal limits the one nearer to us explains more.
    affinity = () if machine.affinity is None else (Limit(float(machine.affinity), "os.sched_getaffinity"),)
    return (*affinity, Limit(float(machine.cores), "os.cpu_count"))


def _tightest_first(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    return tuple(sorted(limits, key=_value))  # stable: equal limits keep their order


def _value(limit: Limit) -> float:
    return limit.value
