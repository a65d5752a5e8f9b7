"""Whether the cells of a kept original are those that its tables hold: read again as it was loaded, and compared row by row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import sqlalchemy as sa

from levelpool.database import open_connection
from levelpool.ingest.conversion import Conversion, convert, goal_of
from levelpool.ingest.job import Job, read_tables
from levelpool.ingest.ledger import contents
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.load.found_table import check_table
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.target import EncodedRows, Target
from levelpool.ingest.store import prove
from levelpool.sheets.clean.plans import Planned
from levelpool.sheets.clean.tables import dataset_names
from levelpool.sheets.errors import TableChanged
from levelpool.sheets.table import TablePlan

MOST_TOLD = 5
"""So many differences of one file are told."""


def compare_file(job: Job) -> list[str]:
    """
    One sentence for each of the first differences between what the original says and what the tables hold; it changes nothing.

    A column whose type was changed after the file was loaded is left out: its rows keep what they said then. Raises a `SheetError` when the original
    cannot be read. Plain and picklable, for a worker process.
    """
    prove(job.original, job.sha256, job.name)
    with open_connection(job.database_url) as connection, connection.begin():
        recorded = contents.places(connection, job.file_id)
    _, tables = read_tables(job, partial(_as_recorded, recorded, job.dataset))
    with open_connection(job.database_url) as connection, connection.begin():
        comparison = _Comparison(connection, target_of(connection), job)
        differences = (told for table in tables if table.dataset is not None for told in comparison.differences(table))
        told = list(islice(differences, MOST_TOLD))
        return [*told, *(f"there are more, behind the first {MOST_TOLD}" for _ in islice(differences, 1))]


def _as_recorded(recorded: dict[tuple[str, int], str], dataset: str, plans: Sequence[TablePlan]) -> list[str]:
    """The dataset of each table as the ledger has it; of a table that it does not know, as the file's dataset says."""
    names = dataset_names(dataset, plans)
    return [recorded.get((contents.storable(plan.sheet), plan.position), name) for plan, name in zip(plans, names, strict=True)]


class _Comparison:
    """One file beside its tables."""

    def __init__(self, connection: sa.Connection, target: Target, job: Job) -> None:
        self._connection = connection
        self._target = target
        self._job = job
        self._found: Counter[tuple[object, ...]] = Counter()
        """Rows that were found already, of those that share their number with another: of tables side by side."""

    def differences(self, table: Planned) -> Iterator[str]:
        """One sentence for each cell of *table* that is another in the database, and for each row that is not there."""
        job = self._job
        dataset = registry.find_dataset(self._connection, table.dataset or "")
        if dataset is None or any(column.name not in {each.name for each in dataset.columns} for column in table.plan.columns):
            yield f"the dataset {table.dataset} has not the columns that the file would bring now"
            return
        try:
            check_table(self._target, dataset.name, dataset.columns)
        except TableChanged:
            return  # that is told of the table, once for all its files
        goal = goal_of(table.plan, dataset, job.options)
        same = [
            place for place, (column, stored) in enumerate(zip(table.plan.columns, goal.stored, strict=True)) if column.type is stored.type
        ]
        for part in convert(Conversion(type(self._target), table.sheet, table.plan, goal, job.file_id)):
            if part.rows is not None:
                names = [goal.stored[place].name for place in same]
                yield from self._of_rows(dataset.name, names, part.rows, [part.rows.columns[place] for place in same])

    def _of_rows(self, table: str, names: list[str], rows: EncodedRows, columns: list[Sequence[object]]) -> Iterator[str]:
        there = self._target.rows_between(table, names, rows)
        for number, *values in zip(rows.numbers, *columns, strict=True):
            row = f"row {number} of the sheet {rows.sheet!r}"
            match there.get(number, []):
                case []:
                    yield f"{row} is not in the table {table}"
                case [kept]:
                    for name, value, found in zip(names, values, kept, strict=True):
                        if not _is_same(value, found):
                            yield f"{row}: the table {table} has {found!r} in {name}, and the original says {value!r}"
                case several:
                    key = (table, rows.sheet, number, *values)
                    if sum(all(map(_is_same, values, kept)) for kept in several) <= self._found[key]:
                        yield f"{row}: none of its {len(several)} rows in the table {table} has what the original says, {tuple(values)!r}"
                    self._found[key] += 1


def _is_same(value: object, kept: object) -> bool:
    """NaN, which equals nothing, is as good as NaN."""
    return value == kept or (value != value and kept != kept)  # noqa: PLR0124
