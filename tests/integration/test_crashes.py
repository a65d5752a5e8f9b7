"""Whatever dies when: an import is whole or not there, nothing stays "running", nothing is there twice."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

import crash_points
from levelpool.ingest import ending, runner
from levelpool.ingest.importer import RawDataImporter
from levelpool.ingest.ledger import abandoned, files, holders
from levelpool.ingest.ledger.schema import holders as signs
from levelpool.ingest.service import DataIngestionService
from levelpool.sheets.errors import StoreError
from levelpool.testing import inline_manager

ROWS = 5000  # several batches


def numbers(folder: Path, name: str = "numbers.csv", rows: int = ROWS) -> Path:
    path = folder / name
    path.write_text("n,text\n" + "".join(f"{number},{name} {number}\n" for number in range(rows)), encoding="utf-8")
    return path


async def sql(service: DataIngestionService, statement: str) -> list[tuple]:
    return await service.intake.session.read(lambda connection: [tuple(row) for row in connection.execute(sa.text(statement))])


async def rows_in_tables(service: DataIngestionService) -> int:
    """What really is in the tables of all datasets, counted there."""
    datasets = (await service.datasets())["datasets"]
    return sum([(await sql(service, f'SELECT count(*) FROM "{dataset["name"]}"'))[0][0] for dataset in datasets])


@pytest.mark.parametrize("at", crash_points.POINTS)
async def test_worker_that_is_killed_leaves_a_whole_import_or_none(service, tmp_path, monkeypatch, at):
    """At every point: before the commit nothing of the file is there and it fails with a sentence; after it, everything is."""
    with monkeypatch.context() as patch:
        patch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_die, at=at))
        record = await service.ingest_file(numbers(tmp_path))

    if at == "just after the commit":
        assert (record["status"], await rows_in_tables(service)) == ("loaded", ROWS)
        return
    assert record["status"] == "failed" and "the worker process died" in record["error"]
    assert await rows_in_tables(service) == 0
    for table in ("sheets", "quarantine", "outside"):
        assert await sql(service, f"SELECT count(*) FROM levelpool_{table}") == [(0,)]
    assert (await service.replay(record["id"]))["status"] == "loaded"
    assert await rows_in_tables(service) == ROWS


async def test_replay_that_dies_keeps_the_earlier_rows(service, tmp_path, monkeypatch):
    """The rows of the first import go only in the transaction that brings the new ones."""
    record = await service.ingest_file(numbers(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_die, at="in the middle of pass 2"))
        again = await service.replay(record["id"])

    assert again["status"] == "loaded" and "died" in again["error"]
    assert await rows_in_tables(service) == ROWS == again["rows_loaded"]


async def test_worker_that_lost_its_claim_changes_nothing(service, database_url, tmp_path, manager, monkeypatch):
    """A worker stands still, is taken for dead, another one loads the file, and the first goes on: the rows are there once."""
    slow = tmp_path / "slow"
    slow.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_pause, at="before pass 2", folder=slow))
        first = asyncio.create_task(service.ingest_file(numbers(tmp_path)))
        await appears(slow / "there")
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "data") as other:
        [file_id] = await other.intake.session.write(abandoned.reclaim, lambda *_: True)
        await other.intake.runner.ingest([file_id])
        assert (await other.file(file_id))["status"] == "loaded"

        (slow / "go").touch()
        record = await first

    assert record["status"] == "loaded"
    assert await rows_in_tables(service) == ROWS
    assert await sql(service, "SELECT count(*) FROM levelpool_sheets") == [(1,)]


async def test_rows_are_converted_again_when_their_table_changed_meanwhile(service, tmp_path, monkeypatch):
    """Days that were converted for a column of days, which another file has made one of instants, come as instants."""
    pause = tmp_path / "pause"
    pause.mkdir()
    for name, text in {"a": "2026-11-01", "b": "2026-11-02", "c": "2026-11-03 08:30:00"}.items():
        (tmp_path / f"{name}.csv").write_text(f"n,seen\n1,{text}\n2,{text}\n", encoding="utf-8")
    await service.ingest_file(tmp_path / "a.csv", dataset="visits")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_pause, at="before pass 2", folder=pause))
        paused = asyncio.create_task(service.ingest_file(tmp_path / "b.csv", dataset="visits"))
        await appears(pause / "there")
    assert (await service.ingest_file(tmp_path / "c.csv", dataset="visits"))["status"] == "loaded"

    (pause / "go").touch()

    assert (await paused)["status"] == "loaded"
    days = {str(day).replace(" ", "T") for (day,) in await sql(service, "SELECT seen FROM visits")}
    assert days == {"2026-11-01T00:00:00", "2026-11-02T00:00:00", "2026-11-03T08:30:00"}


async def test_files_of_a_service_that_is_killed_are_taken_up_by_the_next(database_url, tmp_path, manager, ended):
    """After kill -9 nothing of the files that ran is there, and the next service loads each of them once."""
    data, pauses = tmp_path / "data", tmp_path / "pauses"
    pauses.mkdir()
    async with DataIngestionService(database_url, manager, data_dir=data) as service:
        ids = [
            (await service.submit(numbers(tmp_path, name), name=name, actor="ann"))["id"] for name in ("alpha.csv", "beta.csv", "gamma.csv")
        ]
        with process(database_url, data, "in the middle of pass 2", pauses) as killed:
            await appears(pauses / "there")
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        assert "running" in {file["status"] for file in (await service.files())["files"]}
        assert await rows_in_tables(service) == 0

        await service.start()

        records = [await ended(service, file_id) for file_id in ids]
        assert [record["status"] for record in records] == ["loaded"] * 3
        assert await rows_in_tables(service) == 3 * ROWS


async def test_two_services_on_one_database_load_each_file_once(database_url, tmp_path, manager, ended):
    """Two processes claim as fast as they can; no file is loaded twice, and none is left."""
    data = tmp_path / "data"
    async with DataIngestionService(database_url, manager, data_dir=data) as service:
        ids = [(await service.submit(numbers(tmp_path, f"part-{n}.csv", 50), name=f"part-{n}.csv", actor="ann"))["id"] for n in range(10)]

        with process(database_url, data, "", tmp_path), process(database_url, data, "", tmp_path):
            records = [await ended(service, file_id) for file_id in ids]

        assert {record["status"] for record in records} == {"loaded"}
        assert await rows_in_tables(service) == 10 * 50
        assert await sql(service, "SELECT count(*), count(DISTINCT file_id) FROM levelpool_claims WHERE outcome = 'loaded'") == [(10, 10)]


@contextlib.contextmanager
def process(database_url: str, data: Path, at: str, pauses: Path):
    """A service in a process of its own, on its way up."""
    command = [sys.executable, crash_points.__file__, database_url, str(data), at, str(pauses)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def appears(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():  # noqa: ASYNC240 (a file of a temporary folder)
            await asyncio.sleep(0.01)


async def test_busy_database_is_waited_for(sqlite_url, tmp_path, manager):
    """Somebody else holds the write lock of SQLite for a while: the import waits, and is whole."""
    async with DataIngestionService(sqlite_url, manager, data_dir=tmp_path / "data") as service:
        upload = numbers(tmp_path, "upload")
        queued = await service.submit(upload, name="numbers.csv", actor="ann")
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        importing = asyncio.create_task(service.intake.runner.ingest([queued["id"]]))
        while (await service.file(queued["id"]))["status"] == "pending":
            await asyncio.sleep(0.01)
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(1.0)
        other.execute("ROLLBACK")
        other.close()
        await importing

        assert await rows_in_tables(service) == ROWS


async def test_database_that_goes_away_in_the_middle_is_tried_again(postgres_url, tmp_path, manager, monkeypatch):
    """The server ends the connection in pass 2: nothing is there, the file is taken up again and loaded once."""
    monkeypatch.setattr(ending, "RETRY_AFTER", 0.05)
    pauses = tmp_path / "pauses"
    pauses.mkdir()
    async with DataIngestionService(postgres_url, manager, data_dir=tmp_path / "data") as service:
        with monkeypatch.context() as patch:
            patch.setattr(runner, "ingest_file", partial(crash_points.ingest_and_pause, at="in the middle of pass 2", folder=pauses))
            importing = asyncio.create_task(service.ingest_file(numbers(tmp_path)))
            await appears(pauses / "there")
        await service.intake.session.write(
            lambda connection: connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        )
        (pauses / "go").touch()
        record = await importing

        assert (record["status"], await rows_in_tables(service)) == ("loaded", ROWS)
        assert await sql(service, "SELECT outcome FROM levelpool_claims ORDER BY claimed_at") == [("released",), ("loaded",)]


async def test_call_that_waits_for_a_store_that_is_gone_ends(database_url, tmp_path, manager, monkeypatch, caplog):
    """It says for what it waits, and the file ends with a sentence; when its service comes back, it is loaded."""
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "gone") as service:
        (tmp_path / "orders.csv").write_text("number,name\n1,a\n", encoding="utf-8")
        waits = await service.submit(tmp_path / "orders.csv", name="orders.csv", actor="test")
    monkeypatch.setattr(runner, "KEEP_HOUSE_EVERY", 0.0)
    monkeypatch.setattr(runner, "TELL_EVERY", 0.0)
    monkeypatch.setattr(holders, "LEASE_OF_STORE", timedelta(seconds=1))
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "other") as other, asyncio.timeout(30):
        await other.intake.runner.ingest([waits["id"]])
        ended = await other.file(waits["id"])
    assert (ended["status"], ended["error_code"]) == ("failed", "original_unreachable")
    assert f"file {waits['id']} (orders.csv) lies in the store of another service" in caplog.text

    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "gone") as back:
        await back.intake.runner.ingest([waits["id"]])
        assert (await back.file(waits["id"]))["status"] == "loaded"


LEFT_BY_A_KILLED_PROCESS = """
import asyncio, os, signal, sys
from levelpool.ingest.service import DataIngestionService
from levelpool.testing import inline_manager

async def main():
    async with DataIngestionService(sys.argv[1], inline_manager(), data_dir=sys.argv[2]) as service:
        session = service.intake.session
        (session.work / session.own_name("look")).mkdir(parents=True)
        (session.work / session.own_name("input")).write_bytes(b"half")
        session.uploads.mkdir()
        (session.uploads / session.own_name("upload")).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_working_files_of_a_killed_process_go_at_the_next_start(database_url, service, tmp_path):
    """Those of a living one stay."""
    session = service.intake.session
    ours = session.work / session.own_name("look")
    ours.mkdir(parents=True)
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", LEFT_BY_A_KILLED_PROCESS, database_url, str(session.store.folder.parent)]
    )
    assert killed.returncode == -signal.SIGKILL
    assert len([*session.work.iterdir(), *session.uploads.iterdir()]) == 4

    async with DataIngestionService(database_url, inline_manager(), data_dir=session.store.folder.parent):
        assert [*session.work.iterdir(), *session.uploads.iterdir()] == [ours]


async def test_working_files_of_a_replaced_container_go_while_the_next_one_runs(database_url, service, monkeypatch):
    """Its process cannot be looked up here: its last sign of life has to be a minute old."""
    session, keeper = service.intake.session, service.intake.runner
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", LEFT_BY_A_KILLED_PROCESS, database_url, str(session.store.folder.parent)]
    )
    assert killed.returncode == -signal.SIGKILL
    elsewhere = "holder LIKE '%|%' AND holder <> '" + session.claimer.holder + "'"
    renamed = f"UPDATE levelpool_holders SET holder = 'another-container ' || holder WHERE {elsewhere}"
    await session.write(lambda connection: connection.exec_driver_sql(renamed.replace("%", "%%")))
    monkeypatch.setattr(runner, "KEEP_HOUSE_EVERY", 0.0)
    monkeypatch.setattr(runner, "SWEEP_EVERY", 0.0)

    await keeper.keep_house()
    assert len([*session.work.iterdir(), *session.uploads.iterdir()]) == 3
    old = files.now() - timedelta(seconds=61)
    await session.write(
        lambda connection: connection.execute(signs.update().where(signs.c.holder != session.claimer.holder).values(seen_at=old))
    )
    await keeper.keep_house()

    assert [*session.work.iterdir(), *session.uploads.iterdir()] == []


async def test_leftover_that_cannot_be_removed_is_said_once_and_keeps_nobody_from_starting(service, monkeypatch, caplog):
    """Such as one in a folder of another user."""
    session = service.intake.session
    session.work.mkdir(parents=True, exist_ok=True)
    left = session.work / "input-00000000-left"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))

    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        await asyncio.to_thread(session.sweep_work)

    assert caplog.text.count(f"{left} is left over and cannot be removed (Permission denied)") == 1


async def test_working_folder_that_cannot_be_used_is_told_in_a_sentence(service, tmp_path):
    """Replay, preview, a program's rows and bytes: each says the folder and what to do, and all goes on when it can be used again."""
    record = await service.ingest_file(b"number,name\n1,a\n2,b\n", name="orders.csv")
    work = service.intake.session.work
    work.rmdir()
    work.write_text("in its place")

    again = await service.replay(record["id"])
    assert (again["status"], again["error_code"]) == ("loaded", "store_error")
    assert f"no working file can be written in {work}" in again["error"]
    with pytest.raises(StoreError, match="no working file can be written"):
        await service.look_again(record["id"])
    with pytest.raises(StoreError, match="no working file can be written"):
        await service.ingest_file(b"number\n3\n", name="more.csv")
    with pytest.raises(StoreError, match="no working file can be written"):
        await RawDataImporter("", intake=service.intake).import_rows([{"number": 1}], dataset="handed", source="a program")

    work.unlink()
    assert (await service.replay(record["id"]))["error"] is None


async def test_store_that_may_not_be_entered_is_told_in_a_sentence(service, monkeypatch):
    """As where somebody took the rights away: the file is not blamed, and nothing has to be reported."""
    record = await service.ingest_file(b"number,name\n1,a\n2,b\n", name="orders.csv")
    original = service.intake.session.store.path(record["sha256"])
    stat = Path.stat

    def refuse(path, **options):
        if path == original:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        original.rename(original.with_suffix(".aside"))
        original.mkdir()  # so that the worker cannot read it either
        again = await service.replay(record["id"])

    assert (again["status"], again["error_code"]) == ("loaded", "original_changed")
    assert "nothing was changed" in again["error"]
