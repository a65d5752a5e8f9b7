"""`DataIngestionService`: files by upload, by API and by program, and a background worker that takes them in one after the other."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from levelpool.executor import ExecutorManager
from levelpool.ingest.arrivals import Submission
from levelpool.ingest.background import BackgroundWorker
from levelpool.ingest.config import IngestConfig, OnProgress
from levelpool.ingest.datasets import rows_of, set_policy, widen_column
from levelpool.ingest.file_changes import compare_files
from levelpool.ingest.intake import Intake
from levelpool.ingest.key_proposals import propose_keys, prove_key
from levelpool.ingest.keys import set_key
from levelpool.ingest.ledger import queries
from levelpool.ingest.ledger.changes import find_changes, save_changes
from levelpool.ingest.ledger.datasets import led_to
from levelpool.ingest.ledger.files import Claim
from levelpool.ingest.preview import changes_before, preview
from levelpool.ingest.preview_drift import NEWEST, drift_of
from levelpool.ingest.removal import delete_dataset, drop_column
from levelpool.ingest.renaming import rename_dataset
from levelpool.ingest.undo import undo_file
from levelpool.sheets.clean.names import check_dataset_name
from levelpool.sheets.clean.options import Policy, TableOptions
from levelpool.sheets.errors import SheetError
from levelpool.sheets.inputs import Input, name_of
from levelpool.sheets.inspect import Inspection
from levelpool.sheets.read.limits import Limits
from levelpool.sizing import Sizes
from levelpool.supervision import Supervisor


class DataIngestionService:
    """
    Takes files in, and answers what became of them.

    `async with` opens it; the first call does so, too. `start` begins to work on pending files in the background, `aclose` ends it.
    Every answer has the shape of the HTTP API. *manager* is the process-wide one by default, *data_dir* holds the kept originals;
    with *keep_files_days* the background worker removes those that are older. A file of *share_files_from* bytes or more is taken in by two
    worker processes while one is idle (0: never; by default as the environment says). *sizes* are those of its pool of connections, as `create_engine` takes them.
    *supervisor* keeps its background tasks running, by default one of its own.
    """

    def __init__(
        self,
        database_url: str,
        manager: ExecutorManager | None = None,
        *,
        data_dir: Path | str | None = None,
        limits: Limits | None = None,
        file_timeout: float = 1800.0,
        parallel: int | None = None,
        share_files_from: int | None = None,
        sizes: Sizes | None = None,
        keep_files_days: float | None = None,
        on_progress: OnProgress | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        config = IngestConfig(
            database_url=database_url,
            data_dir=data_dir,
            limits=limits,
            file_timeout=file_timeout,
            parallel=parallel,
            share_files_from=share_files_from,
            sizes=sizes,
            on_progress=on_progress,
        )
        self.intake = Intake.of(config, manager, supervisor)
        self._background = BackgroundWorker(self.intake, keep_files_days=keep_files_days)

    async def __aenter__(self) -> Self:
        await self.intake.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    # ------------------------------------------------------------ taking files in

    async def ingest_file(
        self,
        path: Input,
        dataset: str | None = None,
        *,
        name: str | None = None,
        options: TableOptions | None = None,
        actor: str = "program",
    ) -> queries.Json:
        """
        Take one file in, now, and return its record; the file itself stays where it is.

        *path* is a path, bytes, or an open binary file; *name* is what the file is called, from which its dataset follows (default: its own).
        *options* correct what would be found out; but for a password they stay with the file, and hold for a replay, too.

        Raises `NameRefused` for a dataset that cannot be, `LimitExceeded` for a file that is too large, and `SheetError` when there is
        no such file, or it has no name. Whatever is wrong inside the file is told by the record: status "failed" and a sentence.
        """
        name = name or name_of(path)
        if not name:
            raise SheetError("bytes have no name: give name=..., as the file was called, from which its dataset follows")
        kept = await self.intake.originals.keep_input(path, name)
        submission = Submission(name=name, source="direct", actor=actor, dataset=dataset, options=options or TableOptions())
        recorded = await self.intake.arrivals.record(submission, kept)
        if recorded.status == "pending":
            await self.intake.runner.ingest([recorded.id])
        return await self.intake.runner.get_file(recorded.id)

    async def submit(
        self, path: Path, *, name: str, dataset: str | None = None, options: TableOptions | None = None, actor: str
    ) -> queries.Json:
        """
        Keep a file, record it as pending and return its record at once; the background worker takes it in.

        *path* is consumed: the file moves into the store. A password in *options* is known to this process only, until the file has
        ended; if the process ends first, the file fails and says so. Raises as `ingest_file` does.
        """
        kept = await self.intake.originals.keep(path, consume=True)
        submission = Submission(name=name, source="upload", actor=actor, dataset=dataset, options=options or TableOptions())
        recorded = await self.intake.arrivals.record(submission, kept)
        return await self.intake.runner.get_file(recorded.id)

    async def replay(
        self,
        file_id: int,
        *,
        dataset: str | None = None,
        options: TableOptions | None = None,
        password: str | None = None,
        actor: str = "program",
    ) -> queries.Json:
        """
        Load the kept original of a file once more, into another *dataset* if one is said; the rows of the earlier import stay until the new ones are there.

        *options* take the place of those that the file came with, and do so only if the file can be loaded with them; a *password* by
        itself leaves them as they are.

        Returns the record. Raises `FileInUse` for a file that is pending, running or a duplicate, or whose content is in *dataset* already,
        `NameRefused` for a dataset that cannot be, `NotFound` when there is no such file.
        """
        await self.intake.runner.run(await self._claim_replay(file_id, dataset, options, password, actor))
        return await self.intake.runner.get_file(file_id)

    async def begin_replay(
        self, file_id: int, *, options: TableOptions | None = None, password: str | None = None, actor: str = "program"
    ) -> "asyncio.Task[None]":
        """The same, and come back as soon as it has begun, with what runs; it goes on when nobody waits for it."""
        claim = await self._claim_replay(file_id, None, options, password, actor)
        return self._background.run_apart(claim)

    async def _claim_replay(
        self, file_id: int, dataset: str | None, options: TableOptions | None, password: str | None, actor: str
    ) -> Claim:
        if dataset is not None:
            check_dataset_name(dataset)
            dataset = await self.intake.session.read(led_to, dataset) or dataset
        if password is None and options is not None:
            password = options.password
        return await self.intake.runner.claim_replay(file_id, actor, options, dataset=dataset, password=password)

    async def undo(self, file_id: int, *, dry_run: bool = False, actor: str = "program") -> queries.Json:
        """Take one import back; with *dry_run* only say what would happen. Raises `FileInUse` unless the file is loaded or partial."""
        return await self.intake.session.write(undo_file, file_id, dry_run=dry_run, actor=actor)

    async def set_key(self, dataset: str, columns: Sequence[str], *, actor: str = "program") -> None:
        """
        Say which columns name a record of a dataset, and show the newest row of each in the view NAME_current; no columns: no key.

        Raises `NotFound` for an unknown dataset or column, and `NameRefused` when something else is called NAME_current.
        """
        await self.intake.session.write(set_key, dataset, tuple(columns), actor=actor)

    async def key_proposals(self, dataset: str) -> list[queries.Json]:
        """
        Columns that may be the key of a dataset, each with its proof over all rows: `columns`, `unique`, `blanks`, `rows`; the likeliest first.

        Raises `NotFound` for an unknown dataset.
        """
        return await self.intake.session.read(propose_keys, dataset)

    async def prove_key(self, dataset: str, columns: Sequence[str]) -> queries.Json:
        """
        What all rows say of a key: `columns`, `unique` (no file has two rows of one), `blanks` (rows without a value there), `rows`.

        Raises `NotFound` for an unknown dataset or column.
        """
        return await self.intake.session.read(prove_key, dataset, tuple(columns))

    async def set_policy(self, dataset: str, policy: Policy, *, actor: str = "program") -> None:
        """
        Say what a cell that cannot be loaded keeps out of a dataset: "row" its whole row, "cell" itself alone, which is NULL then,
        "error" itself alone if it is an error of the spreadsheet. It holds for what is loaded from now on.

        Raises `NotFound` for an unknown dataset.
        """
        await self.intake.session.write(set_policy, dataset, policy, actor=actor)

    async def widen_column(self, dataset: str, column: str, *, actor: str = "program") -> None:
        """
        Make a column TEXT for good, so that it takes any value; then replay the files whose rows are in quarantine.

        Raises `NotFound` for an unknown dataset or column.
        """
        await self.intake.session.write(widen_column, dataset, column, actor=actor)

    async def rename_dataset(self, dataset: str, name: str, *, dry_run: bool = False, actor: str = "program") -> queries.Json:
        """
        Give a dataset another name, and its table, index and view with it; the former name goes on leading to it. With *dry_run* only look.

        Returns `name` and `former_names`. Raises `NotFound` for an unknown dataset, `NameRefused` for a name that cannot be or is taken.
        """
        return await self.intake.session.write(rename_dataset, dataset, name, dry_run=dry_run, actor=actor)

    async def delete_dataset(self, dataset: str, *, dry_run: bool = False, actor: str = "program") -> queries.Json:
        """
        Remove a dataset with its table and view; with *dry_run* only count. Its files become undone, or lose this part; originals stay.

        Returns `files` and `rows_removed`. Raises `NotFound` for an unknown dataset, `TableChanged` when its table is none any more.
        """
        return await self.intake.session.write(delete_dataset, dataset, dry_run=dry_run, actor=actor)

    async def drop_column(self, dataset: str, column: str, *, dry_run: bool = False, actor: str = "program") -> queries.Json:
        """
        Remove a column in which no row has a value; with *dry_run* only look. A file that has the column brings it back.

        Returns `files` and `rows_removed`, both 0. Raises `NotFound` for an unknown dataset or column, `ColumnInUse` when it cannot go.
        """
        return await self.intake.session.write(drop_column, dataset, column, dry_run=dry_run, actor=actor)

    # ------------------------------------------------------------ looking

    async def look(
        self,
        path: Path,
        *,
        name: str | None = None,
        dataset: str | None = None,
        options: TableOptions | None = None,
        max_seconds: float | None = None,
    ) -> Inspection:
        """What a file would become, read in a worker; nothing is loaded. Raises `SheetError` as `inspect_file` does."""
        return await preview(self.intake.session, path, name=name, dataset=dataset, options=options, max_seconds=max_seconds)

    async def look_again(
        self, file_id: int, *, options: TableOptions | None = None, password: str | None = None, max_seconds: float | None = None
    ) -> Inspection:
        """
        What the kept original of a file would become with other *options* (None: those that it has); nothing is loaded.

        Raises `FileInUse` when there is nothing to look at, `NotFound` when there is no such file, and `SheetError` as `look` does.
        """
        path, original = await self.intake.originals.find(file_id)
        chosen = TableOptions.from_dict(original.options) if options is None else options
        if password is not None:
            chosen = replace(chosen, password=password)
        session = self.intake.session
        return await preview(session, path, name=original.name, dataset=None, original=original, options=chosen, max_seconds=max_seconds)

    async def drift_of(self, inspection: Inspection, file_id: int | None = None) -> list[queries.Json]:
        """
        What would differ from the datasets of its tables if a file that was looked at were loaded, as `drift` in its record.

        *file_id* is that of a kept file: what came behind it says nothing.
        """
        return await self.intake.session.read(drift_of, inspection, *(() if file_id is None else (file_id,)))

    async def changes_before(
        self, path: Path, *, name: str | None = None, dataset: str | None = None, options: TableOptions | None = None
    ) -> queries.Json | None:
        """
        What would change since the file before if this one were loaded, as `changes` says it afterwards; nothing is loaded.

        None where its dataset has no file yet, where both files have more than 50,000 rows, and on a cluster.
        """
        said = options or TableOptions()
        return await changes_before(self.intake.session, path, name=name or path.name, dataset=dataset, options=said, file_id=NEWEST)

    async def changes_before_replay(
        self, file_id: int, *, options: TableOptions | None = None, password: str | None = None
    ) -> queries.Json | None:
        """The same of a file that is kept, with other *options* (None: those that it has), against the one that came before it."""
        path, original = await self.intake.originals.find(file_id)
        said = TableOptions.from_dict(original.options) if options is None else options
        said = said if password is None else replace(said, password=password)
        return await changes_before(
            self.intake.session, path, name=original.name, dataset=None, original=original, options=said, file_id=file_id
        )

    # ------------------------------------------------------------ answers

    async def files(self, limit: int = 100, offset: int = 0, *, status: str | None = None, name: str | None = None) -> queries.Json:
        """Files, newest first; only those in this state, and with this text in their names, capital or not."""
        return await self.intake.runner.list_files(limit, offset, status=status, name=name)

    async def file(self, file_id: int) -> queries.Json:
        """One file; raises `NotFound`."""
        return await self.intake.runner.get_file(file_id)

    async def changes(self, file_id: int, against: int | None = None) -> queries.Json:
        """
        What changed between the file *against*, or the one before it in its dataset, and this one.

        `added`, `removed` and `changed` rows, by the key of the dataset, else as whole rows, of which none changes; `set_aside`, `unkeyed`;
        `columns` with how many values changed in each; the first hundred `rows` of each kind. What was found once is kept.
        Raises `NotFound` when there is no such file, or *against* has no rows in its dataset, and `FileInUse` when its rows are not there.
        """
        session = self.intake.session
        found = await session.read(find_changes, file_id, against)
        if found is None:
            lane = session.manager.with_options(timeout=session.config.file_timeout, name="changes")
            found = await lane.run_cpu_intensive(compare_files, session.url, file_id, against)
            await session.write(save_changes, file_id, found["against"], found, is_default=against is None)
        return found

    async def quarantine(self, file_id: int, limit: int | None = 100, offset: int = 0) -> queries.Json:
        """The cells of a file that could not be loaded, in the order of the file; None for *limit* gives all."""
        return await self.intake.session.read(queries.list_quarantine, file_id, limit, offset)

    async def datasets(self, limit: int = 100, offset: int = 0) -> queries.Json:
        """Datasets by name."""
        return await self.intake.session.read(queries.list_datasets, limit, offset)

    async def rows(self, dataset: str, limit: int = 100, offset: int = 0, *, current: bool = False) -> queries.Json:
        """Rows of a dataset in order of arrival; with *current* the newest of each key, which raises `OptionsRefused` without a key; raises `NotFound`, and `TableChanged` when its table cannot show them."""
        return await self.intake.session.read(rows_of, dataset, limit, offset, current=current)

    # ------------------------------------------------------------ the background worker

    async def start(self) -> None:
        """
        Begin to take pending files in, those first that a dead service left running.

        Raises `ClusterUnreachable` when the CPU lane runs on a cluster that is not there.
        """
        await self._background.start()

    async def aclose(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 (a limit for the files that run, not for this call)
        """Take no more files, let those that run end within *timeout* seconds, give the others back, and close."""
        await self._background.aclose(timeout)
        await self.intake.aclose()
