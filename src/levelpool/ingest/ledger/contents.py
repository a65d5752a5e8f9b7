"""
What the ledger keeps of a file's contents: its sheets, the quarantined cells, the rows outside of its tables.

Every function takes a connection inside a transaction of the caller.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from levelpool.ingest.drift.differences import Difference
from levelpool.ingest.ledger.schema import changes, datasets, outside, quarantine, sheets
from levelpool.ingest.recognition.verdicts import Verdict
from levelpool.sheets.table import CellCounts, CleanBatch, ColumnType, TablePlan


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """One table of a file, and what became of it."""

    plan: TablePlan
    dataset: str | None  # its name; None: rows outside of any table
    dataset_id: int | None
    rows_loaded: int
    rows_quarantined: int
    cells: CellCounts
    recognised: Verdict | None = None
    drift: tuple[Difference, ...] = ()  # what differs from the dataset
    uneven: frozenset[str] = frozenset()  # NUMERIC columns whose values differ in their digits behind the point


def clear(connection: sa.Connection, file_id: int) -> None:
    """Forget what an earlier import of this file left in the ledger."""
    for table in (sheets, quarantine, outside, changes):
        connection.execute(table.delete().where(table.c.file_id == file_id))


def add_table(connection: sa.Connection, file_id: int, loaded: LoadedTable) -> None:
    """Record one table, and the rows outside of it."""
    plan = loaded.plan
    shown = {
        "box": asdict(plan.box),
        "header_rows": plan.header_rows,
        "reasons": plan.reasons,
        "scales": {
            column.name: column.scale for column in plan.columns if column.type is ColumnType.NUMERIC and column.name not in loaded.uneven
        },
        "columns": [asdict(column) | {"type": column.type.value} for column in plan.columns],
    }
    connection.execute(
        sheets.insert(),
        {
            "file_id": file_id,
            "name": storable(plan.sheet),
            "position": plan.position,
            "dataset": loaded.dataset,
            "dataset_id": loaded.dataset_id,
            "header_row": plan.header_row,
            "hidden": plan.hidden,
            "rows_loaded": loaded.rows_loaded,
            "rows_quarantined": loaded.rows_quarantined,
            "cells_loaded": loaded.cells.loaded,
            "cells_quarantined": loaded.cells.quarantined,
            "cells_outside": loaded.cells.outside,
            "plan": shown,
            "recognised": None if loaded.recognised is None else loaded.recognised.to_dict(),
            "drift": [each.to_dict() for each in loaded.drift] or None,
        },
    )
    rows = [
        {"file_id": file_id, "sheet": storable(plan.sheet), "sheet_row": each.row, "reason": each.reason, "cells": list(each.shown)}
        for each in plan.outside
    ]
    if rows:
        connection.execute(outside.insert(), rows)


def places(connection: sa.Connection, file_id: int) -> dict[tuple[str, int], str]:
    """Where each table of a file went: its sheet and its position there, and the name of its dataset."""
    query = sa.select(sheets.c.name, sheets.c.position, datasets.c.name.label("dataset")).join(
        datasets, datasets.c.id == sheets.c.dataset_id
    )
    return {(row.name, row.position): row.dataset for row in connection.execute(query.where(sheets.c.file_id == file_id))}


def add_quarantine(connection: sa.Connection, file_id: int, sheet: str, batch: CleanBatch) -> None:
    """Record the cells of *batch* that cannot be loaded; the first of a row carries all cells of the row."""
    cells = dict(batch.quarantined_rows)
    rows = [
        {
            "file_id": file_id,
            "sheet": storable(sheet),
            "sheet_row": each.row,
            "column_name": storable(each.column),
            "value": storable(each.value),
            "reason": each.reason,
            "cells": _as_list(cells.pop(each.row, None)),
        }
        for each in batch.quarantined
    ]
    if rows:
        connection.execute(quarantine.insert(), rows)


def _as_list(cells: Iterable[str] | None) -> list[str] | None:
    return None if cells is None else list(cells)


def storable(text: str) -> str:
    """*text* as every database can show it: a NUL becomes its picture, half of a surrogate pair a question mark."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
