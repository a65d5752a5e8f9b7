"""A folder of the inbox that bears the name of a dataset says where its files belong."""

from pathlib import Path

import pytest

from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.renaming import rename_dataset

ORDERS = "order_no,customer\n1,Ann\n2,Bob\n"
MORE = "order_no,customer\n3,Cy\n"


def put(inbox: Path, path: str, text: str) -> None:
    (inbox / path).parent.mkdir(parents=True, exist_ok=True)
    (inbox / path).write_text(text, encoding="utf-8")


async def last(sync: DataSyncService) -> dict:
    [file, *_] = (await sync.intake.runner.list_files(1, 0))["files"]
    return file


@pytest.mark.parametrize("path", ["sales_orders/hh.csv", "Sales Orders/2026/November.csv", "SalesOrders/data.csv"])
async def test_folder_with_the_name_of_a_dataset_decides(sync, inbox, path):
    """Whatever the file is called, and however people write the folder."""
    put(inbox, "sales_orders.csv", ORDERS)
    await sync.sync()
    put(inbox, path, MORE)
    await sync.sync()

    file = await last(sync)
    assert (file["status"], file["dataset"], file["sheets"][0]["recognised"]["by"]) == ("loaded", "sales_orders", "folder")


async def test_folder_with_a_former_name_leads_on(sync, inbox):
    """After a rename the senders go on using the folder that they know."""
    put(inbox, "orders.csv", ORDERS)
    await sync.sync()
    await sync.intake.session.write(rename_dataset, "orders", "purchases", dry_run=False, actor="test")
    put(inbox, "orders/eleven.csv", MORE)
    await sync.sync()

    file = await last(sync)
    assert (file["dataset"], file["sheets"][0]["recognised"]["by"]) == ("purchases", "folder")


async def test_folder_below_another_and_folder_of_no_dataset_say_nothing(sync, inbox):
    """Only the first folder speaks, and only for a dataset that is there."""
    put(inbox, "orders.csv", ORDERS)
    await sync.sync()
    put(inbox, "shops/orders/stock.csv", "sku,pieces\na,1\n")
    await sync.sync()

    file = await last(sync)
    assert (file["dataset"], file["sheets"][0]["recognised"]["by"]) == ("stock", "new")


async def test_same_content_in_the_folder_of_another_dataset_is_loaded_there(sync, inbox):
    """Who moves a file into a folder has said where it belongs; beside its first place it is a duplicate."""
    put(inbox, "orders.csv", ORDERS)
    put(inbox, "returns.csv", "order_no,reason\n9,broken\n")
    await sync.sync()
    put(inbox, "returns/first.csv", ORDERS)
    put(inbox, "orders/first.csv", ORDERS)
    await sync.sync()

    found = {file["dataset"]: file["status"] for file in (await sync.intake.runner.list_files(2, 0))["files"]}
    assert found == {"returns": "loaded", "orders": "duplicate"}
