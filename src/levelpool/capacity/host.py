"""What the host has: cores, the processors we may run on, and memory."""

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Host:
    """The machine below the container."""

    cores: int
    affinity: int | None
    """How many processors this process may run on; None where the system does not tell."""
    memory: int  # bytes
    memory_source: str


def read_host(root: Path = Path("/")) -> Host:
    """The cores, the affinity and the memory of this machine; *root* is where `/proc/meminfo` is looked for."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    memory, source = _memory(root)
    return Host(os.cpu_count() or 1, affinity, memory, source)


def _memory(root: Path) -> tuple[int, str]:
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        text = ""
    match = re.search(r"^MemTotal:\s+([1-9][0-9]*) kB$", text, re.MULTILINE)
    if match:
        return int(match[1]) * 1024, "/proc/meminfo (MemTotal)"
    # Not Linux, or a container that hides it.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "sysconf(SC_PHYS_PAGES)"
