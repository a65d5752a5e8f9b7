"""What changed among the files, told to every open page: the ledger is asked once a second, and only while somebody listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from levelpool.errors import LevelpoolError
from levelpool.ingest.ledger import schema
from levelpool.supervision import Supervisor

INTERVAL = 1.0
NEWEST = 100

F = schema.files


@dataclass(frozen=True, slots=True)
class FileState:
    """What a page shows of a file that may change."""

    status: str
    progress: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files there are by status, and what they brought."""

    by_status: dict[str, int] = field(default_factory=dict)
    rows_loaded: int = 0
    rows_quarantined: int = 0

    def of(self, status: str) -> int:
        """How many files have *status*."""
        return self.by_status.get(status, 0)


@dataclass(frozen=True, slots=True)
class Now:
    """The running and the newest files, and the counts of all."""

    files: dict[int, FileState] = field(default_factory=dict)
    counts: Counts = Counts()


def read_now(connection: sa.Connection) -> Now:
    """The running files, the newest 100, and how many there are by status."""
    columns = (F.c.id, F.c.status, F.c.progress)
    running = connection.execute(sa.select(*columns).where(F.c.status == "running"))
    newest = connection.execute(sa.select(*columns).order_by(F.c.id.desc()).limit(NEWEST))
    files = {row.id: FileState(row.status, row.progress) for row in (*newest, *running)}
    return Now(files, read_counts(connection))


def read_counts(connection: sa.Connection) -> Counts:
    """How many files there are by status, and the rows of those whose rows are in tables."""
    statement = sa.select(F.c.status, sa.func.count(), sa.func.sum(F.c.rows_loaded), sa.func.sum(F.c.rows_quarantined)).group_by(F.c.status)
    found = connection.execute(statement).all()
    in_tables = [row for row in found if row[0] in {"loaded", "partial"}]
    return Counts({row[0]: row[1] for row in found}, sum(int(row[2]) for row in in_tables), sum(int(row[3]) for row in in_tables))


def changes(before: Now, after: Now) -> list[dict[str, object]]:
    """The files that look different now; one entry without an id when only the counts tell of a change."""
    changed: list[dict[str, object]] = [
        {"id": file_id, "status": file.status, "progress": file.progress}
        for file_id, file in after.files.items()
        if before.files.get(file_id) != file
    ]
    if not changed and before.counts != after.counts:
        changed.append({"id": None, "status": None, "progress": None})
    return changed


class FileFeed:
    """One question a second for any number of listeners; a listener that is slow gets all changes it missed in one list."""

    def __init__(self, ask: Callable[[], Awaitable[Now]], *, supervisor: Supervisor | None = None, interval: float = INTERVAL) -> None:
        self._supervisor = supervisor or Supervisor()
        self._ask = ask
        self._interval = interval
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[Callable[[], Awaitable[list[dict[str, object]]]]]:
        """Yields a function that waits for the next changes."""
        listener = _Listener()
        self._listeners.add(listener)
        if self._task is None:
            self._task = self._supervisor.start("file feed", self._watch)
        try:
            yield listener.take
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _watch(self) -> None:
        before: Now | None = None
        while True:
            try:
                now = await self._ask()
            except LevelpoolError:
                # The database is away or busy: the next question tells what was missed.
                now = before or Now()
            if before is not None and (changed := changes(before, now)):
                for listener in self._listeners:
                    listener.put(changed)
            before = now
            await asyncio.sleep(self._interval)


class _Listener:
    def __init__(self) -> None:
        self._changed: dict[object, dict[str, object]] = {}
        self._arrived = asyncio.Event()

    def put(self, changed: list[dict[str, object]]) -> None:
        self._changed.update({each["id"]: each for each in changed})
        self._arrived.set()

    async def take(self) -> list[dict[str, object]]:
        await self._arrived.wait()
        self._arrived.clear()
        taken, self._changed = list(self._changed.values()), {}
        return taken
