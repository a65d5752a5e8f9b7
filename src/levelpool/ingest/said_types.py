"""Types that a person gave to columns of a file, where its dataset has rows of other files, too."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from levelpool.ingest.ledger import contents, files
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.load.schema import SchemaPlan
from levelpool.sheets.clean.options import TableOptions, letters_of
from levelpool.sheets.table import Column, ColumnType


def said_text(options: TableOptions, columns: Sequence[Column]) -> frozenset[str]:
    """The names of those columns that a person made TEXT: their dataset follows, for TEXT holds whatever it has."""
    return frozenset(each.name for each in columns if _said(options, each) is ColumnType.TEXT)


def note_text(connection: sa.Connection, dataset: str, plan: SchemaPlan, names: frozenset[str]) -> None:
    """Remember that a person made these columns TEXT for good, as `widen_column` does."""
    for before, after in plan.retyped:
        if after.name in names and after.type is ColumnType.TEXT:
            files.note(connection, "correction", "dataset.widened", dataset=dataset, column=after.name, before=before.type.value)


def kept_types(connection: sa.Connection, options: TableOptions, loaded: Sequence[contents.LoadedTable]) -> Iterator[str]:
    """Where a table has kept another type than a person gave, one sentence each, with what to do."""
    for table in loaded if options.columns else ():
        dataset = registry.find_dataset(connection, table.dataset) if table.dataset else None
        stored = {} if dataset is None else {each.name: each.type for each in dataset.columns}
        for column in table.plan.columns:
            said = _said(options, column)
            if said is not None and stored.get(column.name, said) is not said:
                yield contents.storable(
                    f"sheet {table.plan.sheet!r}: the column {column.name} was corrected to {said}, and the table {table.dataset} keeps it "
                    f"{stored[column.name]}, for it has rows of other files: undo these first, or load this file into a dataset of its own"
                )


def _said(options: TableOptions, column: Column) -> ColumnType | None:
    said = options.column(column.header, letters_of(column.position))
    return None if said is None else said.type
