"""
One database with its ledger, its store and its working folder: opened once, used by one loop.

All SQL and all file work runs in the thread lane, never on the loop.
"""

import asyncio
import contextlib
import logging
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.database import create_engine
from levelpool.errors import DatabaseUnwritable, LevelpoolError
from levelpool.executor import ExecutorManager, get_executor_manager
from levelpool.ingest.config import IngestConfig, absolute_url, check_place
from levelpool.ingest.job import explain
from levelpool.ingest.ledger import abandoned, files, holders
from levelpool.ingest.ledger.evidence import add_stems
from levelpool.ingest.ledger.holder import has_died, mark_of, new_holder
from levelpool.ingest.migrations import migrate
from levelpool.ingest.remote_job import RemoteContent
from levelpool.ingest.room import Room, has_room_in, takes_rows, writing_in
from levelpool.ingest.store import Store, prove
from levelpool.ingest.tally import Tally
from levelpool.settings import Settings
from levelpool.sheets.read.limits import Limits
from levelpool.supervision import Supervisor

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

HALF_WRITTEN = 24 * 3600.0
"""Seconds after which a half-written original belongs to no living process any more."""


class Session:
    """
    The ledger of a database, and the folders beside it. Every method opens it, if it is not open.

    Opened, it has *manager*, *engine*, *store* (the kept originals), *work* (a folder for what runs) and *claimer* (who we are in the ledger).
    """

    def __init__(self, config: IngestConfig, manager: ExecutorManager | None = None, supervisor: Supervisor | None = None) -> None:
        self.config = config
        self.url = absolute_url(config.database_url)
        self._manager = manager
        self._holder = new_holder()
        self.room = Room(lambda size: has_room_in(self.store.folder, size), "files can be kept again")
        """Whether the store's disk has room."""
        self.database_room = Room(self._takes_rows, "the database can be written again")
        """Whether the database can be written."""
        self.tally = Tally()
        """What became of the files that this process took in."""
        self.supervisor = supervisor or Supervisor()
        """Keeps the background tasks running that work on this database."""
        self._unswept: set[Path] = set()
        self._opening = asyncio.Lock()
        self._is_open = False

    async def open(self) -> Self:
        """Reach the database and bring the ledger's tables to their newest form; does nothing the second time."""
        async with self._opening:
            if not self._is_open:
                self.manager = self._manager or get_executor_manager()
                check_place(self.url, is_elsewhere=self.manager.is_elsewhere)
                settings = Settings.read(only=self.config.left_open())
                self.config = self.config.filled(settings)
                folder = self.config.folder(settings)
                self.store = Store(folder / "files")
                self.work = folder / "work"
                self.uploads = folder / "uploads"
                await self.manager.with_options(name="ledger").run_io_intensive(self._prepare)
                self._is_open = True
        return self

    def _prepare(self) -> None:
        # An engine imports its driver: a hundred modules, for which the loop must not stand still.
        self.engine = create_engine(self.url, name="ledger", sizes=self.config.sizes)
        self._transact(migrate, write=True)
        self._transact(add_stems, write=True)
        self.claimer = files.Claimer(self._holder, self.store.identity())
        self._transact(_begin, self.claimer, write=True)
        self.store.sweep(time.time() - HALF_WRITTEN)
        self.sweep_work()

    def sweep_work(self) -> None:
        """
        Remove the working files of processes that are gone, as the ledger knows them; of those that it does not know, when they are a day old.

        Blocks. One that cannot be removed is said in the log, once, and stays.
        """
        owners = {path: _owner(path.name) for folder in (self.work, self.uploads) for path in _entries(folder)}
        tokens = {owner for owner in owners.values() if len(owner) == _TOKEN}
        over = self._transact(holders.ended, set(owners.values()) - tokens, tokens, has_died, write=False) if owners else set()
        before = time.time() - HALF_WRITTEN
        for path, owner in owners.items():
            try:
                if owner in over or path.stat().st_mtime < before:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except FileNotFoundError:
                continue  # another process that sweeps was faster
            except OSError as error:
                if path not in self._unswept:
                    logger.warning("%s is left over and cannot be removed (%s): see to its rights, or remove it", path, error.strerror)
                self._unswept.add(path)

    async def aclose(self) -> None:
        """Give back what was claimed and does not run, and close the connections."""
        if not self._is_open:
            return
        try:
            await self.write(files.release_all, self._holder)
        except LevelpoolError as error:
            logger.warning("files that still run are left to the next service: %s", error)
        self._is_open = False
        self.engine.dispose()

    @property
    def limits(self) -> Limits:
        """What a file may be at most."""
        return self.config.limits or Limits()

    # ------------------------------------------------------------ the ledger

    async def read(self, question: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Ask the ledger something, in the thread lane."""
        return await self._sql(question, *args, write=False, **kwargs)

    async def write(self, change: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Change the ledger in one transaction, in the thread lane."""
        return await self._sql(change, *args, write=True, **kwargs)

    async def _sql(self, work: Callable[..., T], *args: Any, write: bool, **kwargs: Any) -> T:
        await self.open()
        lane = self.manager.with_options(name="ledger")
        return await lane.run_io_intensive(lambda: self._transact(work, *args, write=write, **kwargs))

    def _transact(self, work: Callable[..., T], *args: Any, write: bool, **kwargs: Any) -> T:
        try:
            with self.engine.connect().execution_options(levelpool_write=write) as connection, connection.begin():
                return work(connection, *args, **kwargs)
        except DBAPIError as error:
            explained = explain(error)
            self.note(explained)
            raise explained from error

    def note(self, error: Exception) -> None:
        """Remember it if it says that the database cannot be written."""
        if isinstance(error, DatabaseUnwritable):
            self.database_room.has_failed(str(error), cause="unwritable")

    def _takes_rows(self, size: int) -> bool:
        """Whether the database can be written by now. Blocks."""
        url = sa.make_url(self.url)
        if url.get_backend_name() == "sqlite":
            return has_room_in(Path(str(url.database)).parent, size)
        try:
            with self.engine.connect() as connection:
                return takes_rows(connection, size)
        except DBAPIError:
            return False

    # ------------------------------------------------------------ files

    def own_name(self, kind: str) -> str:
        """A new name for working files of ours, by which they are found when this process has been killed."""
        return f"{kind}-{mark_of(self._holder)}-{uuid.uuid4().hex}"

    async def do(self, name: str, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of work on files, done in the thread lane under *name*."""
        await self.open()
        return await self.manager.with_options(name=name).run_io_intensive(work, *args, **kwargs)

    async def load_content(self, path: Path, sha256: str | None = None, name: str = "") -> RemoteContent:
        """A file of this machine, to travel with a call; a kept original, by its *sha256*, is proved first (raises as `store.prove` does)."""
        if sha256 is not None:
            await self.do("send", prove, path, sha256, name)
        return await self.do("send", RemoteContent.of, path, sha256)

    @contextlib.asynccontextmanager
    async def work_folder(self) -> AsyncIterator[Path]:
        """A folder for the working files of a call; it goes with the call, also when its worker was killed."""
        await self.open()
        folder = self.work / self.own_name("look")
        await self.do("work folder", self._make, folder)
        try:
            yield folder
        finally:
            await to_the_end(self.remove(folder))

    def _make(self, folder: Path) -> None:
        with writing_in(self.work):
            folder.mkdir(parents=True)

    async def remove(self, folder: Path) -> None:
        """Remove a folder of working files; what cannot be removed is left to `open` of a later day."""
        with contextlib.suppress(LevelpoolError):
            await self.manager.with_options(name="work folder").run_io_intensive(shutil.rmtree, folder, ignore_errors=True)


def _begin(connection: sa.Connection, claimer: files.Claimer) -> None:
    """Tell the other services of us, and take up again what ended while nobody could read our store."""
    holders.give_sign(connection, claimer.holder, claimer.store)
    abandoned.take_up(connection, claimer.store)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing of one that is not there, or that cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


_OWNED = re.compile(r"[a-z]+-([0-9a-f]{8})-")
_TOKEN = 32


def _owner(name: str) -> str:
    """The mark of the holder, or the claim, that a working file is of; "" when its name does not say."""
    if found := _OWNED.match(name):
        return found[1]
    return name if re.fullmatch(r"[0-9a-f]{32}", name) else ""


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* to its end even if we are cancelled meanwhile; the cancellation goes on when it is done."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled() and task.exception() is not None:
            logger.warning("the clean-up of what was cancelled has failed", exc_info=task.exception())
        raise cancelled
    task.result()
