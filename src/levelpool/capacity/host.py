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
        match = re.search(r"^MemTotal:\s+(\d+) kB$", (root / "proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        match = None
    if match:
        return int(match[1]) * 1024, "/proc/meminfo (MemTotal)"
    # Not Linux: psutil knows every other system, and is loaded only there.
    import psutil  # noqa: PLC0415

    return int(psutil.virtual_memory().total), "psutil.virtual_memory"
