"""
What it costs to read a file, find its table, prove the types over all rows, and clean the values.

CPU seconds for a workbook of 100,000 x 20 beside the bare readers; then, each in a process of its own, rows per CPU second and peak
memory for 100,000 and 1,000,000 rows, as a workbook and as CSV: of reading, finding and proving alone, and of all that
`levelpool inspect` does; and the seconds of that whole command, its start and its worker included. At last CPU seconds for one cell of
sheets over all 16,384 columns.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import interleave, keep, peak_memory, print_series, process_seconds, python
from benchmarks.workbooks import mixed_text, mixed_workbook, wide_workbook
from levelpool.sheets.clean.plans import plan_tables
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.inspect import inspect_file
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Sheet, Workbook

ROWS = 100_000
MANY = 1_000_000
ROUNDS_AT_SCALE = 3


def main() -> None:
    """The steps beside the bare readers, then the whole at scale."""
    keep(
        "clean",
        {"seconds": _steps(), "at_scale": _at_scale("read, find and prove"), "inspect": _inspected()},
        packages=["fastexcel", "pandas", "python-calamine"],
    )
    keep("clean_wide", _wide())


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


def _at_scale(work: str) -> dict[str, dict[str, list[float]]]:
    """One of `WORK`, each time in a new process: CPU seconds, and the peak of its memory in MiB."""
    files = _files()
    found: dict[str, dict[str, list[float]]] = {name: {"cpu_seconds": [], "peak_mib": [], "rows_per_cpu_second": []} for name in files}
    for _ in range(ROUNDS_AT_SCALE):
        for name, (path, rows) in files.items():
            done = subprocess.run(python("-m", "benchmarks.clean", work, str(path)), check=True, capture_output=True, text=True)
            seconds, peak = json.loads(done.stdout)
            found[name]["cpu_seconds"].append(seconds)
            found[name]["peak_mib"].append(peak)
            found[name]["rows_per_cpu_second"].append(rows / seconds)
    print(f"\n{work}, a process each ({ROUNDS_AT_SCALE} rounds, interleaved, medians)")
    for name, each in found.items():
        middle = {key: statistics.median(values) for key, values in each.items()}
        print(
            f"  {name:35} {middle['cpu_seconds']:8.2f} s {middle['rows_per_cpu_second']:10,.0f} rows per CPU s {middle['peak_mib']:6.0f} MiB"
        )
    return found


def _files() -> dict[str, tuple[Path, int]]:
    return {
        f"xlsx {ROWS:,} x 20": (mixed_workbook(ROWS), ROWS),
        f"xlsx {MANY:,} x 20": (mixed_workbook(MANY), MANY),
        f"csv {MANY:,} x 20": (mixed_text(MANY), MANY),
        f"csv {MANY:,} x 20, texts quoted": (mixed_text(MANY, quoted=True), MANY),
    }


def _inspected() -> dict[str, dict[str, list[float]]]:
    """The same for an inspection, with the wall seconds of the whole command."""
    found = _at_scale("inspect")
    for name, (path, _) in _files().items():
        command = python("-m", "levelpool", "inspect", "--json", str(path))
        found[name]["command_seconds"] = [process_seconds(command) for _ in range(ROUNDS_AT_SCALE)]
        print(f"  levelpool inspect, {name:35} {statistics.median(found[name]['command_seconds']):8.2f} s wall")
    for kind in ("cpu_seconds", "command_seconds"):
        few, many = (statistics.median(found[f"xlsx {rows:,} x 20"][kind]) / rows for rows in (ROWS, MANY))
        print(f"  xlsx, {kind} for one row at {MANY:,} rows: {many / few:.2f} x that at {ROWS:,}")
    return found


def _wide() -> dict[str, dict[str, tuple[float, ...]]]:
    """CPU seconds for one cell, of reading and of finding and proving, where a sheet has all columns it can have."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        books = {name: read_workbook(path, _new(Path(folder) / name)) for name, path in _wide_files().items()}
        cells = {name: book.sheets[0].cell_count for name, book in books.items()}
        for work in ("read", "find and prove"):
            series = interleave({name: _per_cell(work, path, books[name], cells[name]) for name, path in _wide_files().items()}, rounds=3)
            print_series(f"{work}, CPU for one cell", series, unit="us", baseline=f"{ROWS:,} x 20", scale=1e6)
            found[work] = {each.name: each.readings for each in series}
    return found


def _wide_files() -> dict[str, Path]:
    return {
        f"{ROWS:,} x 20": mixed_workbook(ROWS),
        "30 x 16,384": wide_workbook(30),
        "100 x 16,384": wide_workbook(100),
        "500 x 16,384, a tenth filled": wide_workbook(500, 0.1),
    }


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _per_cell(work: str, path: Path, book: Workbook, cells: int) -> Callable[[], float]:
    if work == "read":
        return lambda: _cpu(lambda: _read(path)) / cells
    return lambda: _cpu(lambda: plan_tables(book.sheets, "wide")) / cells


def _one(work: str, path: Path) -> None:
    """The child's side: CPU seconds and peak MiB of one file."""
    print(json.dumps([_cpu(lambda: WORK[work](path)), peak_memory() / (1 << 20)]))


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


def _inspect(path: Path) -> str:
    return json.dumps(inspect_file(path).to_dict())


WORK: dict[str, Callable[[Path], object]] = {"read, find and prove": _read_and_find, "inspect": _inspect}


def _fastexcel(path: Path) -> object:
    import fastexcel

    return fastexcel.read_excel(path).load_sheet(0).to_arrow()


def _pandas(path: Path) -> object:
    import pandas as pd

    return pd.read_excel(path, engine="calamine")


if __name__ == "__main__":
    _one(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else main()
