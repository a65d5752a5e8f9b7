"""
What the ledger knows of datasets by which a table is recognised: their columns, and the stems of the files that are loaded there.

Every function takes a connection inside a transaction of the caller. A stem is evidence as long as a file of it is loaded: an undo takes it along.
"""

from collections.abc import Collection

import sqlalchemy as sa

from levelpool.ingest.ledger.schema import columns, datasets, files, former_names
from levelpool.ingest.recognition.stems import stem_of
from levelpool.ingest.recognition.verdicts import Known, told

LOADED = ("loaded", "partial")
_SEPARATOR = "/"  # never part of a column's name


def read_known(connection: sa.Connection, file_name: str) -> tuple[Known, ...]:
    """All datasets with their columns, by name; of their stems those that the name of this file may have."""
    stem = stem_of(file_name)
    stems = _stems(connection, [each for each in (stem.sure, *stem.loose) if each])
    listed = sa.func.aggregate_strings(columns.c.name, _SEPARATOR)
    query = sa.select(datasets.c.id, datasets.c.name, listed.label("columns")).outerjoin(columns, columns.c.dataset_id == datasets.c.id)
    found = connection.execute(query.group_by(datasets.c.id, datasets.c.name).order_by(datasets.c.name))
    former = _former_names(connection)
    nothing: frozenset[str] = frozenset()
    return tuple(
        Known(row.name, told((row.columns or "").split(_SEPARATOR)) - {""}, stems.get(row.id, nothing), former.get(row.id, nothing))
        for row in found
    )


def _former_names(connection: sa.Connection) -> dict[int, frozenset[str]]:
    former: dict[int, frozenset[str]] = {}
    for row in connection.execute(sa.select(former_names.c.dataset_id, former_names.c.name)):
        former[row.dataset_id] = former.get(row.dataset_id, frozenset()) | {row.name}
    return former


def _stems(connection: sa.Connection, wanted: Collection[str]) -> dict[int, frozenset[str]]:
    query = sa.select(files.c.dataset_id, files.c.stem).where(files.c.stem.in_(wanted), files.c.dataset_id.is_not(None))
    stems: dict[int, frozenset[str]] = {}
    for row in connection.execute(query.where(files.c.status.in_(LOADED)).distinct()):
        stems[row.dataset_id] = stems.get(row.dataset_id, frozenset()) | {row.stem}
    return stems


def add_stems(connection: sa.Connection) -> None:
    """Note the stem of each loaded file that an earlier release recorded."""
    query = sa.select(files.c.id, files.c.name).where(files.c.stem.is_(None), files.c.status.in_(LOADED))
    rows = [{"file": row.id, "stem_": stem_of(row.name).sure} for row in connection.execute(query)]
    if rows:
        connection.execute(files.update().where(files.c.id == sa.bindparam("file")).values(stem=sa.bindparam("stem_")), rows)
