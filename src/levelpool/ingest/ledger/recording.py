"""
A file comes: it is recorded as pending, as a duplicate, or as failed when it was refused.

Every function takes a connection inside a transaction of the caller.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from levelpool.ingest.ledger import holders
from levelpool.ingest.ledger.abandoned import abandon
from levelpool.ingest.ledger.files import note, now, same_content
from levelpool.ingest.ledger.holder import has_died
from levelpool.ingest.ledger.holders import Died
from levelpool.ingest.ledger.schema import files
from levelpool.ingest.recognition.stems import stem_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file as it came in; `error` says why it was refused before it was kept."""

    name: str
    source: str
    actor: str
    size: int = 0
    sha256: str | None = None
    store: str | None = None
    dataset: str | None = None
    dataset_asked: bool = False
    dataset_by: Literal["said", "folder"] | None = None  # None: its name
    origin: str | None = None
    stamp: str | None = None
    error: str | None = None
    error_code: str | None = None
    options: dict[str, Any] | None = None  # the correction record, as JSON
    held_by: str | None = None  # the only holder that can open it


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an file."""

    id: int
    status: str
    duplicate_of: int | None


def record(connection: sa.Connection, file: NewFile, died: Died = has_died) -> Recorded:
    """
    Record a new file: pending, or a duplicate of a file with the same content, or failed when it was refused.

    The same content is a duplicate unless somebody asks for it in another dataset by name. It takes the place of a file that waits for a
    store that is gone with its service.
    """
    if file.sha256 is not None:
        _lock_content(connection, file.sha256)
        if (known := _recorded_already(connection, file)) is not None:
            return known
    values: dict[str, Any] = {
        "name": file.name,
        "sha256": file.sha256,
        "size": file.size,
        "kept": file.sha256 is not None,
        "store": file.store,
        "source": file.source,
        "origin": file.origin,
        "stamp": file.stamp,
        "actor": file.actor,
        "dataset": file.dataset,
        "dataset_asked": file.dataset_asked,
        "dataset_by": file.dataset_by,
        "stem": stem_of(file.name).sure,
        "error": file.error,
        "error_code": file.error_code,
        "options": file.options or None,
        "held_by": file.held_by,
        "status": "pending" if file.error is None else "failed",
        "attempts": 0,
        "received_at": now(),
        "finished_at": None if file.error is None else now(),
    }
    zeros = dict.fromkeys(
        ("rows_loaded", "rows_quarantined", "cells_read", "cells_loaded", "cells_quarantined", "cells_outside"),
        0,
    )
    file_id = int(connection.execute(files.insert().returning(files.c.id), values | zeros).scalar_one())
    if file.error is not None:
        note(connection, file.actor, "file.refused", file_id=file_id, error=file.error)
        return Recorded(file_id, "failed", None)
    first = _same_content_at_hand(connection, file_id, file, died)
    if first is None:
        note(connection, file.actor, "file.received", file_id=file_id, name=file.name, source=file.source)
        return Recorded(file_id, "pending", None)
    duplicate = {"status": "duplicate", "duplicate_of": first, "finished_at": now()}
    connection.execute(files.update().where(files.c.id == file_id).values(duplicate))
    note(connection, file.actor, "file.duplicate", file_id=file_id, name=file.name, duplicate_of=first)
    return Recorded(file_id, "duplicate", first)


def _recorded_already(connection: sa.Connection, file: NewFile) -> Recorded | None:
    """The record of the very file of an inbox, unchanged, that another service which watches the same folder made at the same moment."""
    if file.origin is None:
        return None
    query = sa.select(files.c.id, files.c.status, files.c.duplicate_of, files.c.stamp, files.c.sha256).where(files.c.origin == file.origin)
    last = connection.execute(query.order_by(files.c.id.desc()).limit(1)).one_or_none()
    if last is None or (last.stamp, last.sha256) != (file.stamp, file.sha256):
        return None
    return Recorded(last.id, last.status, last.duplicate_of)


def _lock_content(connection: sa.Connection, sha256: str) -> None:
    """Let the same content arrive one after the other; on SQLite the insert that follows does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sha256, 0))))


def _same_content_at_hand(connection: sa.Connection, file_id: int, file: NewFile, died: Died) -> int | None:
    """The oldest live file with the same content that is loaded or can be; those that cannot end here."""
    dataset = file.dataset if file.dataset_asked else None
    while (first := same_content(connection, file_id, file.sha256, dataset)) is not None:
        row = connection.execute(sa.select(files).where(files.c.id == first)).one()
        waits = row.status in {"pending", "running"} and row.store != file.store
        if not waits or holders.is_served(connection, row.store, row.received_at, died, at_once=True):
            return first
        abandon(connection, row, f"file {file_id} has the same content and takes its place")
    return None


@dataclass(frozen=True, slots=True)
class Known:
    """The last record of a path in an inbox."""

    file_id: int
    stamp: str
    status: str
    kept: bool


def known_origins(connection: sa.Connection, origins: Collection[str]) -> dict[str, Known]:
    """What was last recorded of each of these paths; paths that were never recorded are missing."""
    found: dict[str, Known] = {}
    wanted = sorted(origins)
    for start in range(0, len(wanted), 500):
        query = sa.select(files).where(files.c.origin.in_(wanted[start : start + 500])).order_by(files.c.id)
        found.update({row.origin: Known(row.id, row.stamp or "", row.status, row.sha256 is not None) for row in connection.execute(query)})
    return found
