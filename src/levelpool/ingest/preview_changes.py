"""
What would change if a file were loaded, found before it is: its rows go into a temporary table, and are compared as those of a loaded one.

Plain and picklable: it runs in a worker process.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.database import open_connection
from levelpool.ingest.conversion import Conversion, convert, goal_of
from levelpool.ingest.file_changes import compare_tables
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger.queries import Json
from levelpool.ingest.ledger.usual import Part, read_part, read_usual
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.schema import plan_schema
from levelpool.ingest.load.target import Target
from levelpool.ingest.recognition.placing import Placing
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import Planned, plan_tables
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.reading import read_as_asked

logger = logging.getLogger(__name__)

MOST_ROWS = 50_000
"""Rows of both files up to which a preview compares them."""
TEMPORARY = "levelpool_preview"


def changes_if_loaded(
    database_url: str, path: Path, folder: Path, *, name: str, placing: Placing, options: TableOptions, limits: Limits, file_id: int
) -> Json | None:
    """
    What `changes` would say of the file if it were loaded now; None where its dataset is new, it is the first there, or both are large.

    *file_id* is that of a kept file, or beyond all of them. Working files go to *folder*.
    """
    workbook = read_as_asked(path, folder, options, name=name, limits=limits)
    tables = plan_tables(workbook.sheets, placing, options)
    goal = placing.placed([each.plan for each in tables if each.plan.columns]).dataset
    into = [each for each in tables if each.dataset == goal]
    try:
        with open_connection(database_url, write=False) as connection, connection.begin():
            return _compare(connection, goal, into, options, file_id)
    except DBAPIError as error:
        # A role that may make no temporary table, for one, can still load files.
        logger.warning("%s is not compared before it is loaded: %s", name, error.orig)
        return None


def _compare(connection: sa.Connection, goal: str, tables: Sequence[Planned], options: TableOptions, file_id: int) -> Json | None:
    dataset = registry.find_dataset(connection, goal)
    usual = read_usual(connection, goal, file_id)
    rows = sum(each.sheet.row_count for each in tables) + (usual.rows[0] if usual.rows else 0)
    if dataset is None or usual.file_before is None or rows > MOST_ROWS:
        return None
    target = target_of(connection)
    wanted = [column for each in tables for column in each.plan.columns]
    widened = replace(dataset, columns=plan_schema(dataset.columns, wanted, target.storage).columns)
    after = _fill(target, widened, tables, options, file_id)
    before = read_part(connection, dataset.id, usual.file_before)
    there = {each.name for each in dataset.columns}
    shown = replace(widened, columns=tuple(each for each in widened.columns if each.name in there))
    found = compare_tables(target, shown, (before, after), (usual.file_before, file_id), (goal, TEMPORARY))
    return {"against": usual.file_before, "dataset": goal} | found


def _fill(target: Target, dataset: registry.Dataset, tables: Sequence[Planned], options: TableOptions, file_id: int) -> Part:
    """Put the rows of the tables into the temporary table."""
    target.create_temporary(TEMPORARY, dataset.columns)
    columns = {column.name for each in tables for column in each.plan.columns}
    rows = quarantined = 0
    for each in tables:
        goal = goal_of(each.plan, dataset, options)
        for part in convert(Conversion(type(target), each.sheet, each.plan, goal, file_id)):
            if part.rows is not None:
                target.write(TEMPORARY, goal.stored, part.rows)
            rows += part.rows_loaded
            quarantined += len(part.aside.quarantined_rows)
    return Part(frozenset(columns), rows, quarantined, is_loaded=True)
