"""
From the cells of a planned table to rows as a database takes them.

Converting costs several times as much as writing. Where a database lets only one write at a time, it is done before the database is
locked: the converted rows wait in a file of the import's private folder.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from levelpool.ingest.ledger.datasets import Dataset
from levelpool.ingest.load.aside import set_aside
from levelpool.ingest.load.target import EncodedRows, SheetRows, Target
from levelpool.sheets.clean.batches import batch_by_batch
from levelpool.sheets.clean.options import Policy, TableOptions
from levelpool.sheets.clean.rows import RowCleaner, rows_of
from levelpool.sheets.table import Batch, CellCounts, CleanBatch, Column, ColumnType, Sheet, StoredColumn, TablePlan
from levelpool.sheets.work_sharing import WorkSharing


@dataclass(frozen=True, slots=True)
class Goal:
    """Where the rows of one planned table go, as far as their values depend on it."""

    columns: tuple[Column, ...]  # the file's, with the types that the database has
    stored: tuple[StoredColumn, ...]
    policy: Policy
    blanks: frozenset[str]  # texts that mean "no value"


def goal_of(plan: TablePlan, dataset: Dataset, options: TableOptions) -> Goal:
    """Where the rows of *plan* go when *dataset* is as it is now, and *options* is what somebody corrected."""
    # How many digits stand behind the point is a matter of each file: the database keeps the most of all. What else a column went
    # through does not change a value.
    stored = tuple(replace(dataset.column(column.name), scale=column.scale, filled=True, even_scale=True) for column in plan.columns)
    columns = tuple(replace(column, type=ColumnType(of.type)) for column, of in zip(plan.columns, stored, strict=True))
    return Goal(columns, stored, options.policy or dataset.policy, options.blanks)


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows, ready to be written, and what was set aside among them."""

    rows: EncodedRows | None  # None: all were set aside
    aside: CleanBatch  # without its values
    rows_loaded: int
    cells: CellCounts


@dataclass(frozen=True, slots=True)
class Conversion:
    """How the rows of one planned table become those of one kind of database."""

    kind: type[Target]
    sheet: Sheet
    plan: TablePlan
    goal: Goal
    file_id: int

    def begin(self) -> Callable[[Batch], Iterator[Part]]:
        """What converts a batch."""
        cleaner = RowCleaner(self.sheet, self.plan, self.goal.columns, policy=self.goal.policy, blanks=self.goal.blanks)
        return lambda batch: map(self._encode, cleaner.clean(batch))

    def _encode(self, raw: CleanBatch) -> Part:
        stored = self.goal.stored
        batch = set_aside(raw, self.goal.columns, self.kind.misfits(stored, raw.columns), self.goal.policy)
        rows = self.kind.encode(stored, SheetRows(self.file_id, self.plan.sheet, batch.rows, batch.columns)) if batch.rows else None
        return Part(rows, replace(batch, rows=[], columns=[]), len(batch.rows), batch.cells)


def convert(work: Conversion, sharing: WorkSharing | None = None) -> Iterator[Part]:
    """The rows of one planned table, batch by batch; with *sharing*, a helper worker does some of it."""
    return batch_by_batch(work.sheet, rows_of(work.plan), work.begin, sharing)


@dataclass(frozen=True, slots=True)
class StagedParts:
    """Parts that wait in a file, and for which goal they were made. The file must be private: it is read with pickle."""

    path: Path
    goal: Goal

    def __iter__(self) -> Iterator[Part]:
        with self.path.open("rb") as file:
            while file.peek(1):
                part: Part = pickle.load(file)  # noqa: S301  (written by `stage`, in a private folder)
                yield part


def stage(parts: Iterable[Part], goal: Goal, path: Path, took: Callable[[int], None]) -> StagedParts:
    """Write *parts* to the file at *path*, anew; *took* hears of the bytes of each, and may refuse them."""
    with path.open("wb") as file:
        before = 0
        for part in parts:
            pickle.dump(part, file, protocol=pickle.HIGHEST_PROTOCOL)
            took(file.tell() - before)
            before = file.tell()
    return StagedParts(path, goal)
