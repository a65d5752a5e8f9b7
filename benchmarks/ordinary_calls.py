"""
A large file taken in by ordinary calls of the lane, as the helper worker was not built: read and plan, convert ranges of batches, load.

CPU seconds on the way from the first call to the last, with the converting spread evenly over two workers. `second_worker` prints what the first worker
uses today, ledger and claim included: with a processor for each of the two, both are the time of an import.
"""

import asyncio
import pickle
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.measure import keep
from benchmarks.second_worker import ROUNDS, ROWS, goal_for, nobody_counts, write_rows
from benchmarks.workbooks import mixed_text, mixed_workbook
from levelpool.database import open_connection
from levelpool.executor import ExecutorManager
from levelpool.ingest.conversion import Conversion, StagedParts, stage
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import plan_tables
from levelpool.sheets.clean.subsheets import batch_at, count_batches
from levelpool.sheets.read.workbook import read_workbook

PIECES = 8
STEPS = ("read and plan", "convert, half of it", "load")


def main() -> None:
    """Print the seconds of each step, and their sum, and keep them."""
    figures = {}
    for name, path in {"xlsx": mixed_workbook(ROWS), "csv": mixed_text(ROWS)}.items():
        rounds = [asyncio.run(_import(path)) for _ in range(ROUNDS)]
        steps = dict(zip(STEPS, (statistics.median(step) for step in zip(*rounds, strict=True)), strict=True))
        figures[name] = steps
        print(f"\n{name}, {ROWS:,} x 20, into SQLite")
        for step, seconds in (*steps.items(), ("on the way", sum(steps.values()))):
            print(f"  {step:28} {seconds:8.2f} s")
    keep("ordinary_calls", {"rows": ROWS, "pieces": PIECES, "cpu_seconds": figures})


async def _import(path: Path) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as name:
        async with ExecutorManager(cpu_workers=2, io_workers=2) as manager:
            folder = Path(name)
            work, batches, read = await manager.run_cpu_intensive(read_and_plan, path, folder)
            low = manager.with_options(priority=-1)
            cuts = [batches * piece // PIECES for piece in range(PIECES + 1)]
            staged = [folder / f"piece {begin}" for begin in cuts[:-1]]
            ranges = zip(cuts[:-1], cuts[1:], staged, strict=True)
            converted = await asyncio.gather(*(low.run_cpu_intensive(convert_range, work, *each) for each in ranges))
            return read, sum(converted) / 2, await manager.run_cpu_intensive(load, work, folder, staged)


def read_and_plan(path: Path, folder: Path) -> tuple[bytes, int, float]:
    """The work of converting, pickled; how many batches; CPU seconds."""
    begin = time.process_time()
    (planned,) = plan_tables(read_workbook(path, folder).sheets, "orders", TableOptions())
    with open_connection(f"sqlite:///{folder}/goal.sqlite") as connection:
        work = Conversion(SqliteTarget, planned.sheet, planned.plan, goal_for(target_of(connection), planned), 1)
    return pickle.dumps(work), count_batches(planned.sheet), time.process_time() - begin


def convert_range(pickled: bytes, first: int, end: int, staged: Path) -> float:
    """Convert the batches from *first* to *end* into a file; CPU seconds."""
    begin = time.process_time()
    work: Conversion = pickle.loads(pickled)
    deal = work.begin()
    batches = (batch_at(work.sheet.batches, number) for number in range(first, end))
    stage((part for batch in batches if batch is not None for part in deal(batch)), work.goal, staged, nobody_counts)
    return time.process_time() - begin


def load(pickled: bytes, folder: Path, staged: list[Path]) -> float:
    """Write what was converted; CPU seconds."""
    begin = time.process_time()
    work: Conversion = pickle.loads(pickled)
    with open_connection(f"sqlite:///{folder}/orders.sqlite") as connection:
        write_rows(target_of(connection), work, (part for path in staged for part in StagedParts(path, work.goal)))
    return time.process_time() - begin
