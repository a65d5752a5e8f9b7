"""A file of the same name is loaded already: perhaps this one was meant to take its place."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from levelpool.ingest.ledger import contents
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger.evidence import LOADED
from levelpool.ingest.ledger.schema import files, sheets
from levelpool.ingest.load.target import Target

MOST_ROWS = 200_000
"""Larger files are not compared: it would take as long as loading them."""
SHARE = 0.2
"""So many of the older file's rows have to be in the new one: a report that has the same name each day shares none."""


def same_name_remarks(
    connection: sa.Connection, target: Target, file_id: int, name: str, loaded: Sequence[contents.LoadedTable]
) -> Iterator[str]:
    """One sentence about the newest older file of the same name that a table has rows of, where many of its rows came again."""
    for dataset_name in sorted({table.dataset for table in loaded if table.dataset}):
        dataset = registry.find_dataset(connection, dataset_name)
        if dataset is None or dataset.key is not None:
            continue  # with a key the newest row of each record counts
        older, rows = _older(connection, dataset.id, file_id, name)
        if not 0 < rows <= MOST_ROWS:
            continue
        alike = target.count_alike(dataset_name, [column.name for column in dataset.columns], older, file_id)
        if alike >= SHARE * rows:
            yield contents.storable(
                f"file {older} has the same name and is loaded in {dataset_name}, too, and {alike:,} of its {rows:,} rows are in this one: "
                f"if this file replaces it, undo file {older}"
            )


def _older(connection: sa.Connection, dataset_id: int, file_id: int, name: str) -> tuple[int, int]:
    """The newest one and its rows; zeros when there is none."""
    query = (
        sa.select(files.c.id, sa.func.sum(sheets.c.rows_loaded).label("rows"))
        .join(sheets, sheets.c.file_id == files.c.id)
        .where(
            files.c.name == name,
            files.c.id < file_id,
            files.c.status.in_(LOADED),
            files.c.source != "import",
            sheets.c.dataset_id == dataset_id,
        )
        .group_by(files.c.id)
        .order_by(files.c.id.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return (0, 0) if found is None else (found.id, int(found.rows))
