"""
A large file taken in by one worker and by two, in turn: a workbook and the same rows as CSV, into SQLite and into PostgreSQL.

Wall seconds of the whole import, from the call to the record; CPU seconds of each worker; and where the CPU seconds of one worker go.
Two workers are faster only with a processor for each. What else ran on the machine is kept as its load beside the figures; on a busy one the
wall clock shows the other work, and the CPU seconds of the first worker show how much of the way was taken from it.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from benchmarks.measure import Series, interleave, keep, print_series
from benchmarks.workbooks import mixed_text, mixed_workbook
from levelpool.database import open_connection
from levelpool.executor import ExecutorManager
from levelpool.helper_worker import TASK
from levelpool.ingest.conversion import Conversion, Goal, convert, stage
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.ingest.load.target import Target
from levelpool.ingest.service import DataIngestionService
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import Planned, plan_tables
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import StoredColumn
from servers import PostgresServer

ROWS = 200_000
ROUNDS = 3

Cpu = dict[str, list[float]]


def main() -> None:
    """Print seconds and ratios, and keep them."""
    files = {"xlsx": mixed_workbook(ROWS), "csv": mixed_text(ROWS)}
    load = [os.getloadavg()[0]]
    steps = {name: _steps(path) for name, path in files.items()}
    for name, of_file in steps.items():
        whole = sum(of_file.values())
        print(f"\nwhere the CPU seconds of one worker go, {name}, {ROWS:,} x 20, into SQLite")
        for step, seconds in of_file.items():
            print(f"  {step:28} {seconds:8.2f} s {seconds / whole:6.0%}")
    cpu: dict[str, Cpu] = {}
    wall: dict[str, tuple[float, ...]] = {}
    with PostgresServer() as server:
        for name, path in files.items():
            for kind in ("SQLite", "PostgreSQL"):
                title = f"{name} into {kind}"
                cpu[title] = {}
                series = _one_and_two(path, server if kind == "PostgreSQL" else None, cpu[title])
                cpu[title] = {which: seconds[1:] for which, seconds in cpu[title].items()}  # as the wall clock: without the first round
                print_series(f"{title}, {ROWS:,} x 20, wall clock", series, unit="s", baseline="two workers")
                _print_cpu(cpu[title])
                wall |= {f"{title}, {each.name}": each.readings for each in series}
    load.append(os.getloadavg()[0])
    keep("second_worker", {"rows": ROWS, "steps": steps, "wall_seconds": wall, "cpu_seconds": cpu, "load_average": load})


def _print_cpu(cpu: Cpu) -> None:
    """What each worker used. With a processor for each, the time of an import is that of its first worker."""
    for which, seconds in cpu.items():
        print(f"  CPU of {which:36} {statistics.median(seconds):8.2f} s")
    alone, together = (statistics.median(cpu[f"the first, {which}"]) for which in ("one worker", "two workers"))
    print(f"  CPU of the first, one / two workers  {alone / together:.2f}")


def _one_and_two(path: Path, server: PostgresServer | None, cpu: Cpu) -> tuple[Series, ...]:
    manager = ExecutorManager(cpu_workers=2, io_workers=4)
    with asyncio.Runner() as runner:
        candidates: dict[str, Callable[[], float]] = {
            "one worker": lambda: runner.run(_import(manager, path, server, cpu, share=0)),
            "two workers": lambda: runner.run(_import(manager, path, server, cpu, share=1)),
        }
        series = interleave(candidates, rounds=ROUNDS)
        runner.run(manager.aclose())
    return series


async def _import(manager: ExecutorManager, path: Path, server: PostgresServer | None, cpu: Cpu, *, share: int) -> float:
    """Wall seconds of one import into a new database; the CPU seconds of its workers go to *cpu*."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/import.sqlite" if server is None else server.create_database()
        before = _cpu_seconds(manager)
        async with DataIngestionService(url, manager, data_dir=Path(folder) / "data", share_files_from=share) as service:
            begin = time.perf_counter()
            record = await service.ingest_file(path)
            seconds = time.perf_counter() - begin
        if server is not None:
            server.drop_database(url)
    if record["rows_loaded"] != ROWS:
        raise RuntimeError(f"not all rows are there: {record}")
    for name, used in _cpu_seconds(manager).items():
        cpu.setdefault(f"the {_WHICH[name]}, {'two workers' if share else 'one worker'}", []).append(used - before.get(name, 0.0))
    return seconds


_WHICH = {"ingest": "first", TASK: "second"}


def _cpu_seconds(manager: ExecutorManager) -> dict[str, float]:
    return {task.name: task.cpu_seconds for task in manager.stats().tasks if task.lane == "cpu" and task.name in _WHICH}


# ---------------------------------------------------------------- where the time goes


def _steps(path: Path) -> dict[str, float]:
    """CPU seconds of each step, medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sheets = read_workbook(path, folder).sheets
        (planned,) = plan_tables(sheets, "orders", TableOptions())
        with open_connection(f"sqlite:///{folder}/steps.sqlite") as connection:
            target = target_of(connection)
            work = Conversion(SqliteTarget, planned.sheet, planned.plan, goal_for(target, planned), 1)
            staged = stage(convert(work), work.goal, folder / "staged", nobody_counts)
            series = interleave(
                {
                    "read": lambda: _cpu(lambda: read_workbook(path, folder)),
                    "find tables, prove types": lambda: _cpu(lambda: plan_tables(sheets, "orders", TableOptions())),
                    "convert and stage the rows": lambda: _cpu(lambda: stage(convert(work), work.goal, folder / "again", nobody_counts)),
                    "write the rows": lambda: _cpu(lambda: write_rows(target, work, staged)),
                },
                rounds=ROUNDS,
                warmup=0,
            )
    return {each.name: each.median for each in series}


def nobody_counts(_: int) -> None:
    """The bytes on disk, which are limited in an import."""


def goal_for(target: Target, planned: Planned) -> Goal:
    stored = [
        StoredColumn(each.name, each.header, place, each.type, target.storage(each.type, each.digits), scale=each.scale, filled=True)
        for place, each in enumerate(planned.plan.columns)
    ]
    return Goal(planned.plan.columns, tuple(stored), "row", frozenset())


def write_rows(target: Target, work: Conversion, staged: object) -> None:
    with target.connection.begin():
        target.run("DROP TABLE IF EXISTS orders")
        target.create_table("orders", work.goal.stored)
        for part in staged:
            target.write("orders", work.goal.stored, part.rows)


def _cpu(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin
