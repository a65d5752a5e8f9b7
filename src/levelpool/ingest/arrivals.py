"""A kept file is recorded: pending, a duplicate, or refused with its reason."""

import asyncio
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from levelpool.ingest.job import check_not_taken
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files, recording
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.session import Session
from levelpool.ingest.store import Kept
from levelpool.sheets.clean.names import check_dataset_name, column_names, dataset_name
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import NameRefused, SheetError, word_of

MOST_NAME_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Who brought a file, and how."""

    name: str
    source: str  # "upload", "inbox", "direct", "import"
    actor: str
    dataset: str | None = None  # None: the file's name decides
    folder: str | None = None  # of the inbox, if it lay in one; it decides when a dataset has its name
    options: TableOptions = field(default_factory=TableOptions)
    origin: str | None = None
    stamp: str | None = None


class Arrivals:
    """
    What comes to one database.

    *came* is set when there may be a new pending file. *passwords* by file id are known to this process only, and kept nowhere else.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.came = asyncio.Event()
        self.passwords: dict[int, str] = {}

    async def record(self, submission: Submission, kept: Kept) -> recording.Recorded:
        """
        Record a kept file: pending, or a duplicate.

        Raises `NameRefused` for a dataset that was asked for and cannot be; a name that only follows from the file's is recorded as failed.
        """
        recorded = await self._session.write(self._record, submission, kept)
        if recorded.status != "pending":
            self._session.tally.ended(recorded.status)
        self.came.set()
        return recorded

    def _record(self, connection: sa.Connection, submission: Submission, kept: Kept) -> recording.Recorded:
        recorded = _record(connection, submission, kept, self._session.claimer)
        if submission.options.password is not None and recorded.status == "pending":
            # Known before anybody can claim the file; only this process can open it.
            self.passwords[recorded.id] = submission.options.password
        return recorded

    async def refuse(self, submission: Submission, error: SheetError) -> recording.Recorded:
        """Record a file that was refused before it was kept."""
        recorded = await self._session.write(_refuse, submission, error)
        self._session.tally.ended(recorded.status)
        return recorded


# ---------------------------------------------------------------- one step of the ledger each


def _record(connection: sa.Connection, submission: Submission, kept: Kept, claimer: files.Claimer) -> recording.Recorded:
    is_named = submission.dataset is not None
    of_folder = None if is_named or submission.folder is None else _dataset_of_folder(connection, submission.folder)
    dataset = submission.dataset or of_folder or dataset_name(submission.name)
    refusal = None
    try:
        check_dataset_name(dataset)
        _check_ours(connection, dataset)
    except NameRefused as refused:
        if is_named:
            raise
        refusal = refused
    new_file = replace(
        _new_file(submission),
        sha256=kept.sha256,
        size=kept.size,
        store=claimer.store,
        dataset=dataset,
        dataset_asked=is_named or of_folder is not None,
        dataset_by="said" if is_named else "folder" if of_folder else None,
        error=None if refusal is None else str(refusal),
        error_code=None if refusal is None else word_of(refusal),
        held_by=None if submission.options.password is None else claimer.holder,
    )
    return recording.record(connection, new_file)


def _dataset_of_folder(connection: sa.Connection, folder: str) -> str | None:
    """The dataset whose name, or former name, a folder bears, written as people write folders: "Sales Report" is sales_report."""
    [name] = column_names([folder])
    return name if registry.find_dataset(connection, name) is not None else registry.led_to(connection, name)


def _check_ours(connection: sa.Connection, dataset: str) -> None:
    try:
        check_not_taken(target_of(connection), dataset)
    except NameRefused:
        # In this order: asked before its table, a dataset that a worker makes just now would be one that we do not know.
        if registry.find_dataset(connection, dataset) is None:
            raise


def _refuse(connection: sa.Connection, submission: Submission, error: SheetError) -> recording.Recorded:
    return recording.record(connection, replace(_new_file(submission), error=str(error), error_code=word_of(error)))


def _new_file(submission: Submission) -> recording.NewFile:
    return recording.NewFile(
        name=clean_file_name(submission.name),
        source=submission.source,
        actor=submission.actor,
        origin=submission.origin,
        stamp=submission.stamp,
        options=submission.options.to_dict(),
    )


def clean_file_name(name: str) -> str:
    """The last part of a path of any system, without control characters, of a length that every file system takes."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", maxsplit=1)[-1]
    shown = "".join(letter for letter in last if letter.isprintable()).strip()
    stem, dot, suffix = shown.rpartition(".")
    if len(shown.encode(errors="replace")) > MOST_NAME_BYTES:
        most = MOST_NAME_BYTES - len(dot) - len(suffix.encode(errors="replace"))
        shown = stem.encode(errors="replace")[:most].decode(errors="ignore") + dot + suffix if most > 0 else shown[:60]
    return shown.encode(errors="replace").decode() if shown not in {"", ".", ".."} else "file"
