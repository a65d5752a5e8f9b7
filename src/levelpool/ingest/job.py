"""
One file, whole: from the kept original to rows in tables, or to nothing at all.

Pass 1 reads the file into a spool, finds its tables and proves their types; it needs no database. Then each dataset's table is
made ready, in a short transaction of its own that only adds. Where only one can write at a time, the rows are converted now, into a
private file, so that the lock is held for no more than writing them. Pass 2 is one transaction: the rows, what was set aside, and the
file's final state, by an UPDATE that only succeeds while the file still carries our claim. Whatever dies when: the import is there or it
is not.

`ingest_file` is plain and picklable and knows no lane: it runs in a worker process, a thread, or on a cluster.
"""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.database import open_connection
from levelpool.errors import DatabaseError, DatabaseUnwritable, LevelpoolError
from levelpool.ingest.conversion import Conversion, Part, StagedParts, convert, goal_of, stage
from levelpool.ingest.drift.differences import sentence
from levelpool.ingest.file_changes import note_changes
from levelpool.ingest.file_drift import FileDrift
from levelpool.ingest.ledger import contents, files
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger.evidence import read_known
from levelpool.ingest.load.found_table import check_count, check_table, remark_on
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.load.schema import plan_schema
from levelpool.ingest.load.target import META_COLUMNS, FoundTable, Target
from levelpool.ingest.recognition.placing import Placing
from levelpool.ingest.recognition.verdicts import ENOUGH, Verdict, agreement, told
from levelpool.ingest.reshape import NewShape, drop_unmeant, plan_shape, reshape
from levelpool.ingest.room import NO_ROOM
from levelpool.ingest.rows_file import read_rows
from levelpool.ingest.said_types import kept_types, note_text, said_text
from levelpool.ingest.same_name import same_name_remarks
from levelpool.ingest.store import prove
from levelpool.lanes.progress import report_progress
from levelpool.sheets.clean.names import column_names
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.pipelined_scan import scan_while_reading
from levelpool.sheets.clean.plans import Naming, Planned, plan_tables
from levelpool.sheets.errors import EmptyFile, NameRefused, SheetError, StoreError, TableChanged, TryAgain
from levelpool.sheets.read.limits import Limits, Meter
from levelpool.sheets.reading import read_as_asked
from levelpool.sheets.table import CellCounts, Column, StoredColumn, TablePlan, Workbook
from levelpool.sheets.work_sharing import WorkSharing

READ_SHARE = 60.0
"""How much of the progress, in percent, is pass 1; the rest is pass 2."""


MOST_REMARKS = 100
"""So many are kept of each file."""

_CHANGED_STATES = ("23", "2BP01", "42P01", "42703", "42701", "42804", "42809", "428C9", "P0001", "55000", "42501")
"""
PostgreSQL's codes: a constraint, something else that depends on it, no such table or column, one too many, another type or kind of relation, a computed column, a trigger's refusal,
rights that were taken away.
"""

_CHANGED_IN_SQLITE = re.compile(
    r"error in (view|trigger|index) |no such (table|column)|table .+ has no column|duplicate column name|cannot (modify|INSERT into)|.+ may not be modified"
)
"""How SQLite says the same; it has one code for all errors of SQL."""

_UNWRITABLE_SQLITE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")
"""What SQLite says on a disk without room, or where it may not write; PostgreSQL says 53100, or 25006 while it only reads."""

WRITER_TIMEOUT = 900.0
"""Seconds that an import waits for another one that writes, before it is tried again from its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker needs to ingest one file."""

    file_id: int
    claim: str
    name: str  # the file's original name
    dataset: str  # where its first table goes
    source: str  # how it came: "import" is a file of rows that a program handed over
    original: Path  # the kept copy
    sha256: str  # of what was kept
    folder: Path  # private, for the spool; removed by the caller
    database_url: str
    sharing: WorkSharing | None = None  # where a helper worker takes part; None: nobody will
    limits: Limits = field(default_factory=Limits)
    options: TableOptions = field(default_factory=TableOptions)
    corrected: bool = False  # it was loaded before, with other options
    dataset_by: Literal["said", "folder"] | None = None  # who named the dataset; None: the name of the file
    settled: bool = False  # it was loaded there before
    moved: bool = False  # it was loaded into another dataset before


def ingest_file(job: Job) -> files.Outcome:
    """
    Load one claimed file and record it as done.

    Raises a `SheetError` with a sentence for the sender when nothing can be loaded, and `ClaimLost` when somebody else took the file
    over; the database is then as it was before, but for columns that were added.
    """
    try:
        prove(job.original, job.sha256, job.name)
        began = time.monotonic()
        outcome = _ingest(job)
        return replace(outcome, seconds=outcome.seconds | {"loading": time.monotonic() - began - outcome.seconds["reading"]})
    except DBAPIError as error:
        raise explain(error) from error
    except DatabaseError as error:
        # It is out of reach: nobody was asked anything yet.
        raise TryAgain(f"{error}: nothing was changed") from error
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StoreError(
            f"{job.name} cannot be taken in, there is no room in {job.folder.parent} ({error.strerror}): make room there, then replay the file"
        ) from error


def _ingest(job: Job) -> files.Outcome:
    recognised = _Recognised(job)
    began = time.monotonic()
    workbook, tables = read_tables(job, recognised.names)
    reading = time.monotonic() - began
    if not any(table.dataset for table in tables):
        raise EmptyFile(f"{job.name} holds no table: a table needs at least one row of data")
    with open_connection(job.database_url) as connection:
        target = target_of(connection)
        target.be_patient(WRITER_TIMEOUT)
        tables = _with_known_header(connection, job, tables, recognised)
        job = replace(job, dataset=recognised.dataset)
        drift = FileDrift(connection, target, tables, job.file_id, is_import=job.source == "import")
        shapes = _plan_shapes(connection, target, job, tables) if job.corrected and not job.moved else {}
        datasets = {
            dataset: shapes[dataset].after
            if dataset in shapes
            else _make_ready(connection, target, job, dataset, _into(dataset, tables), was_there=not recognised.is_new(dataset))
            for dataset in _names(tables)
        }
        progress = _Progress(sum(sheet.row_count for sheet in workbook.sheets), turns=2 if target.writes_alone else 1)
        staged = _stage(target, job, datasets, tables, progress) if target.writes_alone else {}
        verdicts = recognised.verdicts
        outcome = _load(
            connection, target, job, workbook, tables, verdicts=verdicts, drift=drift, shapes=shapes, staged=staged, progress=progress
        )
        if job.source != "import":
            note_changes(connection, job.file_id)
        return replace(outcome, seconds={"reading": reading})


class _Recognised:
    """Which dataset each table goes to, decided once the file is read, from what the database knows then."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.verdicts: list[Verdict] = []
        self.dataset = job.dataset

    def names(self, plans: Sequence[TablePlan]) -> list[str]:
        """The dataset of each table; its verdict is kept."""
        with open_connection(self._job.database_url) as connection, connection.begin():
            known = read_known(connection, self._job.name)
        job = self._job
        placing = Placing(file_name=job.name, dataset=job.dataset, by=job.dataset_by, settled=job.settled, known=known)
        placed = placing.placed(plans)
        self.dataset, self.verdicts = placed.dataset, list(placed.verdicts)
        return [verdict.goes_to for verdict in self.verdicts]

    def is_new(self, dataset: str) -> bool:
        """Whether there was no such dataset when that was decided."""
        return any(verdict.goes_to == dataset and verdict.by == "new" for verdict in self.verdicts)


def _with_known_header(connection: sa.Connection, job: Job, tables: list[Planned], recognised: "_Recognised") -> list[Planned]:
    """The tables of a file; the first row of one without a header is the header where its dataset knows each of its texts as a column."""
    table = _headless(job, tables)
    if table is None or table.dataset is None:
        return tables
    texts = _first_texts(table)
    with connection.begin():
        known = registry.find_dataset(connection, recognised.verdicts[0].dataset)
    if known is None or len(texts) < _FEWEST_NAMES or not set(column_names(texts)) <= {column.name for column in known.columns}:
        return tables
    return list(plan_tables((table.sheet,), recognised.names, replace(job.options, header=table.plan.box.first_row - 1)))


def _headless(job: Job, tables: list[Planned]) -> Planned | None:
    """The only table of a file, where no header was found and nobody has said anything about it."""
    is_open = job.source != "import" and not job.options.no_header and job.options.header is None
    if len(tables) != 1 or not is_open:
        return None
    return tables[0] if not tables[0].plan.header_rows else None


def _first_texts(table: Planned) -> list[str]:
    """The cells of the first row of a table."""
    for batch in table.sheet.batches():
        for place, row in enumerate(batch.rows):
            if row == table.plan.box.first_row:
                return [text for cells in batch.columns if (text := cells.texts[place])]
    return []


_FEWEST_NAMES = 2
"""One text may be anything."""


def _names(tables: list[Planned]) -> list[str]:
    """The datasets that get rows, always in the same order: two imports must not wait for each other."""
    return sorted({table.dataset for table in tables if table.dataset})


def _into(dataset: str, tables: list[Planned]) -> list[Column]:
    """The columns that a file brings into a dataset."""
    return [column for table in tables if table.dataset == dataset for column in table.plan.columns]


def read_tables(job: Job, naming: Naming) -> tuple[Workbook, list[Planned]]:
    """Pass 1: what a file holds, and the tables that are found in it; *naming* says where each goes, once all are found."""
    return _read_rows(job, naming) if job.source == "import" else _read_file(job, naming)


def _read_file(job: Job, naming: Naming) -> tuple[Workbook, list[Planned]]:
    """Pass 1: the cells of all sheets, their tables, and the types of their columns, proved over all rows."""
    with scan_while_reading(job.folder, job.options, job.sharing) as scanned:
        workbook = read_as_asked(job.original, job.folder, job.options, name=job.name, limits=job.limits, progress=_report_reading)
        return workbook, list(plan_tables(workbook.sheets, naming, job.options, scanned()))


def _read_rows(job: Job, naming: Naming) -> tuple[Workbook, list[Planned]]:
    """Pass 1 for rows that a program handed over: their types are known."""
    workbook, plan = read_rows(job.original, job.name)
    return workbook, [Planned(workbook.sheets[0], plan, naming([plan])[0] if plan.columns else None)]


def explain(error: DBAPIError) -> LevelpoolError:
    """What a driver says, as one sentence: `TryAgain` when the same may work later, else `DatabaseError`."""
    sentence = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    state = getattr(error.orig, "sqlstate", None) or ""
    busy = getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    # PostgreSQL's codes: connection lost, transaction rolled back, shut down, too many connections, lock not available.
    if busy or error.connection_invalidated or state.startswith(("08", "40", "57P")) or state in {"53300", "55P03"}:
        return TryAgain(f"the database was busy or went away ({sentence}): nothing was changed")
    if "NUL (0x00)" in sentence:
        # psycopg's own check of what it is asked: no text of a PostgreSQL database has this character, and no name either.
        return SheetError("a text with a NUL character names nothing here: leave it out")
    if _is_other_than_left(error, state, sentence):
        return TableChanged(
            f"the database refused this ({sentence}): somebody has changed a table, or the rights on it, by hand, and nothing was changed here; "
            "put it right in the database, then try again"
        )
    if getattr(error.orig, "sqlite_errorname", "").startswith(_UNWRITABLE_SQLITE) or state in {"53100", "25006"}:
        return DatabaseUnwritable(
            f"the database cannot write ({sentence}): nothing was changed; make room on its disk, or give it the right to write"
        )
    return DatabaseError(f"the database refused this ({sentence}): nothing was changed")


def _is_other_than_left(error: DBAPIError, state: str, sentence: str) -> bool:
    """Whether a table has not what it had, or has a rule that levelpool does not make."""
    if isinstance(error.orig, Exception) and getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_CONSTRAINT"):
        return True
    return state.startswith(_CHANGED_STATES) or bool(_CHANGED_IN_SQLITE.match(sentence))


def _report_reading(fraction: float) -> None:
    report_progress(READ_SHARE * fraction, 100.0, "reading")


# ---------------------------------------------------------------- the tables


def _plan_shapes(connection: sa.Connection, target: Target, job: Job, tables: list[Planned]) -> dict[str, NewShape]:
    """The datasets that a corrected file fills alone and gives another shape."""
    with connection.begin():
        files.check_claim(connection, job.file_id, job.claim)
        planned = {name: plan_shape(connection, target, name, job.file_id, _into(name, tables)) for name in _names(tables)}
    shapes = {name: shape for name, shape in planned.items() if shape is not None}
    for name, shape in shapes.items():
        _check_width(target, name, len(META_COLUMNS) + len(shape.after.columns))
    return shapes


def _make_ready(
    connection: sa.Connection, target: Target, job: Job, dataset: str, wanted: list[Column], *, was_there: bool
) -> registry.Dataset:
    """Create or widen the table of one dataset so that rows with the columns *wanted* can go in; return the dataset as it then is."""
    with connection.begin():
        files.check_claim(connection, job.file_id, job.claim)
        target.lock_schema(dataset)
        known = registry.find_dataset(connection, dataset)
        if known is None and (now_called := registry.led_to(connection, dataset)) is not None:
            raise TryAgain(f"the dataset {dataset} was renamed to {now_called} while {job.name} was read: nothing was changed")
        if known is None:
            check_not_taken(target, dataset)
        elif not was_there and agreement(_told(wanted), _told(known.columns)).share < ENOUGH:
            raise TryAgain(f"another file made the dataset {dataset} while {job.name} was read: nothing was changed")
        if known is not None:
            check_table(target, dataset, known.columns)
        existing = () if known is None else tuple(_with_truth(target, dataset, column) for column in known.columns)
        to_text = said_text(job.options, wanted)
        plan = plan_schema(existing, wanted, target.storage, to_text)
        _check_width(target, dataset, len(META_COLUMNS) + len(plan.columns))
        if known is None:
            dataset_id = registry.add_dataset(connection, dataset, job.file_id)
            target.create_table(dataset, plan.columns)
        else:
            dataset_id = known.id
            if plan.changes_table:
                check_table(target, dataset, (), plan.added)
                with view_aside(target, known, plan.columns):
                    target.alter_table(dataset, plan)
                note_text(connection, dataset, plan, to_text)
        registry.save_columns(connection, dataset_id, job.file_id, plan.columns, wanted)
        return _must_be_there(connection, dataset, job)


def _told(columns: Sequence[Column | StoredColumn]) -> frozenset[str]:
    return told(column.name for column in columns)


def _must_be_there(connection: sa.Connection, name: str, job: Job) -> registry.Dataset:
    dataset = registry.find_dataset(connection, name)
    if dataset is None:
        raise TryAgain(f"the dataset {name} was removed while {job.name} was read: nothing was changed")
    return dataset


def check_not_taken(target: Target, dataset: str) -> None:
    """Raise `NameRefused` when a table or view that is not ours has the name of a dataset."""
    if target.is_taken(dataset):
        raise NameRefused(
            f"the database already has a table or view called {dataset}, which levelpool did not create: name another dataset"
        )


def _check_width(target: Target, dataset: str, width: int) -> None:
    if width > target.most_columns:
        raise SheetError(
            f"the table {dataset} would have {width} columns with our {len(META_COLUMNS)}, and this database takes "
            f"{target.most_columns}: nothing was loaded; split the sheet by columns and send the parts"
        )


def _with_truth(target: Target, dataset: str, column: StoredColumn) -> StoredColumn:
    """A column counts as never filled only if the table says so, too: its type may change then, and no value may be lost."""
    return column if column.filled else replace(column, filled=target.has_values(dataset, column.name))


@contextmanager
def view_aside(target: Target, dataset: registry.Dataset, columns: tuple[StoredColumn, ...]) -> Iterator[None]:
    """A view on the table would keep its columns from changing, and must show the new ones afterwards."""
    if dataset.key is None:
        yield
        return
    target.drop_view(dataset.name)
    yield
    target.create_view(dataset.name, dataset.key, columns)


# ---------------------------------------------------------------- the rows


def _stage(
    target: Target, job: Job, datasets: dict[str, registry.Dataset], tables: list[Planned], progress: "_Progress"
) -> dict[int, StagedParts]:
    """
    The converted rows of each table, by its place among *tables*, in a file each: nobody waits for a lock meanwhile.

    Raises `LimitExceeded` when they and the cells need more room on disk than one file may take.
    """
    room = Meter(job.name, job.limits, clock=lambda: 0.0)  # what converting may take is no matter of reading
    room.spooled(sum(cells.stat().st_size for cells in job.folder.glob("*.cells")))
    staged = {}
    for place, table in enumerate(tables):
        if table.dataset is not None:
            goal = goal_of(table.plan, datasets[table.dataset], job.options)
            parts = convert(Conversion(type(target), table.sheet, table.plan, goal, job.file_id), job.sharing)
            staged[place] = stage(progress.watch(parts), goal, job.folder / f"table-{place}.rows", room.spooled)
    return staged


def _load(
    connection: sa.Connection,
    target: Target,
    job: Job,
    workbook: Workbook,
    tables: list[Planned],
    *,
    verdicts: Sequence[Verdict],
    drift: FileDrift,
    shapes: dict[str, NewShape],
    staged: dict[int, StagedParts],
    progress: "_Progress",
) -> files.Outcome:
    """Pass 2: everything of this file in one transaction."""
    with connection.begin():
        files.check_claim(connection, job.file_id, job.claim)
        before = registry.datasets_of(connection, job.file_id)
        left = sorted(set(before) - set(_names(tables)))
        anew = job.corrected or job.moved
        found = _hold_tables(connection, target, sorted({*_names(tables), *left}), alone={*shapes, *(left if anew else ())})
        remove_rows(connection, target, job.file_id)
        for shape in shapes.values():
            reshape(connection, target, shape, job.file_id)
        if anew:
            drop_unmeant(connection, target, left, job.file_id)
        loaded = [
            _load_table(connection, target, job, table, staged=staged.get(place), progress=progress) for place, table in enumerate(tables)
        ]
        told = iter(verdicts)
        loaded = drift.told([replace(each, recognised=next(told) if each.dataset else None) for each in loaded])
        for table in loaded:
            contents.add_table(connection, job.file_id, table)
        for name in (name for name in _names(tables) if found[name].interferes):
            check_count(target, name, job.file_id, sum(table.rows_loaded for table in loaded if table.dataset == name))
        noticed = (
            *_open_questions(loaded),
            *kept_types(connection, job.options, loaded),
            *same_name_remarks(connection, target, job.file_id, job.name, loaded),
        )
        remarks = (*noticed, *filter(None, (remark_on(name, found[name]) for name in _names(tables))))
        outcome = _sum_up(job, workbook, loaded, remarks)
        files.finish(connection, job.file_id, job.claim, outcome)
    return outcome


def _hold_tables(connection: sa.Connection, target: Target, names: list[str], alone: Collection[str]) -> dict[str, FoundTable]:
    """
    Each table as the database describes it; nobody can change it from now to the end of the transaction, nor fill one that we need *alone*.

    Raises `TableChanged` unless each is as the ledger says.
    """
    for name in names:
        (target.lock_schema if name in alone else target.hold_schema)(name)
    found = {}
    for name in names:
        dataset = registry.find_dataset(connection, name)
        if dataset is not None:
            target.hold_table(name)
            found[name] = check_table(target, name, dataset.columns)
    return found


def remove_rows(connection: sa.Connection, target: Target, file_id: int) -> int:
    """Take back what an earlier import of this file left; return how many rows there were."""
    removed = sum(target.delete(dataset, file_id) for dataset in registry.datasets_of(connection, file_id))
    contents.clear(connection, file_id)
    return removed


def _load_table(
    connection: sa.Connection, target: Target, job: Job, table: Planned, *, staged: StagedParts | None, progress: "_Progress"
) -> contents.LoadedTable:
    if table.dataset is None:
        aside = sum(len(row.cells) for row in table.plan.outside)
        return contents.LoadedTable(table.plan, None, None, 0, 0, CellCounts(read=aside, outside=aside))
    dataset = _must_be_there(connection, table.dataset, job)
    goal = goal_of(table.plan, dataset, job.options)
    # Another import may have widened a column since the rows were staged: then they are converted once more.
    parts: Iterable[Part] | None = staged if staged is not None and staged.goal == goal else None
    if parts is None:
        parts = convert(Conversion(type(target), table.sheet, table.plan, goal, job.file_id), job.sharing)
    rows_loaded = rows_quarantined = 0
    cells = CellCounts()
    uneven: set[str] = set()
    for part in progress.watch(parts):
        contents.add_quarantine(connection, job.file_id, table.plan.sheet, part.aside)
        if part.rows is not None:
            target.write(dataset.name, goal.stored, part.rows)
            uneven |= part.rows.uneven
        rows_loaded += part.rows_loaded
        rows_quarantined += len(part.aside.quarantined_rows)
        cells += part.cells
    registry.mark_uneven(connection, dataset.id, sorted(uneven))
    return contents.LoadedTable(table.plan, dataset.name, dataset.id, rows_loaded, rows_quarantined, cells, uneven=frozenset(uneven))


def _sum_up(job: Job, workbook: Workbook, loaded: list[contents.LoadedTable], remarks: tuple[str, ...]) -> files.Outcome:
    cells = sum((table.cells for table in loaded), CellCounts())
    read = sum(sheet.cell_count for sheet in workbook.sheets)
    if not cells.read == read == cells.loaded + cells.quarantined + cells.outside:
        # Rather nothing than a file with a cell missing.
        raise SheetError(
            f"{job.name} has {read} cells, and {cells.loaded} loaded, {cells.quarantined} quarantined and {cells.outside} outside "
            "do not account for each of them: nothing was loaded; please report this file"
        )
    return files.Outcome(
        dataset=job.dataset,
        dataset_by=job.dataset_by,
        rows_loaded=sum(table.rows_loaded for table in loaded),
        rows_quarantined=sum(table.rows_quarantined for table in loaded),
        cells=cells,
        format=workbook.format,
        reader=workbook.reader,
        encoding=workbook.encoding,
        delimiter=workbook.delimiter,
        remarks=(*remarks, *_remarks(workbook))[:MOST_REMARKS],
        drift=tuple(sentence(table.dataset, [each.text for each in table.drift]) for table in loaded if table.dataset and table.drift),
    )


def _open_questions(loaded: Iterable[contents.LoadedTable]) -> Iterator[str]:
    """Where a table went although a person should have been asked, one sentence each."""
    for table in loaded:
        if table.recognised is not None and table.recognised.asks:
            yield contents.storable(
                f"sheet {table.plan.sheet!r}: {table.recognised.why} It was loaded into {table.dataset}; "
                "if that is wrong, undo it and send it again with the name of its dataset"
            )


def _remarks(workbook: Workbook) -> tuple[str, ...]:
    """What the reader noticed, in the file and in its sheets."""
    of_sheets = (f"sheet {sheet.name!r}: {each}" for sheet in workbook.sheets for each in sheet.remarks)
    return tuple(map(contents.storable, (*workbook.remarks, *of_sheets)))


class _Progress:
    """How far pass 2 has come."""

    def __init__(self, rows: int, *, turns: int) -> None:
        self._rows = max(rows * turns, 1)  # each row comes by so often
        self._done = 0

    def watch(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts, each counted once it has been dealt with."""
        for part in parts:
            yield part
            self._done += part.rows_loaded + len(part.aside.quarantined_rows)
            share = min(1.0, self._done / self._rows)
            report_progress(READ_SHARE + (100.0 - READ_SHARE) * share, 100.0, "loading")
