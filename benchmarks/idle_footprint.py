"""What the idle service holds: PSS of its whole process tree, with a page's live stream open."""

import time
import urllib.request
from pathlib import Path

import psutil

from benchmarks.measure import keep
from benchmarks.serving import TOKEN, serving

SETTLE = 10.0  # seconds after the page was opened


def main() -> None:
    """Print each process of the tree and the sum."""
    with serving() as service:
        request = urllib.request.Request(f"{service.url}/api/system/stream", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as stream:
            end = time.monotonic() + SETTLE
            while time.monotonic() < end:
                stream.readline()
            parts = {
                f"{process.pid} {_title(process)}": pss(process.pid) for process in [*psutil.Process(service.pid).children(recursive=True)]
            }
            parts = {f"{service.pid} serve": pss(service.pid), **parts}
    print()
    for name, size in parts.items():
        print(f"  {size / 1e6:8.1f} MB  {name}")
    print(f"  {sum(parts.values()) / 1e6:8.1f} MB  in all (PSS), one web worker, one page open, nothing to do")
    keep("idle_footprint", {"pss": sum(parts.values()), "processes": len(parts)})


def pss(pid: int) -> int:
    """Proportional set size in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline())[-60:]
