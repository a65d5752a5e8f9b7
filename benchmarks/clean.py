"""What it costs to find the table, prove the types over all rows, and clean the values, beside reading: CPU seconds for 100,000 x 20."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import interleave, keep, print_series
from benchmarks.workbooks import mixed_workbook
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Sheet, Workbook

ROWS = 100_000


def main() -> None:
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
    keep("clean", {each.name: each.readings for each in series}, packages=["fastexcel", "pandas", "python-calamine"])


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
    main()
