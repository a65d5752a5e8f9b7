"""How we measure: candidates take turns in one run, medians are compared, and the result is kept with the machine it came from."""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Series:
    """The readings of one candidate, in the order they were taken."""

    name: str
    readings: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle reading."""
        return statistics.median(self.readings)


def interleave(candidates: Mapping[str, Callable[[], float]], *, rounds: int = 5, warmup: int = 1) -> tuple[Series, ...]:
    """Call every candidate once per round, in turn, so that a slow minute of the machine is slow for all; each returns its reading."""
    readings: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + rounds):
        for name, take in candidates.items():
            reading = take()
            if turn >= warmup:
                readings[name].append(reading)
    return tuple(Series(name, tuple(values)) for name, values in readings.items())


AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Environment of measured processes: the standard library and installed packages come as bytecode, and so must an editable checkout."""


def process_seconds(command: Sequence[str]) -> float:
    """Wall seconds of one whole process, from its start to its end; raises when it fails."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **AS_INSTALLED})
    return time.perf_counter() - begin


def print_series(title: str, series: Sequence[Series], *, unit: str, baseline: str, scale: float = 1.0) -> None:
    """A table: minimum, median, maximum of each candidate, and the ratio of its median to the baseline's."""
    base = next(each.median for each in series if each.name == baseline)
    width = max(len(each.name) for each in series)
    print(f"\n{title} ({len(series[0].readings)} rounds, interleaved)")
    print(f"  {'':{width}}  {'min':>10} {'median':>10} {'max':>10} {unit:4}  x {baseline}")
    for each in series:
        low, high = min(each.readings) * scale, max(each.readings) * scale
        print(f"  {each.name:{width}}  {low:10.3f} {each.median * scale:10.3f} {high:10.3f} {unit:4}  {each.median / base:.2f}")


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which *percent* of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def keep(name: str, figures: Mapping[str, object], *, packages: Sequence[str] = ()) -> Path:
    """Write *figures* to results/NAME.json, with the machine, the versions and the time."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(packages),
        "figures": figures,
    }
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "python": platform.python_version(),
        "scheduling": _scheduling(),
    }


def _scheduling() -> str:
    """Whether this process goes before all others ("FIFO 50", by `chrt -f 50`), so that a busy machine does not slow it down."""
    if not hasattr(os, "sched_getscheduler"):
        return "usual"
    name = {os.SCHED_FIFO: "FIFO", os.SCHED_RR: "RR"}.get(os.sched_getscheduler(0))
    return f"{name} {os.sched_getparam(0).sched_priority}" if name else "usual"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each package, "absent" where there is none."""
    found = {}
    for name in ("levelpool", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def peak_memory() -> int:
    """The most bytes that this process has had in memory so far."""
    # Not ru_maxrss: a child begins with its parent's.
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else 0


def python(*arguments: str) -> list[str]:
    """The command that runs this interpreter with *arguments*."""
    return [sys.executable, *arguments]
