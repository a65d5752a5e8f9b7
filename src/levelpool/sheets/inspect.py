"""What a file would become, and why: the first half of an import, without a database."""

import tempfile
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

from levelpool.sheets.clean.batches import batch_by_batch
from levelpool.sheets.clean.names import dataset_name
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.pipelined_scan import scan_while_reading
from levelpool.sheets.clean.plans import Naming, Planned, plan_tables
from levelpool.sheets.clean.rows import RowCleaner, rows_of
from levelpool.sheets.inputs import Input, as_file, name_of
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.reading import read_as_asked
from levelpool.sheets.table import Batch, CellCounts, CleanBatch, Column, Json, Outside, Quarantined, Sheet, TablePlan, Value, Workbook
from levelpool.sheets.work_sharing import WorkSharing

PREVIEW_ROWS = 100
_FIRST_ROWS = 5_000  # what is read of each sheet when there is no time for all of it
_SAFE_INTEGER = 1 << 53
_WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class InspectedTable:
    """One table of the file: its plan, the first rows, and the account of its cells."""

    plan: TablePlan
    dataset: str | None  # where it would go; None: rows outside of any table
    columns: tuple[Column, ...]
    first_rows: tuple[tuple[Value, ...], ...]
    rows: int  # that would be loaded
    quarantine: tuple[Quarantined, ...]
    quarantined_rows: int
    cells: CellCounts


@dataclass(frozen=True, slots=True)
class InspectedSheet:
    """One sheet of the file, with its tables from the top; a sheet without a cell has none."""

    name: str
    hidden: bool
    tables: tuple[InspectedTable, ...]
    rows_read: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file would become."""

    name: str
    format: str
    reader: str
    encoding: str | None
    delimiter: str | None
    remarks: tuple[str, ...]
    sheets: tuple[InspectedSheet, ...]
    rows_examined: int
    complete: bool  # every row of every sheet was read
    options: TableOptions = field(default_factory=TableOptions)  # what was asked for

    def to_dict(self) -> dict[str, Json]:
        """The JSON of `levelpool inspect --json`; `sheets` has one entry per table, and one for a sheet without a table."""
        return {**self._about(), "sheets": [entry for sheet in self.sheets for entry in _inspect_entries(sheet)]}

    def preview(self) -> dict[str, Json]:
        """The JSON of `POST /api/preview`: the first 100 rows of each table, as objects."""
        return {**self._about(), "sheets": [entry for sheet in self.sheets for entry in _preview_entries(sheet, complete=self.complete)]}

    def _about(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "format": self.format,
            "reader": self.reader,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "remarks": list(self.remarks),
            "rows_examined": self.rows_examined,
            "complete": self.complete,
            "options": self.options.to_dict(),
        }


def inspect_file(
    path: Input,
    *,
    name: str | None = None,
    dataset: str | Naming | None = None,
    limits: Limits | None = None,
    max_seconds: float | None = None,
    options: TableOptions | None = None,
    folder: Path | None = None,
    progress: Callable[[float], None] | None = None,
    sharing: WorkSharing | None = None,
) -> Inspection:
    """
    What the file would become: where its tables are, what type each column gets and why, what goes to quarantine.

    *path* is a path, bytes, or an open binary file, *name* the original file name, *dataset* where the first table would go (None: the name decides), or what says where each goes. With *max_seconds*, a file that takes
    longer to read is judged by the first rows of each sheet, and `complete` is False. Working files go to a private folder in *folder*.
    *sharing* lets a helper worker do some of it. Raises `SheetError` with one sentence. Reads in the calling process: run it in a memory-limited
    worker.
    """
    shown = name or name_of(path) or "data"
    options = options or TableOptions()
    with tempfile.TemporaryDirectory(prefix="levelpool-inspect-", dir=folder) as name_of_private:
        private = Path(name_of_private)
        file = as_file(path, private / "input", name=shown, limits=limits or Limits())
        with scan_while_reading(private / _WHOLE, options, sharing) as scanned:
            workbook = _read(file, private, options, name=shown, limits=limits, max_seconds=max_seconds, progress=progress)
            planned = plan_tables(workbook.sheets, dataset or dataset_name(shown), options, scanned())
        tables: dict[int, list[InspectedTable]] = {}
        for each in planned:
            tables.setdefault(each.sheet.position, []).append(_inspect_table(each, options, sharing))
        sheets = tuple(
            InspectedSheet(
                name=sheet.name,
                hidden=sheet.hidden,
                tables=tuple(tables.get(sheet.position, ())),
                rows_read=sheet.row_count,
                remarks=sheet.remarks,
            )
            for sheet in workbook.sheets
        )
    return Inspection(
        name=shown,
        format=workbook.format,
        reader=workbook.reader,
        encoding=workbook.encoding,
        delimiter=workbook.delimiter,
        remarks=workbook.remarks,
        sheets=sheets,
        rows_examined=sum(sheet.row_count for sheet in workbook.sheets),
        complete=all(sheet.complete for sheet in workbook.sheets),
        options=replace(options, password=None),
    )


class _OutOfTime(Exception):
    """Reading took longer than the caller wants to wait."""


def _read(
    path: Path,
    folder: Path,
    options: TableOptions,
    *,
    name: str,
    limits: Limits | None,
    max_seconds: float | None,
    progress: Callable[[float], None] | None,
) -> Workbook:
    """The whole workbook, or, when that takes longer than *max_seconds*, the first rows of each sheet."""
    ends = None if max_seconds is None else clock.monotonic() + max_seconds

    def report(fraction: float) -> None:
        if ends is not None and clock.monotonic() > ends:
            raise _OutOfTime
        if progress is not None:
            progress(fraction)

    whole, first = folder / _WHOLE, folder / "first"
    whole.mkdir()
    try:
        return read_as_asked(path, whole, options, name=name, limits=limits, progress=report)
    except _OutOfTime:
        first.mkdir()
        return read_as_asked(path, first, options, name=name, limits=limits, max_rows=_FIRST_ROWS)


def _inspect_table(planned: Planned, options: TableOptions, sharing: WorkSharing | None) -> InspectedTable:
    rows = quarantined_rows = 0
    first_rows: list[tuple[Value, ...]] = []
    quarantine: list[Quarantined] = []
    cells = CellCounts()
    plan = planned.plan
    look = _Look(planned.sheet, plan, replace(options, password=None))
    for some in batch_by_batch(planned.sheet, rows_of(plan), look.begin, sharing):
        rows += some.rows
        quarantined_rows += some.quarantined_rows
        quarantine.extend(some.quarantine)
        cells += some.cells
        first_rows.extend(some.first_rows[: PREVIEW_ROWS - len(first_rows)])
    return InspectedTable(plan, planned.dataset, plan.columns, tuple(first_rows), rows, tuple(quarantine), quarantined_rows, cells)


@dataclass(frozen=True, slots=True)
class _Some:
    """What became of some rows of a table."""

    rows: int
    first_rows: Sequence[tuple[Value, ...]]
    quarantined_rows: int
    quarantine: Sequence[Quarantined]
    cells: CellCounts

    @classmethod
    def of(cls, batch: CleanBatch) -> "_Some":
        return cls(len(batch.rows), batch.first_values(PREVIEW_ROWS), len(batch.quarantined_rows), batch.quarantined, batch.cells)


@dataclass(frozen=True, slots=True)
class _Look:
    """How the rows of one planned table are looked at."""

    sheet: Sheet
    plan: TablePlan
    options: TableOptions

    def begin(self) -> Callable[[Batch], Iterator[_Some]]:
        """What looks at a batch."""
        policy, blanks = self.options.policy or "row", self.options.blanks
        cleaner = RowCleaner(self.sheet, self.plan, self.plan.columns, policy=policy, blanks=blanks)
        return lambda batch: map(_Some.of, cleaner.clean(batch))


# ---------------------------------------------------------------- JSON


def _inspect_entries(sheet: InspectedSheet) -> list[Json]:
    if not sheet.tables:
        nothing: dict[str, Json] = {
            "header_row": None,
            "columns": [],
            "rows": 0,
            "quarantine": [],
            "outside": [],
            "cells": _cells(CellCounts()),
            "header_trace": [],
        }
        return [{**_sheet_head(sheet, None), **nothing}]
    return [_inspect_entry(sheet, table) for table in sheet.tables]


def _inspect_entry(sheet: InspectedSheet, table: InspectedTable) -> Json:
    return {
        **_sheet_head(sheet, table),
        "header_row": table.plan.header_row,
        "columns": [{**_column(column), "samples": list(column.samples)} for column in table.columns],
        "rows": table.rows,
        "quarantine": [{"row": each.row, "column": each.column, "value": each.value, "reason": each.reason} for each in table.quarantine],
        "outside": [_outside(each) for each in table.plan.outside],
        "cells": _cells(table.cells),
        "header_trace": [{"row": each.row, "rule": each.rule, "verdict": each.verdict} for each in table.plan.trace],
    }


def _preview_entries(sheet: InspectedSheet, *, complete: bool) -> list[Json]:
    examined: dict[str, Json] = {"rows_examined": sheet.rows_read, "complete": complete}
    if not sheet.tables:
        nothing: dict[str, Json] = {"header_row": None, "columns": [], "row_count": 0, "quarantined_rows": 0, "outside": [], "rows": []}
        return [{**_sheet_head(sheet, None), **nothing, **examined}]
    return [
        {
            **_sheet_head(sheet, table),
            "header_row": table.plan.header_row,
            "columns": [{**_column(column), "position": column.position} for column in table.columns],
            "row_count": table.rows,
            "quarantined_rows": table.quarantined_rows,
            "outside": [_outside(each) for each in table.plan.outside[:PREVIEW_ROWS]],
            "rows": [
                {column.name: json_value(value) for column, value in zip(table.columns, row, strict=True)} for row in table.first_rows
            ],
            **examined,
        }
        for table in sheet.tables
    ]


def _sheet_head(sheet: InspectedSheet, table: InspectedTable | None) -> dict[str, Json]:
    return {
        "name": sheet.name,
        "hidden": sheet.hidden,
        "dataset": table.dataset if table else None,
        "reasons": list(table.plan.reasons) if table else ["the sheet has no cell"],
        "remarks": list(sheet.remarks),
    }


def _column(column: Column) -> dict[str, Json]:
    return {"name": column.name, "header": column.header, "type": column.type.value, "why": column.why}


def _outside(outside: Outside) -> Json:
    return {"row": outside.row, "reason": outside.reason, "cells": list(outside.shown)}


def _cells(cells: CellCounts) -> Json:
    return {"read": cells.read, "loaded": cells.loaded, "quarantined": cells.quarantined, "outside": cells.outside}


def json_value(value: Value) -> Json:
    """A value as JSON: decimals, and integers that a double cannot hold, as text; dates and times in ISO 8601."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime | time) else value
