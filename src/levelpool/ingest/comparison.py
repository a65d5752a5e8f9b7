"""Whether the cells of a kept original are those that its tables hold: read again as it was loaded, and compared row by row."""

from collections.abc import Iterator

import sqlalchemy as sa

from levelpool.database import open_connection
from levelpool.ingest.conversion import Conversion, convert, goal_of
from levelpool.ingest.job import Job, read_tables
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.load.found_table import check_table
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.target import EncodedRows, Target
from levelpool.ingest.store import prove
from levelpool.sheets.clean.plans import Planned
from levelpool.sheets.errors import TableChanged
from levelpool.sheets.table import StoredColumn

MOST_TOLD = 5
"""So many differences of one file are told."""


def compare_file(job: Job) -> list[str]:
    """
    One sentence for each of the first differences between what the original says and what the tables hold; it changes nothing.

    A column whose type was changed after the file was loaded is left out: its rows keep what they said then. Raises a `SheetError` when the original
    cannot be read. Plain and picklable, for a worker process.
    """
    prove(job.original, job.sha256, job.name)
    _, tables = read_tables(job)
    told: list[str] = []
    with open_connection(job.database_url) as connection, connection.begin():
        target = target_of(connection)
        for table in tables:
            if table.dataset is not None and len(told) < MOST_TOLD:
                told += _compare_table(connection, target, job, table)
    return told[:MOST_TOLD]


def _compare_table(connection: sa.Connection, target: Target, job: Job, table: Planned) -> Iterator[str]:
    dataset = registry.find_dataset(connection, table.dataset or "")
    if dataset is None or any(column.name not in {each.name for each in dataset.columns} for column in table.plan.columns):
        yield f"{job.name}: the dataset {table.dataset} has not the columns that the file would bring now"
        return
    try:
        check_table(target, dataset.name, dataset.columns)
    except TableChanged:
        return  # that is told of the table, once for all its files
    goal = goal_of(table.plan, dataset, job.options)
    same = [place for place, (column, stored) in enumerate(zip(table.plan.columns, goal.stored, strict=True)) if column.type is stored.type]
    for part in convert(Conversion(type(target), table.sheet, table.plan, goal, job.file_id)):
        if part.rows is not None:
            yield from _compare_rows(target, dataset.name, goal.stored, same, part.rows)


def _compare_rows(target: Target, name: str, stored: tuple[StoredColumn, ...], same: list[int], rows: EncodedRows) -> Iterator[str]:
    there = target.rows_between(name, [stored[place].name for place in same], rows)
    for number, *values in zip(rows.numbers, *(rows.columns[place] for place in same), strict=True):
        found = there.get(number)
        if found is None:
            yield f"row {number} of the sheet {rows.sheet!r} is not in the table {name}"
            continue
        for place, value, kept in zip(same, values, found, strict=True):
            if value != kept and not (value != value and kept != kept):  # noqa: PLR0124 (NaN is as good as NaN)
                yield f"row {number} of the sheet {rows.sheet!r}: the table {name} has {kept!r} in {stored[place].name}, and the original says {value!r}"
