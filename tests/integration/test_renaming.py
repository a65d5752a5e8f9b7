"""A dataset gets another name, and whoever knows the former one still finds it."""

import asyncio

import pytest
import sqlalchemy as sa

from levelpool.ingest.ledger import datasets as registry
from levelpool.sheets.errors import NameRefused, NotFound

OCTOBER = b"order,amount,place\n1,2.50,Bonn\n2,3.50,Ulm\n"
NOVEMBER = b"order,amount,place\n3,4.50,Hof\n"


def names(connection: sa.Connection) -> set[str]:
    inspector = sa.inspect(connection)
    found = {*inspector.get_table_names(), *inspector.get_view_names()}
    found |= {
        index["name"] for each in inspector.get_table_names() for index in inspector.get_indexes(each) if not each.startswith("levelpool_")
    }
    return {each for each in found if "levelpool_" not in each or each.endswith(("orders_file", "sales_file"))}


async def rows(service, name: str) -> int:
    return (await service.rows(name))["total"]


async def test_table_index_and_view_are_renamed_together(service):
    """And the rows stay where they are; a dry run changes nothing."""
    await service.ingest_file(OCTOBER, name="orders-2026-10.csv")
    await service.set_key("orders", ["order"])
    before = await service.intake.session.read(names)

    plan = await service.rename_dataset("orders", "sales", dry_run=True)
    assert await service.intake.session.read(names) == before == {"orders", "orders_current", "levelpool_orders_file"}
    assert await service.rename_dataset("orders", "sales") == plan == {"name": "sales", "former_names": ["orders"]}

    assert await service.intake.session.read(names) == {"sales", "sales_current", "levelpool_sales_file"}
    assert await rows(service, "sales") == 2
    with pytest.raises(NotFound, match="there is no dataset orders: it is called sales now"):
        await service.set_key("orders", [])


async def test_files_that_know_the_former_name_go_to_the_same_table(service):
    """By the name of the file, by the name that somebody says, and by a replay."""
    first = await service.ingest_file(OCTOBER, name="orders-2026-10.csv")
    await service.rename_dataset("orders", "sales")

    by_name = await service.ingest_file(NOVEMBER, name="orders-2026-11.csv")
    said = await service.ingest_file(NOVEMBER.replace(b"3", b"4"), name="anything.csv", dataset="orders")
    again = await service.replay(first["id"])

    assert {each["dataset"] for each in (by_name, said, again)} == {"sales"}
    assert await rows(service, "sales") == 4
    assert [each["name"] for each in (await service.datasets())["datasets"]] == ["sales"]


async def test_first_file_after_its_dataset_lost_all_others_still_goes_there(service):
    """With the rows the stems of files are gone; the former name is not."""
    first = await service.ingest_file(OCTOBER, name="orders.csv")
    await service.rename_dataset("orders", "sales")
    await service.undo(first["id"])

    assert (await service.ingest_file(NOVEMBER, name="orders.csv"))["dataset"] == "sales"


async def test_file_that_runs_meanwhile_is_not_lost(service):
    """It goes to the same table, under whichever name it began."""
    await service.ingest_file(OCTOBER, name="orders-2026-10.csv")

    record, _ = await asyncio.gather(service.ingest_file(NOVEMBER, name="orders-2026-11.csv"), service.rename_dataset("orders", "sales"))

    assert (await service.file(record["id"]))["status"] == "loaded"
    assert [(each["name"], each["rows"]) for each in (await service.datasets())["datasets"]] == [("sales", 3)]


async def test_file_that_was_read_under_the_former_name_is_read_again(service, monkeypatch):
    """The dataset is renamed between the claim and the load: the second try finds its new name."""
    await service.ingest_file(OCTOBER, name="orders-2026-10.csv")
    runner = service.intake.runner
    call = runner._call
    renamed = []

    async def rename_first(running):
        if not renamed:
            renamed.append(running.claim.dataset)
            await service.rename_dataset("orders", "sales")
        return await call(running)

    monkeypatch.setattr(runner, "_call", rename_first)
    record = await service.ingest_file(NOVEMBER, name="later.csv", dataset="orders")

    assert (renamed, record["status"], record["dataset"]) == (["orders"], "loaded", "sales")
    assert await rows(service, "sales") == 3


async def test_old_name_can_be_taken_back(service):
    """It is the name again then, and the other one leads to it."""
    await service.ingest_file(OCTOBER, name="orders.csv")
    await service.rename_dataset("orders", "sales")

    assert await service.rename_dataset("sales", "orders") == {"name": "orders", "former_names": ["sales"]}
    assert await service.intake.session.read(registry.led_to, "sales") == "orders"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("stock", "there is a dataset stock already"),
        ("goods", "goods is what the dataset stock was called before"),
        ("notes", "the database already has a table or view called notes, which levelpool did not create"),
        ("Big Sales", "is not a dataset name: use lower-case letters"),
        ("sales_current", "is reserved for views"),
        ("", "has no name"),
    ],
)
async def test_name_that_cannot_be_is_refused(service, new, said):
    """The sentence says whose it is, or what a name looks like, and nothing has changed."""
    await service.ingest_file(OCTOBER, name="orders.csv")
    await service.ingest_file(b"article,pieces\nA,7\n", name="goods.csv")
    await service.rename_dataset("goods", "stock")
    await service.intake.session.write(lambda connection: connection.exec_driver_sql("CREATE TABLE notes (text text)") and None)

    with pytest.raises(NameRefused, match=said):
        await service.rename_dataset("orders", new)

    assert await rows(service, "orders") == 2
