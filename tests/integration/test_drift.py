"""What the record of next month's file says about its columns: on both databases, before and after undo, and again when it is replayed."""

import pytest
import sqlalchemy as sa
import xlsxwriter

from levelpool.ingest.importer import RawDataImporter

SEPTEMBER = "No,Customer,Amount,Placed\n" + "".join(f"{n},Customer {n % 7},{n}.50,{n % 28 + 1:02d}.09.2026\n" for n in range(1, 41))


def told(record):
    return [(each["kind"], each["column"], each["was"], each["now"]) for each in record["drift"]]


async def load(service, text, name):
    return await service.ingest_file(text.encode(), name=name)


async def test_the_first_file_and_the_same_again_have_no_drift(service):
    """Other rows are no difference."""
    first = await load(service, SEPTEMBER, "orders 2026-09.csv")
    second = await load(service, SEPTEMBER.replace("Customer 3", "Customer 9").replace(".09.", ".10."), "orders 2026-10.csv")

    assert (first["drift"], second["drift"]) == ([], [])


async def test_columns_that_changed_are_in_the_record_and_in_the_list(service):
    """With the sheet, the dataset and the rows; the file is loaded all the same."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    text = "No,Amount,VAT,Placed\n" + "".join(f"{n},{n}.50,19,{n % 28 + 1:02d}.10.2026\n" for n in range(1, 31))
    record = await load(service, text, "orders 2026-10.csv")

    assert record["status"] == "loaded"
    assert told(record) == [("new", "vat", None, None), ("missing", "customer", None, None)]
    assert {(each["dataset"], each["rows"], each["reason_code"]) for each in record["drift"]} == {
        ("orders", 30, "drift_new"),
        ("orders", 30, "drift_missing"),
    }
    assert (await service.files(limit=1))["files"][0]["drift"] == record["drift"]


async def test_a_rename_is_found_by_the_values(service):
    """Most customers of October are those of September: the names alone would not do."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    record = await load(service, SEPTEMBER.replace("No,Customer,", "No,Customer name,").replace(".09.", ".10."), "orders 2026-10.csv")
    others = await load(service, SEPTEMBER.replace("No,Customer,", "No,Cust. ID,").replace("Customer ", "C-"), "orders 2026-11.csv")

    assert told(record) == [("renamed", "customer_name", "customer", "customer_name")]
    assert ("new", "cust_id", None, None) in told(others)


@pytest.mark.parametrize(
    ("column", "before", "now"),
    [
        ("2.50", "Net price", "Price net EUR"),
        ("31.08.2026", "Delivered", "Delivered on"),
        ("31.08.2026 09:30", "Delivered", "Delivered on"),
        ("7", "Pieces", "Pieces sold"),
        ("true", "Paid", "Paid for"),
        ("1.0E3", "Ratio", "Ratio of all"),
        ("09:30:00", "Time", "Time out"),
    ],
)
async def test_values_of_every_type_are_compared(service, column, before, now):
    """As each database stores them."""
    rows = "".join(f"{n},Graz,x,{column}\n" for n in range(1, 6))
    await load(service, f"No,City,Mark,{before}\n{rows}", "parts 2026-09.csv")
    record = await load(service, f"No,City,Mark,{now}\n{rows}", "parts 2026-10.csv")

    assert [each[0] for each in told(record)] == ["renamed"]


async def test_drift_is_told_before_the_file_is_loaded(service, tmp_path):
    """By a look at a new file, and at one that is kept; nothing is changed by it."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    path = tmp_path / "orders 2026-10.csv"
    path.write_text(
        "No,Customer name,Amount,Placed,VAT\n" + "".join(f"{n},Customer {n % 7},{n}.50,{n:02d}.10.2026,19\n" for n in range(1, 16))
    )
    before = await service.drift_of(await service.look(path))
    record = await service.ingest_file(path)
    await load(service, SEPTEMBER.replace(".09.", ".11."), "orders 2026-11.csv")
    after = await service.drift_of(await service.look_again(record["id"]), record["id"])

    assert [(each["kind"], each["column"]) for each in before] == [("renamed", "customer_name"), ("new", "vat"), ("volume", None)]
    assert before == record["drift"] == after


async def test_types_notations_places_and_rows_are_told(service):
    """Of one file all at once."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    text = "Customer,No,Amount,Placed\n" + "".join(f"Customer {n % 7},N{n},{n}.50,2026-10-{n % 28 + 1:02d}\n" for n in range(1, 11))
    record = await load(service, text, "orders 2026-10.csv")

    assert told(record) == [
        ("moved", "customer", 2, 1),
        ("type", "no", "BIGINT", "TEXT"),
        ("notation", "placed", "DD.MM.YYYY", "YYYY-MM-DD"),
        ("volume", None, 40, 10),
    ]


async def test_a_replay_tells_the_same_and_undo_takes_it_back(service):
    """The columns that the file itself brought are still new when it is loaded once more; those of an undone file are expected of nobody."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    second = await load(service, SEPTEMBER.replace("Amount", "Amount,VAT").replace(".50", ".50,19"), "orders 2026-10.csv")
    await service.replay(second["id"])
    again = await service.file(second["id"])
    await service.undo(second["id"])
    third = await load(service, SEPTEMBER.replace(".09.", ".11."), "orders 2026-11.csv")

    assert told(again) == told(second) == [("new", "vat", None, None)]
    assert told(third) == []


async def test_each_table_of_a_workbook_is_compared_with_its_own_dataset(service, tmp_path):
    """A column that is new on one sheet is told of that sheet."""

    def book(name, *sheets):
        with xlsxwriter.Workbook(tmp_path / name) as workbook:
            for title, rows in sheets:
                sheet = workbook.add_worksheet(title)
                for number, row in enumerate(rows):
                    sheet.write_row(number, 0, row)
        return tmp_path / name

    first = book("y 2026-09.xlsx", ("Orders", [["no", "qty"], [1, 2], [2, 3]]), ("Stock", [["article", "pieces"], ["A", 7]]))
    second = book("y 2026-10.xlsx", ("Orders", [["no", "qty"], [1, 2], [2, 3]]), ("Stock", [["article", "pieces", "place"], ["A", 7, "x"]]))
    await service.ingest_file(first)
    record = await service.ingest_file(second)

    assert [(each["sheet"], each["dataset"], each["kind"], each["column"]) for each in record["drift"]] == [
        ("Stock", "y__stock", "new", "place")
    ]


async def test_rows_of_a_program_tell_columns_but_no_numbers_of_rows(service):
    """A program sends as many as it has at a time."""
    importer = RawDataImporter("", intake=service.intake)
    await importer.import_rows([{"no": number, "qty": 1} for number in range(100)], dataset="parts", source="first")
    record = await importer.import_rows([{"no": 1, "qty": 1, "bin": "x"}], dataset="parts", source="second")

    assert told(record) == [("new", "bin", None, None)]


async def test_a_plan_of_another_release_is_passed_over(service):
    """What an older or newer levelpool wrote is read as far as it is known."""
    first = await load(service, SEPTEMBER, "orders 2026-09.csv")

    def spoil(connection):
        connection.execute(
            sa.text('UPDATE levelpool_sheets SET plan = \'{"columns": [7, {"notation": 1}]}\' WHERE file_id = :id'), {"id": first["id"]}
        )

    await service.intake.session.write(spoil)
    record = await load(service, SEPTEMBER.replace(".09.", ".10."), "orders 2026-10.csv")

    assert (record["status"], told(record)) == ("loaded", [])
