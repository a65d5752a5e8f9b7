"""
What the three doors of the wing share: a file is kept, recorded, claimed, ingested in the process lane, and its end recorded.

All SQL and all file work runs in the thread lane, never on the loop. A file that runs here is never left behind: its end is recorded,
or it is given back, or, when this process dies, the next service finds its claim without a holder.
"""

import asyncio
import contextlib
import logging
import math
import shutil
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from levelpool.database import create_engine, parse_url
from levelpool.errors import ClusterUnreachable, DatabaseError, LaneClosed, LevelpoolError, TaskTimeout, WorkerDied
from levelpool.executor import ExecutorManager, get_executor_manager
from levelpool.helper_worker import helper_worker, set_up_sharing, size_to_share
from levelpool.ingest.job import Job, check_not_taken, explain, ingest_file
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.ledger import files, queries
from levelpool.ingest.ledger.holder import has_died, new_holder
from levelpool.ingest.load.kinds import target_of
from levelpool.ingest.migrations import migrate
from levelpool.ingest.remote_job import RemoteContent, ingest_remotely
from levelpool.ingest.store import Kept, Store
from levelpool.settings import Settings
from levelpool.sheets.clean.names import check_dataset_name, dataset_name
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import ClaimLost, LimitExceeded, NameRefused, SheetError, TryAgain, word_of
from levelpool.sheets.inputs import Input, as_file, path_of
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.work_sharing import WorkSharing

log = logging.getLogger(__name__)

T = TypeVar("T")
C = TypeVar("C", bound=files.Claim | None)

OnProgress = Callable[[int, str, float], None]
"""Told of a file's id, its name, and how far it has come, in percent; called in the loop."""

RENEW_EVERY = 5.0
"""Seconds between two signs of life of a claim."""
RETRY_AFTER = 2.0
"""Seconds before a file that met a busy database is tried again, and before its end is recorded again."""
LOOK_AGAIN = 0.25
"""Seconds after which a file that another service works on, or that waits for an earlier one, is looked at again."""
MOST_AT_ONCE = 500
MOST_TRIES = 5
MOST_NAME_BYTES = 255
HALF_WRITTEN = 24 * 3600.0
"""Seconds after which a half-written original belongs to no living process any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Who brought a file, and how."""

    name: str
    source: str  # "upload", "inbox", "direct", "import"
    actor: str
    dataset: str | None = None  # None: the file's name decides
    options: TableOptions = field(default_factory=TableOptions)
    origin: str | None = None
    stamp: str | None = None


@dataclass(slots=True)
class _Running:
    """One file that runs here."""

    claim: files.Claim
    progress: float = 0.0
    comes_again: bool = False  # it is pending once more, and goes on here


class Intake:
    """Keeps, records and ingests files for one database; opened once, used by one loop."""

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
        on_progress: OnProgress | None = None,
    ) -> None:
        self._parallel = parallel
        self._share_files_from = share_files_from
        self._on_progress = on_progress
        self._url = _absolute(database_url)
        self._manager = manager
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._limits = limits
        self._file_timeout = file_timeout
        self._holder = new_holder()
        self._running: dict[str, _Running] = {}
        self._tries: Counter[int] = Counter()
        self._passwords: dict[int, str] = {}
        self._opening = asyncio.Lock()
        self._open = False
        self._renewing: asyncio.Task[None] | None = None
        self.arrived = asyncio.Event()

    # ------------------------------------------------------------ open and close

    async def open(self) -> Self:
        """Reach the database and bring the ledger's tables to their newest form; does nothing the second time."""
        async with self._opening:
            if not self._open:
                self.manager = self._manager or get_executor_manager()
                check_place(self._url, is_elsewhere=self.manager.is_elsewhere)
                settings = Settings.read()
                self._limits = self._limits or Limits.of(settings)
                if self._share_files_from is None:
                    self._share_files_from = size_to_share(settings)
                folder = (self._data_dir or settings.data_dir).absolute()
                self.store = Store(folder / "files")
                self.work = folder / "work"
                await self.manager.with_options(name="ledger").run_io_intensive(self._prepare)
                self._open = True
        return self

    def _prepare(self) -> None:
        # An engine imports its driver: a hundred modules, for which the loop must not stand still.
        self.engine = create_engine(self._url, name="ledger")
        self._begin(migrate, write=True)
        self.claimer = files.Claimer(self._holder, self.store.identity())
        before = time.time() - HALF_WRITTEN
        self.store.sweep(before)
        for folder in self.work.glob("*"):
            # Left by a process that was killed; another one that starts may be faster.
            with contextlib.suppress(FileNotFoundError):
                if folder.stat().st_mtime < before:
                    shutil.rmtree(folder, ignore_errors=True)

    async def aclose(self) -> None:
        """Give back what was claimed and does not run, and close the connections."""
        if self._renewing is not None:
            self._renewing.cancel()
        if not self._open:
            return
        try:
            await self.write(files.release_all, self._holder)
        except LevelpoolError as error:
            log.warning("files that still run are left to the next service: %s", error)
        self._open = False
        self.engine.dispose()

    @property
    def parallel(self) -> int:
        """How many files run at once: as many as there are worker processes, unless said otherwise."""
        return self._parallel or max(1, self.manager.stats().cpu.max_workers)

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
        return await lane.run_io_intensive(lambda: self._begin(work, *args, write=write, **kwargs))

    def _begin(self, work: Callable[..., T], *args: Any, write: bool, **kwargs: Any) -> T:
        try:
            with self.engine.connect().execution_options(levelpool_write=write) as connection, connection.begin():
                return work(connection, *args, **kwargs)
        except DBAPIError as error:
            raise explain(error) from error

    # ------------------------------------------------------------ arriving

    async def keep(self, source: Path, *, consume: bool) -> Kept:
        """
        Keep the content of a file; with *consume* the file itself moves into the store.

        Raises `LimitExceeded` before a byte is copied, and `SheetError` when there is no such file.
        """
        await self.open()
        return await self.manager.with_options(name="keep").run_io_intensive(self._keep, source, consume=consume)

    async def keep_input(self, source: Input, name: str) -> Kept:
        """Keep what a program hands over: a file by its path, bytes, or what stands in an open file. Raises as `keep` does."""
        if path := path_of(source):
            return await self.keep(path, consume=False)
        await self.open()
        return await self.manager.with_options(name="keep").run_io_intensive(self._keep_input, source, name)

    def _keep_input(self, source: Input, name: str) -> Kept:
        self.work.mkdir(parents=True, exist_ok=True)
        place = self.work / f"{uuid.uuid4().hex}.input"
        try:
            return self.store.take(as_file(source, place, name=name, limits=self.limits))
        finally:
            place.unlink(missing_ok=True)

    def _keep(self, source: Path, *, consume: bool) -> Kept:
        if not source.is_file():
            raise SheetError(f"{source} does not exist or is no file: check the path")
        if consume:
            check_size(source.name, source.stat().st_size, self.limits)
            return self.store.take(source)
        try:
            with source.open("rb") as file:
                return self.keep_open(source.name, file)
        except PermissionError:
            raise SheetError(f"{source} cannot be read: give this user the right to read it") from None

    def keep_open(self, name: str, file: IO[bytes]) -> Kept:
        """Keep the content of an open file; blocks, so call it in the thread lane."""
        check_size(name, file.seek(0, 2), self.limits)
        return self.store.keep(file)

    @property
    def limits(self) -> Limits:
        """What a file may be at most."""
        return self._limits or Limits()

    async def record(self, submission: Submission, kept: Kept) -> files.Recorded:
        """
        Record a kept file: pending, or a duplicate.

        Raises `NameRefused` for a dataset that was asked for and cannot be; a name that only follows from the file's is recorded as failed.
        """
        recorded = await self.write(self._record_here, submission, kept)
        self.arrived.set()
        return recorded

    def _record_here(self, connection: sa.Connection, submission: Submission, kept: Kept) -> files.Recorded:
        recorded = _record(connection, submission, kept, self.claimer)
        if submission.options.password is not None and recorded.status == "pending":
            # Known before anybody can claim the file; kept nowhere else, so only this process can open it.
            self._passwords[recorded.id] = submission.options.password
        return recorded

    async def refuse(self, submission: Submission, error: SheetError) -> files.Recorded:
        """Record a file that was refused before it was kept."""
        return await self.write(_refuse, submission, error)

    # ------------------------------------------------------------ running

    async def claim_next(self, among: Collection[int] | None = None) -> files.Claim | None:
        """Claim the oldest pending file whose original is in our store."""
        return await self._claim(files.claim_next, self.claimer, among)

    async def claim_replay(
        self, file_id: int, actor: str, options: TableOptions | None = None, *, password: str | None = None
    ) -> files.Claim:
        """Claim a file to load its kept original once more, with other *options* if they are given."""
        await self.open()
        said = None if options is None else options.to_dict()
        claim = await self._claim(files.claim_replay, file_id, self.claimer, actor, said, held=password is not None)
        if password is not None:
            self._passwords[file_id] = password
        return claim

    async def _claim(self, step: Callable[..., C], *args: Any, **kwargs: Any) -> C:
        """Claim something; when this is cancelled while the thread still works, what it claimed is given back."""
        claiming = asyncio.ensure_future(self.write(step, *args, **kwargs))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await _to_the_end(self._give_back(claiming))
            raise

    async def _give_back(self, claiming: "asyncio.Future[C]") -> None:
        with contextlib.suppress(LevelpoolError):
            if (claim := await claiming) is not None:
                await self._settle(claim, files.release, tries=1)

    async def reclaim(self) -> list[int]:
        """Make the files of dead services pending again."""
        taken = await self.write(files.reclaim, has_died)
        if taken:
            self.arrived.set()
        return taken

    async def ingest(self, ids: Collection[int]) -> None:
        """
        Ingest these files, some at once, and return when each has ended, here or in another service that was faster.

        Raises `ClusterUnreachable` when the CPU lane runs on a cluster that is not there; what had not ended is pending then.
        """
        lost: ClusterUnreachable | None = None
        tasks: set[asyncio.Task[None]] = set()
        left = set(ids)
        async with asyncio.TaskGroup() as group:
            while left and (lost := await self._lost()) is None:
                claim = await self.claim_next(sorted(left)[:MOST_AT_ONCE]) if len(tasks) < self.parallel else None
                if claim is None and not tasks:
                    # One of ours may wait for an earlier file that nobody works on.
                    claim = await self.claim_next()
                if claim is not None:
                    tasks.add(group.create_task(self.run(claim)))
                    continue
                if tasks:
                    _, tasks = await asyncio.wait(tasks, timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(LOOK_AGAIN)
                left = set(await self.read(files.unfinished, sorted(left)))
        if lost is not None:
            raise lost

    async def _lost(self) -> ClusterUnreachable | None:
        """Why files cannot be read now, if the CPU lane runs on a cluster; waits until that was tried."""
        try:
            await self.manager.reach()
        except ClusterUnreachable as error:
            return error
        return None

    async def retire(self, days: float) -> int:
        """Remove the originals whose last file came more than *days* days ago; return how many."""
        before = files.now() - timedelta(days=days)
        hashes = await self.write(files.retire, self.claimer.store, before)
        for sha256 in hashes:
            await self.manager.with_options(name="keep").run_io_intensive(self.store.remove, sha256, before.timestamp())
        return len(hashes)

    async def run(self, claim: files.Claim) -> None:
        """
        Ingest a claimed file in the process lane and see to it that its end is recorded, whatever happens.

        When this is cancelled, the worker is killed and the file is pending again.
        """
        running = self._running[claim.token] = _Running(claim)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="levelpool claims")
        try:
            await self._run(claim, running)
        except asyncio.CancelledError:
            await _to_the_end(self._settle(claim, files.release, tries=1))
            raise
        finally:
            del self._running[claim.token]
            if not running.comes_again:
                self._passwords.pop(claim.file_id, None)
            await _to_the_end(self._remove(self.work / claim.token))

    async def _run(self, claim: files.Claim, running: _Running) -> None:
        def on_progress(done: float, total: float, message: str) -> None:  # noqa: ARG001
            running.progress = 100.0 * done / total if total else 0.0
            if self._on_progress is not None:
                self._on_progress(claim.file_id, claim.name, running.progress)

        lane = self.manager.with_options(timeout=self._file_timeout, name="ingest", on_progress=on_progress)
        try:
            job = await self._job(claim)
            async with helper_worker(self.manager, job.sharing):
                if self.manager.is_elsewhere:
                    await lane.run_cpu_intensive(ingest_remotely, job, await self.send(job.original, claim.sha256))
                else:
                    await lane.run_cpu_intensive(ingest_file, job)
        except ClaimLost as error:
            log.warning("%s", error)
        except LaneClosed:
            await self._settle(claim, files.release)
        except ClusterUnreachable as error:
            # What had become of it there is rolled back, or was recorded by itself.
            log.warning("file %s: %s; it is pending again", claim.file_id, error)
            await self._settle(claim, files.release)
        except TryAgain as error:
            await self._try_again(running, error)
        except Exception as error:  # noqa: BLE001 (whatever it was: the file must not stay "running")
            # On a full disk, what the worker left behind may be the room that the record of the failure needs.
            await self._remove(self.work / claim.token)
            await self._settle(claim, files.fail, self._sentence(claim, error), word_of(error))

    async def _try_again(self, running: _Running, error: TryAgain) -> None:
        """Give the file back after a while, some times; then it has failed."""
        claim = running.claim
        self._tries[claim.file_id] += 1
        tries = self._tries[claim.file_id]
        if tries == MOST_TRIES:
            del self._tries[claim.file_id]
            sentence = f"{error}; that was so {tries} times: replay the file when the database is well"
            await self._settle(claim, files.fail, sentence, word_of(error))
            return
        log.warning("file %s: %s; it is tried again", claim.file_id, error)
        await asyncio.sleep(RETRY_AFTER * tries)
        running.comes_again = True
        await self._settle(claim, files.release)
        self.arrived.set()

    async def _job(self, claim: files.Claim) -> Job:
        folder = self.work / claim.token
        original = self.store.path(claim.sha256)
        # Rows of a program come one after the other, and work sharing is a folder of one machine.
        share_from = (self._share_files_from or 0) if claim.source != "import" and not self.manager.is_elsewhere else 0
        sharing = await self.manager.with_options(name="work folder").run_io_intensive(_set_up, folder, original, share_from)
        return Job(
            file_id=claim.file_id,
            claim=claim.token,
            name=claim.name,
            dataset=claim.dataset,
            source=claim.source,
            original=original,
            folder=folder,
            sharing=sharing,
            database_url=self._url,
            limits=self.limits,
            options=replace(TableOptions.from_dict(claim.options or {}), password=self._passwords.get(claim.file_id)),
            corrected=claim.corrected,
        )

    async def send(self, path: Path, sha256: str | None = None) -> RemoteContent:
        """A file of this machine, to travel with a call."""
        return await self.manager.with_options(name="send").run_io_intensive(RemoteContent.of, path, sha256)

    @contextlib.asynccontextmanager
    async def work_folder(self) -> AsyncIterator[Path]:
        """A folder for the working files of a call; it goes with the call, also when its worker was killed."""
        await self.open()
        folder = self.work / f"look-{uuid.uuid4().hex}"
        await self.manager.with_options(name="work folder").run_io_intensive(folder.mkdir, parents=True)
        try:
            yield folder
        finally:
            await _to_the_end(self._remove(folder))

    async def _remove(self, folder: Path) -> None:
        with contextlib.suppress(LevelpoolError):
            await self.manager.with_options(name="work folder").run_io_intensive(shutil.rmtree, folder, ignore_errors=True)

    async def _settle(self, claim: files.Claim, ending: Callable[..., bool], *args: object, tries: float = math.inf) -> None:
        """
        Record the end of a file that did not record it by itself; a database that is away is asked again and again.

        What is not recorded after all is left to the next service, which finds that the holder of the claim is gone.
        """
        while True:
            tries -= 1
            try:
                if not await self.write(ending, claim.file_id, claim.token, *args):
                    log.info("file %s ended by itself or was taken over", claim.file_id)
            except LevelpoolError as error:
                if tries <= 0 or isinstance(error, LaneClosed):
                    log.warning("file %s is left to the next service: %s", claim.file_id, error)
                    return
                log.warning("the end of file %s is not recorded yet: %s", claim.file_id, error)
            else:
                return
            await asyncio.sleep(RETRY_AFTER)

    def _sentence(self, claim: files.Claim, error: Exception) -> str:
        """One sentence for the person who sent the file."""
        match error:
            case WorkerDied(cause="memory"):
                return f"{claim.name} needs more memory than a worker may have ({error}): split the file, or raise LEVELPOOL_WORKER_MEMORY_LIMIT"
            case WorkerDied():
                return (
                    f"the worker process died while it read {claim.name} ({error}): replay the file; if it dies again, the file is damaged"
                )
            case TaskTimeout():
                return f"{claim.name} was not done after {self._file_timeout:g} s: split the file"
            case LevelpoolError():
                return str(error)
        log.error("unexpected error in file %s (%s)", claim.file_id, claim.name, exc_info=error)
        return f"{claim.name} met an error that should not happen ({type(error).__name__}: {error}): please report it"

    async def _renew(self) -> None:
        """Give signs of life for the files that run here, while there are any."""
        while self._running:
            await asyncio.sleep(RENEW_EVERY)
            progress = {token: running.progress for token, running in self._running.items()}
            # A sign of life that could not be given is given the next time.
            with contextlib.suppress(LevelpoolError):
                await self.write(files.renew, progress)

    # ------------------------------------------------------------ answers

    async def original_of(self, file_id: int) -> tuple[Path, files.Original]:
        """Where the kept original of a file lies, and what is known of it; raises `NotFound`, and `FileInUse` when there is none here."""
        await self.open()
        original = await self.read(files.original_of, file_id, self.claimer.store)
        return self.store.path(original.sha256), original

    async def get_file(self, file_id: int) -> queries.Json:
        """The record of one file, with its progress of this moment."""
        return self._live(await self.read(queries.get_file, file_id))

    async def list_files(self, limit: int, offset: int, *, status: str | None = None, name: str | None = None) -> queries.Json:
        """Files, newest first; only those in this state, and with this text in their names."""
        listed = await self.read(queries.list_files, limit, offset, status, name)
        return listed | {"files": [self._live(each) for each in listed["files"]]}

    def _live(self, record: queries.Json) -> queries.Json:
        """The ledger learns of progress every few seconds only; what runs here is known better."""
        if record["status"] != "running":
            return record
        here = (running.progress for running in self._running.values() if running.claim.file_id == record["id"])
        return record | {"progress": next(here, record["progress"])}


# ---------------------------------------------------------------- one step of the ledger each


def _record(connection: sa.Connection, submission: Submission, kept: Kept, claimer: files.Claimer) -> files.Recorded:
    is_named = submission.dataset is not None
    dataset = submission.dataset or dataset_name(submission.name)
    refusal = None
    try:
        check_dataset_name(dataset)
        _check_ours(connection, dataset)
    except NameRefused as refused:
        if is_named:
            raise
        refusal = refused
    new_file = replace(
        _new_file(submission),
        sha256=kept.sha256,
        size=kept.size,
        store=claimer.store,
        dataset=dataset,
        dataset_asked=is_named,
        error=None if refusal is None else str(refusal),
        error_code=None if refusal is None else word_of(refusal),
        held_by=None if submission.options.password is None else claimer.holder,
    )
    return files.record(connection, new_file)


def _check_ours(connection: sa.Connection, dataset: str) -> None:
    try:
        check_not_taken(target_of(connection), dataset)
    except NameRefused:
        # In this order: asked before its table, a dataset that a worker makes just now would be one that we do not know.
        if registry.find_dataset(connection, dataset) is None:
            raise


def _refuse(connection: sa.Connection, submission: Submission, error: SheetError) -> files.Recorded:
    return files.record(connection, replace(_new_file(submission), error=str(error), error_code=word_of(error)))


def _new_file(submission: Submission) -> files.NewFile:
    return files.NewFile(
        name=clean_file_name(submission.name),
        source=submission.source,
        actor=submission.actor,
        origin=submission.origin,
        stamp=submission.stamp,
        options=submission.options.to_dict(),
    )


# ---------------------------------------------------------------- pieces


def _set_up(folder: Path, original: Path, share_from: int) -> WorkSharing | None:
    """Make the folder of a job, with work sharing for two when the file is large enough."""
    folder.mkdir(parents=True, exist_ok=True)
    return set_up_sharing(folder, original, share_from)


def check_size(name: str, size: int, limits: Limits) -> None:
    """Raise `LimitExceeded` for a file that is too large to be taken."""
    if size > limits.max_upload_bytes:
        raise LimitExceeded(
            f"{name} has {size} bytes, and {limits.max_upload_bytes} are allowed: split it, or raise LEVELPOOL_MAX_UPLOAD_BYTES",
            limit="max_upload_bytes",
            value=size,
            allowed=limits.max_upload_bytes,
            variable="LEVELPOOL_MAX_UPLOAD_BYTES",
        )


def check_place(database_url: str, *, is_elsewhere: bool) -> None:
    """Raise `DatabaseError` when the database is a file of this machine, and the workers are on others."""
    if is_elsewhere and parse_url(database_url).get_backend_name() == "sqlite":
        raise DatabaseError(
            f"LEVELPOOL_CPU_BACKEND is 'dask', and the database is {database_url}, a file of this machine that the workers of a cluster cannot reach: "
            "set LEVELPOOL_DATABASE_URL to a postgresql:// URL that is right for them too"
        )


def clean_file_name(name: str) -> str:
    """The last part of a path of any system, without control characters, of a length that every file system takes."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", maxsplit=1)[-1]
    shown = "".join(letter for letter in last if letter.isprintable()).strip()
    stem, dot, suffix = shown.rpartition(".")
    if len(shown.encode(errors="replace")) > MOST_NAME_BYTES:
        most = MOST_NAME_BYTES - len(dot) - len(suffix.encode(errors="replace"))
        shown = stem.encode(errors="replace")[:most].decode(errors="ignore") + dot + suffix if most > 0 else shown[:60]
    return shown.encode(errors="replace").decode() if shown not in {"", ".", ".."} else "file"


def _absolute(database_url: str) -> str:
    """The URL as a worker with another working folder understands it."""
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise DatabaseError(
                "a SQLite database in memory cannot be shared with worker processes: use a file, as in sqlite:///data.sqlite"
            )
        url = url.set(database=str(Path(str(url.database)).absolute()))
    return url.render_as_string(hide_password=False)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* to its end even if we are cancelled once more meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
