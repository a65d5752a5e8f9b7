"""
Rows into tables: our SQLite and PostgreSQL targets against the bare drivers, 100,000 x 20 mixed values, no file read.

And how long an import of a workbook of that size keeps the write lock of SQLite: with its rows converted before, and under the lock.
"""

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from benchmarks.measure import interleave, keep, print_series
from benchmarks.workbooks import mixed_workbook
from levelpool.database import open_connection
from levelpool.ingest import job as ingest_job
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.ingest.load.target import SheetRows
from levelpool.ingest.service import DataIngestionService
from levelpool.sheets.table import ColumnType, StoredColumn, Value
from levelpool.testing import inline_manager
from servers import PostgresServer

ROWS, BATCH, ROUNDS = 100_000, 2_000, 5
T = ColumnType
KINDS = [T.BIGINT] * 4 + [T.NUMERIC] * 4 + [T.TEXT] * 6 + [T.DOUBLE] * 2 + [T.DATE] * 2 + [T.TIMESTAMP, T.BOOLEAN]
COPY_TYPES = {
    T.BIGINT: "int8",
    T.NUMERIC: "numeric",
    T.TEXT: "text",
    T.DOUBLE: "float8",
    T.DATE: "date",
    T.TIMESTAMP: "timestamp",
    T.BOOLEAN: "bool",
}
DECLARED = ", ".join(f"c{place} {kind}" for place, kind in enumerate(KINDS))

Row = tuple[Value, ...]


MAKERS: dict[ColumnType, Callable[[random.Random], Value]] = {
    T.BIGINT: lambda chance: chance.randrange(10**9),
    T.NUMERIC: lambda chance: Decimal(chance.randrange(10**7)).scaleb(-2),
    T.TEXT: lambda chance: f"Customer name {chance.randrange(10**5)}",
    T.DOUBLE: lambda chance: chance.random(),
    T.DATE: lambda chance: date(2020, 1, 1) + timedelta(days=chance.randrange(1000)),
    T.TIMESTAMP: lambda chance: datetime(2020, 1, 1) + timedelta(seconds=chance.randrange(10**7)),
    T.BOOLEAN: lambda chance: chance.random() < 0.5,
}


def ours(url: str, rows: list[Row]) -> float:
    """Through the target, in one transaction, in batches as an import has them."""
    with open_connection(url) as connection, connection.begin():
        target = target_of(connection)
        columns = [StoredColumn(f"c{place}", "", place, kind, target.storage(kind, 9), scale=2) for place, kind in enumerate(KINDS)]
        target.run("DROP TABLE IF EXISTS ours")
        target.create_table("ours", columns)
        begin = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            values = list(zip(*part, strict=True))
            target.misfits(columns, values)
            target.insert("ours", columns, SheetRows(1, "Sheet", range(start, start + len(part)), values))
        return time.perf_counter() - begin


def bare_sqlite(folder: Path, rows: list[Row]) -> float:
    """`executemany` of values that are bound already, into a table without an index."""
    bound = [tuple(_bound(value) for value in row) for row in rows]
    connection = sqlite3.connect(folder / "bare.sqlite")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("DROP TABLE IF EXISTS bare")
    connection.execute(f"CREATE TABLE bare ({DECLARED})")
    begin = time.perf_counter()
    connection.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * len(KINDS))})", bound)
    seconds = time.perf_counter() - begin
    connection.commit()
    connection.close()
    return seconds


def _bound(value: Value) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def bare_postgresql(url: str, rows: list[Row]) -> float:
    """psycopg's binary COPY, row by row, into a table without an index."""
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(f"CREATE TABLE bare ({DECLARED})")
        begin = time.perf_counter()
        with connection.cursor().copy("COPY bare FROM STDIN (FORMAT binary)") as copy:
            copy.set_types([COPY_TYPES[kind] for kind in KINDS])
            for row in rows:
                copy.write_row(row)
        return time.perf_counter() - begin


def lock_held(path: Path, *, before: bool) -> float:
    """Seconds of pass 2 on SQLite, which is one transaction that keeps others from writing; *before*: the rows are converted before it."""
    seconds: list[float] = []
    load, alone = ingest_job._load, SqliteTarget.writes_alone  # noqa: SLF001  # pass 2 itself

    def timed(*args: object, **kwargs: object) -> object:
        begin = time.perf_counter()
        outcome = load(*args, **kwargs)
        seconds.append(time.perf_counter() - begin)
        return outcome

    ingest_job._load, SqliteTarget.writes_alone = timed, before  # noqa: SLF001
    try:
        asyncio.run(_import(path))
    finally:
        ingest_job._load, SqliteTarget.writes_alone = load, alone  # noqa: SLF001
    return seconds[0]


async def _import(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/import.sqlite"
        async with DataIngestionService(url, inline_manager(), data_dir=Path(folder) / "data") as service:
            await service.ingest_file(path)


def main() -> None:
    """Print seconds and ratios, and keep them."""
    chance = random.Random(20)
    rows: list[Row] = [tuple(MAKERS[kind](chance) for kind in KINDS) for _ in range(ROWS)]
    with tempfile.TemporaryDirectory() as name, PostgresServer() as server:
        folder, url = Path(name), server.create_database()
        candidates: dict[str, Callable[[], float]] = {
            "bare sqlite3": lambda: bare_sqlite(folder, rows),
            "levelpool to SQLite": lambda: ours(f"sqlite:///{folder / 'ours.sqlite'}", rows),
            "bare psycopg COPY": lambda: bare_postgresql(url, rows),
            "levelpool to PostgreSQL": lambda: ours(url, rows),
        }
        series = interleave(candidates, rounds=ROUNDS)
    print_series(f"{ROWS:,} x {len(KINDS)} into SQLite", series[:2], unit="s", baseline="bare sqlite3")
    print_series(f"{ROWS:,} x {len(KINDS)} into PostgreSQL", series[2:], unit="s", baseline="bare psycopg COPY")
    workbook = mixed_workbook(ROWS)
    locks = interleave(
        {
            "rows converted before": lambda: lock_held(workbook, before=True),
            "rows converted under the lock": lambda: lock_held(workbook, before=False),
        },
        rounds=ROUNDS,
    )
    print_series(f"SQLite's write lock, an import of {ROWS:,} x 20", locks, unit="s", baseline="rows converted before")
    kept = keep("load", {each.name: each.readings for each in (*series, *locks)}, packages=["psycopg", "SQLAlchemy"])
    print(f"  kept in {kept.relative_to(Path.cwd()) if kept.is_relative_to(Path.cwd()) else kept}")
