"""
Which columns may name a record of a dataset: proposed only with the proof that no row lacks them and no file has two rows of one value.

A key is what recognises a record again when a later file brings it, so values come again from file to file, but not within one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import sqlalchemy as sa

from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.target import Target
from levelpool.sheets.errors import NotFound
from levelpool.sheets.table import ColumnType, Json, StoredColumn

MOST_PROPOSED = 5
MOST_PAIRED = 8
"""So many columns are tried two by two where none is a key by itself."""
SAMPLE = 1000
"""Rows of the newest file in which a candidate must be unique before all rows are looked at."""

_NAMING = {ColumnType.BIGINT, ColumnType.TEXT, ColumnType.NUMERIC, ColumnType.DATE, ColumnType.TIMESTAMP}
"""Types that name things; amounts and shares do not."""
_WORDS = ("id", "key", "no", "nr", "num", "number", "code", "nummer", "numero", "uuid", "sku", "iban", "isbn", "ean", "号", "编号", "番号")


@dataclass(frozen=True, slots=True)
class KeyProof:
    """What all rows of a dataset say of a key."""

    columns: tuple[str, ...]
    unique: bool  # no file has two rows with the same values
    blanks: int  # rows in which one of the columns has no value
    rows: int

    @property
    def holds(self) -> bool:
        """Whether each row of each file is a record of its own."""
        return self.unique and self.blanks == 0

    def to_dict(self) -> dict[str, Json]:
        """As the API shows it."""
        return asdict(self) | {"columns": list(self.columns)}


def propose_keys(connection: sa.Connection, name: str) -> list[dict[str, Json]]:
    """The keys that hold over all rows, the likeliest first; single columns, or pairs where no column will do. Raises `NotFound`."""
    dataset, target = _find(connection, name), target_of(connection)
    candidates = sorted((each for each in dataset.columns if _may_name(each)), key=_likeliness)
    sample = target.newest_rows(name, [each.name for each in candidates], SAMPLE) if candidates else []
    if len(sample) < 2:
        return []
    filled = [place for place in range(len(candidates)) if all(row[place] is not None for row in sample)]
    single = [(place,) for place in filled]
    proved = _proved(target, name, candidates, sample, single)
    if not proved:
        proved = _proved(target, name, candidates, sample, list(combinations(filled[:MOST_PAIRED], 2)))
    return [each.to_dict() for each in proved]


def prove_key(connection: sa.Connection, name: str, columns: Sequence[str]) -> dict[str, Json]:
    """Whether these columns would be a key. Raises `NotFound` for an unknown dataset or column."""
    dataset = _find(connection, name)
    missing = sorted(set(columns) - {each.name for each in dataset.columns})
    if missing:
        raise NotFound(f"the dataset {name} has no column {missing[0]}: it has {', '.join(each.name for each in dataset.columns)}")
    return _prove(target_of(connection), name, tuple(columns)).to_dict()


def _find(connection: sa.Connection, name: str) -> registry.Dataset:
    dataset = registry.find_dataset(connection, name)
    if dataset is None:
        raise NotFound(f"there is no dataset {name}")
    return dataset


def _may_name(column: StoredColumn) -> bool:
    return column.filled and column.type in _NAMING and not (column.type is ColumnType.NUMERIC and column.scale)


def _likeliness(column: StoredColumn) -> tuple[bool, bool, int]:
    """A name that says so comes first, then what is no day, then what stands further left."""
    words = column.name.split("_")
    return (
        not any(word in words or column.name.endswith(word) for word in _WORDS),
        column.type in {ColumnType.DATE, ColumnType.TIMESTAMP},
        column.position,
    )


def _proved(
    target: Target, name: str, candidates: Sequence[StoredColumn], sample: Sequence[Sequence[object]], places: Sequence[tuple[int, ...]]
) -> list[KeyProof]:
    found = []
    for chosen in _unique_in(sample, places):
        proof = _prove(target, name, tuple(candidates[place].name for place in chosen))
        found += [proof] if proof.holds else []
        if len(found) == MOST_PROPOSED:
            break
    return found


def _unique_in(sample: Sequence[Sequence[object]], places: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    for chosen in places:
        if len({tuple(row[place] for place in chosen) for row in sample}) == len(sample):
            yield chosen


def _prove(target: Target, name: str, columns: tuple[str, ...]) -> KeyProof:
    rows, blanks = target.count_blanks(name, columns)
    return KeyProof(columns, not target.has_twice(name, columns), blanks, rows)
