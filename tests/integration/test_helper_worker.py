"""A large file with a helper worker: the same tables, the same records, and nobody who waits for it."""

import asyncio
import contextlib
import os
import time
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

import crash_points
import lane_tasks
from levelpool import helper_worker
from levelpool.database import open_connection
from levelpool.executor import ExecutorManager
from levelpool.ingest import runner
from levelpool.ingest.service import DataIngestionService
from levelpool.sheets.work_sharing import help_from_end

ROWS = 20_000  # several batches
PATIENCE = 30


def orders(folder: Path) -> Path:
    """Some of everything: ids, money, days, a total, and texts among numbers, which do not fit the table of the file before."""
    path = folder / "orders_2.csv"
    lines = [
        f"{number:06d},{number},{number / 8:.3f},2026-11-{number % 28 + 1:02d},{'n/a' if number % 5000 == 4999 else number % 7},note {number}"
        for number in range(ROWS)
    ]
    (folder / "orders_1.csv").write_text("id,number,money,day,count,note\n000001,1,0.5,2026-11-01,7,a\n", encoding="utf-8")
    path.write_text("\n".join(["id,number,money,day,count,note", *lines, "Total,,1249937.5,,,"]), encoding="utf-8")
    return path


async def take_in(service: DataIngestionService, path: Path) -> dict:
    """The record of a file that comes to a table that is there."""
    await service.ingest_file(path.with_name("orders_1.csv"))
    return await service.ingest_file(path)


async def contents(service: DataIngestionService, record: dict) -> list[object]:
    """All that the database has of a file: its rows, in order, what was set aside, and its record."""

    def read(connection: sa.Connection) -> list[object]:
        rows = connection.execute(sa.text('SELECT * FROM "orders" ORDER BY _file_id, _row')).all()
        aside = [
            connection.execute(sa.text(f"SELECT * FROM levelpool_{table} ORDER BY 1, 2, 3, 4")).all() for table in ("quarantine", "outside")
        ]
        return [repr(rows), repr(aside)]

    moments = {"received_at", "started_at", "finished_at"}
    return [*await service.intake.session.read(read), {name: value for name, value in record.items() if name not in moments}]


@pytest.fixture
def open_service(database_url, tmp_path, manager):
    """A function that opens a service whose files are shared from the first byte on, or, with 0, never."""
    return lambda share=1, database=database_url, among=manager: DataIngestionService(
        database, among, data_dir=tmp_path / f"data-{share}", share_files_from=share
    )


@contextlib.asynccontextmanager
async def paused(service: DataIngestionService, path: Path, monkeypatch, helps=help_from_end, ingest=None):
    """A file whose first worker stands still after its first batch, while the second one *helps*; on leaving, it goes on."""
    pause = path.parent / "pause"
    pause.mkdir()
    await service.ingest_file(path.with_name("orders_1.csv"))
    with monkeypatch.context() as patch:
        patch.setattr(helper_worker, "help_from_end", helps)
        patch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_pause, at="while the rows are converted", folder=pause))
        file = asyncio.create_task((ingest or service.ingest_file)(path))
        await appears((pause / "there").exists, file)
    try:
        yield file
    finally:
        (pause / "go").touch()
        await asyncio.wait([file])


async def appears(is_there, file: asyncio.Task) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_there():
        assert not file.done() and time.monotonic() < deadline, file
        await asyncio.sleep(0.01)


def pieces(tmp_path: Path) -> set[str]:
    """The batches that the second worker has converted and the first has not taken."""
    return {path.name for path in tmp_path.glob("data-1/work/*/shared work/work-*/*") if path.name.isdecimal()}


def stays(manager: ExecutorManager) -> int:
    """How often a second worker has come and gone."""
    return sum(task.count for task in manager.stats().tasks if task.name == helper_worker.TASK and task.lane == "cpu")


@pytest.fixture
def url_of_one(request, tmp_path):
    """Another database of the same kind, for the file that one worker takes in."""
    if request.getfixturevalue("database_url").startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'one.sqlite'}"
        return
    server = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


async def test_two_workers_leave_what_one_leaves(open_service, url_of_one, tmp_path, monkeypatch):
    """Rows, order, quarantine, totals and the record, when the second has converted all batches but the first."""
    path = orders(tmp_path)
    async with open_service(0, url_of_one) as service:
        alone = await contents(service, await take_in(service, path))
    async with open_service() as service:
        async with paused(service, path, monkeypatch) as file:
            await appears(lambda: "1" in pieces(tmp_path), file)
        together = await contents(service, await file)

    assert alone == together
    assert alone[-1]["status"] == "partial"


async def test_death_of_the_helper_worker_changes_nothing(open_service, url_of_one, tmp_path, monkeypatch, caplog):
    """It is killed in the midst of its second batch: the first does what is missing, and the log says so."""
    path = orders(tmp_path)
    async with open_service(0, url_of_one) as service:
        alone = await contents(service, await take_in(service, path))
    async with open_service() as service:
        async with paused(service, path, monkeypatch, crash_points.help_and_die) as file:
            await appears(lambda: "the first goes on alone" in caplog.text, file)
            assert len(pieces(tmp_path)) == 1
        together = await contents(service, await file)

    assert alone == together


async def test_death_of_the_first_worker_is_told_as_ever(open_service, tmp_path, monkeypatch, manager):
    """The file fails with the same sentence, nothing of it is there, and the second worker goes, too."""
    monkeypatch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_die, at="in the middle of pass 2"))
    async with open_service() as service:
        record = await service.ingest_file(orders(tmp_path))

        assert record["status"] == "failed" and "the worker process died" in record["error"]
        assert await service.intake.session.read(lambda connection: connection.scalar(sa.text('SELECT count(*) FROM "orders"'))) == 0
        async with asyncio.timeout(PATIENCE):
            while manager.stats().cpu.busy:  # a killed worker counts until the kernel says that it is gone
                await asyncio.sleep(0.01)


async def test_cancel_ends_both_workers(open_service, tmp_path, monkeypatch, manager):
    """Both processes are gone, and the file is pending again."""
    async with open_service() as service:
        async with paused(service, orders(tmp_path), monkeypatch) as file:
            await appears(lambda: "1" in pieces(tmp_path), file)
            pids = manager.worker_pids()
            file.cancel()
            with pytest.raises(asyncio.CancelledError):
                await file
            await end(pids)
        assert (await service.files(limit=1, offset=0))["files"][0]["status"] == "pending"


async def end(pids: tuple[int, ...]) -> None:
    """Return when none of these processes is there any more."""
    async with asyncio.timeout(PATIENCE):
        while any(map(is_alive, pids)):
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_deadline_of_the_file_ends_both_workers(database_url, tmp_path, monkeypatch, manager):
    """A file that takes too long fails with its sentence, and no worker stays at it."""
    monkeypatch.setattr(
        runner, "ingest_file", partial(crash_points.ingest_and_pause, at="while the rows are converted", folder=tmp_path / "nowhere")
    )
    (tmp_path / "nowhere").mkdir()
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "data-1", file_timeout=2.0, share_files_from=1) as service:
        record = await service.ingest_file(orders(tmp_path))

        assert record["status"] == "failed" and "was not done after 2 s" in record["error"]
        async with asyncio.timeout(PATIENCE):
            while manager.stats().cpu.busy:
                await asyncio.sleep(0.01)


async def test_helper_worker_makes_room_for_a_call_that_waits_and_comes_again(open_service, tmp_path, monkeypatch, manager):
    """Both workers are at the file; another call runs all the same, long before the file has ended."""
    async with open_service() as service:
        async with paused(service, orders(tmp_path), monkeypatch) as file:
            before = stays(manager)
            await appears(lambda: "1" in pieces(tmp_path), file)
            async with asyncio.timeout(PATIENCE):
                assert await manager.run_cpu_intensive(lane_tasks.add, 1, 2) == 3
            assert stays(manager) == before + 1
            await appears(lambda: manager.stats().cpu.busy == 2, file)
        assert (await file)["status"] == "partial"


async def test_no_helper_worker_while_others_use_the_lane(open_service, tmp_path, monkeypatch, manager):
    """A lane without an idle worker gives none away, however often it is looked at, and the file does not wait for one."""
    other = asyncio.create_task(manager.run_cpu_intensive(time.sleep, 600))
    async with open_service() as service:
        async with paused(service, orders(tmp_path), monkeypatch) as file:
            before = stays(manager)
            await asyncio.sleep(5 * helper_worker.CHECK_LANE_EVERY)
            assert (stays(manager), manager.stats().cpu.queued, pieces(tmp_path)) == (before, 0, set())
        assert (await file)["status"] == "partial"
    other.cancel()


async def test_drain_lets_a_file_with_two_workers_end(database_url, tmp_path, monkeypatch):
    """The manager takes no new calls any more; the file is loaded, and both workers are gone."""

    async def run(path: Path) -> None:
        await service.submit(path, name=path.name, actor="ann")
        await service.intake.runner.run(await service.intake.runner.claim_next())

    async with ExecutorManager(cpu_workers=2, io_workers=4) as manager:
        service = DataIngestionService(database_url, manager, data_dir=tmp_path / "data-1", share_files_from=1)
        async with paused(service, orders(tmp_path), monkeypatch, ingest=run) as file:
            await appears(lambda: "1" in pieces(tmp_path), file)
            pids = manager.worker_pids()
            closing = asyncio.create_task(manager.aclose())
            await asyncio.sleep(0)
        await closing
        await service.aclose()

    await end(pids)
    with open_connection(database_url) as connection:
        assert connection.scalar(sa.text("SELECT status FROM levelpool_files WHERE id = 2")) == "partial"
