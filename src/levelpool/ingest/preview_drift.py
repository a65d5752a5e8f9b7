"""What would differ from its datasets if a file were loaded: the same as when it is, but values are looked for by its first rows only."""

from collections.abc import Iterator
from dataclasses import replace

import sqlalchemy as sa

from levelpool.ingest.drift.differences import Difference, differences, of_volume
from levelpool.ingest.file_drift import share_known
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger.queries import Json
from levelpool.ingest.ledger.usual import Usual, read_usual
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.target import Target
from levelpool.sheets.inspect import InspectedTable, Inspection

NEWEST = (1 << 62) - 1
"""The number of a file that is not recorded yet: all others came before it."""


def drift_of(connection: sa.Connection, inspection: Inspection, file_id: int = NEWEST) -> list[Json]:
    """The drift that the record of the file would have; of one that is recorded, *file_id* says what came before it."""
    target = target_of(connection)
    usual: dict[str, Usual] = {}
    rows: dict[str, int] = {}
    places: dict[str, str] = {}
    found: list[Json] = []
    for sheet, table in ((each.name, table) for each in inspection.sheets for table in each.tables):
        dataset = table.dataset
        if dataset is None:
            continue
        if dataset not in usual:
            usual[dataset] = read_usual(connection, dataset, file_id)
            places[dataset] = sheet
        rows[dataset] = rows.get(dataset, 0) + table.rows + table.quarantined_rows
        found += _told(sheet, dataset, _of_table(target, table, usual[dataset], file_id))
    if inspection.complete:
        for dataset, count in rows.items():
            volume = of_volume(count, usual[dataset].rows)
            found += _told(places[dataset], dataset, () if volume is None else (volume,))
    return found


def _told(sheet: str, dataset: str, drift: tuple[Difference, ...]) -> Iterator[Json]:
    place: Json = {"sheet": sheet, "dataset": dataset}
    yield from (place | each.to_dict() for each in drift)


def _of_table(target: Target, table: InspectedTable, usual: Usual, file_id: int) -> tuple[Difference, ...]:
    def shares(before: str, now: str) -> float:
        return _share(target, table, before, now, file_id)

    rows = table.rows + table.quarantined_rows
    return tuple(replace(each, rows=rows) for each in differences(usual.columns, table.columns, shares))


def _share(target: Target, table: InspectedTable, before: str, now: str, file_id: int) -> float:
    """How many of the distinct values in the first rows stand in the column *before* of the dataset."""
    dataset = registry.find_dataset(target.connection, table.dataset or "")
    place = next(place for place, column in enumerate(table.columns) if column.name == now)
    values = list(dict.fromkeys(row[place] for row in table.first_rows if row[place] is not None))
    return share_known(target, dataset, table.columns[place], values, before=before, but=file_id)
