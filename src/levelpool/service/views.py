"""What the page shows beyond the API's lists: the columns of a file's sheets with their reasons, one dataset. Named SQL, reading only."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from levelpool.ingest.ledger.files import sheet_dataset
from levelpool.ingest.ledger.queries import PLAN, plan_of
from levelpool.ingest.ledger.schema import columns, datasets, outside, sheets
from levelpool.sheets.errors import NotFound

Json = dict[str, Any]

MOST_OUTSIDE = 100
MOST_NAMES = 1000
"""So many datasets are offered to choose from; any other may be written."""


def read_sheets(connection: sa.Connection, file_id: int) -> list[Json]:
    """The tables found in a file, each with its columns, why they have their types, and why the table is where it is; `stored` is its table's types."""
    shown = ("name", "dataset", "header_row", "hidden", "rows_loaded", "rows_quarantined")
    query = sa.select(sheets.c.recognised, sheets.c.name, sheet_dataset.label("dataset"), *(sheets.c[name] for name in shown[2:]), PLAN)
    query = query.where(sheets.c.file_id == file_id, sheets.c.dataset.is_not(None))
    tables = [
        {name: getattr(row, name) for name in shown}
        | {"columns": _of_plan(row.plan, "columns", dict), "reasons": [*_found_by(row.recognised), *_of_plan(row.plan, "reasons", str)]}
        for row in connection.execute(query.order_by(sheets.c.id))
    ]
    stored = read_types(connection, {table["dataset"] for table in tables})
    return [table | {"stored": stored.get(table["dataset"], {})} for table in tables]


def _found_by(recognised: object) -> list[str]:
    """Why the table is in its dataset, where that was recorded."""
    return [recognised["why"]] if isinstance(recognised, dict) and isinstance(recognised.get("why"), str) else []


def _of_plan(plan: str | None, name: str, kind: type) -> list[Any]:
    """What a plan lists under *name*."""
    listed = plan_of(plan).get(name)
    return [each for each in listed if isinstance(each, kind)] if isinstance(listed, list) else []


def read_types(connection: sa.Connection, names: Collection[str]) -> dict[str, dict[str, str]]:
    """The types of the columns of these datasets, as their tables have them."""
    query = sa.select(datasets.c.name.label("dataset"), columns.c.name, columns.c.type).join(columns, columns.c.dataset_id == datasets.c.id)
    types: dict[str, dict[str, str]] = {}
    for row in connection.execute(query.where(datasets.c.name.in_(names))):
        types.setdefault(row.dataset, {})[row.name] = row.type
    return types


def read_shared_types(connection: sa.Connection, names: Collection[str], file_id: int) -> dict[str, dict[str, str]]:
    """The same, of those that hold rows of other files than this one: their columns keep their types."""
    query = sa.select(datasets.c.name).join(sheets, sheets.c.dataset_id == datasets.c.id)
    query = query.where(datasets.c.name.in_(names), sheets.c.file_id != file_id, sheets.c.rows_loaded > 0)
    return read_types(connection, set(connection.execute(query.distinct()).scalars()))


def read_outside(connection: sa.Connection, file_id: int) -> list[Json]:
    """The first rows of a file that stand outside of its tables, each with its reason."""
    found = connection.execute(sa.select(outside).where(outside.c.file_id == file_id).order_by(outside.c.id).limit(MOST_OUTSIDE))
    return [{"sheet": row.sheet, "row": row.sheet_row, "reason": row.reason, "cells": row.cells} for row in found]


def read_dataset_names(connection: sa.Connection) -> list[str]:
    """What the datasets are called, to choose from."""
    return list(connection.execute(sa.select(datasets.c.name).order_by(datasets.c.name).limit(MOST_NAMES)).scalars())


def read_dataset(connection: sa.Connection, name: str) -> Json:
    """One dataset with its columns. Raises `NotFound` when the ledger knows no such name."""
    dataset = connection.execute(sa.select(datasets).where(datasets.c.name == name)).one_or_none()
    if dataset is None:
        raise NotFound(f"there is no dataset {name}")
    found = connection.execute(sa.select(columns).where(columns.c.dataset_id == dataset.id).order_by(columns.c.position))
    return {
        "name": dataset.name,
        "key": dataset.key,
        "columns": [{"name": row.name, "header": row.header, "type": row.type, "why": row.why} for row in found],
    }
