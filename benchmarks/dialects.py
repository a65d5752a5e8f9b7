"""
Delimited text of many looks: how often all cells of the table come out, ours beside duckdb, pandas and clevercsv.

    python -m benchmarks dialects

A file is a table of numbers, dates, words and texts with everything in them, written with one of six delimiters, three line ends and
five ways of quoting, below up to three lines of a preamble. What counts is that the rows of the table come out, cell for cell.
"""

import csv
import io
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import keep
from levelpool.sheets.read.workbook import read_workbook

FILES = 500
FIRST_SEED = 10_000

Rows = list[list[str | None]]

_WORDS = ["Smith", "Lee", "O'Neil", "Rome", "Oslo", "New-York", "teapot", "chair", "lamp"]
_TEXTS = ["fine", "late, sent again", "a; b", "x|y", 'he said "no"', "two\nlines", "C:\\tmp\\", '5" disk', "100 %", "ok, 1,5 kg", "", "n/a"]
_TEXTS += ["Müller & Co.", "#1", "50^2"]
_PREAMBLE = ["Report", "Report, created 2026-11-01", "Filter: a; b", "User|x"]
_KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "id": lambda _, row: str(row),
    "word": lambda dice, _: dice.choice(_WORDS),
    "amount": lambda dice, _: f"{dice.randrange(1, 99_999) / 100:.2f}",
    "decimal": lambda dice, _: f"{dice.randrange(1, 9_999) / 100:.2f}".replace(".", ","),
    "date": lambda dice, _: f"2026-11-{dice.randrange(1, 29):02d}",
    "time": lambda dice, _: f"{dice.randrange(24)}:{dice.randrange(60):02d}",
    "text": lambda dice, _: dice.choice(_TEXTS),
    "blank": lambda dice, _: dice.choice(["", "", " x"]),
}
_QUOTING = {"where needed": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "texts": csv.QUOTE_NONNUMERIC}
STYLES = (*_QUOTING, "none", "backslash")


@dataclass(frozen=True, slots=True)
class Case:
    """One file, and the table in it."""

    style: str
    text: str
    rows: Rows


def case(seed: int) -> Case:
    """The file of this number."""
    dice = random.Random(seed)
    delimiter, end, style = dice.choice(",;\t|^~"), dice.choice(["\n", "\r\n", "\r"]), dice.choice(STYLES)
    kinds = [dice.choice(list(_KINDS)) for _ in range(dice.choice([2, 3, 5, 9]))]
    rows = [[f"{kind}{place}" for place, kind in enumerate(kinds)]]
    rows += [[_KINDS[kind](dice, row) for kind in kinds] for row in range(1, dice.choice([2, 3, 8, 40]) + 1)]
    if end == "\r" or style == "none":
        rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
    if style == "none":
        rows = [[cell.replace(delimiter, " ").replace('"', "") for cell in row] for row in rows]
    if style == "backslash":
        rows = [[cell.replace("\\", "/") for cell in row] for row in rows]
    preamble = [dice.choice(_PREAMBLE) + end for _ in range(dice.choice([0, 0, 0, 1, 3]))]
    return Case(style, "".join(preamble) + _written(rows, delimiter, end, style), _filled(rows))


def _written(rows: list[list[str]], delimiter: str, end: str, style: str) -> str:
    if style == "none":
        return "".join(delimiter.join(row) + end for row in rows)
    if style == "backslash":
        return "".join(delimiter.join('"' + cell.replace('"', '\\"') + '"' for cell in row) + end for row in rows)
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=_QUOTING[style]).writerows(rows)
    return file.getvalue()


def _filled(rows: list[list[str]] | list[list[str | None]]) -> Rows:
    """The rows that have a cell, up to its last one; an empty text is a blank."""
    found: Rows = []
    for row in rows:
        cells = [cell or None for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            found.append(cells)
    return found


def _ours(path: Path) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        (sheet,) = read_workbook(path, Path(folder)).sheets
        return [list(row) for batch in sheet.batches() for row in zip(*(cells.texts for cells in batch.columns), strict=True)]


def _duckdb(path: Path) -> Rows:
    import duckdb

    return [list(row) for row in duckdb.sql(f"select * from read_csv('{path}', all_varchar=true, header=false)").fetchall()]


def _pandas(path: Path) -> Rows:
    import pandas as pd

    frame = pd.read_csv(path, sep=None, engine="python", header=None, dtype=str, keep_default_na=False)
    return [[cell if isinstance(cell, str) else None for cell in row] for row in frame.to_numpy().tolist()]


def _clevercsv(path: Path) -> Rows:
    import clevercsv

    return clevercsv.read_table(path)


READERS: dict[str, Callable[[Path], Rows]] = {"levelpool": _ours, "clevercsv": _clevercsv, "duckdb": _duckdb, "pandas": _pandas}


def main() -> None:
    """Print the share of files of which each reader gives the table, and keep it."""
    cases = [case(seed) for seed in range(FIRST_SEED, FIRST_SEED + FILES)]
    counts = Counter(each.style for each in cases)
    print(f"  {'right in percent':12}" + "".join(f"{style:>14}" for style in STYLES) + f"{'all':>8}  CPU s")
    figures: dict[str, object] = {"files": FILES, "first seed": FIRST_SEED}
    for name, reader in READERS.items():
        begin = time.process_time()
        right = Counter(each.style for each in cases if _gives(reader, each))
        seconds = time.process_time() - begin
        shares = {style: round(100 * right[style] / counts[style], 1) for style in STYLES}
        shares["all"] = round(100 * right.total() / FILES, 1)
        print(f"  {name:16}" + "".join(f"{shares[style]:14.1f}" for style in STYLES) + f"{shares['all']:8.1f}{seconds:7.1f}", flush=True)
        figures[name] = {**shares, "cpu_seconds": round(seconds, 2)}
    keep("dialects", figures, packages=["clevercsv", "duckdb", "pandas"])


def _gives(reader: Callable[[Path], Rows], wanted: Case) -> bool:
    """Whether the last rows are those of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(wanted.text.encode())
        try:
            return _filled(reader(path))[-len(wanted.rows) :] == wanted.rows
        except Exception:  # noqa: BLE001  (whatever a peer raises)
            return False
