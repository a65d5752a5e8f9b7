"""Which files have a part in a dataset, and what becomes of them when it goes."""

from collections.abc import Sequence

import sqlalchemy as sa

from levelpool.ingest.ledger.files import note
from levelpool.ingest.ledger.schema import files, sheets

_WITH_ROWS = ("loaded", "partial")


def files_in(connection: sa.Connection, dataset_id: int) -> list[int]:
    """The files whose rows, or a table of which, went into a dataset and were not taken back."""
    query = sa.select(sheets.c.file_id).join(files, files.c.id == sheets.c.file_id).where(sheets.c.dataset_id == dataset_id)
    # One that is replayed just now, or waits for it, counts as it did before.
    has_rows = sa.or_(files.c.status.in_(_WITH_ROWS), files.c.status_before.in_(_WITH_ROWS))
    return sorted(connection.execute(query.where(has_rows).distinct()).scalars())


def leave(connection: sa.Connection, dataset_id: int, file_ids: Sequence[int], actor: str) -> None:
    """
    Record that the rows of these files are gone from a dataset: a file that has rows in no other one is undone.

    Whatever a file set aside stays told.
    """
    here, elsewhere = sheets.alias("here"), sheets.alias("elsewhere")
    is_here = sa.exists().where(here.c.file_id == files.c.id, here.c.dataset_id == dataset_id)
    of_others = (elsewhere.c.file_id == files.c.id, elsewhere.c.dataset_id.is_not(None), elsewhere.c.dataset_id != dataset_id)
    is_elsewhere = sa.exists().where(*of_others)
    left = sa.select(sa.func.coalesce(sa.func.sum(elsewhere.c.rows_loaded), 0)).where(*of_others).scalar_subquery()
    undone = {"status": "undone", "rows_loaded": 0, "progress": None, "error": None, "error_code": None}
    connection.execute(files.update().where(is_here, is_elsewhere).values(rows_loaded=left))
    connection.execute(files.update().where(is_here, ~is_elsewhere, files.c.status_before.in_(_WITH_ROWS)).values(status_before="undone"))
    ended = files.update().where(is_here, ~is_elsewhere, files.c.status.in_(_WITH_ROWS)).values(undone).returning(files.c.id)
    gone = set(connection.execute(ended).scalars())
    connection.execute(sheets.update().where(sheets.c.dataset_id == dataset_id).values(rows_loaded=0, dataset_id=None))
    for file_id in file_ids:
        note(connection, actor, "file.undone" if file_id in gone else "file.part_removed", file_id=file_id)
