"""
The life of a file in the ledger: recorded, claimed, finished or failed, released, undone.

    record -> pending | duplicate | failed          claim -> running          finish -> loaded | partial
    fail   -> failed (a replay: as it was)          release -> pending (a replay: as it was)

How it is recorded stands in `recording`, and what becomes of it when its service is gone in `abandoned`.
Every function takes a connection inside a transaction of the caller. The claim is the fence: `finish`, `fail` and `release`
change a file only while it still carries the caller's claim.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from levelpool.ingest.ledger import holders
from levelpool.ingest.ledger.schema import audit, claims, datasets, files, former_names, sheets
from levelpool.sheets.errors import ClaimLost, FileInUse, NotFound
from levelpool.sheets.table import CellCounts

LIVE = ("pending", "running", "loaded", "partial")
"""A file in one of these states makes the same content a duplicate; after a failure or an undo the content may come again."""

REPLAYABLE = ("loaded", "partial", "failed", "undone")


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that is ours to ingest, until somebody takes it over."""

    file_id: int
    token: str
    name: str
    sha256: str
    source: str
    dataset: str
    options: dict[str, Any] | None = None
    corrected: bool = False  # it is loaded once more, with other options
    dataset_by: Literal["said", "folder"] | None = None  # None: the name of the file
    settled: bool = False  # it was loaded into its dataset before
    moved: bool = False  # it is loaded once more, into another dataset
    waited: float | None = (
        None  # seconds since it came, by the clocks of whoever recorded and whoever claimed it; None: it was loaded before, or is what a dead service left
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one import came to."""

    dataset: str
    rows_loaded: int
    rows_quarantined: int
    cells: CellCounts
    format: str
    reader: str
    encoding: str | None = None  # text formats only
    delimiter: str | None = None  # text formats only
    remarks: tuple[str, ...] = ()
    dataset_by: Literal["said", "folder"] | None = None  # who named the dataset; None: the name of the file
    drift: tuple[str, ...] = ()  # what differs from each dataset, one sentence each
    seconds: dict[str, float] = field(default_factory=dict)  # by stage: "reading", "loading"

    @property
    def status(self) -> str:
        """As the file will carry it."""
        return "partial" if self.rows_quarantined or self.cells.quarantined else "loaded"


def now() -> datetime:
    """The time that goes into the ledger."""
    return datetime.now(UTC)


def note(
    connection: sa.Connection,
    actor: str,
    action: str,
    *,
    file_id: int | None = None,
    dataset: str | None = None,
    **detail: object,
) -> None:
    """Write one line of the audit: who did what to which file or dataset."""
    line = {"at": now(), "actor": actor, "action": action, "file_id": file_id, "dataset": dataset, "detail": detail or None}
    connection.execute(audit.insert().values(line | {"dataset_id": id_of(dataset)}))


def id_of(name: str | None) -> sa.ColumnElement[int | None]:
    """The number of the dataset of that name, as part of a statement; NULL when there is none, or not yet."""
    return sa.select(datasets.c.id).where(datasets.c.name == name).scalar_subquery()


# Without a join: SQLite takes no qualified names where an UPDATE returns rows, and they must mean one thing only.
_formerly = sa.select(former_names.c.dataset_id).where(former_names.c.name == files.c.dataset).correlate(files).scalar_subquery()
_led_to = sa.select(datasets.c.name).where(datasets.c.id == _formerly)
current_name = sa.func.coalesce(
    sa.select(datasets.c.name).where(datasets.c.id == files.c.dataset_id).scalar_subquery(), _led_to.scalar_subquery(), files.c.dataset
)
"""What the dataset of a file is called now; before it is loaded, as somebody or its name said, by a former name of a dataset as well."""


sheet_dataset = sa.func.coalesce(sa.select(datasets.c.name).where(datasets.c.id == sheets.c.dataset_id).scalar_subquery(), sheets.c.dataset)
"""What the dataset of a table of a file is called now; one that was deleted, as it was called then."""


def same_content(connection: sa.Connection, file_id: int, sha256: str | None, dataset: str | None) -> int | None:
    """The oldest other live file with the same content, in *dataset* if one is given."""
    query = sa.select(files.c.id).where(files.c.sha256 == sha256, files.c.id != file_id, files.c.status.in_(LIVE))
    if dataset is not None:
        query = query.where(current_name == dataset)
    return connection.execute(query.order_by(files.c.id).limit(1)).scalar()


# ---------------------------------------------------------------- claiming


@dataclass(frozen=True, slots=True)
class Claimer:
    """Who claims: a holder, and the store whose originals it can read."""

    holder: str
    store: str


def claim_next(connection: sa.Connection, claimer: Claimer, among: Collection[int] | None = None) -> Claim | None:
    """
    Claim the oldest pending file (of *among*, if given), or None; two services never get the same one.

    The first file of a new dataset goes alone, and later ones wait: the types of its columns must not depend on which is faster.
    """
    earlier = files.alias("earlier")
    # Files of one report may come under names that lead to different datasets as long as none is there.
    by_name = sa.and_(files.c.stem != "", ~files.c.dataset_asked)
    alike = sa.or_(earlier.c.dataset == files.c.dataset, sa.and_(earlier.c.stem == files.c.stem, by_name, ~earlier.c.dataset_asked))
    # A file that somebody else is just claiming still looks pending to us.
    comes = sa.or_(earlier.c.status == "running", sa.and_(earlier.c.status == "pending", earlier.c.store == claimer.store))
    leads = sa.exists().where(alike, earlier.c.id < files.c.id, comes)
    brought = files.alias("brought")
    is_known = sa.and_(by_name, sa.exists().where(brought.c.stem == files.c.stem, brought.c.dataset_id.is_not(None)))
    is_there = sa.or_(sa.exists().where(datasets.c.name == files.c.dataset), sa.exists().where(former_names.c.name == files.c.dataset))
    is_new = ~sa.or_(is_there, is_known)
    # Another service may hold the row's lock for the moment of its own claim: step over it.
    ours = sa.or_(files.c.held_by.is_(None), files.c.held_by == claimer.holder)
    oldest = sa.select(files.c.id).where(files.c.status == "pending", files.c.store == claimer.store, ours, ~sa.and_(leads, is_new))
    if among is not None:
        oldest = oldest.where(files.c.id.in_(among))
    oldest = oldest.order_by(files.c.id).limit(1).with_for_update(skip_locked=True, of=files)
    return _claim(connection, claimer, files.c.id == oldest.scalar_subquery(), files.c.status == "pending")


def claim_replay(
    connection: sa.Connection,
    file_id: int,
    claimer: Claimer,
    actor: str,
    options: dict[str, Any] | None = None,
    *,
    dataset: str | None = None,
    held: bool = False,
) -> Claim:
    """
    Claim a file to load it once more from its kept original, with other *options* or into another *dataset* if they are given.

    When it is *held*, no other holder may go on with it. Raises `FileInUse` when its state does not allow that, its original is not here, or its content is there from another file by now.
    """
    row = connection.execute(sa.select(files, current_name.label("called")).where(files.c.id == file_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no file {file_id}")
    if row.status not in REPLAYABLE:
        raise FileInUse(f"file {file_id} is {row.status}: only a file that is {', '.join(REPLAYABLE)} can be replayed")
    _check_kept(row, claimer.store)
    move_to = dataset if dataset != row.called else None
    other = same_content(connection, file_id, row.sha256, move_to or (row.called if row.dataset_asked else None))
    if other is not None and (move_to is not None or row.status in {"failed", "undone"}):
        raise FileInUse(f"file {file_id} has the same content as file {other}, which is there: undo file {other} first")
    values: dict[str, Any] = {"held_by": claimer.holder if held else None, "move_to": move_to}
    if options is not None:
        values |= {"options": options or None, "options_before": row.options or {}}
    connection.execute(files.update().where(files.c.id == file_id, files.c.status == row.status).values(values))
    claim = _claim(connection, claimer, files.c.id == file_id, files.c.status == row.status)
    if claim is None:
        raise FileInUse(f"somebody else works on file {file_id}: wait until it is done")
    note(connection, actor, "file.replayed", file_id=file_id, dataset=claim.dataset)
    return claim


@dataclass(frozen=True, slots=True)
class Original:
    """A file whose kept original can be looked at once more."""

    name: str
    sha256: str
    dataset: str
    options: dict[str, Any]
    dataset_by: Literal["said", "folder"] | None
    settled: bool


def original_of(connection: sa.Connection, file_id: int, store: str) -> Original:
    """The kept original of a file. Raises `NotFound`, and `FileInUse` when it is not kept here or is no file that somebody sent."""
    row = connection.execute(sa.select(files, current_name.label("called")).where(files.c.id == file_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no file {file_id}")
    _check_kept(row, store)
    if row.source == "import":
        raise FileInUse(
            f"file {file_id} is rows that a program handed over: their columns and types are the program's, nothing is found out"
        )
    by: Literal["said", "folder"] | None = row.dataset_by or ("said" if row.dataset_asked else None)
    return Original(row.name, row.sha256, row.called, row.options or {}, by, row.dataset_id is not None)


def _check_kept(row: sa.Row[Any], store: str) -> None:
    if not row.kept or row.store != store:
        raise FileInUse(f"the original of file {row.id} is not kept here: send the file again")


def _claim(connection: sa.Connection, claimer: Claimer, *where: sa.ColumnElement[bool]) -> Claim | None:
    token = uuid.uuid4().hex
    before = sa.case((files.c.status == "pending", files.c.status_before), else_=files.c.status)
    running = {
        "status": "running",
        "claim": token,
        "status_before": before,
        "attempts": sa.case((files.c.status == "pending", files.c.attempts), else_=0),
        "started_at": now(),
        "finished_at": None,
        "progress": 0.0,
        "error": None,
        "error_code": None,
    }
    query = files.update().where(*where, files.c.kept).values(running)
    row = connection.execute(query.returning(*_CLAIMED)).one_or_none()
    if row is None:
        return None
    connection.execute(
        claims.insert(), {"token": token, "file_id": row.id, "holder": claimer.holder, "claimed_at": now(), "renewed_at": now()}
    )
    return Claim(
        file_id=row.id,
        token=token,
        name=row.name,
        sha256=row.sha256,
        source=row.source,
        dataset=row.move_to or row.called,
        options=row.options,
        corrected=row.options_before is not None,
        dataset_by="said" if row.move_to else row.dataset_by or ("said" if row.dataset_asked else None),
        settled=row.dataset_id is not None and row.move_to is None,
        moved=row.move_to is not None,
        waited=max(0.0, (now() - row.received_at).total_seconds()) if row.attempts == 0 and row.status_before is None else None,
    )


_CLAIMED = (
    files.c.id, files.c.name, files.c.sha256, files.c.source, current_name.label("called"), files.c.options, files.c.options_before,
    files.c.dataset_by, files.c.dataset_asked, files.c.dataset_id, files.c.received_at, files.c.attempts, files.c.status_before, files.c.move_to,
)  # fmt: skip


def renew(connection: sa.Connection, progress: dict[str, float | None]) -> None:
    """Say that the holders of these claims still live, and how far each has come, in percent."""
    for token, percent in sorted(progress.items()):
        connection.execute(claims.update().where(claims.c.token == token, claims.c.ended_at.is_(None)).values(renewed_at=now()))
        connection.execute(files.update().where(files.c.claim == token, files.c.status == "running").values(progress=percent))


def check_claim(connection: sa.Connection, file_id: int, token: str) -> None:
    """Raise `ClaimLost` if somebody else took over the file."""
    query = sa.select(files.c.id).where(files.c.id == file_id, files.c.claim == token, files.c.status == "running")
    if connection.execute(query).scalar() is None:
        raise ClaimLost(f"another worker took over file {file_id}: nothing was changed here")


# ---------------------------------------------------------------- ending


def undo(connection: sa.Connection, file_id: int, actor: str, rows_removed: int) -> None:
    """Record that the rows of a file were taken back; `FileInUse` unless it is loaded or partial."""
    values = {"status": "undone", "rows_loaded": 0, "finished_at": now(), "progress": None, "error": None, "error_code": None}
    update = files.update().where(files.c.id == file_id, files.c.status.in_(("loaded", "partial"))).values(values)
    if connection.execute(update).rowcount != 1:
        check_undoable(connection, file_id)
    connection.execute(sheets.update().where(sheets.c.file_id == file_id).values(rows_loaded=0))
    note(connection, actor, "file.undone", file_id=file_id, rows_removed=rows_removed)


def check_undoable(connection: sa.Connection, file_id: int) -> str:
    """The state of a file whose rows are there; else `FileInUse`, or `NotFound`."""
    status = status_of(connection, file_id)
    if status not in {"loaded", "partial"}:
        raise FileInUse(f"file {file_id} is {status}: only a file that is loaded or partial can be undone")
    return status


def finish(connection: sa.Connection, file_id: int, token: str, outcome: Outcome) -> None:
    """
    Record the import as done, in the transaction that wrote its rows.

    Raises `ClaimLost` if the file no longer carries this claim; the caller must then roll back.
    """
    values = {
        "status": outcome.status,
        "dataset": outcome.dataset,
        "dataset_id": id_of(outcome.dataset),
        "rows_loaded": outcome.rows_loaded,
        "rows_quarantined": outcome.rows_quarantined,
        "cells_read": outcome.cells.read,
        "cells_loaded": outcome.cells.loaded,
        "cells_quarantined": outcome.cells.quarantined,
        "cells_outside": outcome.cells.outside,
        "format": outcome.format,
        "reader": outcome.reader,
        "encoding": outcome.encoding,
        "delimiter": outcome.delimiter,
        "remarks": list(outcome.remarks) or None,
        "finished_at": now(),
        "progress": 100.0,
        "status_before": None,
        "options_before": None,
        "move_to": None,
        "held_by": None,
        "error": None,
        "error_code": None,
        "attempts": 0,
    }
    if outcome.dataset_by is not None:
        values |= {"dataset_by": outcome.dataset_by, "dataset_asked": True}
    fence = (files.c.id == file_id, files.c.claim == token, files.c.status == "running")
    if connection.execute(files.update().where(*fence).values(values)).rowcount != 1:
        raise ClaimLost(f"another worker took over file {file_id}: nothing was changed here")
    _end_claim(connection, token, outcome.status)
    note(
        connection,
        "levelpool",
        f"file.{outcome.status}",
        file_id=file_id,
        dataset=outcome.dataset,
        rows_loaded=outcome.rows_loaded,
        rows_quarantined=outcome.rows_quarantined,
    )


def fail(connection: sa.Connection, file_id: int, token: str, sentence: str, code: str = "internal") -> bool:
    """Record the import as failed, with one sentence and the same in one word; a failed replay leaves the earlier import as it was. False: the claim was lost."""
    before = connection.execute(sa.select(files.c.status_before).where(files.c.id == file_id)).scalar()
    return leave_running(connection, file_id, token, before or "failed", sentence, error_code=code)


def release_all(connection: sa.Connection, holder: str) -> None:
    """Give back every file that *holder*, which leaves, still has or holds the password of."""
    query = sa.select(claims.c.token, claims.c.file_id).where(claims.c.holder == holder, claims.c.ended_at.is_(None))
    for row in connection.execute(query).all():
        release(connection, row.file_id, row.token)
    # The password goes with its holder: the reader says then what is needed.
    connection.execute(files.update().where(files.c.held_by == holder, files.c.status == "pending").values(held_by=None))
    holders.leave(connection, holder)


def release(connection: sa.Connection, file_id: int, token: str) -> bool:
    """Give a file back undone, because the service stops: the next one claims it again."""
    return leave_running(connection, file_id, token, "pending", None, error_code=None)


def leave_running(connection: sa.Connection, file_id: int, token: str, status: str, sentence: str | None, **values: Any) -> bool:
    """Fenced: from running to *status*; False when the file no longer carries this claim."""
    ended = None if status == "pending" else now()
    fence = (files.c.id == file_id, files.c.claim == token, files.c.status == "running")
    update = files.update().where(*fence).values(status=status, error=sentence, finished_at=ended, progress=None, **values)
    if status != "pending":
        before = sa.case((files.c.options_before.is_not(None), files.c.options_before), else_=files.c.options)
        update = update.values(status_before=None, options=before, options_before=None, move_to=None, held_by=None)
    if connection.execute(update).rowcount != 1:
        return False
    _end_claim(connection, token, "released" if status == "pending" else "failed")
    if sentence is not None:
        note(connection, "levelpool", "file.failed", file_id=file_id, error=sentence)
    return True


def _end_claim(connection: sa.Connection, token: str, outcome: str) -> None:
    connection.execute(claims.update().where(claims.c.token == token).values(ended_at=now(), outcome=outcome))


def status_of(connection: sa.Connection, file_id: int) -> str:
    """The state of a file; `NotFound` when there is none with this id."""
    status = connection.execute(sa.select(files.c.status).where(files.c.id == file_id)).scalar()
    if status is None:
        raise NotFound(f"there is no file {file_id}")
    return str(status)


def dataset_of(connection: sa.Connection, file_id: int) -> str | None:
    """What the dataset of a file is called now; None when there is none, or no such file."""
    query = sa.select(datasets.c.name).join(files, files.c.dataset_id == datasets.c.id).where(files.c.id == file_id)
    return connection.execute(query).scalar()


def unfinished(connection: sa.Connection, ids: Collection[int]) -> list[int]:
    """Those of these files that are pending or running."""
    left: list[int] = []
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        query = sa.select(files.c.id).where(files.c.id.in_(wanted[start : start + 500]), files.c.status.in_(("pending", "running")))
        left += connection.execute(query).scalars()
    return left


def retire(connection: sa.Connection, store: str, before: datetime) -> list[str]:
    """
    Forget the originals of *store* whose last file came before *before*; return their hashes, for the caller to remove.

    Files that are pending or running keep theirs. Undo still works afterwards; replay does not.
    """
    newest = sa.func.max(files.c.received_at)
    busy = sa.func.max(sa.case((files.c.status.in_(("pending", "running")), 1), else_=0))
    query = sa.select(files.c.sha256).where(files.c.kept, files.c.store == store).group_by(files.c.sha256)
    hashes = list(connection.execute(query.having(newest < before, busy == 0)).scalars())
    for sha256 in hashes:
        connection.execute(files.update().where(files.c.sha256 == sha256, files.c.store == store).values(kept=False))
    if hashes:
        note(connection, "levelpool", "originals.removed", count=len(hashes), before=before.isoformat())
    return hashes
