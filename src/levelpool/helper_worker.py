"""When a large file gets a helper worker, a second process, and when it loses it: only ever a place that nobody else wants."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from levelpool.errors import LaneClosed, LaneFull
from levelpool.executor import ExecutorManager
from levelpool.lanes.task_stats import LaneStats
from levelpool.settings import Settings
from levelpool.sheets.work_sharing import WorkSharing, help_from_end

logger = logging.getLogger(__name__)

TASK = "second worker"
"""Its name in the lane's statistics."""
CHECK_LANE_EVERY = 0.05
"""Seconds between two looks whether a worker is idle, or somebody waits for one."""
RECALL_TIMEOUT = 1.0
"""Seconds that a helper worker has to end by itself; then it is killed."""


def size_to_share(settings: Settings) -> int:
    """Bytes from which a file may have a helper worker; 0: none may."""
    # Where web workers share the host's worker processes, an idle place may be the next one's.
    return settings.share_files_from if settings.web_concurrency == 1 else 0


def set_up_sharing(folder: Path, file: Path, share_from: int) -> WorkSharing | None:
    """Work sharing in *folder* for a file of *share_from* bytes or more; None for a smaller one, for 0, and for none that can be read here."""
    if not share_from or _size(file) < share_from:
        return None
    sharing = WorkSharing(folder / "shared work")
    sharing.set_up()
    return sharing


def _size(file: Path) -> int:
    """The bytes of a file; 0 for one that cannot be looked at: whoever reads it says why."""
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


@asynccontextmanager
async def helper_worker(manager: ExecutorManager, sharing: WorkSharing | None) -> AsyncIterator[None]:
    """
    Lend the file whose work *sharing* holds an idle worker process, whenever there is one, as long as the body runs; None: never.

    It goes when another call waits for a worker, after the piece that it has at hand, or after `RECALL_TIMEOUT` seconds. When the body raises or is
    cancelled it is killed at once.
    What becomes of it is no concern of the body.
    """
    if sharing is None:
        yield
        return
    helper = _HelperWorker(manager, sharing)
    lending = asyncio.create_task(helper.lend(), name="levelpool helper worker")
    try:
        yield
        await helper.end()
    finally:
        lending.cancel()
        await asyncio.wait([lending])


class _HelperWorker:
    """The helper worker of one file, there or not."""

    def __init__(self, manager: ExecutorManager, sharing: WorkSharing) -> None:
        self._manager = manager
        self._sharing = sharing
        self._call: asyncio.Future[int] | None = None
        self._has_begun = False

    async def lend(self) -> None:
        """Give the file a helper worker whenever one is idle; gives up when that went wrong once, or when it left by itself."""
        try:
            # The lane tells nobody that a worker became idle.
            while not self._is_idle(self._manager.stats().cpu) or await self._run():  # noqa: ASYNC110
                await asyncio.sleep(CHECK_LANE_EVERY)
        except LaneClosed:
            return
        except Exception as error:  # noqa: BLE001 (whatever it was: the file goes on without)
            logger.warning("the helper worker at %s has gone, and the first goes on alone: %s", self._sharing.folder, error)

    async def end(self) -> None:
        """The file has ended, and so does its helper."""
        if self._call is not None:
            await self._let_go(self._call)

    async def _run(self) -> bool:
        """One stay of the helper worker; whether it may come again."""
        self._has_begun = False
        lane = self._manager.with_options(name=TASK, priority=-1, admission_timeout=0, on_progress=self._begun)
        await lane.run_io_intensive(self._sharing.set_up)
        self._call = call = asyncio.ensure_future(lane.run_cpu_intensive(help_from_end, self._sharing))
        try:
            while not call.done() and not self._is_in_the_way(self._manager.stats().cpu):
                await asyncio.wait([call], timeout=CHECK_LANE_EVERY)
            is_in_the_way = not call.done()
            if is_in_the_way:
                await self._let_go(call)
        finally:
            self._call = None
            failure = await _end(call)
        if isinstance(failure, LaneFull):
            return True  # somebody was faster
        if failure is not None:
            raise failure
        return is_in_the_way

    def _begun(self, *_: object) -> None:
        self._has_begun = True

    async def _let_go(self, call: "asyncio.Future[int]") -> None:
        """Recall the helper worker; it has a moment to end by itself."""
        calling = asyncio.ensure_future(self._manager.with_options(name=TASK).run_io_intensive(self._sharing.recall))
        await asyncio.wait([call], timeout=RECALL_TIMEOUT)
        failure = await _end(calling)
        if failure is not None:
            logger.debug("the helper worker at %s could not be recalled: %s", self._sharing.folder, failure)

    @staticmethod
    def _is_idle(lane: LaneStats) -> bool:
        return lane.busy < lane.max_workers and not lane.queued and not lane.outside

    def _is_in_the_way(self, lane: LaneStats) -> bool:
        """Whether others wait while all workers are busy, or more of them are than may be."""
        others = lane.queued + lane.outside - (not self._has_begun)
        return lane.busy > lane.max_workers or (others > 0 and lane.busy >= lane.max_workers)


async def _end(call: "asyncio.Future[Any]") -> BaseException | None:
    """Cancel *call* where it has not ended; returns what it failed with."""
    call.cancel()
    await asyncio.wait([call])
    return None if call.cancelled() else call.exception()
