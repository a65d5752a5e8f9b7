"""What `levelpool sync`, `replay`, `undo` and `dataset` do: the same import as the service's, from a terminal."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from levelpool.executor import ExecutorManager, get_executor_manager
from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.inbox_scan import scan
from levelpool.ingest.service import DataIngestionService
from levelpool.ingest.verify import verify
from levelpool.service.terminal import FileProgress
from levelpool.sheets.clean.options import Policy, TableOptions
from levelpool.sheets.errors import SheetError

Json = dict[str, Any]

ALL = 0
NOT_ALL = 1
ACTOR = "command line"
WENT_WELL = frozenset({"loaded", "duplicate"})


async def sync_paths(paths: Sequence[Path], *, database: str, dataset: str | None, options: TableOptions, as_json: bool) -> int:
    """Load all files of *paths*, show how they come along, and return the exit status: 0, or 1 when one did not load whole."""
    for path in paths:
        try:
            is_there = path.exists()
        except PermissionError:
            raise SheetError(f"{path} cannot be reached: give this user the right to enter its folder") from None
        if not is_there:
            raise SheetError(f"{path} does not exist: check the path")
    with FileProgress(silent=as_json) as shown:
        async with _manager() as manager, DataIngestionService(database, manager, on_progress=shown.moved) as service:
            records = await _load(service, database, paths, _ForAll(dataset, options), shown)
    counts = Counter(str(each["status"]) for each in records)
    if as_json:
        statuses = ("loaded", "partial", "failed", "duplicate")
        counts["duplicate"] += shown.known
        found = len(records) + shown.known + shown.waiting
        click.echo(json.dumps({"found": found} | {each: counts[each] for each in statuses} | {"files": records}, ensure_ascii=False))
    else:
        shown.sum_up(counts)
    return ALL if set(counts) <= WENT_WELL else NOT_ALL


@dataclass(frozen=True, slots=True)
class _ForAll:
    """What holds for all files of one command."""

    dataset: str | None
    options: TableOptions

    @property
    def anything(self) -> bool:
        return self != _ForAll(None, TableOptions())


async def _load(service: DataIngestionService, database: str, paths: Sequence[Path], request: _ForAll, shown: FileProgress) -> list[Json]:
    await service.intake.session.manager.reach()
    records: list[Json] = []
    files = [path for path in paths if not path.is_dir()]
    for folder in (path for path in paths if path.is_dir()):
        if not request.anything:
            records += await _load_folder(service, database, folder, shown)
        else:
            # The folder's own door lets everything be found out; with a word for all, each file is handed in by itself.
            files += [folder / each.path for each in scan(folder)]
    slots = asyncio.Semaphore(service.intake.runner.parallel)

    async def load(path: Path) -> Json:
        async with slots:
            record = await service.ingest_file(path, request.dataset, options=request.options, actor=ACTOR)
            shown.ended(record)
            return record

    return records + list(await asyncio.gather(*(load(path) for path in files)))


async def _load_folder(service: DataIngestionService, database: str, folder: Path, shown: FileProgress) -> list[Json]:
    async with DataSyncService(database, folder, intake=service.intake) as inbox:
        report = await inbox.sync()
    records = [await service.file(file_id) for file_id in (*report.files, *report.failed_before)]
    for record in records:
        shown.ended(record)
    shown.known += report.found - len(records) - report.waiting
    shown.waiting += report.waiting
    return records


async def replay_file(file_id: int, *, database: str, dataset: str | None, options: TableOptions, as_json: bool) -> int:
    """Load a file once more and show what came of it; the exit status is that of `sync_paths`."""
    corrected = replace(options, password=None) != TableOptions()
    with FileProgress(silent=as_json) as shown:
        async with _manager() as manager, DataIngestionService(database, manager, on_progress=shown.moved) as service:
            new = options if corrected else None
            record = await service.replay(file_id, dataset=dataset, options=new, password=options.password, actor=ACTOR)
        shown.ended(record)
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False))
    return ALL if record["status"] in WENT_WELL and not record["error"] else NOT_ALL


async def undo_file(file_id: int, *, database: str, dry_run: bool) -> Json:
    """Take one import back, or say what that would do."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        return await service.undo(file_id, dry_run=dry_run, actor=ACTOR)


async def find_changes(file_id: int, *, against: int | None, database: str) -> Json:
    """What changed between two files of a dataset."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        return await service.changes(file_id, against)


async def verify_all(*, database: str, deep: bool, as_json: bool) -> int:
    """Say whether originals, ledger and tables agree; the exit status is 0 when they do."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        found = await verify(service.intake, deep=deep)
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return ALL if found.is_well else NOT_ALL
    for each in found.findings:
        click.echo(each.sentence)
    looked = f"{found.originals} originals, {found.datasets} datasets, {found.files} loaded files"
    compared = f", {found.compared} compared cell by cell" if deep else ""
    wrong = sum(each.code != "not_compared" for each in found.findings)
    click.echo(f"{looked}{compared}: {f'{wrong} not as they should be' if wrong else 'all is well'}")
    return ALL if found.is_well else NOT_ALL


async def set_policy(dataset: str, policy: Policy, *, database: str) -> None:
    """Say what a cell that cannot be loaded keeps out of a dataset."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        await service.set_policy(dataset, policy, actor=ACTOR)


async def propose_keys(dataset: str, *, database: str) -> list[Json]:
    """What may be the key of a dataset, with its proof."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        return await service.key_proposals(dataset)


async def set_key(dataset: str, columns: Sequence[str], *, database: str) -> Json | None:
    """Say which columns name a record of a dataset, and return what all rows say of them; None for no key."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        proof = await service.prove_key(dataset, columns) if columns else None
        await service.set_key(dataset, columns, actor=ACTOR)
    return proof


async def widen_column(dataset: str, column: str, *, database: str) -> None:
    """Make a column of a dataset TEXT."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        await service.widen_column(dataset, column, actor=ACTOR)


async def rename_dataset(dataset: str, name: str, *, database: str, dry_run: bool) -> Json:
    """Give a dataset another name, or say whether that can be."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        return await service.rename_dataset(dataset, name, dry_run=dry_run, actor=ACTOR)


async def delete_dataset(dataset: str, *, database: str, dry_run: bool) -> Json:
    """Remove a dataset with its table, or say what that would do."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        return await service.delete_dataset(dataset, dry_run=dry_run, actor=ACTOR)


async def drop_column(dataset: str, column: str, *, database: str, dry_run: bool) -> Json:
    """Remove a column that no row uses, or say whether that can be."""
    async with _manager() as manager, DataIngestionService(database, manager) as service:
        return await service.drop_column(dataset, column, dry_run=dry_run, actor=ACTOR)


@asynccontextmanager
async def _manager() -> AsyncIterator[ExecutorManager]:
    """The manager of this command."""
    manager = get_executor_manager()
    try:
        yield manager
    finally:
        await manager.aclose(timeout=0)
