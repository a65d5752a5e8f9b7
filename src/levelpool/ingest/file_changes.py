"""
What changed between a file and another one of its dataset, found in the rows of both.

`compare_files` is plain and picklable: it runs in a worker process, for it computes as long as it reads.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.database import open_connection
from levelpool.errors import LevelpoolError
from levelpool.ingest.changes.tally import MOST_SHOWN, Tally, as_wholes, by_key
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files
from levelpool.ingest.ledger.changes import save_changes
from levelpool.ingest.ledger.evidence import LOADED
from levelpool.ingest.ledger.queries import Json, as_json_rows
from levelpool.ingest.ledger.usual import Part, read_part, read_usual
from levelpool.ingest.load.found_table import check_readable
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.target import Target
from levelpool.sheets.errors import FileInUse, NotFound
from levelpool.sheets.table import StoredColumn

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 2000
"""Rows that are fetched by their numbers at once."""
MOST_UNASKED = 50_000
"""Rows of both files up to which they are compared when the newer one is loaded, though the dataset has no key."""


def compare_files(database_url: str, file_id: int, against: int | None) -> Json:
    """
    What changed between the file *against*, or the one before it in its dataset, and the file of this number; it changes nothing.

    Raises `NotFound` when there is no such file, or *against* has no rows in the same dataset, and `FileInUse` when its rows are not there.
    """
    with open_connection(database_url, write=False) as connection, connection.begin():
        return find_changes_in_rows(connection, file_id, against)


def find_changes_in_rows(connection: sa.Connection, file_id: int, against: int | None) -> Json:
    """The same on a connection."""
    dataset = _dataset_of(connection, file_id)
    if against is None:
        against = read_usual(connection, dataset.name, file_id).file_before
    after = read_part(connection, dataset.id, file_id)
    before = Part() if against is None else read_part(connection, dataset.id, against)
    if against is not None and not before.is_loaded:
        raise NotFound(f"file {against} has no rows in {dataset.name} with which file {file_id} could be compared")
    target = target_of(connection)
    check_readable(target, dataset.name, dataset.columns)
    found = compare_tables(target, dataset, (before, after), (against or 0, file_id), (dataset.name, dataset.name))
    return {"against": against, "dataset": dataset.name} | found


def compare_tables(
    target: Target, dataset: registry.Dataset, parts: tuple[Part, Part], ids: tuple[int, int], tables: tuple[str, str]
) -> Json:
    """What changed between two files, the older one first, whose rows are in these tables with the columns of *dataset*."""
    return _Comparison(target, dataset, *parts, *ids, tables).result()


def _dataset_of(connection: sa.Connection, file_id: int) -> registry.Dataset:
    status = files.status_of(connection, file_id)
    name = files.dataset_of(connection, file_id)
    dataset = registry.find_dataset(connection, name) if status in (*LOADED, "running") and name is not None else None
    if dataset is None:
        raise FileInUse(f"file {file_id} is {status}: its rows are not there to be compared, and were not compared while they were")
    return dataset


def note_changes(connection: sa.Connection, file_id: int) -> bool:
    """
    Compare a file that was just loaded with the one before, and keep it: where the dataset has a key, or both files are small.

    Larger files without a key are compared when somebody asks. Whether it was done; an error leaves it to that, too: the file is loaded.
    """
    try:
        connection.execution_options(levelpool_write=False)
        with connection.begin():
            dataset = _dataset_of(connection, file_id)
            usual = read_usual(connection, dataset.name, file_id)
            rows = read_part(connection, dataset.id, file_id).rows + (usual.rows[0] if usual.rows else 0)
            if usual.file_before is None or (dataset.key is None and rows > MOST_UNASKED):
                return False
            found = find_changes_in_rows(connection, file_id, None)
        connection.execution_options(levelpool_write=True)
        with connection.begin():
            save_changes(connection, file_id, found["against"], found, is_default=True)
    except (DBAPIError, LevelpoolError) as error:
        logger.warning("file %s is loaded, but not compared with the one before: %s", file_id, error)
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two files of one dataset, whose rows are compared in the columns that both have; others are told as drift."""

    target: Target
    dataset: registry.Dataset
    before: Part
    after: Part
    was: int  # the older file
    now: int
    tables: tuple[str, str]  # where the rows of each are

    def result(self) -> Json:
        """The counts, and the first rows of each kind."""
        shared = [each for each in self.dataset.columns if self._has(self.before, each) and self._has(self.after, each)]
        key = self._key({each.name for each in shared})
        sides = zip(self.tables, (self.was, self.now), strict=True)
        marks = [self.target.row_marks(table, file_id, key, shared) for table, file_id in sides]
        tally = by_key(*marks) if key else as_wholes(*marks)
        counts, changed = self._changed(tally, key, shared)
        rows = [
            *({"kind": "added", "key": _part(row, key), "was": None, "now": row} for row in self._rows(1, tally.first_added)),
            *({"kind": "removed", "key": _part(row, key), "was": row, "now": None} for row in self._rows(0, tally.first_removed)),
            *changed,
        ]
        return {
            "added": tally.added,
            "removed": tally.removed,
            "changed": counts.pop(""),
            "set_aside": self.after.rows_quarantined,
            "unkeyed": tally.unkeyed,
            "columns": [{"name": name, "changed": count} for name, count in counts.items() if count],
            "rows": rows,
            "total": len(rows),
        }

    def _key(self, shared: Collection[str]) -> list[str]:
        """The key of the dataset, where both files have all of it."""
        key = list(self.dataset.key or ())
        return key if set(key) <= set(shared) else []

    @staticmethod
    def _has(part: Part, column: StoredColumn) -> bool:
        return not part.columns or column.name in part.columns

    def _rows(self, side: int, numbers: Sequence[int]) -> list[Json]:
        """Rows of the older file (0) or the newer one (1) by their numbers, as the API shows values."""
        names = [each.name for each in self.dataset.columns]
        found = self._numbered(side, names, numbers) if numbers else []
        return as_json_rows(self.target.connection, self.dataset.id, self.dataset.columns, (self.was, self.now)[side], found)

    def _numbered(self, side: int, names: Sequence[str], numbers: Sequence[int]) -> list[tuple[object, ...]]:
        return self.target.numbered_rows(self.tables[side], names, (self.was, self.now)[side], numbers)

    def _changed(self, tally: Tally, key: Sequence[str], shared: Sequence[StoredColumn]) -> tuple[dict[str, int], list[Json]]:
        """How many records changed, under "", and in how many each column; and the first of them."""
        counts = {"": 0} | {each.name: 0 for each in shared if each.name not in key}
        shown: list[Json] = []
        names = [each.name for each in shared]
        places = [names.index(each) for each in key]
        for start in range(0, len(tally.changed), MOST_AT_ONCE):
            pairs = tally.changed[start : start + MOST_AT_ONCE]
            sides = [self._numbered(side, names, [pair[side] for pair in pairs]) for side in (0, 1)]
            older = {tuple(row[2 + place] for place in places): row for row in sides[0]}
            different: list[tuple[tuple[object, ...], tuple[object, ...]]] = []
            for row in sides[1]:
                other = older.get(tuple(row[2 + place] for place in places))
                if other is not None and other[2:] != row[2:]:
                    different.append((other, row))
                    for name, one, two in zip(names, other[2:], row[2:], strict=True):
                        counts[name] = counts.get(name, 0) + (one != two)
            counts[""] += len(different)
            shown += self._shown(different[: MOST_SHOWN - len(shown)], key, shared)
        return counts, shown

    def _shown(
        self, pairs: Sequence[tuple[tuple[object, ...], tuple[object, ...]]], key: Sequence[str], shared: Sequence[StoredColumn]
    ) -> list[Json]:
        """Changed records with the values that differ."""
        connection, number = self.target.connection, self.dataset.id
        was = as_json_rows(connection, number, shared, self.was, [pair[0] for pair in pairs])
        now = as_json_rows(connection, number, shared, self.now, [pair[1] for pair in pairs])
        return [
            {"kind": "changed", "key": _part(two, key)}
            | {
                "was": {name: value for name, value in one.items() if value != two[name]},
                "now": {name: value for name, value in two.items() if value != one[name]},
            }
            for one, two in zip(was, now, strict=True)
        ]


def _part(row: Mapping[str, object], key: Sequence[str]) -> Json | None:
    """The key of a row; None without one."""
    return {name: row[name] for name in key} if key else None
