"""Event-loop lag of the serving process while a 100,000 x 20 workbook is synced, and seconds from file to table beside pandas."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Series, keep, percentile, print_series, process_seconds, python
from benchmarks.serving import Serving, serving
from benchmarks.workbooks import mixed_workbook

ROUNDS = 3
ROWS = 100_000
PANDAS = """
import sqlite3, sys, pandas
with sqlite3.connect(sys.argv[2]) as connection:
    pandas.read_excel(sys.argv[1], engine="openpyxl").to_sql("orders", connection, index=False)
"""


def main() -> None:
    """Print the lag of the serving loop beside an idle control loop of the same minutes, and the seconds beside pandas'."""
    book = mixed_workbook(ROWS)
    ours: list[float] = []
    theirs: list[float] = []
    lags: dict[str, list[float]] = {"serving": [], "control": []}
    for _ in range(ROUNDS):
        seconds, beats = _sync(book)
        ours.append(seconds)
        for name, readings in beats.items():
            lags[name] += readings
        theirs.append(_pandas(book))
    print(f"\nevent-loop lag in ms while {ROWS} x 20 is synced ({ROUNDS} rounds)")
    for name, readings in lags.items():
        low, high = percentile(readings, 50) * 1000, percentile(readings, 99) * 1000
        print(f"  {name:8} p50 {low:7.3f}   p99 {high:7.3f}   max {max(readings) * 1000:7.3f}   ({len(readings)} beats)")
    series = (Series("pandas.read_excel + to_sql", tuple(theirs)), Series("levelpool, file seen to table", tuple(ours)))
    print_series("file to SQLite table", series, unit="s", baseline="pandas.read_excel + to_sql")
    figures: dict[str, object] = {
        name: {"p50": percentile(readings, 50), "p99": percentile(readings, 99), "max": max(readings)} for name, readings in lags.items()
    }
    keep("loop_lag", {**figures, **{each.name: each.readings for each in series}}, packages=["pandas", "openpyxl", "uvloop"])


def _sync(book: Path) -> tuple[float, dict[str, list[float]]]:
    """One import in a new service: seconds from the file's arrival to its final status, and the lags of both loops meanwhile."""
    with tempfile.TemporaryDirectory(prefix="levelpool-bench-") as name:
        beats = {each: Path(name) / each for each in ("serving", "control")}
        with _control(beats["control"]), serving(python("-m", "benchmarks.lag_probe", str(beats["serving"]))) as service:
            time.sleep(2)
            begin = time.monotonic()
            arriving = service.folder / "inbox" / ".orders.part"
            shutil.copy(book, arriving)
            arriving.rename(service.folder / "inbox" / "orders.xlsx")
            record = _wait(service)
            end = time.monotonic()
        if record["status"] != "loaded" or record["rows_loaded"] != ROWS:
            raise RuntimeError(f"not loaded: {record}")
        return end - begin, {each: _lags(path, begin, end) for each, path in beats.items()}


def _wait(service: Serving, limit: float = 300.0) -> dict[str, Any]:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        page: Any = service.get("/api/files")
        if page["files"] and page["files"][0]["finished_at"]:
            return page["files"][0]
        time.sleep(0.1)
    raise TimeoutError(f"the import was not done within {limit:.0f} s")


@contextmanager
def _control(path: Path) -> Iterator[None]:
    process = subprocess.Popen(python("-m", "benchmarks.lag_probe", str(path), "control"))
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _lags(path: Path, begin: float, end: float) -> list[float]:
    with closing(path.open(encoding="ascii")) as lines:
        pairs = [line.split() for line in lines]
    return [float(pair[1]) for pair in pairs if len(pair) == 2 and begin <= float(pair[0]) <= end]


def _pandas(book: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="levelpool-bench-") as name:
        return process_seconds(python("-c", PANDAS, str(book), str(Path(name) / "orders.db")))
