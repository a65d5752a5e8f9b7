"""
Read every spreadsheet below a folder, each in a process of its own with a memory and a time limit, and say what became of it.

    python -m benchmarks.corpus FOLDER [--seconds 60] [--megabytes 1024] [--no-peers]

Each file must end read, or refused with one sentence of ours; and of what a peer reads we must see at least as many cells.
Source distributions of spreadsheet libraries carry workbooks by the hundred: unpack some into FOLDER.
Ends with status 1 when a file did neither, or when a peer saw more cells.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import openpyxl
import python_calamine
import pyxlsb
import xlrd

from levelpool.sheets.errors import SheetError
from levelpool.sheets.read.workbook import read_workbook

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


def trial() -> int:
    """Run the trial; returns the exit status."""
    arguments = _parser().parse_args()
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    warnings.simplefilter("ignore")
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
    return parser


def _run(path: Path, reader: str, arguments: argparse.Namespace) -> Outcome:
    """Read *path* with *reader* in a fork of this process, which has imported everything and holds nothing else."""
    began = time.monotonic()
    end, other_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        _be_the_child(path, reader, arguments, other_end)
    os.close(other_end)
    with os.fdopen(end, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    if os.WIFSIGNALED(status):
        signalled = os.WTERMSIG(status)
        return Outcome("timed out" if signalled == signal.SIGALRM else "crashed", sentence=signal.Signals(signalled).name, seconds=seconds)
    return Outcome(**json.loads(said), seconds=seconds) if said else Outcome("crashed", sentence="no answer", seconds=seconds)


def _be_the_child(path: Path, reader: str, arguments: argparse.Namespace, answer: int) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_AS, (arguments.megabytes * MIB,) * 2)
    signal.setitimer(signal.ITIMER_REAL, arguments.seconds)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        said = _read_ours(path) if reader == "levelpool" else _read_theirs(path, reader)
    except BaseException as error:  # noqa: BLE001  (what is not ours is a crash)
        said = {"end": "crashed", "sentence": f"{type(error).__name__}: {error}"[:300]}
    os.write(answer, json.dumps(said).encode())
    os._exit(0)


def _read_theirs(path: Path, reader: str) -> dict[str, object]:
    try:
        cells = sum(1 for value in _READERS[reader](path) if value is not None and value != "")
    except Exception as error:  # noqa: BLE001  (whatever a peer raises)
        return {"end": "refused", "sentence": f"{type(error).__name__}: {error}"[:300]}
    return {"end": "read", "cells": cells}


def _read_ours(path: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            workbook = read_workbook(path, Path(folder))
        except SheetError as error:
            return {"end": "refused", "sentence": str(error)}
        # Empty texts do not count, because no peer tells them from blanks.
        cells = sum(
            1 for sheet in workbook.sheets for batch in sheet.batches() for column in batch.columns for text in column.texts if text
        )
    return {"end": "read", "cells": cells}


def _calamine(path: Path) -> Iterator[object]:
    book = python_calamine.CalamineWorkbook.from_path(str(path))
    for position, meta in enumerate(book.sheets_metadata):
        # Of a chart it shows the numbers it was drawn from, which stand in some sheet already.
        if meta.typ == python_calamine.SheetTypeEnum.WorkSheet:
            for row in book.get_sheet_by_index(position).to_python():
                yield from row


def _openpyxl(path: Path) -> Iterator[object]:
    book = openpyxl.load_workbook(path, data_only=True)
    for sheet in book.worksheets:
        for row in sheet.iter_rows(values_only=True):
            yield from row


def _xlrd(path: Path) -> Iterator[object]:
    with Path("/dev/null").open("w") as nowhere:
        book = xlrd.open_workbook(str(path), logfile=nowhere)
    for sheet in book.sheets():
        for row in range(sheet.nrows):
            yield from sheet.row_values(row)


def _pyxlsb(path: Path) -> Iterator[object]:
    with pyxlsb.open_workbook(str(path)) as book:
        for name in book.sheets:
            with book.get_sheet(name) as sheet:
                for row in sheet.rows():
                    yield from (cell.v for cell in row)


_READERS: dict[str, Callable[[Path], Iterator[object]]] = {"calamine": _calamine, "openpyxl": _openpyxl, "xlrd": _xlrd, "pyxlsb": _pyxlsb}


if __name__ == "__main__":
    sys.exit(trial())
