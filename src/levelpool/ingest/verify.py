"""Whether originals, ledger and tables agree: everything is looked at, nothing is changed."""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from levelpool.errors import LevelpoolError
from levelpool.ingest.comparison import compare_file
from levelpool.ingest.intake import Intake
from levelpool.ingest.job import Job
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger.files import current_name
from levelpool.ingest.ledger.schema import datasets, files, sheets
from levelpool.ingest.load.found_table import check_table
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.store import Store, prove
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import PasswordNeeded, TableChanged, word_of

LIVE = ("loaded", "partial")
YOUNG = 3600.0
"""Seconds in which an original without a record may be one that is just being recorded."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: str  # one word for programs: original_missing, original_changed, orphan_original, table_changed, rows_differ, orphan_rows, cells_differ, not_compared
    sentence: str
    file_id: int | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what was found."""

    originals: int
    datasets: int
    files: int  # loaded ones, whose rows were counted
    compared: int  # of them, those whose cells were compared
    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong; a file that could not be compared is no fault."""
        return all(each.code == "not_compared" for each in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"well": self.is_well}


async def verify(intake: Intake, *, deep: bool = False) -> Verification:
    """
    Look at every kept original of this store and every dataset; with *deep* read the originals again and compare each cell.

    Files that come or go meanwhile may be told of; nothing is changed. Raises `LevelpoolError` when the database cannot be asked.
    """
    await intake.open()
    session = intake.session
    kept = await session.read(_kept, session.claimer.store)
    findings = await session.do("verify", _look_at_originals, session.store, kept)
    names = await session.read(_datasets)
    for name in names:
        findings += await session.read(_look_at_table, name)
    loaded = await session.read(_loaded)
    compared = 0
    if deep:
        broken = {each.file_id for each in findings}
        for row in loaded:
            if row.id in broken:
                continue  # what is wrong with it is told
            told = await _compare(intake, row)
            compared += all(each.code != "not_compared" for each in told)
            findings += told
    return Verification(len({row.sha256 for row in kept}), len(names), len(loaded), compared, tuple(findings))


def _kept(connection: sa.Connection, store: str) -> list[Any]:
    query = sa.select(files.c.id, files.c.name, files.c.sha256).where(files.c.kept, files.c.store == store)
    return [*connection.execute(query.order_by(files.c.id)).all()]


def _datasets(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(datasets.c.name).order_by(datasets.c.name)).scalars())


def _loaded(connection: sa.Connection) -> list[Any]:
    return list(
        connection.execute(sa.select(files, current_name.label("called")).where(files.c.status.in_(LIVE)).order_by(files.c.id)).all()
    )


def _look_at_originals(store: Store, kept: Collection[sa.Row[Any]]) -> list[Finding]:
    findings: list[Finding] = []
    first = {row.sha256: row for row in reversed(list(kept))}
    for sha256, row in sorted(first.items(), key=lambda item: item[1].id):
        try:
            prove(store.path(sha256), sha256, row.name)
        except LevelpoolError as error:
            findings.append(Finding(word_of(error), str(error), row.id))
    young = time.time() - YOUNG
    orphans = (path for path in sorted(store.folder.glob("[0-9a-f][0-9a-f]/*")) if path.name not in first and path.stat().st_mtime < young)
    told = "is an original that no file of the ledger has kept here: nobody needs it"
    return findings + [Finding("orphan_original", f"{path} {told}") for path in orphans]


def _look_at_table(connection: sa.Connection, name: str) -> list[Finding]:
    """Whether a dataset's table is as the ledger says, and has as many rows of each sheet of each file."""
    dataset = registry.find_dataset(connection, name)
    if dataset is None:
        return []
    target = target_of(connection)
    try:
        check_table(target, name, dataset.columns)
    except TableChanged as error:
        return [Finding(word_of(error), str(error), dataset=name)]
    there = Counter(target.count_by_sheet(name))
    query = sa.select(files.c.id, files.c.name, sheets.c.name.label("sheet"), sheets.c.rows_loaded).join(
        sheets, sheets.c.file_id == files.c.id
    )
    said: Counter[tuple[int, str]] = Counter()
    names = {}
    for row in connection.execute(
        query.where(sheets.c.dataset_id == dataset.id, files.c.status.in_((*LIVE, "running", "pending", "failed")))
    ):
        said[row.id, row.sheet] += row.rows_loaded
        names[row.id] = row.name
    findings = []
    for file_id, sheet in sorted({*there, *said}):
        rows, expected = there[file_id, sheet], said[file_id, sheet]
        if rows == expected:
            continue
        if file_id not in names:
            sentence = (
                f"the table {name} has {rows} rows of file {file_id}, sheet {sheet!r}, which the ledger does not know as loaded there"
            )
            findings.append(Finding("orphan_rows", sentence, file_id, name))
        else:
            sentence = f"the table {name} has {rows} rows of file {file_id} ({names[file_id]}), sheet {sheet!r}, and {expected} were loaded: replay the file"
            findings.append(Finding("rows_differ", sentence, file_id, name))
    return findings


async def _compare(intake: Intake, row: sa.Row[Any]) -> list[Finding]:
    session = intake.session
    if not row.kept or row.store != session.claimer.store:
        return [Finding("not_compared", f"file {row.id} ({row.name}) is not compared: its original is not kept here", row.id)]
    async with session.work_folder() as folder:
        job = Job(
            file_id=row.id,
            claim="",
            name=row.name,
            dataset=row.called,
            source=row.source,
            original=session.store.path(row.sha256),
            sha256=row.sha256,
            folder=folder,
            database_url=session.url,
            limits=session.limits,
            options=TableOptions.from_dict(row.options or {}),
        )
        lane = session.manager.with_options(timeout=session.config.file_timeout, name="verify")
        try:
            told = await lane.run_cpu_intensive(compare_file, job)
        except PasswordNeeded:
            return [Finding("not_compared", f"file {row.id} ({row.name}) is not compared: it needs its password", row.id)]
        except LevelpoolError as error:
            return [Finding(word_of(error), f"file {row.id} ({row.name}) cannot be compared: {error}", row.id)]
    return [Finding("cells_differ", f"file {row.id} ({row.name}): {each}", row.id, row.called) for each in told]
