"""
What it costs to read a file, find its table, prove the types over all rows, and clean the values.

CPU seconds for a workbook of 100,000 x 20 beside the bare readers; then, each in a process of its own, rows per CPU second and peak
memory for 100,000 and 1,000,000 rows, as a workbook and as CSV.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import interleave, keep, peak_memory, print_series, python
from benchmarks.workbooks import mixed_text, mixed_workbook
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Sheet, Workbook

ROWS = 100_000
MANY = 1_000_000
ROUNDS_AT_SCALE = 3


def main() -> None:
    """The steps beside the bare readers, then the whole at scale."""
    keep(
        "clean",
        {"seconds": _steps(), "at_scale": _at_scale()},
        packages=["fastexcel", "pandas", "python-calamine"],
    )


def _steps() -> dict[str, tuple[float, ...]]:
    """Read, walk the spool, find and prove, clean; fastexcel and pandas (calamine) reading bare, in the same run."""
    path = mixed_workbook(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        sheet = read_workbook(path, Path(folder)).sheets[0]
        (plan,) = find_tables(sheet)
        series = interleave(
            {
                "fastexcel, bare read": lambda: _cpu(lambda: _fastexcel(path)),
                "pandas(calamine), bare read": lambda: _cpu(lambda: _pandas(path)),
                "read into the spool": lambda: _cpu(lambda: _read(path)),
                "walk the spool": lambda: _cpu(lambda: _walk(sheet)),
                "find and prove": lambda: _cpu(lambda: find_tables(sheet)),
                "clean": lambda: _cpu(lambda: sum(len(batch.rows) for batch in clean_rows(sheet, plan, plan.columns))),
                "read, find and prove": lambda: _cpu(lambda: _read_and_find(path)),
            }
        )
    print_series(f"{ROWS:,} x 20, CPU", series, unit="s", baseline="fastexcel, bare read")
    return {each.name: each.readings for each in series}


def _at_scale() -> dict[str, dict[str, list[float]]]:
    """Read, find and prove, each time in a new process: CPU seconds, and the peak of its memory in MiB."""
    files = {
        f"xlsx {ROWS:,} x 20": (mixed_workbook(ROWS), ROWS),
        f"xlsx {MANY:,} x 20": (mixed_workbook(MANY), MANY),
        f"csv {MANY:,} x 20": (mixed_text(MANY), MANY),
        f"csv {MANY:,} x 20, texts quoted": (mixed_text(MANY, quoted=True), MANY),
    }
    found: dict[str, dict[str, list[float]]] = {name: {"cpu_seconds": [], "peak_mib": [], "rows_per_cpu_second": []} for name in files}
    for _ in range(ROUNDS_AT_SCALE):
        for name, (path, rows) in files.items():
            done = subprocess.run(python("-m", "benchmarks.clean", str(path)), check=True, capture_output=True, text=True)
            seconds, peak = json.loads(done.stdout)
            found[name]["cpu_seconds"].append(seconds)
            found[name]["peak_mib"].append(peak)
            found[name]["rows_per_cpu_second"].append(rows / seconds)
    print(f"\nread, find and prove, a process each ({ROUNDS_AT_SCALE} rounds, interleaved, medians)")
    for name, each in found.items():
        middle = {key: statistics.median(values) for key, values in each.items()}
        print(
            f"  {name:35} {middle['cpu_seconds']:8.2f} s {middle['rows_per_cpu_second']:10,.0f} rows per CPU s {middle['peak_mib']:6.0f} MiB"
        )
    return found


def _one(path: Path) -> None:
    """The child's side: CPU seconds and peak MiB of one file."""
    print(json.dumps([_cpu(lambda: _read_and_find(path)), peak_memory() / (1 << 20)]))


def _cpu(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _walk(sheet: Sheet) -> int:
    return sum(len(batch.rows) for batch in sheet.batches())


def _read(path: Path) -> Workbook:
    with tempfile.TemporaryDirectory() as folder:
        return read_workbook(path, Path(folder))


def _read_and_find(path: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return sum(len(find_tables(sheet)) for sheet in read_workbook(path, Path(folder)).sheets)


def _fastexcel(path: Path) -> object:
    import fastexcel

    return fastexcel.read_excel(path).load_sheet(0).to_arrow()


def _pandas(path: Path) -> object:
    import pandas as pd

    return pd.read_excel(path, engine="calamine")


if __name__ == "__main__":
    _one(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
