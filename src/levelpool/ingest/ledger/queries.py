"""
What the ledger answers to questions, as plain JSON values: files, quarantine, datasets and their rows.

Every function takes a connection and only reads. `NotFound` means that there is no such file or dataset.
"""

import json
import math
from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from levelpool.ingest.drift.differences import lines
from levelpool.ingest.ledger.files import current_name, sheet_dataset
from levelpool.ingest.ledger.schema import columns, datasets, files, quarantine, sheets
from levelpool.sheets.errors import NotFound, OptionsRefused
from levelpool.sheets.table import ColumnType, StoredColumn

Json = dict[str, Any]

_MOST_EXACT = 2**53
"""JSON readers hold integers as doubles: beyond this they go as text."""

_SHOWN = (
    "id", "name", "sha256", "size", "source", "dataset", "status", "rows_loaded", "rows_quarantined", "error", "error_code", "progress",
    "duplicate_of", "format", "reader", "encoding", "delimiter",
)  # fmt: skip
_INSTANTS = ("received_at", "started_at", "finished_at")


# ---------------------------------------------------------------- files


def list_files(connection: sa.Connection, limit: int, offset: int, status: str | None = None, name: str | None = None) -> Json:
    """Files, newest first; only those in this state, and with this text in their names."""
    wanted = [files.c.status == status] if status else []
    wanted += [files.c.name.icontains(name, autoescape=True)] if name else []
    total = connection.execute(sa.select(sa.func.count()).select_from(files).where(*wanted)).scalar_one()
    found = connection.execute(
        sa.select(files, current_name.label("called")).where(*wanted).order_by(files.c.id.desc()).limit(limit).offset(offset)
    ).all()
    return {"files": _as_files(connection, found), "total": total}


def get_file(connection: sa.Connection, file_id: int) -> Json:
    """One file, with what was noticed when it was read, and with its corrections."""
    found = connection.execute(sa.select(files, current_name.label("called")).where(files.c.id == file_id)).all()
    if not found:
        raise NotFound(f"there is no file {file_id}")
    record = _as_files(connection, found)[0]
    return record | {"remarks": [*(found[0].remarks or ()), *lines(record["drift"])], "options": found[0].options or {}}


def _as_files(connection: sa.Connection, found: Sequence[sa.Row[Any]]) -> list[Json]:
    of_file: dict[int, list[Json]] = {row.id: [] for row in found}
    drift: dict[int, list[Json]] = {row.id: [] for row in found}
    shown = ("id", "name", "dataset", "header_row", "rows_loaded", "rows_quarantined", "hidden", "recognised")
    own = (sheets.c[name] for name in shown if name != "dataset")
    query = sa.select(sheets.c.file_id, sheets.c.drift, sheet_dataset.label("dataset"), *own)
    query = query.where(sheets.c.file_id.in_(of_file), sheets.c.dataset.is_not(None))
    for row in connection.execute(query.order_by(sheets.c.id)):
        of_file[row.file_id].append({name: getattr(row, name) for name in shown})
        drift[row.file_id] += [{"sheet": row.name, "dataset": row.dataset} | each for each in row.drift or ()]
    return [_as_file(row, of_file[row.id]) | {"drift": drift[row.id]} for row in found]


def _as_file(row: sa.Row[Any], of_file: list[Json]) -> Json:
    plain = {name: getattr(row, name) for name in _SHOWN}
    instants = {name: _instant(getattr(row, name)) for name in _INSTANTS}
    cells = {name: getattr(row, f"cells_{name}") for name in ("read", "loaded", "quarantined", "outside")}
    return plain | {"dataset": row.called} | instants | {"sheets": of_file, "cells": cells}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def list_quarantine(connection: sa.Connection, file_id: int, limit: int | None, offset: int) -> Json:
    """The cells of a file that could not be loaded, in the order of the file."""
    get_file(connection, file_id)
    total = connection.execute(sa.select(sa.func.count()).where(quarantine.c.file_id == file_id)).scalar_one()
    query = sa.select(quarantine).where(quarantine.c.file_id == file_id).order_by(quarantine.c.id).limit(limit).offset(offset)
    rows = [
        {"sheet": row.sheet, "row": row.sheet_row, "column": row.column_name, "value": row.value, "reason": row.reason}
        for row in connection.execute(query)
    ]
    return {"rows": rows, "total": total}


# ---------------------------------------------------------------- datasets


def list_datasets(connection: sa.Connection, limit: int, offset: int) -> Json:
    """Datasets by name, with their columns and how many rows they hold."""
    total = connection.execute(sa.select(sa.func.count()).select_from(datasets)).scalar_one()
    found = connection.execute(sa.select(datasets).order_by(datasets.c.name).limit(limit).offset(offset)).all()
    of_dataset: dict[int, list[Json]] = {row.id: [] for row in found}
    query = sa.select(columns).where(columns.c.dataset_id.in_(of_dataset)).order_by(columns.c.dataset_id, columns.c.position)
    for row in connection.execute(query):
        of_dataset[row.dataset_id].append({"name": row.name, "header": row.header, "type": row.type})
    counts = _count_rows(connection, [row.id for row in found])
    listed = [{"name": row.name, "columns": of_dataset[row.id], "rows": counts.get(row.id, 0), "key": row.key or None} for row in found]
    return {"datasets": listed, "total": total}


def _count_rows(connection: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    """Rows per dataset, from what each import said: counting the tables themselves would read them whole."""
    query = sa.select(sheets.c.dataset_id, sa.func.sum(sheets.c.rows_loaded)).where(sheets.c.dataset_id.in_(ids))
    return {dataset_id: int(rows) for dataset_id, rows in connection.execute(query.group_by(sheets.c.dataset_id))}


def list_rows(connection: sa.Connection, name: str, limit: int, offset: int, *, current: bool = False) -> Json:
    """
    Rows of a dataset in order of arrival, or those that NAME_current shows; only a name that the ledger knows ever becomes SQL.

    Raises `OptionsRefused` for the *current* rows of a dataset without a key.
    """
    dataset = connection.execute(sa.select(datasets).where(datasets.c.name == name)).one_or_none()
    if dataset is None:
        raise NotFound(f"there is no dataset {name}")
    if current and not dataset.key:
        raise OptionsRefused(
            f"{name} has no key, and so no current rows: say first which columns name a record", option="current", value=True
        )
    of_dataset = connection.execute(sa.select(columns).where(columns.c.dataset_id == dataset.id).order_by(columns.c.position)).all()
    meta: list[sa.ColumnClause[Any]] = [sa.column("_file_id"), sa.column("_sheet"), sa.column("_row")]
    table = sa.table(f"{dataset.name}_current" if current else dataset.name)
    query = sa.select(*meta, *(sa.column(row.name) for row in of_dataset)).select_from(table)
    found = connection.execute(query.order_by(meta[0], meta[2]).limit(limit).offset(offset)).all()
    scales = _scales(connection, dataset.id, {row[0] for row in found})
    rows = [
        {"_file_id": row[0], "_sheet": row[1], "_row": row[2]}
        | {
            column.name: _as_json(value, column.type, scales.get((row[0], row[1], column.name)))
            for column, value in zip(of_dataset, row[3:], strict=True)
        }
        for row in found
    ]
    if current:
        total = int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
    else:
        total = _count_rows(connection, [dataset.id]).get(dataset.id, 0)
    return {"rows": rows, "total": total}


def as_json_rows(
    connection: sa.Connection, dataset_id: int, columns_: Sequence[StoredColumn], file_id: int, rows: Sequence[Sequence[Any]]
) -> list[Json]:
    """Rows of one file as the API shows their values; each begins with its number and its sheet."""
    scales = _scales(connection, dataset_id, {file_id}) if rows else {}
    return [
        {
            column.name: _as_json(value, column.type, scales.get((file_id, row[1], column.name)))
            for column, value in zip(columns_, row[2:], strict=True)
        }
        for row in rows
    ]


PLAN = sa.cast(sheets.c.plan, sa.Text).label("plan")
"""A plan as it was written; `plan_of` reads it."""


def plan_of(text: str | None) -> Json:
    """What a plan says; nothing when it was written in another form, by a newer release or a hand."""
    try:
        said = json.loads(text or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _scales(connection: sa.Connection, dataset_id: int, file_ids: Collection[int]) -> dict[tuple[int, str, str], int | None]:
    """How many digits stand behind the point of every number of a file's NUMERIC column; None where they differ."""
    scales: dict[tuple[int, str, str], int | None] = {}
    query = sa.select(sheets.c.file_id, sheets.c.name, PLAN).where(sheets.c.dataset_id == dataset_id, sheets.c.file_id.in_(file_ids))
    for row in connection.execute(query):
        listed = plan_of(row.plan).get("scales")
        for column, scale in listed.items() if isinstance(listed, dict) else ():
            place = (row.file_id, row.name, column)
            scales[place] = scale if scales.get(place, scale) == scale else None
    return scales


def _as_json(value: object, kind: str, scale: int | None) -> object:
    """A value as JSON can carry it without losing a digit."""
    if value is None:
        return None
    if kind == ColumnType.NUMERIC:
        return _digits(value, scale)
    if kind == ColumnType.BOOLEAN:
        return bool(value)
    if isinstance(value, int) and abs(value) > _MOST_EXACT:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.isoformat() if isinstance(value, date | time) else value


def _digits(value: object, scale: int | None) -> str:
    """The digits of a NUMERIC value; SQLite holds some of them as a number, whose zeros at the end only the ledger knows."""
    if not isinstance(value, int | float):
        return f"{value if isinstance(value, Decimal) else Decimal(str(value)):f}"
    number = Decimal(repr(value))
    if scale is not None:
        return f"{number:.{scale}f}"
    return f"{number.to_integral_value() if number == number.to_integral_value() else number:f}"
