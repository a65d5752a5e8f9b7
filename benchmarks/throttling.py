"""Event-loop lag and calls a second in a throttled container, with a CPU lane that gives way and with one that stays as it is."""

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import keep, percentile, python
from levelpool.capacity.cgroup import find_hierarchies

ROUNDS = 2
SETTLE = 12.0
SECONDS = 5.0
CASES = ((1.0, 2), (1.5, 2), (0.5, 1))
"""CPUs of the quota, and worker processes."""
SHARES = "16384"
"""So much more than anybody else's that the quota decides, and not who else is busy."""


def main() -> None:
    """Print both ways side by side for each quota; needs root and a writable cgroup v1 hierarchy."""
    top = _top()
    if top is None:
        print("left out: it needs root and a writable cgroup v1 hierarchy of the cpu controller")
        return
    figures: dict[str, object] = {}
    for cpus, workers in CASES:
        readings: dict[str, list[dict[str, object]]] = {"stays": [], "gives way": []}
        for _ in range(ROUNDS):
            for way, taken in readings.items():
                taken.append(_run(top, cpus, workers, way))
        print(f"\n{cpus:g} CPUs, {workers} worker processes, always busy ({ROUNDS} rounds, interleaved)")
        for way, taken in readings.items():
            figures[f"{cpus:g} CPUs, {workers} workers, {way}"] = shown = _summary(taken)
            print(f"  {way:9}  " + "   ".join(f"{name} {value}" for name, value in shown.items()))
    keep("throttling", figures)


def _summary(taken: list[dict[str, object]]) -> dict[str, object]:
    lags = [lag * 1000 for each in taken for lag in each["lags"]]  # type: ignore[attr-defined]
    return {
        "workers": taken[-1]["workers"],
        "lag_p50_ms": round(percentile(lags, 50), 1),
        "lag_p99_ms": round(percentile(lags, 99), 1),
        "lag_max_ms": round(max(lags), 1),
        "calls_per_second": round(sum(each["calls_per_second"] for each in taken) / len(taken), 1),  # type: ignore[misc]
        "throttled_percent": round(sum(each["throttled_percent"] for each in taken) / len(taken), 1),  # type: ignore[misc]
    }


def _run(top: Path, cpus: float, workers: int, way: str) -> dict[str, object]:
    with _group(top, cpus) as group:
        command = python("-m", "benchmarks.throttle_probe", str(workers), way, str(SETTLE), str(SECONDS))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as probe:
            (group / "cgroup.procs").write_text(str(probe.pid))
            said, _ = probe.communicate("go\n", timeout=90)
        stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return {**json.loads(said), "throttled_percent": int(stat["nr_throttled"]) / int(stat["nr_periods"]) * 100}


def _top() -> Path | None:
    for hierarchy in find_hierarchies():
        if hierarchy.version == 1 and "cpu" in hierarchy.controllers and os.geteuid() == 0 and os.access(hierarchy.groups[-1], os.W_OK):
            return hierarchy.groups[-1]
    return None


@contextlib.contextmanager
def _group(top: Path, cpus: float) -> Iterator[Path]:
    group = top / f"levelpool-bench-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        (group / "cpu.shares").write_text(SHARES)
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text(str(int(cpus * 100000)))
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """The last process may need a moment to be gone."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.05)
    group.rmdir()


if __name__ == "__main__":
    main()
