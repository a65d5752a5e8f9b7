"""`DataIngestionService`: files by upload, by API and by program, and a background worker that takes them in one after the other."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from levelpool.errors import LaneClosed
from levelpool.executor import ExecutorManager
from levelpool.ingest.datasets import set_policy, widen_column
from levelpool.ingest.intake import Intake, OnProgress, Submission
from levelpool.ingest.keys import set_key
from levelpool.ingest.ledger import queries
from levelpool.ingest.ledger.files import Claim
from levelpool.ingest.remote_job import inspect_remotely
from levelpool.ingest.undo import undo_file
from levelpool.sheets.clean.options import Policy, TableOptions
from levelpool.sheets.errors import SheetError
from levelpool.sheets.inputs import Input, name_of
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.read.limits import Limits

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between two looks for files that another process recorded."""
LOOK_TIMEOUT = 60.0
"""Seconds after which a look at a file is given up, waiting for a worker included."""
RETIRE_EVERY = 3600.0
"""Seconds between two looks for originals that are kept long enough."""
RECLAIM_EVERY = 30.0
"""Seconds between two looks for files whose holder died."""


class DataIngestionService:
    """
    Takes files in, and answers what became of them.

    `async with` opens it; the first call does so, too. `start` begins to work on pending files in the background, `aclose` ends it.
    Every answer has the shape of the HTTP API. *manager* is the process-wide one by default, *data_dir* holds the kept originals;
    with *keep_files_days* the background worker removes those that are older. A file of *share_files_from* bytes or more is taken in by two
    worker processes while one is idle (0: never; by default as the environment says).
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
        keep_files_days: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.intake = Intake(
            database_url,
            manager,
            data_dir=data_dir,
            limits=limits,
            file_timeout=file_timeout,
            parallel=parallel,
            share_files_from=share_files_from,
            on_progress=on_progress,
        )
        self._keep_files_days = keep_files_days
        self._worker: asyncio.Task[None] | None = None
        self._retire_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

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
        kept = await self.intake.keep_input(path, name)
        submission = Submission(name=name, source="direct", actor=actor, dataset=dataset, options=options or TableOptions())
        recorded = await self.intake.record(submission, kept)
        if recorded.status == "pending":
            await self.intake.ingest([recorded.id])
        return await self.intake.get_file(recorded.id)

    async def submit(
        self, path: Path, *, name: str, dataset: str | None = None, options: TableOptions | None = None, actor: str
    ) -> queries.Json:
        """
        Keep a file, record it as pending and return its record at once; the background worker takes it in.

        *path* is consumed: the file moves into the store. A password in *options* is known to this process only, until the file has
        ended; if the process ends first, the file fails and says so. Raises as `ingest_file` does.
        """
        kept = await self.intake.keep(path, consume=True)
        submission = Submission(name=name, source="upload", actor=actor, dataset=dataset, options=options or TableOptions())
        recorded = await self.intake.record(submission, kept)
        return await self.intake.get_file(recorded.id)

    async def replay(
        self, file_id: int, *, options: TableOptions | None = None, password: str | None = None, actor: str = "program"
    ) -> queries.Json:
        """
        Load the kept original of a file once more; the rows of the earlier import stay until the new ones are there.

        *options* take the place of those that the file came with, and do so only if the file can be loaded with them; a *password* by
        itself leaves them as they are.

        Returns the record. Raises `FileInUse` for a file that is pending, running or a duplicate, `NotFound` when there is none.
        """
        await self.intake.run(await self._claim_replay(file_id, options, password, actor))
        return await self.intake.get_file(file_id)

    async def begin_replay(
        self, file_id: int, *, options: TableOptions | None = None, password: str | None = None, actor: str = "program"
    ) -> "asyncio.Task[None]":
        """The same, and come back as soon as it has begun, with what runs; it goes on when nobody waits for it."""
        claim = await self._claim_replay(file_id, options, password, actor)
        return self._run_apart(claim)

    async def _claim_replay(self, file_id: int, options: TableOptions | None, password: str | None, actor: str) -> Claim:
        if password is None and options is not None:
            password = options.password
        return await self.intake.claim_replay(file_id, actor, options, password=password)

    async def undo(self, file_id: int, *, dry_run: bool = False, actor: str = "program") -> queries.Json:
        """Take one import back; with *dry_run* only say what would happen. Raises `FileInUse` unless the file is loaded or partial."""
        return await self.intake.write(undo_file, file_id, dry_run=dry_run, actor=actor)

    async def set_key(self, dataset: str, columns: Sequence[str], *, actor: str = "program") -> None:
        """
        Say which columns name a record of a dataset, and show the newest row of each in the view NAME_current; no columns: no key.

        Raises `NotFound` for an unknown dataset or column, and `NameRefused` when something else is called NAME_current.
        """
        await self.intake.write(set_key, dataset, tuple(columns), actor=actor)

    async def set_policy(self, dataset: str, policy: Policy, *, actor: str = "program") -> None:
        """
        Say what a cell that cannot be loaded keeps out of a dataset: "row" its whole row, "cell" itself alone, which is NULL then,
        "error" itself alone if it is an error of the spreadsheet. It holds for what is loaded from now on.

        Raises `NotFound` for an unknown dataset.
        """
        await self.intake.write(set_policy, dataset, policy, actor=actor)

    async def widen_column(self, dataset: str, column: str, *, actor: str = "program") -> None:
        """
        Make a column TEXT for good, so that it takes any value; then replay the files whose rows are in quarantine.

        Raises `NotFound` for an unknown dataset or column.
        """
        await self.intake.write(widen_column, dataset, column, actor=actor)

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
        await self.intake.open()
        lane = self.intake.manager.with_options(timeout=LOOK_TIMEOUT, name="preview", priority=10)
        if self.intake.manager.is_elsewhere:
            return await lane.run_cpu_intensive(
                inspect_remotely,
                await self.intake.send(path),
                name=name or path.name,
                dataset=dataset,
                limits=self.intake.limits,
                max_seconds=max_seconds,
                options=options,
            )
        async with self.intake.work_folder() as folder:
            return await lane.run_cpu_intensive(
                inspect_file,
                path,
                name=name,
                dataset=dataset,
                limits=self.intake.limits,
                max_seconds=max_seconds,
                options=options,
                folder=folder,
            )

    async def look_again(
        self, file_id: int, *, options: TableOptions | None = None, password: str | None = None, max_seconds: float | None = None
    ) -> Inspection:
        """
        What the kept original of a file would become with other *options* (None: those that it has); nothing is loaded.

        Raises `FileInUse` when there is nothing to look at, `NotFound` when there is no such file, and `SheetError` as `look` does.
        """
        path, original = await self.intake.original_of(file_id)
        chosen = TableOptions.from_dict(original.options) if options is None else options
        if password is not None:
            chosen = replace(chosen, password=password)
        return await self.look(path, name=original.name, dataset=original.dataset, options=chosen, max_seconds=max_seconds)

    # ------------------------------------------------------------ answers

    async def files(self, limit: int = 100, offset: int = 0, *, status: str | None = None, name: str | None = None) -> queries.Json:
        """Files, newest first; only those in this state, and with this text in their names, capital or not."""
        return await self.intake.list_files(limit, offset, status=status, name=name)

    async def file(self, file_id: int) -> queries.Json:
        """One file; raises `NotFound`."""
        return await self.intake.get_file(file_id)

    async def quarantine(self, file_id: int, limit: int | None = 100, offset: int = 0) -> queries.Json:
        """The cells of a file that could not be loaded, in the order of the file; None for *limit* gives all."""
        return await self.intake.read(queries.list_quarantine, file_id, limit, offset)

    async def datasets(self, limit: int = 100, offset: int = 0) -> queries.Json:
        """Datasets by name."""
        return await self.intake.read(queries.list_datasets, limit, offset)

    async def rows(self, dataset: str, limit: int = 100, offset: int = 0) -> queries.Json:
        """Rows of a dataset in order of arrival; raises `NotFound`."""
        return await self.intake.read(queries.list_rows, dataset, limit, offset)

    # ------------------------------------------------------------ the background worker

    async def start(self) -> None:
        """
        Begin to take pending files in, those first that a dead service left running.

        Raises `ClusterUnreachable` when the CPU lane runs on a cluster that is not there.
        """
        await self.intake.open()
        await self.intake.manager.reach()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="levelpool ingestion")

    async def aclose(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 (a limit for the files that run, not for this call)
        """Take no more files, let those that run end within *timeout* seconds, give the others back, and close."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self.intake.aclose()

    async def _work(self) -> None:
        with contextlib.suppress(LaneClosed):
            await self._work_on()

    async def _work_on(self) -> None:
        while True:
            while len(self._tasks) >= self.intake.parallel:
                # Not for ever: there may be more workers by then.
                await asyncio.wait(self._tasks, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
            self._run_apart(await self._next_claim())

    def _run_apart(self, claim: Claim) -> "asyncio.Task[None]":
        task = asyncio.create_task(self.intake.run(claim), name=f"levelpool file {claim.file_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _retire(self, now: float) -> None:
        """Now and then remove originals that need not be kept any longer."""
        if self._keep_files_days is not None and now >= self._retire_at:
            self._retire_at = now + RETIRE_EVERY
            await self.intake.retire(self._keep_files_days)

    async def _next_claim(self) -> Claim:
        """Wait for the next pending file, whoever recorded it, and claim it."""
        loop = asyncio.get_running_loop()
        reclaim_at = 0.0
        while True:
            self.intake.arrived.clear()
            try:
                if loop.time() >= reclaim_at:
                    reclaim_at = loop.time() + RECLAIM_EVERY
                    await self.intake.reclaim()
                    await self._retire(loop.time())
                # On a cluster that is away a file would only be given back.
                if self.intake.manager.trouble is None and (claim := await self.intake.claim_next()) is not None:
                    return claim
            except LaneClosed:
                raise
            except Exception:
                # Whatever it is: files must not wait for ever because one question went wrong.
                log.exception("pending files cannot be looked for; it is tried again in %g s", LOOK_EVERY)
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self.intake.arrived.wait()
            except TimeoutError:
                continue
