"""
Read every spreadsheet below a folder, each in a process of its own with a memory and a time limit, and say what became of it.

    python -m benchmarks.corpus FOLDER [--besides READ] [--seconds 60] [--megabytes 1024] [--no-peers] [--jobs 2] [--keep]
    python -m benchmarks.corpus --table

Each file must end read, or refused with one sentence of ours; of what a peer reads we must see at least as many cells; and of what we
read, every cell must be loaded, in quarantine, or outside of the tables, with its reason.
Source distributions and repositories of spreadsheet libraries carry workbooks by the hundred: unpack some into FOLDER, one folder each.
The same content counts once. Ends with status 1 when a file did neither, or when a peer saw more cells and `EXCEPTIONS` has no reason.
`--keep` writes the counts of each folder and the exceptions to results/corpus.json; `--table` prints the table of the documentation from it.
`--besides READ` adds to what is kept there already: contents that stand below READ, where it was read, are left out. It may be given again.
"""

import argparse
import hashlib
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
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import openpyxl
import pandas as pd
import python_calamine
import pyxlsb
import xlrd

from benchmarks.measure import RESULTS, keep
from levelpool.sheets.clean.plans import plan_tables
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.errors import SheetError
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import CellCounts, Workbook

WORKBOOKS = {".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlt", ".xlsb", ".ods", ".ots", ".fods"}
SUFFIXES = WORKBOOKS | {".csv", ".tsv", ".xml", ".html", ".htm", ".parquet"}
PEERS = {
    "calamine": WORKBOOKS - {".fods"},
    "pandas": {".ods"},  # by odfpy; all else it reads by the other peers
    "openpyxl": {".xlsx", ".xlsm", ".xltx", ".xltm"},
    "xlrd": {".xls", ".xlt"},
    "pyxlsb": {".xlsb"},
}
MIB = 1 << 20
EXCEPTIONS = {
    "issue.3720.xlsx": "openpyxl shows the address of a link as the content of a cell that has none",
    "test-issue-877.xlsx": "openpyxl shows the address of a link as the content of a cell that has none",
    "england_and_wales_total_source_2020_04_24.xlsx": "openpyxl shows the address of a link as the content of a cell that has none",
    "england_and_wales_total_source_2020_05_01.xlsx": "openpyxl shows the address of a link as the content of a cell that has none",
    "clusterfuzz-testcase-minimized-POIXSSFFuzzer-5937385319563264.xlsx": "the checksum of a sheet is wrong: what stands in it is not to be trusted",
    "entity-expansion-exploit-poc-file.xlsx": "an attack by entities that grow: what a peer reads of it is not the content",
    "issue.804.ods": "its cells hold white space between the tags alone, which OpenDocument folds away",
    "invalid-xml.xlsx": "a sheet is no well-formed XML",
    "Test_git_issue_382_oom.xls": "calamine, the last resort for a damaged container, takes all memory: the limit ends the worker, and the service goes on",
}
"""Files of which a peer shows more than we do, or whose process met a limit, and why we leave it so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reader made of one file."""

    end: str  # "read", "refused", "crashed", "timed out"
    cells: int = 0
    sentence: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Source:
    """What became of the files of one folder."""

    files: int = 0
    read: int = 0
    refused: int = 0
    killed: int = 0  # by the memory or the time limit of its process
    compared: int = 0  # readings by a peer that we were held against
    behind: int = 0  # of these, with more cells than ours


def trial() -> int:
    """Run the trial; returns the exit status: 1 when something has no reason yet."""
    arguments = _parser().parse_args()
    if arguments.table:
        print(table())
        return 0
    warnings.simplefilter("ignore")
    sources: dict[str, Source] = {}
    refusals: Counter[str] = Counter()
    exceptions: list[dict[str, object]] = []
    for survey in _surveys(_files(arguments.folder, arguments.besides), arguments):
        source = sources.setdefault(survey.path.relative_to(arguments.folder).parts[0], Source())
        _count(source, survey.ours)
        if survey.ours.end != "read":
            refusals[_kind(survey.ours, survey.path.name)] += 1
        exceptions += _compare(survey, source)
    figures: dict[str, Any] = {
        "files": sum(source.files for source in sources.values()),
        "sources": {name: asdict(source) for name, source in sorted(sources.items())},
        "not read": dict(refusals.most_common()),
        "exceptions": exceptions,
    }
    if arguments.besides:
        figures = _added(figures)
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if arguments.keep:
        keep("corpus", figures, packages=["levelpool", "openpyxl", "pandas", "python-calamine", "pyxlsb", "xlrd"])
    open_ends = [each for each in exceptions if not each["reason"]]
    return 1 if open_ends else 0


@dataclass(frozen=True, slots=True)
class Survey:
    """What we and the peers made of one file."""

    path: Path
    ours: Outcome
    theirs: dict[str, Outcome]


def _surveys(files: list[Path], arguments: argparse.Namespace) -> Iterator[Survey]:
    """All files, shared among some processes, each of which forks one for every reading."""
    with tempfile.TemporaryDirectory() as folder:
        shares = [(files[number :: arguments.jobs], Path(folder) / str(number)) for number in range(arguments.jobs)]
        children = [_start(share, answers, arguments) for share, answers in shares]
        for child in children:
            os.waitpid(child, 0)
        lines = [json.loads(line) for _, answers in shares for line in answers.read_text(encoding="utf-8").splitlines()]
    if len(lines) != len(files):
        raise RuntimeError(f"{len(files)} files were shared out, and {len(lines)} came back")
    for line in sorted(lines, key=lambda each: str(each["path"])):
        theirs = {peer: Outcome(**outcome) for peer, outcome in line["theirs"].items()}
        yield Survey(Path(line["path"]), Outcome(**line["ours"]), theirs)


def _start(files: list[Path], answers: Path, arguments: argparse.Namespace) -> int:
    child = os.fork()
    if child:
        return child
    with answers.open("w", encoding="utf-8") as out:
        for path in files:
            ours = _run(path, "levelpool", arguments)
            if ours.end != "read":
                print(f"{ours.end:9} {path.name}: {ours.sentence}", flush=True)
            peers = () if arguments.no_peers else [peer for peer in PEERS if path.suffix.lower() in PEERS[peer]]
            theirs = {peer: asdict(_run(path, peer, arguments)) for peer in peers}
            out.write(json.dumps({"path": str(path), "ours": asdict(ours), "theirs": theirs}) + "\n")
    os._exit(0)


def _added(figures: dict[str, Any]) -> dict[str, Any]:
    """What was kept before, and these figures beside it."""
    before = json.loads((RESULTS / "corpus.json").read_text(encoding="utf-8"))["figures"]
    sources: dict[str, Counter[str]] = {}
    for name, counts in [*before["sources"].items(), *figures["sources"].items()]:
        sources.setdefault(name, Counter()).update(counts)
    return {
        "files": before["files"] + figures["files"],
        "sources": dict(sorted(sources.items())),
        "not read": dict((Counter(before["not read"]) + Counter(figures["not read"])).most_common()),
        # Reasons may have been found since.
        "exceptions": [{**each, "reason": EXCEPTIONS.get(each["file"], "")} for each in before["exceptions"] + figures["exceptions"]],
    }


def _files(folder: Path, besides: list[Path]) -> list[Path]:
    """The files to read, each content once."""
    seen = {hashlib.sha256(path.read_bytes()).digest() for read in besides for path in read.rglob("*") if path.is_file()}
    files = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            digest = hashlib.sha256(path.read_bytes()).digest()
            if digest not in seen:
                seen.add(digest)
                files.append(path)
    return files


def _count(source: Source, ours: Outcome) -> None:
    source.files += 1
    if ours.end == "read":
        source.read += 1
    elif ours.end == "refused":
        source.refused += 1
    else:
        source.killed += 1


def _kind(ours: Outcome, name: str) -> str:
    """Why a file was not read, in the words that come again: what stands in brackets differs from file to file."""
    said = ours.sentence.replace(name, "").strip().partition(":")[0].partition("(")[0].strip()
    return f"{ours.end}, {said}" if ours.end != "refused" else said


def _compare(survey: Survey, source: Source) -> Iterator[dict[str, object]]:
    """The peers that see more of the file than we do; and ourselves, where a limit ended our process."""
    name, ours = survey.path.name, survey.ours
    if ours.end in {"crashed", "timed out"}:
        yield {"file": name, "peer": "levelpool", "theirs": 0, "ours": 0, "reason": EXCEPTIONS.get(name, "")}
    for peer, theirs in survey.theirs.items():
        source.compared += theirs.end == "read"
        if theirs.end == "read" and theirs.cells > ours.cells:
            source.behind += 1
            yield {"file": name, "peer": peer, "theirs": theirs.cells, "ours": ours.cells, "reason": EXCEPTIONS.get(name, "")}


def table() -> str:
    """What results/corpus.json says, as the documentation shows it."""
    figures = json.loads((RESULTS / "corpus.json").read_text(encoding="utf-8"))["figures"]
    lines = [
        "| from | files | read | refused with a sentence | ended by a limit | readings of peers | of these, with more cells |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = [each.name for each in fields(Source)]
    counts = {name.replace("+", "/"): [source[key] for key in keys] for name, source in figures["sources"].items()}
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows = [(name, *of) for name, of in counts.items()]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    seen = dict.fromkeys((each["file"], each["reason"]) for each in figures["exceptions"])
    peers = {file: ", ".join(each["peer"] for each in figures["exceptions"] if each["file"] == file) for file, _ in seen}
    lines += ["", *(f"- `{file}` ({peers[file]}): {reason}." for file, reason in seen)]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--besides", type=Path, action="append", default=[])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--table", action="store_true")
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
        _hold_the_promise(workbook)
    return {"end": "read", "cells": cells}


def _hold_the_promise(workbook: Workbook) -> None:
    """Every cell that was read is loaded, in quarantine, or outside of the tables."""
    planned = plan_tables(workbook.sheets, "corpus")
    counts = sum((batch.cells for each in planned for batch in clean_rows(each.sheet, each.plan, each.plan.columns)), CellCounts())
    read = sum(sheet.cell_count for sheet in workbook.sheets)
    if not read == counts.read == counts.loaded + counts.quarantined + counts.outside:
        raise RuntimeError(f"{read} cells were read, and the account has {counts}")


def _calamine(path: Path) -> Iterator[object]:
    book = python_calamine.CalamineWorkbook.from_path(str(path))
    for position, meta in enumerate(book.sheets_metadata):
        # Of a chart it shows the numbers it was drawn from, which stand in some sheet already.
        if meta.typ == python_calamine.SheetTypeEnum.WorkSheet:
            for row in book.get_sheet_by_index(position).to_python():
                yield from row


def _pandas(path: Path) -> Iterator[object]:
    # Texts such as NA are blank to it.
    for frame in pd.read_excel(path, sheet_name=None, header=None, dtype=object).values():
        for column in frame:
            yield from frame[column].dropna()


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


_READERS: dict[str, Callable[[Path], Iterator[object]]] = {
    "calamine": _calamine,
    "pandas": _pandas,
    "openpyxl": _openpyxl,
    "xlrd": _xlrd,
    "pyxlsb": _pyxlsb,
}


if __name__ == "__main__":
    sys.exit(trial())
