"""What runs in a worker instead of `ingest_file`, to force a death or a pause at one point of it."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from levelpool.ingest import job as ingest_job
from levelpool.ingest import remote_job
from levelpool.ingest.ledger import files
from levelpool.ingest.load.postgresql import PostgresqlTarget
from levelpool.ingest.load.sqlite import SqliteTarget
from levelpool.sheets.work_sharing import WorkSharing, help_from_end

POINTS = (
    "in pass 1",
    "before the tables are made ready",
    "while the rows are converted",
    "in the middle of pass 2",
    "just before the commit",
    "just after the commit",
)


def ingest_and_die(job: ingest_job.Job, *, at: str) -> files.Outcome:
    """Ingest until the point *at*, and be killed there as the kernel kills."""
    return _ingest_and(_die, job, at)


def ingest_and_pause(job: ingest_job.Job, *, at: str, folder: Path) -> files.Outcome:
    """Ingest until the point *at*, say so by a file "there" in *folder*, and go on when the file "go" appears."""

    def pause() -> None:
        (folder / "there").touch()
        deadline = time.monotonic() + 30
        while not (folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    return _ingest_and(pause, job, at)


def ingest_remotely_and_pause(job: ingest_job.Job, file: remote_job.RemoteContent, *, at: str, folder: Path) -> files.Outcome:
    """The same in place of `ingest_remotely`."""
    with remote_job._unpacked(file, job.name) as (original, private):
        return ingest_and_pause(replace(job, original=original, folder=private), at=at, folder=folder)


def help_and_die(sharing: WorkSharing) -> int:
    """Do one piece of what is shared, and be killed in the midst of the next."""
    begun = 0

    def die_the_second_time() -> None:
        nonlocal begun
        begun += 1
        if begun == 2:
            _die()

    for kind in (SqliteTarget, PostgresqlTarget):
        kind.encode = _with(die_the_second_time, kind.encode, before=True)
    return help_from_end(sharing)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _ingest_and(do: Callable[[], None], job: ingest_job.Job, at: str) -> files.Outcome:
    """The worker is used once more only if it lives on; what is replaced is put back then."""
    places = {
        "in pass 1": [(ingest_job, "plan_tables", True)],
        "before the tables are made ready": [(ingest_job, "_make_ready", True)],
        "before pass 2": [(ingest_job, "_load", True)],
        "while the rows are converted": [(SqliteTarget, "encode", False), (PostgresqlTarget, "encode", False)],
        "in the middle of pass 2": [(SqliteTarget, "write", False), (PostgresqlTarget, "write", False)],
        "just before the commit": [(files, "finish", False)],
        "just after the commit": [],
    }
    originals = [(room, name, getattr(room, name)) for room, name, _ in places[at]]
    for room, name, before in places[at]:
        setattr(room, name, _with(do, getattr(room, name), before=before))
    try:
        outcome = ingest_job.ingest_file(job)
    finally:
        for room, name, original in originals:
            setattr(room, name, original)
    if at == "just after the commit":
        do()
    return outcome


def _with(do: Callable[[], None], step: Callable[..., object], *, before: bool) -> Callable[..., object]:
    def run(*args: object, **kwargs: object) -> object:
        if before:
            do()
        result = step(*args, **kwargs)
        if not before:
            do()
        return result

    return run


def serve(database_url: str, data_dir: str, at: str | None, folder: str) -> None:
    """A whole service with a background worker, as a process of its own; with *at*, its files pause at that point."""
    import asyncio
    from functools import partial

    from levelpool.executor import ExecutorManager
    from levelpool.ingest import runner
    from levelpool.ingest.service import DataIngestionService

    if at:
        runner.ingest_file = partial(ingest_and_pause, at=at, folder=Path(folder))

    async def main() -> None:
        async with (
            ExecutorManager(cpu_workers=2, io_workers=4) as manager,
            DataIngestionService(database_url, manager, data_dir=Path(data_dir)) as service,
        ):
            await service.start()
            print("started", flush=True)
            await asyncio.sleep(120)

    asyncio.run(main())


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3] or None, sys.argv[4])
