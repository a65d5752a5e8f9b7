"""The service is killed at one point of what it does with files and rows: the next one ends it, once, and nothing stays behind."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from fault_points import POINTS, ROWS, Forks, Order
from handmade import encrypted_workbook
from levelpool.ingest.importer import RawDataImporter
from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.ledger import files
from levelpool.ingest.ledger.schema import files as ledger
from levelpool.ingest.ledger.schema import holders as signs
from levelpool.ingest.service import DataIngestionService
from levelpool.ingest.verify import verify
from levelpool.sheets.clean.options import TableOptions
from levelpool.testing import inline_manager

ORDERS = b"number,name\n1,a\n2,b\n"


@pytest.fixture(scope="module")
def forks():
    with Forks() as forks:
        yield forks


@pytest.fixture
async def service(database_url, tmp_path):
    """A service whose calls run in place."""
    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as service:
        yield service


@pytest.fixture
def killed(forks, database_url, tmp_path):
    """A function that kills a service at a point."""
    order = Order(database_url, str(tmp_path / "data"), str(tmp_path / "inbox"), "", "")

    async def kill(at: str, **more: object) -> None:
        assert await asyncio.to_thread(forks.die, replace(order, step=POINTS[at][0], at=at, **more)) == 9

    return kill


async def sql(service: DataIngestionService, statement: str) -> list[tuple]:
    return await service.intake.session.read(lambda connection: [tuple(row) for row in connection.execute(sa.text(statement))])


async def assert_well(service: DataIngestionService, **rows: int) -> None:
    """Originals, ledger and tables agree, each table has so many rows, and no working file is left."""
    for table, count in rows.items():
        assert await sql(service, f"SELECT count(*) FROM {table}") == [(count,)]
    assert [(each.code, each.sentence) for each in (await verify(service.intake, deep=False)).findings] == []
    session = service.intake.session
    assert [path for folder in (session.work, session.uploads) if folder.is_dir() for path in folder.iterdir()] == []


@pytest.mark.parametrize("at", [at for at, (step, *_) in POINTS.items() if step == "inbox"])
async def test_inbox_file_is_loaded_once_whenever_its_service_dies(database_url, service, killed, tmp_path, at):
    """Whether it was recorded already or not."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "orders.csv").write_bytes(ORDERS)
    os.utime(inbox / "orders.csv", (1, 1))
    await killed(at)

    await service.intake.runner.reclaim()
    await DataSyncService(database_url, inbox, rest=0.0, intake=service.intake).sync()

    assert [each["status"] for each in (await service.files())["files"]] == ["loaded"]
    await assert_well(service, orders=2)


async def test_file_without_an_original_ends_although_who_ends_it_dies(database_url, service, killed, tmp_path, monkeypatch):
    """Half of it is nothing; the next one says it, and a service with the original loads the file."""
    (tmp_path / "orders.csv").write_bytes(ORDERS)
    waits = await service.submit(tmp_path / "orders.csv", name="orders.csv", actor="test")
    await leave(service)

    await killed("when a file ends whose original is gone", data_dir=str(tmp_path / "other"))
    assert (await service.file(waits["id"]))["status"] == "pending"
    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "other") as other:
        await other.intake.runner.keep_house()
        assert (await other.file(waits["id"]))["error_code"] == "original_unreachable"

    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as back:
        await back.intake.runner.ingest([waits["id"]])
        assert (await back.file(waits["id"]))["status"] == "loaded"
        await assert_well(back, orders=2)


async def leave(service: DataIngestionService) -> None:
    """What the ledger knows of a service on another host that gave its last sign long ago."""
    long_ago = files.now() - timedelta(hours=1)

    def change(connection: sa.Connection) -> None:
        connection.execute(signs.update().values(holder="elsewhere " + signs.c.holder, seen_at=long_ago))
        connection.execute(ledger.update().values(received_at=long_ago))
        connection.execute(ledger.update().where(ledger.c.held_by.is_not(None)).values(held_by="elsewhere " + ledger.c.held_by))

    await service.intake.session.write(change)


async def test_password_is_asked_for_although_who_gives_its_holder_up_dies(database_url, service, killed, tmp_path):
    """The file ends as failed, and says what it needs."""
    encrypted_workbook(tmp_path / "stock.xlsx", "secret")
    waits = await service.submit(tmp_path / "stock.xlsx", name="stock.xlsx", actor="test", options=TableOptions(password="secret"))
    await leave(service)

    await killed("when the holder of a password is given up")
    [(held,)] = await sql(service, "SELECT held_by FROM levelpool_files")
    assert held is not None
    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as other:
        await other.intake.runner.keep_house()
        await other.intake.runner.ingest([waits["id"]])
        assert (await other.file(waits["id"]))["error_code"] == "password_needed"


@pytest.mark.parametrize("at", [at for at, (step, *_) in POINTS.items() if step == "replay"])
async def test_replay_that_dies_while_it_looks_has_changed_nothing(database_url, service, killed, tmp_path, at):
    """The rows of before are there, and the next service ends it."""
    record = await service.ingest_file(ORDERS, name="orders.csv")

    await killed(at, file_id=record["id"])
    assert await sql(service, "SELECT count(*) FROM orders") == [(2,)]
    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as following:
        await following.intake.runner.reclaim()
        await following.intake.runner.ingest([record["id"]])
        assert (await following.file(record["id"]))["status"] == "loaded"
        await assert_well(following, orders=2)


@pytest.mark.parametrize("at", [at for at, (step, *_) in POINTS.items() if step == "import"])
async def test_rows_of_a_program_are_there_once_when_it_hands_them_over_again(database_url, tmp_path, killed, at):
    """It does not know how far it came; what it left is taken away at the next start."""
    await killed(at)

    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as service:
        record = await RawDataImporter(database_url, intake=service.intake).import_rows(ROWS, dataset="handed", source="a program")
        assert record["status"] == "loaded"
        await assert_well(service, handed=len(ROWS))


async def test_clean_up_that_dies_is_done_by_the_next(database_url, tmp_path, killed):
    """The first leftover is gone, the second one goes at the next start."""
    work = tmp_path / "data" / "work"
    for name in ("look-00000000-a", "look-00000000-b"):
        (work / name).mkdir(parents=True)
        os.utime(work / name, (1, 1))

    await killed("in the middle of a clean-up")
    assert len(list(work.iterdir())) == 1
    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as service:
        await assert_well(service)


_SECOND_TRIES = {
    "delete": lambda service, file_id: service.delete_dataset("orders"),
    "rename": lambda service, file_id: service.rename_dataset("orders", "sales"),
    "drop": lambda service, file_id: service.drop_column("orders", "note"),
    "move": lambda service, file_id: service.intake.runner.ingest([file_id]),
}
"""What the next one does; a move that was begun goes on by itself."""
_AFTERWARDS = {
    "delete": [],
    "rename": [("sales", 2, ["number", "name", "note"])],
    "drop": [("orders", 2, ["number", "name"])],
    "move": [("sales", 2, ["number", "name", "note"])],
}


@pytest.mark.parametrize("at", [at for at, (step, *_) in POINTS.items() if step in _SECOND_TRIES])
async def test_dataset_is_changed_whole_or_not_at_all(database_url, service, killed, tmp_path, at):
    """Whoever is killed while it deletes, renames, drops or moves has changed nothing, and the next one can."""
    record = await service.ingest_file(b"number,name,note\n1,a,\n2,b,\n", name="orders.csv")
    step = POINTS[at][0]

    async def shown(service):
        listed = (await service.datasets())["datasets"]
        # A dataset to which a file moves is made ready before it, and is empty until then.
        return [(each["name"], each["rows"], [column["name"] for column in each["columns"]]) for each in listed if each["rows"]]

    await killed(at, file_id=record["id"])

    async with DataIngestionService(database_url, inline_manager(), data_dir=tmp_path / "data") as following:
        await following.intake.runner.reclaim()
        assert await shown(following) == [("orders", 2, ["number", "name", "note"])]
        assert await sql(following, "SELECT count(*) FROM orders") == [(2,)]
        await _SECOND_TRIES[step](following, record["id"])
        assert await shown(following) == _AFTERWARDS[step]
        assert (await following.file(record["id"]))["status"] == ("undone" if step == "delete" else "loaded")
        await assert_well(following)
