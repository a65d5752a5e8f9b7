"""
What is usual in a dataset, as the files before one have it: their columns, how the last of them wrote its values, and how many rows they had.

A column counts as long as a file that has it is loaded. Every function takes a connection inside a transaction of the caller.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from levelpool.ingest.drift.differences import MOST_EARLIER, Known
from levelpool.ingest.ledger.evidence import LOADED
from levelpool.ingest.ledger.queries import PLAN, plan_of
from levelpool.ingest.ledger.schema import columns, datasets, files, sheets
from levelpool.sheets.table import ColumnType, Notation


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in one dataset; nothing where no file is loaded there."""

    columns: tuple[Known, ...] = ()
    rows: tuple[int, ...] = ()  # of the files before, the newest first
    file_before: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one file has in one dataset."""

    columns: frozenset[str] = frozenset()  # their names there; none: nobody recorded them
    rows: int = 0
    rows_quarantined: int = 0
    is_loaded: bool = False


def read_part(connection: sa.Connection, dataset_id: int, file_id: int) -> Part:
    """What one file has in one dataset."""
    query = sa.select(sheets.c.rows_loaded, sheets.c.rows_quarantined, files.c.status, PLAN).join(files, files.c.id == sheets.c.file_id)
    found = connection.execute(query.where(sheets.c.dataset_id == dataset_id, sheets.c.file_id == file_id)).all()
    columns = [{each["name"] for each in _records(plan_of(row.plan).get("columns")) if "name" in each} for row in found]
    return Part(
        frozenset().union(*columns) if all(columns) else frozenset(),
        sum(row.rows_loaded for row in found),
        sum(row.rows_quarantined for row in found),
        any(row.status in LOADED for row in found),
    )


def read_usual(connection: sa.Connection, dataset: str, file_id: int) -> Usual:
    """What is usual in a dataset for the file of this number: those that came before it say so, not those behind it."""
    of_dataset = sa.select(datasets.c.id).where(datasets.c.name == dataset).scalar_subquery()
    rows = sa.func.sum(sheets.c.rows_loaded + sheets.c.rows_quarantined).label("rows")
    query = sa.select(files.c.id, rows).join(sheets, sheets.c.file_id == files.c.id).group_by(files.c.id).order_by(files.c.id.desc())
    before = query.where(sheets.c.dataset_id == of_dataset, files.c.id < file_id, files.c.status.in_(LOADED)).limit(MOST_EARLIER)
    earlier = connection.execute(before).all()
    if not earlier:
        return Usual()
    last = _columns_of(connection, dataset, earlier[0].id)
    is_loaded = sa.exists().where(files.c.id == columns.c.added_by, files.c.id < file_id, files.c.status.in_(LOADED)).label("counts")
    listed = connection.execute(sa.select(columns, is_loaded).where(columns.c.dataset_id == of_dataset).order_by(columns.c.position))
    known = tuple(_known(row, last.get(row.name)) for row in listed if row.counts or row.name in last)
    return Usual(known, tuple(int(row.rows) for row in earlier), earlier[0].id)


def _columns_of(connection: sa.Connection, dataset: str, file_id: int) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """The columns of a file's first table in that dataset, as its plan has them, each with its place there."""
    query = (
        sa.select(PLAN).join(datasets, datasets.c.id == sheets.c.dataset_id).where(datasets.c.name == dataset, sheets.c.file_id == file_id)
    )
    return columns_of_plan(connection.execute(query.order_by(sheets.c.id).limit(1)).scalar())


def columns_of_plan(written: str | None) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """The columns of a plan as it was written down, by name, each with its place from 1 on."""
    listed = plan_of(written).get("columns")
    return {each["name"]: (place, each) for place, each in enumerate(_records(listed), start=1) if "name" in each}


def _records(listed: object) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict))


def _known(row: sa.Row[Any], last: tuple[int, Mapping[str, Any]] | None) -> Known:
    kind = ColumnType(row.type) if row.filled else None
    if last is None:
        return Known(name=row.name, header=row.header, type=kind)
    place, said = last
    return Known(
        name=row.name,
        header=str(said.get("header", row.header)),
        type=kind,
        last_type=_type(said.get("type")) if said.get("samples") else None,
        notation=_notation(said.get("notation")),
        scale=int(said.get("scale") or 0),
        place=place,
    )


_TYPES = {each.value: each for each in ColumnType}
_NOTATION = {each.name for each in fields(Notation)}


def _type(said: object) -> ColumnType | None:
    return _TYPES.get(said) if isinstance(said, str) else None


def _notation(said: object) -> Notation:
    """As it was written down; what another release wrote beside it is left out."""
    if not isinstance(said, dict):
        return Notation()
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items() if name in _NOTATION}
    return Notation(**values)
