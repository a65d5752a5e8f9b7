"""`DataSyncService`: what is put into the inbox becomes rows in tables."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from levelpool.errors import DatabaseError, LaneClosed, LaneFull, LevelpoolError
from levelpool.executor import ExecutorManager
from levelpool.ingest.arrivals import Submission
from levelpool.ingest.config import IngestConfig, OnProgress
from levelpool.ingest.inbox_scan import REST, Found, Look, is_being_written, open_file, scan, shown
from levelpool.ingest.intake import Intake
from levelpool.ingest.ledger import recording
from levelpool.ingest.store import Kept
from levelpool.log_once import LogOnce
from levelpool.sheets.errors import InboxError, LimitExceeded, StoreError, TryAgain
from levelpool.sheets.read.limits import Limits

logger = logging.getLogger(__name__)

SCAN_EVERY = 2.0
"""Seconds between two looks into the inbox."""
REST_TIMEOUT = 30.0
"""Seconds that `sync` waits for files to come to rest."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one look into the inbox came to; a file whose content was there already counts as a duplicate."""

    found: int = 0
    loaded: int = 0
    partial: int = 0
    failed: int = 0
    duplicate: int = 0
    waiting: int = 0  # somebody still writes to them
    files: tuple[int, ...] = ()  # the ids of the files that were new
    failed_before: tuple[
        int, ...
    ] = ()  # ids of files that an earlier look has recorded as failed, and that lie there unchanged; `duplicate` counts them, for they are known

    def __getitem__(self, name: str) -> int | tuple[int, ...]:
        value: int | tuple[int, ...] = self.to_dict()[name]
        return value

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scan:
    """One look into the inbox."""

    found: int  # files that lie there
    queued: tuple[int, ...] = ()  # ids: new, and pending
    known: int = 0  # unchanged since they were recorded
    others: tuple[int, ...] = ()  # ids: new, but duplicates or refused
    waiting: int = 0  # not come to rest
    failed_before: tuple[int, ...] = ()  # ids: known, unchanged, and not loaded


class DataSyncService:
    """
    Watches a folder. Its files are copied, never changed or removed; one that has changed counts as new.

    With *intake*, the intake of an open `DataIngestionService` is shared, and stays open.
    """

    def __init__(
        self,
        database_url: str,
        inbox: Path | str,
        manager: ExecutorManager | None = None,
        *,
        data_dir: Path | str | None = None,
        limits: Limits | None = None,
        rest: float = REST,
        intake: Intake | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.intake = intake or Intake.of(
            IngestConfig(database_url=database_url, data_dir=data_dir, limits=limits, on_progress=on_progress), manager
        )
        self._owns_intake = intake is None
        self._inbox = Path(inbox).absolute()
        self._rest = rest
        self._looks: dict[str, tuple[Look, float]] = {}
        self._told: dict[str, LogOnce] = {}  # of files that cannot be copied for now
        self._scanning = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.intake.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what this opened."""
        if self._owns_intake:
            await self.intake.aclose()

    async def scan(self) -> Scan:
        """
        Record what is new in the inbox and has come to rest; do not wait until it is loaded.

        Raises `InboxError` when the inbox does not exist or cannot be read.
        """
        await self.intake.open()
        async with self._scanning:
            found = await self.intake.session.do("inbox", scan, self._inbox)
            known = await self.intake.session.read(recording.known_origins, [self._origin(each) for each in found])
            fresh = [each for each in found if not _is_known(each, known.get(self._origin(each)))]
            self._remember(fresh)
            recorded = [await self._take_or_tell(each) for each in fresh]
        left = [known[origin].file_id for each in found if (origin := self._origin(each)) in known and known[origin].status == "pending"]
        new = [each for each in recorded if each is not None]
        queued = [each.id for each in new if each.status == "pending"]
        return Scan(
            found=len(found),
            queued=(*left, *queued),
            known=len(found) - len(fresh) - len(left),
            others=tuple(each.id for each in new if each.status != "pending"),
            waiting=len(fresh) - len(new),
            failed_before=tuple(self._failed_before(found, fresh, known)),
        )

    def _failed_before(self, found: list[Found], fresh: list[Found], known: Mapping[str, recording.Known]) -> Iterator[int]:
        new = {each.path for each in fresh}
        for each in found:
            if each.path not in new and (last := known[self._origin(each)]).status == "failed":
                yield last.file_id

    def _remember(self, fresh: list[Found]) -> None:
        """Keep what was seen and said of files that are still new, and of no others."""
        self._looks = {each.path: self._looks.get(each.path, (each.look, time.monotonic())) for each in fresh}
        self._told = {path: said for path, said in self._told.items() if path in self._looks}

    async def sync(self) -> SyncReport:
        """
        Load what is new in the inbox and return when it is done.

        Waits a little for files that somebody still writes to; what has not come to rest by then is counted as `waiting`.
        Raises `InboxError` when the inbox does not exist or cannot be read.
        """
        deadline = time.monotonic() + REST_TIMEOUT
        look = await self.scan()
        first = look
        ids = {*look.queued, *look.others}
        while look.waiting and time.monotonic() < deadline:
            await asyncio.sleep(min(self._rest, 0.5))
            look = await self.scan()
            ids |= {*look.queued, *look.others}
        await self.intake.runner.ingest(ids)
        statuses = Counter([(await self.intake.runner.get_file(each))["status"] for each in sorted(ids)])
        return SyncReport(
            found=look.found,
            loaded=statuses["loaded"],
            partial=statuses["partial"],
            failed=statuses["failed"],
            duplicate=statuses["duplicate"] + first.known,
            waiting=look.waiting,
            files=tuple(sorted(ids)),
            failed_before=first.failed_before,
        )

    async def watch(self, *, load: bool = True) -> None:
        """
        Look into the inbox again and again, until cancelled; with *load* false only record, because a background worker loads.

        An inbox or a database that is away, or a disk that is full, is said once in the log, and looked at again.
        """
        trouble = LogOnce(logger)
        while True:
            try:
                look = await self.scan()
                trouble.is_over()
                if load and look.queued:
                    await self.intake.runner.ingest(look.queued)
            except LaneClosed:
                return
            except LevelpoolError as error:
                trouble.say(str(error))
            await asyncio.sleep(SCAN_EVERY)

    def _origin(self, found: Found) -> str:
        return f"{shown(str(self._inbox))}/{found.origin}"

    async def _take_or_tell(self, found: Found) -> recording.Recorded | None:
        """Record one new file; what goes wrong with one alone is recorded of it, and keeps no other waiting."""
        try:
            return await self._take(found)
        except (LaneClosed, LaneFull, DatabaseError, TryAgain, StoreError):
            raise  # not this file's fault: all of them have to wait
        except Exception as error:  # whatever it was: the others must be taken
            logger.exception("%s cannot be taken in", shown(found.path))
            name = shown(found.name)
            submission = Submission(name=name, source="inbox", actor="inbox", origin=self._origin(found), stamp=found.look.stamp)
            refusal = InboxError(
                f"{name} cannot be taken in ({type(error).__name__}): rename the file, and report it if that does not help"
            )
            return await self.intake.arrivals.refuse(submission, refusal)

    async def _take(self, found: Found) -> recording.Recorded | None:
        """Record one new file; None when it has not come to rest, or vanished."""
        submission = Submission(
            name=found.name, source="inbox", actor="inbox", folder=found.folder, origin=self._origin(found), stamp=found.look.stamp
        )
        if found.refusal is not None:
            return await self.intake.arrivals.refuse(submission, InboxError(found.refusal))
        if not self._rests(found):
            return None
        try:
            kept = await self.intake.session.do("keep", self._keep, found)
        except (InboxError, LimitExceeded) as error:
            return await self.intake.arrivals.refuse(submission, error)
        return None if kept is None else await self.intake.arrivals.record(submission, kept)

    def _rests(self, found: Found) -> bool:
        """Whether the file has come to rest, by its own times or by two looks at it."""
        look, since = self._looks[found.path]
        if look != found.look:
            self._looks[found.path] = (found.look, time.monotonic())
            return found.look.rests(time.time(), self._rest)
        return found.look.rests(time.time(), self._rest) or time.monotonic() - since >= self._rest

    def _keep(self, found: Found) -> Kept | None:
        """Copy the file into the store; None when it vanished, is being written, or changed meanwhile."""
        try:
            with open_file(self._inbox, found.path) as file:
                if is_being_written(file):
                    return None
                kept = self.intake.originals.keep_open(found.name, file)
                return kept if Look.at(file) == found.look else None
        except FileNotFoundError:
            return None
        except StoreError as error:
            # A smaller one may still have room; this one is looked at again the next time.
            self.intake.session.room.has_failed(str(error), found.look.size)
            return None
        except OSError as error:
            self._told.setdefault(found.path, LogOnce(logger)).say(f"{shown(found.path)} cannot be copied: {error}")
            return None


def _is_known(found: Found, last: recording.Known | None) -> bool:
    """Whether the file looks as it did when it was recorded; one that could not be read may have got other rights since."""
    if last is None:
        return False
    same = found.look.stamp == last.stamp
    return same or (last.kept and found.look.same_content(last.stamp))
