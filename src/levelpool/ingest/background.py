"""The background worker of a service: takes pending files in, whoever recorded them, and removes originals that are old enough."""

import asyncio
import contextlib
import logging

from levelpool.errors import LaneClosed, LevelpoolError
from levelpool.ingest.intake import Intake
from levelpool.ingest.ledger.files import Claim
from levelpool.ingest.runner import KEEP_HOUSE_EVERY
from levelpool.log_once import LogOnce

logger = logging.getLogger(__name__)

CHECK_PENDING_EVERY = 2.0
"""Seconds between two looks for files that another process recorded."""
RETIRE_EVERY = 3600.0
"""Seconds between two looks for originals that are kept long enough."""


class BackgroundWorker:
    """Works on the files of one database until it is closed; with *keep_files_days* it removes originals that are older."""

    def __init__(self, intake: Intake, *, keep_files_days: float | None) -> None:
        self._intake = intake
        self._keep_files_days = keep_files_days
        self._worker: asyncio.Task[None] | None = None
        self._house: asyncio.Task[None] | None = None
        self._retire_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """
        Begin to take pending files in, those first that a dead service left running; does nothing the second time.

        Raises `ClusterUnreachable` when the CPU lane runs on a cluster that is not there.
        """
        await self._intake.open()
        await self._intake.session.manager.reach()
        if self._worker is None:
            supervisor = self._intake.session.supervisor
            self._worker = supervisor.start("ingestion", self._work)
            self._house = supervisor.start("housekeeping", self._keep_house)

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109 (a limit for the files that run, not for this call)
        """Take no more files, let those that run end within *timeout* seconds, and give the others back."""
        if self._worker is not None and self._house is not None:
            self._worker.cancel()
            self._house.cancel()
            await asyncio.wait([self._worker, self._house])
            self._worker = self._house = None
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def run_apart(self, claim: Claim) -> "asyncio.Task[None]":
        """Run a claimed file; it goes on when nobody waits for it."""
        task = asyncio.create_task(self._intake.runner.run(claim), name=f"levelpool file {claim.file_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _work(self) -> None:
        with contextlib.suppress(LaneClosed):
            await self._work_on()

    async def _work_on(self) -> None:
        while True:
            while len(self._tasks) >= self._intake.runner.parallel:
                # Not for ever: there may be more workers by then.
                await asyncio.wait(self._tasks, timeout=CHECK_PENDING_EVERY, return_when=asyncio.FIRST_COMPLETED)
            self.run_apart(await self._next_claim())

    async def _keep_house(self) -> None:
        """What must not wait for a worker that is free: signs of life, files of dead services, originals that are old enough."""
        with contextlib.suppress(LaneClosed):
            while True:
                await self._intake.runner.keep_house()
                await self._retire(asyncio.get_running_loop().time())
                await asyncio.sleep(KEEP_HOUSE_EVERY)

    async def _next_claim(self) -> Claim:
        """Wait for the next pending file, whoever recorded it, and claim it."""
        intake = self._intake
        trouble = LogOnce(logger)
        while True:
            intake.arrivals.came.clear()
            try:
                # On a cluster that is away a file would only be given back.
                if intake.session.manager.trouble is None and (claim := await intake.runner.claim_next()) is not None:
                    return claim
            except LaneClosed:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is: files must not wait for ever because one question went wrong
                ours = isinstance(error, LevelpoolError)
                why = str(error) if ours else repr(error)
                trouble.say(
                    f"pending files cannot be looked for, which is tried every {CHECK_PENDING_EVERY:g} s: {why}", None if ours else error
                )
            else:
                trouble.is_over()
            try:
                async with asyncio.timeout(CHECK_PENDING_EVERY):
                    await intake.arrivals.came.wait()
            except TimeoutError:
                continue

    async def _retire(self, now: float) -> None:
        """Now and then remove originals that need not be kept any longer."""
        if self._keep_files_days is not None and now >= self._retire_at:
            self._retire_at = now + RETIRE_EVERY
            await self._intake.originals.retire(self._keep_files_days)
