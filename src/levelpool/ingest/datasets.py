"""What a person decides about a dataset: what a bad cell keeps out, and that a column takes any text."""

from dataclasses import replace

import sqlalchemy as sa

from levelpool.ingest.job import view_aside
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files, queries
from levelpool.ingest.load.found_table import check_readable
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.schema import SchemaPlan, as_text
from levelpool.sheets.clean.options import POLICIES
from levelpool.sheets.errors import NotFound, OptionsRefused
from levelpool.sheets.table import ColumnType


def set_policy(connection: sa.Connection, name: str, policy: str, *, actor: str) -> None:
    """
    Say what a cell that cannot be loaded keeps out of a dataset: "row", "cell" or "error" (see `Policy`).

    It holds for the imports and replays that follow. Raises `NotFound` for an unknown dataset, `OptionsRefused` for another word.
    """
    if policy not in POLICIES:
        raise OptionsRefused(f"the policy of a dataset cannot be {policy!r}: give {', '.join(POLICIES)}")
    dataset = registry.get_dataset(connection, name)
    registry.save_policy(connection, dataset.id, policy)
    files.note(connection, actor, "dataset.policy", dataset=name, policy=policy)


def widen_column(connection: sa.Connection, name: str, column: str, *, actor: str) -> None:
    """
    Make a column TEXT for good, so that it takes any value; older rows keep what they say, in the form of the API.

    A file that is replayed afterwards brings its cells as they stand in the file. Raises `NotFound` for an unknown dataset or column.
    """
    target = target_of(connection)
    target.lock_schema(name)
    dataset = registry.get_dataset(connection, name)
    before = next((each for each in dataset.columns if each.name == column), None)
    if before is None:
        raise NotFound(f"the dataset {name} has no column {column}: it has {', '.join(each.name for each in dataset.columns)}")
    if before.type is ColumnType.TEXT:
        return
    before = replace(before, filled=before.filled or target.has_values(name, column))
    after = as_text(before, target.storage)
    columns = tuple(after if each.name == column else each for each in dataset.columns)
    with view_aside(target, dataset, columns):
        target.alter_table(name, SchemaPlan(columns, (), ((before, after),)))
    registry.save_columns(connection, dataset.id, 0, columns, ())
    files.note(connection, actor, "dataset.widened", dataset=name, column=column, before=before.type.value)


def rows_of(connection: sa.Connection, name: str, limit: int, offset: int, *, current: bool = False) -> queries.Json:
    """Rows of a dataset in order of arrival; of each key the newest if they are the *current* ones. Raises `NotFound` for an unknown dataset, `TableChanged` when its table cannot show them."""
    check_readable(target_of(connection), name, registry.get_dataset(connection, name).columns)
    return queries.list_rows(connection, name, limit, offset, current=current)
