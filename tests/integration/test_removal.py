"""What a person takes away goes whole, and nothing else with it."""

import asyncio

import pytest
import sqlalchemy as sa
import xlsxwriter

from levelpool.sheets.errors import ColumnInUse, NotFound, TableChanged

OCTOBER = b"order,amount\n1,2.50\n2,3.50\n"
NOVEMBER = b"order,amount,note\n3,4.50,\n"
STOCK = b"article,pieces\nA,7\n"


def tables(connection: sa.Connection) -> set[str]:
    return {
        each for each in (*sa.inspect(connection).get_table_names(), *sa.inspect(connection).get_view_names()) if "levelpool" not in each
    }


async def two_datasets(service):
    files = [await service.ingest_file(OCTOBER, name="orders-2026-10.csv"), await service.ingest_file(NOVEMBER, name="orders-2026-11.csv")]
    files.append(await service.ingest_file(STOCK, name="stock.csv"))
    return [each["id"] for each in files]


async def test_deleted_dataset_is_gone_with_table_and_view(service):
    """The dry run gives the figures and changes nothing; the other dataset stays; a replay makes the dataset anew."""
    first, second, other = await two_datasets(service)
    await service.set_key("orders", ["order"])

    plan = await service.delete_dataset("orders", dry_run=True)
    before = await service.intake.session.read(tables)
    done = await service.delete_dataset("orders")

    assert plan == done == {"files": 2, "rows_removed": 3}
    assert before == {"orders", "orders_current", "stock"}
    assert await service.intake.session.read(tables) == {"stock"}
    assert [(await service.file(each))["status"] for each in (first, second, other)] == ["undone", "undone", "loaded"]
    with pytest.raises(NotFound):
        await service.delete_dataset("orders")
    assert (await service.replay(second))["rows_loaded"] == 1
    assert (await service.rows("orders"))["total"] == 1


async def test_file_keeps_its_parts_in_other_datasets(service, workbook_of_two):
    """A workbook with tables in two datasets loses one part, and is still loaded with the other."""
    record = await service.ingest_file(workbook_of_two, name="year.xlsx")
    first, second = (sheet["dataset"] for sheet in record["sheets"])

    assert await service.delete_dataset(first) == {"files": 1, "rows_removed": 2}

    record = await service.file(record["id"])
    assert (record["status"], record["rows_loaded"]) == ("loaded", 1)
    assert [sheet["rows_loaded"] for sheet in record["sheets"]] == [0, 1]
    assert (await service.rows(second))["total"] == 1
    assert (await service.undo(record["id"]))["rows_removed"] == 1


@pytest.fixture
def workbook_of_two(tmp_path):
    path = tmp_path / "two.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        for name, rows in {"Orders": [["order", "amount"], [1, 2.5], [2, 3.5]], "Stock": [["article", "pieces"], ["A", 7]]}.items():
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


async def test_file_that_comes_while_its_dataset_goes_is_loaded(service):
    """Whichever is first, the file ends as loaded, and the table has its rows or those of a dataset made anew."""
    await service.ingest_file(OCTOBER, name="orders-2026-10.csv")

    record, _ = await asyncio.gather(
        service.ingest_file(NOVEMBER, name="orders-2026-11.csv"), service.delete_dataset("orders"), return_exceptions=False
    )

    now = await service.file(record["id"])
    listed = {each["name"]: each["rows"] for each in (await service.datasets())["datasets"]}
    assert (now["status"], listed) in [("loaded", {"orders": 1}), ("undone", {})]


async def test_dataset_whose_table_is_gone_can_be_deleted(service):
    """It is the way out for whoever dropped the table by hand."""
    await two_datasets(service)
    await service.intake.session.write(lambda connection: connection.exec_driver_sql("DROP TABLE orders") and None)

    assert await service.delete_dataset("orders") == {"files": 2, "rows_removed": 0}
    assert (await service.ingest_file(OCTOBER + b"9,1.00\n", name="orders.csv"))["status"] == "loaded"


async def test_view_of_a_person_is_told(postgres_service):
    """PostgreSQL keeps a table on which something else depends; the sentence names it, and nothing is half done."""
    service = postgres_service
    first, *_ = await two_datasets(service)
    await service.intake.session.write(
        lambda connection: connection.exec_driver_sql("CREATE VIEW mine AS SELECT amount FROM orders") and None
    )

    with pytest.raises(TableChanged, match=r"cannot drop table orders because other objects depend on it.*nothing was changed"):
        await service.delete_dataset("orders")

    assert (await service.file(first))["status"] == "loaded"
    assert (await service.rows("orders"))["total"] == 3


async def test_column_that_no_row_uses_is_dropped(service):
    """The view follows, and the next file that has the column brings it back."""
    await two_datasets(service)
    await service.set_key("orders", ["order"])

    assert await service.drop_column("orders", "note", dry_run=True) == {"files": 0, "rows_removed": 0}
    await service.drop_column("orders", "note")

    rows = (await service.rows("orders"))["rows"]
    assert [set(row) - {"_file_id", "_sheet", "_row"} for row in rows] == [{"order", "amount"}] * 3
    await service.ingest_file(b"order,amount,note,place\n4,1.00,late,Bonn\n", name="orders-2026-12.csv")
    (orders,) = [each for each in (await service.datasets())["datasets"] if each["name"] == "orders"]
    assert [column["name"] for column in orders["columns"]] == ["order", "amount", "note", "place"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("amount", r"3 rows of orders have a value in the column amount, the first of them in file 1"),
        ("order", "belongs to the key of orders"),
    ],
)
async def test_column_that_is_used_stays(service, column, said):
    """The refusal says by what."""
    await two_datasets(service)
    await service.set_key("orders", ["order"])

    with pytest.raises(ColumnInUse, match=said):
        await service.drop_column("orders", column)


async def test_unknown_column_is_told_with_those_that_are_there(service):
    """Nobody has to look them up."""
    await two_datasets(service)

    with pytest.raises(NotFound, match="orders has no column colour: it has order, amount, note"):
        await service.drop_column("orders", "colour")
