"""
Read every spreadsheet below a folder, each in a process of its own with a memory and a time limit, and say what became of it.

    python -m benchmarks.corpus FOLDER [--seconds 60] [--megabytes 1024] [--no-peers]

Each file must end read, or refused with one sentence of ours; and of what a peer reads we must see at least as many cells.
Source distributions of spreadsheet libraries carry workbooks by the hundred: unpack some into FOLDER.
Ends with status 1 when a file did neither, or when a peer saw more cells.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlt", ".xlsb", ".ods", ".ots", ".fods", ".csv", ".tsv", ".xml", ".html", ".htm"}
WORKBOOKS = SUFFIXES - {".csv", ".tsv", ".xml", ".html", ".htm"}
PEERS = {
    "calamine": WORKBOOKS - {".fods"},
    "openpyxl": {".xlsx", ".xlsm", ".xltx", ".xltm"},
    "xlrd": {".xls", ".xlt"},
    "pyxlsb": {".xlsb"},
}
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reader made of one file."""

    end: str  # "read", "refused", "crashed", "timed out"
    cells: int = 0
    sentence: str = ""
    seconds: float = 0.0
    peak: int = 0  # bytes


def trial() -> int:
    """Run the trial; returns the exit status."""
    arguments = _parser().parse_args()
    if arguments.one:
        print(json.dumps(_read_one(arguments.folder, arguments.one)))
        return 0
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    ends: Counter[str] = Counter()
    routes: Counter[str] = Counter()
    behind: list[str] = []
    for path in files:
        ours = _run(path, "levelpool", arguments)
        ends[ours.end] += 1
        routes[path.suffix.lower()] += 1
        if ours.end != "read":
            print(f"{ours.end:9} {path.name}: {ours.sentence}", flush=True)
        for peer in () if arguments.no_peers else PEERS:
            if path.suffix.lower() in PEERS[peer]:
                theirs = _run(path, peer, arguments)
                if theirs.end == "read" and theirs.cells > ours.cells:
                    behind.append(f"{path.name}: {peer} sees {theirs.cells} cells, we see {ours.cells} ({ours.end})")
    print(f"{len(files)} files: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    print(", ".join(f"{suffix} {count}" for suffix, count in routes.most_common()))
    print("\n".join([f"behind a peer: {len(behind)}", *behind]))
    return 1 if behind or ends["crashed"] or ends["timed out"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser


def _run(path: Path, reader: str, arguments: argparse.Namespace) -> Outcome:
    """Read *path* with *reader* in a process of its own."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (arguments.megabytes * MIB,) * 2)

    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.corpus", str(path), "--one", reader]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=arguments.seconds,
            check=False,
            preexec_fn=limit,  # this process has one thread
        )
    except subprocess.TimeoutExpired:
        return Outcome("timed out", seconds=arguments.seconds)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        return Outcome("crashed", sentence=last or f"exit code {done.returncode}", seconds=time.monotonic() - began)
    return Outcome(**json.loads(done.stdout.strip().rpartition("\n")[2]), seconds=time.monotonic() - began)


# ---------------------------------------------------------------- in the process of its own


def _read_one(path: Path, reader: str) -> dict[str, object]:
    if reader == "levelpool":
        return _read_ours(path)
    try:
        cells = sum(1 for value in _READERS[reader](path) if value is not None and value != "")
    except Exception as error:  # noqa: BLE001  (whatever a peer raises)
        return {"end": "refused", "sentence": f"{type(error).__name__}: {error}"}
    return {"end": "read", "cells": cells}


def _read_ours(path: Path) -> dict[str, object]:
    from levelpool.sheets.errors import SheetError
    from levelpool.sheets.read.workbook import read_workbook

    with tempfile.TemporaryDirectory() as folder:
        try:
            workbook = read_workbook(path, Path(folder))
        except SheetError as error:
            return {"end": "refused", "sentence": str(error)}
        # Empty texts do not count, because no peer tells them from blanks.
        cells = sum(1 for sheet in workbook.sheets for batch in sheet.batches() for row in batch.cells for text in row if text)
    return {"end": "read", "cells": cells, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _calamine(path: Path) -> Iterator[object]:
    import python_calamine

    book = python_calamine.CalamineWorkbook.from_path(str(path))
    for name in book.sheet_names:
        for row in book.get_sheet_by_name(name).to_python():
            yield from row


def _openpyxl(path: Path) -> Iterator[object]:
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True)
    for sheet in book.worksheets:
        for row in sheet.iter_rows(values_only=True):
            yield from row


def _xlrd(path: Path) -> Iterator[object]:
    import xlrd

    with Path("/dev/null").open("w") as nowhere:
        book = xlrd.open_workbook(str(path), logfile=nowhere)
    for sheet in book.sheets():
        for row in range(sheet.nrows):
            yield from sheet.row_values(row)


def _pyxlsb(path: Path) -> Iterator[object]:
    import pyxlsb

    with pyxlsb.open_workbook(str(path)) as book:
        for name in book.sheets:
            with book.get_sheet(name) as sheet:
                for row in sheet.rows():
                    yield from (cell.v for cell in row)


_READERS: dict[str, Callable[[Path], Iterator[object]]] = {"calamine": _calamine, "openpyxl": _openpyxl, "xlrd": _xlrd, "pyxlsb": _pyxlsb}


if __name__ == "__main__":
    sys.exit(trial())
