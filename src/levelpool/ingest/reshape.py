"""
A table that only one file fills takes the shape that a correction of this file gives it: other columns, other types, or none.

A table only grows as long as several files share it. But when the file that is corrected is the only one, a column that was never meant
would stay there, empty, for good, and a type that was corrected would not change. And a table that was never meant would stay, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.load.found_table import check_table
from levelpool.ingest.load.schema import as_text, plan_schema
from levelpool.ingest.load.target import Target
from levelpool.sheets.errors import TryAgain
from levelpool.sheets.table import Column, ColumnType, StoredColumn


@dataclass(frozen=True, slots=True)
class NewShape:
    """What one dataset becomes."""

    before: registry.Dataset
    after: registry.Dataset
    wanted: tuple[Column, ...]  # the file's columns


def plan_shape(connection: sa.Connection, target: Target, name: str, file_id: int, wanted: Sequence[Column]) -> NewShape | None:
    """
    The shape that a corrected file gives its dataset; None when the dataset keeps its own and only grows.

    So it is when it is new, has rows of other files, or would lose a column of its key. A column that a person made TEXT stays TEXT.
    """
    known = registry.find_dataset(connection, name)
    if known is not None:
        check_table(target, name, known.columns)
    if known is None or not target.is_only_of(name, file_id):
        return None
    for_good = registry.widened(connection, known.id)
    planned = plan_schema((), wanted, target.storage).columns
    columns = tuple(as_text(column, target.storage) if column.name in for_good else column for column in planned)
    if _layout(columns) == _layout(known.columns) or not {column.name for column in columns}.issuperset(known.key or ()):
        return None
    return NewShape(known, replace(known, columns=columns), tuple(wanted))


def reshape(connection: sa.Connection, target: Target, shape: NewShape, file_id: int) -> None:
    """
    Give the table its new columns, once the rows of the earlier import are gone.

    Raises `TryAgain` when another file came in meanwhile.
    """
    name = shape.before.name
    if not target.is_only_of(name, file_id) or registry.find_dataset(connection, name) != shape.before:
        raise TryAgain(f"another file came into {name} while this one was corrected: nothing was changed")
    if shape.before.key is not None:
        target.drop_view(name)
    target.reshape_table(name, shape.before.columns, shape.after.columns)
    registry.replace_columns(connection, shape.before.id, file_id, shape.after.columns, shape.wanted)
    if shape.before.key is not None:
        target.create_view(name, shape.before.key, shape.after.columns)


def drop_unmeant(connection: sa.Connection, target: Target, names: Sequence[str], file_id: int) -> None:
    """Remove those of the datasets *names* that a corrected file made for itself alone, and no longer fills."""
    for name in names:
        target.lock_schema(name)
        dataset = registry.find_dataset(connection, name)
        if dataset is not None and registry.only_came_with(connection, dataset, file_id) and target.is_only_of(name, file_id):
            target.drop_table(name)
            registry.remove_dataset(connection, dataset.id)


def _layout(columns: Sequence[StoredColumn]) -> set[tuple[str, ColumnType, str]]:
    return {(column.name, column.type, column.storage) for column in columns}
