"""All parts of the service, opened together and closed in reverse."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from fastapi import Request

from levelpool.errors import LevelpoolError
from levelpool.helper_worker import size_to_share
from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.service import DataIngestionService
from levelpool.monitoring.metrics import Samples
from levelpool.neighbours.locks import open_folder
from levelpool.pools import connection_holder
from levelpool.runtime import Runtime
from levelpool.service.attempts import Attempts
from levelpool.service.facts import DISK, database_samples, disk_samples
from levelpool.service.feed import FileFeed, FileState, Now, read_now
from levelpool.service.tokens import Credentials
from levelpool.settings import Settings
from levelpool.sheets.read.limits import Limits

T = TypeVar("T")

SNAPSHOT_INTERVAL = 1.0
CHECK_TIMEOUT = 3.0
"""Seconds that the database has to answer the readiness probe."""
CHECK_MEMORY = 1.0
"""Seconds that an answer of the readiness probe is believed, however often it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the addresses of the service work with."""

    settings: Settings
    runtime: Runtime
    ingestion: DataIngestionService
    inbox: DataSyncService
    credentials: Credentials
    feed: FileFeed
    attempts: Attempts = field(default_factory=Attempts)

    @property
    def inbox_folder(self) -> Path:
        """The watched folder, as a person finds it."""
        return self.settings.inbox_folder.absolute()

    @property
    def upload_folder(self) -> Path:
        """Where uploads are written: on the same file system as the kept originals, so that keeping one is a rename."""
        return self.settings.data_dir / "uploads"

    async def run(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """The result of a blocking function, run in the thread lane."""
        return await self.runtime.manager.with_options(name="service").run_io_intensive(func, *args, **kwargs)

    async def ask(self, question: Callable[..., T], *args: Any) -> T:
        """What *question* reads from the ledger, on a connection in the thread lane."""
        return await self.ingestion.intake.session.read(question, *args)

    async def scan(self) -> dict[str, int]:
        """Look into the inbox now; what is new there is queued."""
        look = await self.inbox.scan()
        return {"found": look.found, "queued": len(look.queued)}

    async def next_snapshot(self) -> dict[str, object]:
        """The state of the system a second from now."""
        await asyncio.sleep(SNAPSHOT_INTERVAL)
        return (await self.runtime.monitor.fresh(SNAPSHOT_INTERVAL)).to_dict()


async def service_of(request: Request) -> Service:
    """The service of the app that answers *request*; async, because FastAPI runs a plain dependency in a thread beside our lanes."""
    service: Service = request.app.state.service
    return service


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """
    Open everything, work on pending files and watch the inbox; close it in reverse.

    Running files have `settings.shutdown_timeout` seconds from when the process was asked to end; what is not done by then is pending again.
    Raises `DatabaseError` when the database is out of reach.
    """
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(Runtime(settings))
        progress: dict[int, float] = {}
        ingestion = DataIngestionService(
            settings.database,
            runtime.manager,
            data_dir=settings.data_dir,
            limits=Limits.of(settings),
            share_files_from=size_to_share(settings),
            sizes=runtime.sizes,
            keep_files_days=settings.keep_files_days,
            on_progress=lambda file_id, _name, percent: progress.__setitem__(file_id, round(percent)),
            supervisor=runtime.supervisor,
        )

        async def close_ingestion() -> None:
            # What the requests that were finished first have used is gone from it.
            await ingestion.aclose(timeout=runtime.time_left)

        stack.push_async_callback(close_ingestion)
        await ingestion.start()
        runtime.add_pool("ledger", ingestion.intake.session.engine)
        inbox = DataSyncService(settings.database, settings.inbox_folder, intake=ingestion.intake)
        watching = runtime.supervisor.start("inbox", lambda: _watch_as_leader(inbox, runtime))
        stack.push_async_callback(_end, watching)

        runtime.add_answer("progress", lambda: dict(progress))
        runtime.add_collector("background_tasks", runtime.supervisor.restarts)
        runtime.add_collector("files", ingestion.intake.session.tally.to_dict)

        async def facts() -> Samples:
            session = ingestion.intake.session
            found = await session.read(database_samples, session.claimer.store)
            return found | {DISK: [*found[DISK], *await session.do("disk", disk_samples, settings.data_dir)]}

        runtime.set_facts(facts)

        async def now() -> Now:
            found = await ingestion.intake.session.read(read_now)
            return _with_progress(found, progress, await _progress_elsewhere(runtime, found, progress))

        attempts = Attempts(None if settings.runtime_folder is None else open_folder(settings.runtime_folder) / "attempts")
        stack.callback(attempts.close)
        service = Service(
            settings=settings,
            runtime=runtime,
            ingestion=ingestion,
            inbox=inbox,
            credentials=Credentials(ingestion.intake.session.engine, runtime.manager.with_options(name="credentials").run_io_intensive),
            feed=FileFeed(now, supervisor=runtime.supervisor),
            attempts=attempts,
        )
        yield service


async def _watch_as_leader(inbox: DataSyncService, runtime: Runtime) -> None:
    """One web worker of a host watches the inbox; when it dies, another takes over."""
    await runtime.lead()
    connection_holder.set("the watch of the inbox")
    await inbox.watch(load=False)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def _progress_elsewhere(runtime: Runtime, now: Now, progress: dict[int, float]) -> dict[int, float]:
    """How far the files have come that other web workers of this host run."""
    if runtime.neighbours is None or _running(now) <= progress.keys():
        return {}
    answers = await runtime.ask_neighbours("progress")
    return {int(file_id): percent for told in answers.values() for file_id, percent in told.items()}


def _with_progress(now: Now, progress: dict[int, float], elsewhere: dict[int, float]) -> Now:
    """The ledger hears of progress every few seconds only; what runs in this process, or beside it, is known better."""
    running = _running(now)
    for file_id in progress.keys() - running:
        del progress[file_id]
    known = elsewhere | progress
    better = {file_id: FileState("running", known.get(file_id, now.files[file_id].progress)) for file_id in running}
    return Now(now.files | better, now.counts)


def _running(now: Now) -> set[int]:
    return {file_id for file_id, file in now.files.items() if file.status == "running"}


# ---------------------------------------------------------------- readiness


class Readiness:
    """Whether requests can be served: the reasons why not, one sentence each."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answer: list[str] = []
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def reasons(self) -> list[str]:
        """
        Empty when all is well. Believed for a second, so that nobody can keep the database busy by asking.

        That all is well is believed no longer once something could not be written.
        """
        if self._service.runtime.stopping.is_set():
            return ["The service is stopping."]
        async with self._asking:
            if time.monotonic() >= self._until or (not self._answer and self._has_failed()):
                self._answer = await self._look()
                self._until = time.monotonic() + CHECK_MEMORY
        return self._answer

    def _has_failed(self) -> bool:
        session = self._service.ingestion.intake.session
        return session.room.is_in_trouble or session.database_room.is_in_trouble

    async def _look(self) -> list[str]:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await self._service.ask(_is_there)
        except TimeoutError:
            return [f"The database did not answer within {CHECK_TIMEOUT:g} s."]
        except LevelpoolError as error:
            return [str(error)]
        session = self._service.ingestion.intake.session
        try:
            no_room = [await session.do("room", room.look) for room in (session.room, session.database_room) if room.is_in_trouble]
        except LevelpoolError as error:
            no_room = [str(error)]
        reasons = (self._service.runtime.manager.trouble or "", *no_room, *self._service.runtime.supervisor.reasons())
        return [reason for reason in reasons if reason]


def _is_there(connection: sa.Connection) -> None:
    connection.execute(sa.text("SELECT 1"))
