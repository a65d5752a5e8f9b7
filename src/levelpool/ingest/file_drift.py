"""What differs between the tables of a file and their datasets: found before anything is changed, with the database's values where names do not decide."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice

import sqlalchemy as sa

from levelpool.ingest.drift.differences import Difference, differences, of_volume
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger.contents import LoadedTable
from levelpool.ingest.ledger.usual import Usual, read_usual
from levelpool.ingest.load.schema import plan_schema
from levelpool.ingest.load.target import SheetRows, Target
from levelpool.sheets.clean.batches import batch_by_batch
from levelpool.sheets.clean.plans import Planned
from levelpool.sheets.clean.rows import RowCleaner, rows_of
from levelpool.sheets.table import Column, Value

MOST_VALUES = 300
"""So many distinct values of a new column are looked for in a missing one; more would hardly change their share."""
MOST_BATCHES = 2
"""So many batches of rows are looked at for them."""


class FileDrift:
    """What differs, table by table; tables of one dataset in one file are each held against what was there before the file."""

    def __init__(
        self, connection: sa.Connection, target: Target, tables: Sequence[Planned], file_id: int, *, is_import: bool = False
    ) -> None:
        """Look; reads only, in a transaction of its own. An import's rows are as many as a program has at a time: their number says nothing."""
        self._is_import = is_import
        self._usual: dict[str, Usual] = {}
        self._found: list[tuple[Difference, ...]] = []
        with connection.begin():
            for table in tables:
                usual = self._usual_of(connection, table.dataset, file_id)
                values = _Values(target, table, file_id)
                self._found.append(differences(usual.columns, table.plan.columns, values.shares) if usual.columns else ())

    def _usual_of(self, connection: sa.Connection, dataset: str | None, file_id: int) -> Usual:
        if dataset is None:
            return Usual()
        if dataset not in self._usual:
            self._usual[dataset] = read_usual(connection, dataset, file_id)
        return self._usual[dataset]

    def told(self, loaded: Sequence[LoadedTable]) -> list[LoadedTable]:
        """The loaded tables, each with what differs in it; a dataset's number of rows stands with the first of its tables."""
        told = []
        counted: set[str] = set()
        for table, found in zip(loaded, self._found, strict=True):
            rows = table.rows_loaded + table.rows_quarantined
            drift = tuple(replace(each, rows=rows) for each in found)
            if table.dataset is not None and table.dataset not in counted and not self._is_import:
                counted.add(table.dataset)
                of_dataset = sum(each.rows_loaded + each.rows_quarantined for each in loaded if each.dataset == table.dataset)
                volume = of_volume(of_dataset, self._usual[table.dataset].rows)
                drift += () if volume is None else (volume,)
            told.append(replace(table, drift=drift))
        return told


class _Values:
    """The values of a file's table beside those of its dataset."""

    def __init__(self, target: Target, table: Planned, file_id: int) -> None:
        self._target = target
        self._table = table
        self._file_id = file_id

    @cached_property
    def _dataset(self) -> registry.Dataset | None:
        return registry.find_dataset(self._target.connection, self._table.dataset or "")

    @cached_property
    def _columns(self) -> list[list[Value]]:
        """The values of the first rows, column by column."""
        plan = self._table.plan
        cleaner = RowCleaner(self._table.sheet, plan, plan.columns, policy="cell", blanks=frozenset())
        batches = islice(batch_by_batch(self._table.sheet, rows_of(plan), lambda: cleaner.clean, None), MOST_BATCHES)
        found: list[list[Value]] = [[] for _ in plan.columns]
        for batch in batches:
            for place, more in enumerate(batch.columns):
                found[place] += more
        return found

    def shares(self, before: str, now: str) -> float:
        """How many of the first distinct values of the file's column *now* stand in the column *before* of its dataset, 0 to 1."""
        columns = self._table.plan.columns
        place = next(place for place, column in enumerate(columns) if column.name == now)
        values = list(dict.fromkeys(value for value in self._columns[place] if value is not None))[:MOST_VALUES]
        return share_known(self._target, self._dataset, columns[place], values, before=before, but=self._file_id)


def share_known(
    target: Target, dataset: registry.Dataset | None, column: Column, values: Sequence[Value], *, before: str, but: int
) -> float:
    """How many of these distinct *values* of a file's *column* stand in the column *before* of its dataset, in rows of files *but* this one: 0 to 1."""
    if dataset is None or not values:
        return 0.0
    [planned] = plan_schema((), [column], target.storage).columns
    stored = replace(planned, type=dataset.column(before).type, storage=dataset.column(before).storage)
    encoded = target.encode([stored], SheetRows(but, "", range(len(values)), [values]))
    return target.count_known(dataset.name, before, encoded.columns[0], but) / len(values)
