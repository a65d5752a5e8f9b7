"""
What must change in a table before rows can go into it: a pure plan that only adds.

New columns; BIGINT becomes NUMERIC, DATE becomes TIMESTAMP, exact digits where a number would lose some. A column that never
held a value takes the type of the first file that has one. Nothing else changes: a value that does not fit goes to quarantine.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from levelpool.sheets.table import Column, ColumnType, StoredColumn

Storage = Callable[[ColumnType, int], str]
"""The declared type in one kind of database, for a type and the most significant digits of its values."""

_WIDER = {
    (ColumnType.BIGINT, ColumnType.NUMERIC): ColumnType.NUMERIC,
    (ColumnType.DATE, ColumnType.TIMESTAMP): ColumnType.TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """The columns of a table as they must be, and how they differ from what is there."""

    columns: tuple[StoredColumn, ...]
    added: tuple[StoredColumn, ...]
    retyped: tuple[tuple[StoredColumn, StoredColumn], ...]  # before, after

    @property
    def changes_table(self) -> bool:
        """Whether the table itself must change, not only what the ledger says of it."""
        return bool(self.added or self.retyped)


def plan_schema(
    existing: Sequence[StoredColumn], wanted: Sequence[Column], storage: Storage, to_text: Collection[str] = frozenset()
) -> SchemaPlan:
    """How a table with the columns *existing* comes to hold the columns *wanted* of one file; those named in *to_text* become TEXT."""
    before = {column.name: column for column in existing}
    after = {name: as_text(column, storage) if name in to_text else column for name, column in before.items()}
    for column in wanted:
        known = after.get(column.name)
        after[column.name] = _new(column, len(after), storage) if known is None else _merge(known, column, storage)
    return SchemaPlan(
        columns=tuple(after.values()),
        added=tuple(column for name, column in after.items() if name not in before),
        retyped=tuple((before[name], column) for name, column in after.items() if name in before and _differs(before[name], column)),
    )


def as_text(column: StoredColumn, storage: Storage) -> StoredColumn:
    """The column as TEXT, which holds whatever it has."""
    if column.type is ColumnType.TEXT:
        return column
    return replace(column, type=ColumnType.TEXT, storage=storage(ColumnType.TEXT, 0), scale=0, even_scale=True)


def _differs(before: StoredColumn, after: StoredColumn) -> bool:
    return (before.type, before.storage) != (after.type, after.storage)


def _new(column: Column, position: int, storage: Storage) -> StoredColumn:
    return StoredColumn(
        name=column.name,
        header=column.header,
        position=position,
        type=column.type,
        storage=storage(column.type, column.digits),
        scale=column.scale,
        filled=bool(column.samples),
    )


def _merge(known: StoredColumn, column: Column, storage: Storage) -> StoredColumn:
    if not column.samples:
        return known
    if not known.filled:
        fresh = _new(column, known.position, storage)
        return replace(fresh, header=known.header)
    wider = _WIDER.get((known.type, column.type), known.type)
    if wider is not ColumnType.NUMERIC:
        return replace(known, type=wider, storage=known.storage if wider is known.type else storage(wider, 0))
    digits = column.digits if column.type is ColumnType.NUMERIC else 0
    exact = storage(ColumnType.NUMERIC, _ALL_DIGITS)
    return replace(
        known,
        type=wider,
        storage=exact if known.storage == exact else storage(wider, digits),
        scale=max(known.scale, column.scale),
        even_scale=known.even_scale and known.scale == column.scale,
    )


_ALL_DIGITS = 1000
