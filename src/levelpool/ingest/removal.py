"""What a person takes away for good: a dataset with its rows, a column that no row uses."""

from dataclasses import replace

import sqlalchemy as sa

from levelpool.ingest.job import view_aside
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files, parts
from levelpool.ingest.load.found_table import check_removable, check_table
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.target import Target
from levelpool.sheets.errors import ColumnInUse, NotFound


def delete_dataset(connection: sa.Connection, name: str, *, dry_run: bool, actor: str) -> dict[str, int]:
    """
    Remove a dataset with its table, in the transaction of *connection*; with *dry_run* only count.

    Its files become undone, or lose the part that lay here and keep the others; their originals stay, and a replay makes the dataset anew.
    Returns `files` and `rows_removed`. Raises `NotFound` for an unknown dataset, `TableChanged` when something else has the table's name now.
    """
    target = target_of(connection)
    target.lock_schema(name)
    dataset = registry.get_dataset(connection, name)
    # A table that somebody has removed by hand is no reason to keep the dataset: this is the way out.
    is_there = target.found_table(name).kind != ""
    if is_there:
        check_removable(target, name)
    rows = target.count_all(name) if is_there else 0
    losers = parts.files_in(connection, dataset.id)
    if not dry_run:
        target.drop_view(name)
        if is_there:
            target.drop_table(name)
        parts.leave(connection, dataset.id, losers, actor)
        files.note(connection, actor, "dataset.deleted", dataset=name, files=len(losers), rows_removed=rows)
        registry.remove_dataset(connection, dataset.id)
    return {"files": len(losers), "rows_removed": rows}


def drop_column(connection: sa.Connection, name: str, column: str, *, dry_run: bool, actor: str) -> dict[str, int]:
    """
    Remove a column of a dataset in which no row has a value, in the transaction of *connection*; with *dry_run* only look.

    Returns `files` and `rows_removed`, both 0. A file that has the column brings it back. Raises `NotFound` for an unknown dataset or column,
    `ColumnInUse` when a row has a value there, the key has the column, or it is the last one, and `TableChanged` for a table changed by hand.
    """
    target = target_of(connection)
    target.lock_schema(name)
    dataset = registry.get_dataset(connection, name)
    check_table(target, name, dataset.columns)
    _check_droppable(target, dataset, column)
    if not dry_run:
        left = tuple(replace(each, position=place) for place, each in enumerate(each for each in dataset.columns if each.name != column))
        with view_aside(target, dataset, left):
            target.drop_column(name, column)
        registry.drop_column(connection, dataset.id, column)
        files.note(connection, actor, "dataset.column_dropped", dataset=name, column=column)
    return {"files": 0, "rows_removed": 0}


def _check_droppable(target: Target, dataset: registry.Dataset, column: str) -> None:
    name = dataset.name
    if column not in {each.name for each in dataset.columns}:
        raise NotFound(f"the dataset {name} has no column {column}: it has {', '.join(each.name for each in dataset.columns)}")
    if column in (dataset.key or ()):
        raise ColumnInUse(
            f"the column {column} belongs to the key of {name} ({', '.join(dataset.key or ())}): give the dataset another key first"
        )
    if len(dataset.columns) == 1:
        raise ColumnInUse(f"{column} is the last column of {name}: delete the dataset instead")
    used, first = target.count_values(name, column)
    if used:
        raise ColumnInUse(
            f"{used:,} rows of {name} have a value in the column {column}, the first of them in file {first}: only a column that no row uses "
            "can be dropped; undo those files, or leave the column out of them (a correction) first"
        )
