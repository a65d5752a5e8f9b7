"""
A pending file is claimed, runs in the process lane, and its end is recorded.

A file that runs here is never left behind: its end is recorded, or it is given back, or, when this process dies, the next service finds
its claim without a holder.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from levelpool.errors import ClusterUnreachable, LaneClosed, LevelpoolError
from levelpool.helper_worker import helper_worker, set_up_sharing
from levelpool.ingest.arrivals import Arrivals
from levelpool.ingest.ending import Ending, ending_of
from levelpool.ingest.job import Job, ingest_file
from levelpool.ingest.ledger import abandoned, files, holders, queries
from levelpool.ingest.ledger.holder import has_died
from levelpool.ingest.remote_job import ingest_remotely
from levelpool.ingest.room import writing_in
from levelpool.ingest.session import Session, to_the_end
from levelpool.log_once import LogOnce
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import StoreError
from levelpool.sheets.work_sharing import WorkSharing

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=files.Claim | None)

RENEW_EVERY = 5.0
"""Seconds between two signs of life of a claim."""
RECORD_AGAIN_AFTER = 2.0
"""Seconds before the end of a file is recorded again, when the database did not take it."""
CHECK_UNFINISHED_EVERY = 0.25
"""Seconds after which a file that another service works on, or that waits for an earlier one, is looked at again."""
KEEP_HOUSE_EVERY = 5.0
"""Seconds between two signs of life of a service, and two looks for what a dead one left."""
SWEEP_EVERY = 60.0
"""Seconds between two looks for working files that a dead process left; of one elsewhere the ledger knows it only after a while."""
TELL_EVERY = 15.0
"""Seconds after which a call that waits for files of others says so, each time."""
MOST_AT_ONCE = 500


@dataclass(slots=True)
class _Running:
    """One file that runs here."""

    claim: files.Claim
    progress: float = 0.0
    comes_again: bool = False  # it is pending once more, and goes on here


class Runner:
    """Runs the files of one database, those that this process claims."""

    def __init__(self, session: Session, arrivals: Arrivals) -> None:
        self._session = session
        self._arrivals = arrivals
        self._running: dict[str, _Running] = {}
        self._tries: Counter[int] = Counter()
        self._house_at = 0.0
        self._sweep_at = 0.0
        self._trouble = LogOnce(logger)
        self.tally = session.tally
        self._renewing: asyncio.Task[None] | None = None

    @property
    def parallel(self) -> int:
        """How many files run at once: as many as there are worker processes, unless said otherwise."""
        return self._session.config.parallel or max(1, self._session.manager.stats().cpu.max_workers)

    def stop_renewing(self) -> None:
        """Give no more signs of life: what is still claimed is given back."""
        if self._renewing is not None:
            self._renewing.cancel()

    # ------------------------------------------------------------ claim

    async def claim_next(self, among: Collection[int] | None = None) -> files.Claim | None:
        """Claim the oldest pending file whose original is in our store."""
        await self._session.open()
        return await self._claim(files.claim_next, self._session.claimer, among)

    async def claim_replay(
        self, file_id: int, actor: str, options: TableOptions | None = None, *, dataset: str | None = None, password: str | None = None
    ) -> files.Claim:
        """Claim a file to load its kept original once more, with other *options* or into another *dataset* if they are given."""
        await self._session.open()
        said = None if options is None else options.to_dict()
        held = password is not None
        claim = await self._claim(files.claim_replay, file_id, self._session.claimer, actor, said, dataset=dataset, held=held)
        if password is not None:
            self._arrivals.passwords[file_id] = password
        return claim

    async def _claim(self, step: Callable[..., C], *args: Any, **kwargs: Any) -> C:
        """Claim something; when this is cancelled while the thread still works, what it claimed is given back."""
        claiming = asyncio.ensure_future(self._session.write(step, *args, **kwargs))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await to_the_end(self._give_back(claiming))
            raise

    async def _give_back(self, claiming: "asyncio.Future[C]") -> None:
        with contextlib.suppress(LevelpoolError):
            if (claim := await claiming) is not None:
                await self._record_end(claim, files.release, tries=1)

    async def keep_house(self) -> None:
        """Give a sign of life and take up what dead services left, when it is time again; a database that is away is asked the next time."""
        now = time.monotonic()
        if now < self._house_at:
            return
        self._house_at = now + KEEP_HOUSE_EVERY
        try:
            await self._session.write(holders.give_sign, self._session.claimer.holder, self._session.claimer.store)
            await self.reclaim()
            if now >= self._sweep_at:
                self._sweep_at = now + SWEEP_EVERY
                await self._session.do("work folder", self._session.sweep_work)
        except LaneClosed:
            raise
        except LevelpoolError as error:
            self._trouble.say(f"what other services left cannot be looked for: {error}")
        else:
            self._trouble.is_over()

    async def reclaim(self) -> list[int]:
        """Make the files of dead services pending again."""
        taken = await self._session.write(abandoned.reclaim, has_died)
        if taken:
            self._arrivals.came.set()
        return taken

    # ------------------------------------------------------------ run

    async def ingest(self, ids: Collection[int]) -> None:
        """
        Ingest these files, some at once, and return when each has ended, here or in another service that was faster.

        Raises `ClusterUnreachable` when the CPU lane runs on a cluster that is not there; what had not ended is pending then.
        """
        lost: ClusterUnreachable | None = None
        tasks: set[asyncio.Task[None]] = set()
        left = set(ids)
        tell_at = time.monotonic() + TELL_EVERY
        async with asyncio.TaskGroup() as group:
            while left and (lost := await self._lost()) is None:
                await self.keep_house()
                claim = await self.claim_next(sorted(left)[:MOST_AT_ONCE]) if len(tasks) < self.parallel else None
                if claim is None and not tasks:
                    # One of ours may wait for an earlier file that nobody works on.
                    claim = await self.claim_next()
                if claim is not None:
                    tasks.add(group.create_task(self.run(claim)))
                    tell_at = time.monotonic() + TELL_EVERY
                    continue
                if tasks:
                    _, tasks = await asyncio.wait(tasks, timeout=CHECK_UNFINISHED_EVERY, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(CHECK_UNFINISHED_EVERY)
                left = set(await self._session.read(files.unfinished, sorted(left)))
                if left and not tasks and time.monotonic() >= tell_at:
                    tell_at = time.monotonic() + TELL_EVERY
                    logger.warning("%s", await self._session.read(abandoned.what_keeps, sorted(left), self._session.claimer))
        if lost is not None:
            raise lost

    async def _lost(self) -> ClusterUnreachable | None:
        """Why files cannot be read now, if the CPU lane runs on a cluster; waits until that was tried."""
        try:
            await self._session.manager.reach()
        except ClusterUnreachable as error:
            return error
        return None

    async def run(self, claim: files.Claim) -> None:
        """
        Ingest a claimed file in the process lane and see to it that its end is recorded, whatever happens.

        When this is cancelled, the worker is killed and the file is pending again.
        """
        running = self._running[claim.token] = _Running(claim)
        if self._renewing is None or self._renewing.done():
            self._renewing = self._session.supervisor.start("claims", self._renew)
        try:
            if claim.waited is not None and claim.file_id not in self._tries:
                self.tally.took("waiting", claim.waited)
            await self._settle(running, await self._call(running))
        except asyncio.CancelledError:
            await to_the_end(self._record_end(claim, files.release, tries=1))
            raise
        finally:
            del self._running[claim.token]
            if not running.comes_again:
                self._arrivals.passwords.pop(claim.file_id, None)
            await to_the_end(self._session.remove(self._folder(claim)))

    async def _call(self, running: _Running) -> files.Outcome | Exception:
        """Let a worker ingest the file, with a helper where the file is large; what came of it, or what the call failed with."""
        session, claim = self._session, running.claim

        def on_progress(done: float, total: float, message: str) -> None:  # noqa: ARG001
            running.progress = 100.0 * done / total if total else 0.0
            if session.config.on_progress is not None:
                session.config.on_progress(claim.file_id, claim.name, running.progress)

        lane = session.manager.with_options(timeout=session.config.file_timeout, name="ingest", on_progress=on_progress)
        try:
            job = await self._job(claim)
            async with helper_worker(session.manager, job.sharing):
                if not session.manager.is_elsewhere:
                    return await lane.run_cpu_intensive(ingest_file, job)
                content = await session.load_content(job.original, claim.sha256, claim.name)
                return await lane.run_cpu_intensive(ingest_remotely, job, content)
        except Exception as error:  # noqa: BLE001 (whatever it was: the file must not stay "running")
            return error

    async def _job(self, claim: files.Claim) -> Job:
        session = self._session
        folder = self._folder(claim)
        original = session.store.path(claim.sha256)
        # Rows of a program come one after the other, and work sharing is a folder of one machine.
        share_from = (session.config.share_files_from or 0) if claim.source != "import" and not session.manager.is_elsewhere else 0
        try:
            sharing = await session.do("work folder", _set_up, folder, original, share_from)
        except StoreError as error:
            session.room.has_failed(str(error), cause="working files")
            raise
        return Job(
            file_id=claim.file_id,
            claim=claim.token,
            name=claim.name,
            dataset=claim.dataset,
            source=claim.source,
            original=original,
            sha256=claim.sha256,
            folder=folder,
            sharing=sharing,
            database_url=session.url,
            limits=session.limits,
            options=replace(TableOptions.from_dict(claim.options or {}), password=self._arrivals.passwords.get(claim.file_id)),
            corrected=claim.corrected,
            dataset_by=claim.dataset_by,
            settled=claim.settled,
            moved=claim.moved,
        )

    def _folder(self, claim: files.Claim) -> Path:
        """The private folder of a run."""
        return self._session.work / claim.token

    # ------------------------------------------------------------ renew

    async def _renew(self) -> None:
        """Give signs of life for the files that run here, while there are any."""
        while self._running:
            await asyncio.sleep(RENEW_EVERY)
            progress = {token: running.progress for token, running in self._running.items()}
            # A sign of life that could not be given is given the next time.
            with contextlib.suppress(LevelpoolError):
                await self._session.write(files.renew, progress)

    # ------------------------------------------------------------ settle

    async def _settle(self, running: _Running, came: files.Outcome | Exception) -> None:
        """Say and record what became of a run."""
        claim, error = running.claim, came if isinstance(came, Exception) else None
        tries = self._tries.pop(claim.file_id, 0) + 1
        ending = ending_of(claim, error, tries=tries, timeout=self._session.config.file_timeout)
        _log(claim, ending, error)
        if isinstance(came, files.Outcome):
            self._session.database_room.has_taken()
            self._count(came)
            for each in came.drift:
                logger.info("file %s (%s): %s", claim.file_id, claim.name, each)
        else:
            self._session.note(came)
        if ending.again_after is not None:
            self._tries[claim.file_id] = tries
            await asyncio.sleep(ending.again_after)
            running.comes_again = True
        if ending.record == "fail":
            self.tally.ended("failed")
            # On a full disk, what the worker left behind may be the room that the record of the failure needs.
            await self._session.remove(self._folder(claim))
            await self._record_end(claim, files.fail, ending.sentence, ending.code)
        elif ending.record == "release":
            await self._record_end(claim, files.release)
        if running.comes_again:
            self._arrivals.came.set()

    def _count(self, outcome: files.Outcome) -> None:
        self.tally.ended(outcome.status, loaded=outcome.rows_loaded, quarantined=outcome.rows_quarantined)
        for stage, seconds in outcome.seconds.items():
            self.tally.took(stage, seconds)

    async def _record_end(self, claim: files.Claim, ending: Callable[..., bool], *args: object, tries: float = math.inf) -> None:
        """
        Record the end of a file that did not record it by itself; a database that is away is asked again and again.

        What is not recorded after all is left to the next service, which finds that the holder of the claim is gone.
        """
        trouble = LogOnce(logger)
        while True:
            tries -= 1
            try:
                if not await self._session.write(ending, claim.file_id, claim.token, *args):
                    logger.info("file %s ended by itself or was taken over", claim.file_id)
            except LevelpoolError as error:
                if tries <= 0 or isinstance(error, LaneClosed):
                    logger.warning("file %s is left to the next service: %s", claim.file_id, error)
                    return
                trouble.say(f"the end of file {claim.file_id} is not recorded yet: {error}")
            else:
                return
            await asyncio.sleep(RECORD_AGAIN_AFTER)

    # ------------------------------------------------------------ answers

    async def get_file(self, file_id: int) -> queries.Json:
        """The record of one file, with its progress of this moment."""
        return self._live(await self._session.read(queries.get_file, file_id))

    async def list_files(self, limit: int, offset: int, *, status: str | None = None, name: str | None = None) -> queries.Json:
        """Files, newest first; only those in this state, and with this text in their names."""
        listed = await self._session.read(queries.list_files, limit, offset, status, name)
        return listed | {"files": [self._live(each) for each in listed["files"]]}

    def _live(self, record: queries.Json) -> queries.Json:
        """The ledger learns of progress every few seconds only; what runs here is known better."""
        if record["status"] != "running":
            return record
        here = (running.progress for running in self._running.values() if running.claim.file_id == record["id"])
        return record | {"progress": next(here, record["progress"])}


def _log(claim: files.Claim, ending: Ending, error: Exception | None) -> None:
    if ending.warning:
        logger.warning("%s", ending.warning)
    if ending.is_unexpected:
        logger.error("unexpected error in file %s (%s)", claim.file_id, claim.name, exc_info=error)


def _set_up(folder: Path, original: Path, share_from: int) -> WorkSharing | None:
    """Make the folder of a job, with work sharing for two when the file is large enough."""
    with writing_in(folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
        return set_up_sharing(folder, original, share_from)
