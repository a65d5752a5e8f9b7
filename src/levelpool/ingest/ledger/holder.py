"""Who holds a claim: which service of which process on which host, and whether it still lives."""

import os
import socket
import uuid
from datetime import datetime, timedelta
from pathlib import Path

LEASE = timedelta(seconds=60)
"""A holder on another host that has not renewed its claim for so long counts as dead."""


def new_holder(proc: Path = Path("/proc")) -> str:
    """A name for one service of this process; `has_died` tells from it later whether the process still lives."""
    return "|".join((_place(proc), str(os.getpid()), _started(os.getpid(), proc), uuid.uuid4().hex[:8]))


def mark_of(holder: str) -> str:
    """What the working files of a holder carry in their names: eight hexadecimal digits."""
    return holder.rsplit("|", maxsplit=1)[-1]


def has_died(holder: str, renewed_at: datetime, now: datetime, proc: Path = Path("/proc")) -> bool:
    """
    Whether the process that holds a claim is gone.

    On our own host its process is looked up, which is certain at once; elsewhere the age of its last renewal decides.
    """
    place, pid, started, _ = holder.split("|")
    if place == _place(proc):
        return _started(int(pid), proc) != started
    return now - renewed_at > LEASE


def _place(proc: Path) -> str:
    """Where a process id means something: this host since its start, and within one namespace of process ids."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {(proc / 'self/ns/pid').readlink()}"
    except OSError:
        # Nowhere to look a process up: each holder is a place of its own, and only renewals count.
        return f"{socket.gethostname()} {uuid.uuid4().hex}"


def _started(pid: int, proc: Path) -> str:
    """When the process started, in clock ticks, so that a process id that is used again is told apart; "" when it is gone or a zombie."""
    try:
        state, *fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else fields[18]
