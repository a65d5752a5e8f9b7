"""Files on their way into tables, with real worker processes, on SQLite and PostgreSQL."""

import asyncio
import io
import os
import subprocess
import sys

import pytest
import sqlalchemy as sa
import xlsxwriter

from levelpool.database import open_connection
from levelpool.errors import DatabaseUnwritable
from levelpool.ingest.importer import RawDataImporter
from levelpool.ingest.ledger.datasets import add_dataset
from levelpool.ingest.service import DataIngestionService
from levelpool.sheets import TableOptions
from levelpool.sheets.errors import (
    FileInUse,
    LimitExceeded,
    NameRefused,
    NotFound,
    OptionsRefused,
    OriginalChanged,
    OriginalMissing,
    SheetError,
)
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.read.workbook import read_workbook
from levelpool.testing import inline_manager

ORDERS = "order_no,customer,price,day\n000123,Ann,1.50,2026-11-01\n000124,Bob,2.25,2026-11-02\n"


def put(folder, name: str, text: str = ORDERS):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def sql(service: DataIngestionService, statement: str) -> list[tuple]:
    return await service.intake.session.read(lambda connection: [tuple(row) for row in connection.execute(sa.text(statement))])


async def change(service: DataIngestionService, statement: str) -> None:
    await service.intake.session.write(lambda connection: connection.exec_driver_sql(statement))


async def test_file_becomes_rows(service, tmp_path):
    """The record says what was loaded, and the rows say where they came from."""
    record = await service.ingest_file(put(tmp_path, "Orders_2026-11-01 (2).csv"))

    assert (record["status"], record["dataset"], record["rows_loaded"], record["rows_quarantined"]) == ("loaded", "orders", 2, 0)
    assert record["cells"] == {"read": 12, "loaded": 8, "quarantined": 0, "outside": 4}
    assert record["progress"] == 100.0 and record["error"] is None
    rows = (await service.rows("orders"))["rows"]
    assert rows[0] == {
        "_file_id": record["id"],
        "_sheet": rows[0]["_sheet"],
        "_row": 2,
        "order_no": "000123",
        "customer": "Ann",
        "price": "1.50",
        "day": "2026-11-01",
    }


@pytest.mark.postgres
async def test_file_arrives_while_its_dataset_is_made(postgres_url, tmp_path):
    """A worker makes table and dataset between two questions of the arrival: the table is ours all the same."""
    async with DataIngestionService(postgres_url, inline_manager(), data_dir=tmp_path / "var") as service:
        first = await service.submit(put(tmp_path, "orders.csv"), name="orders.csv", actor="test")
        made = []

        def make(*_):
            if not made:
                made.append(True)
                with open_connection(postgres_url) as other, other.begin():
                    add_dataset(other, "orders", first["id"])
                    other.exec_driver_sql("CREATE TABLE orders (_file_id bigint)")

        sa.event.listen(service.intake.session.engine, "after_cursor_execute", make)
        second = await service.submit(put(tmp_path, "orders_2.csv", ORDERS + "3,Cid,1.00,2026-11-03\n"), name="orders_2.csv", actor="test")

    assert made
    assert (second["status"], second["dataset"], second["error"]) == ("pending", "orders", None)


async def test_original_stays_and_is_kept(service, tmp_path):
    """What a person gave is still where it was, and a copy of it is in the store."""
    path = put(tmp_path, "orders.csv")
    record = await service.ingest_file(path)

    assert path.read_text(encoding="utf-8") == ORDERS
    assert service.intake.session.store.path(record["sha256"]).read_text(encoding="utf-8") == ORDERS


async def test_bytes_and_open_files_are_taken_in_under_their_name(service):
    """An upload of another framework needs no file of its own; without a name nobody knows where its rows go."""
    first = await service.ingest_file(ORDERS.encode(), name="orders.csv")
    second = await service.ingest_file(io.BytesIO(ORDERS.replace("000124", "000125").encode()), name="orders-2.csv")

    assert [(each["dataset"], each["rows_loaded"]) for each in (first, second)] == [("orders", 2)] * 2
    assert not list(service.intake.session.work.iterdir())
    with pytest.raises(SheetError, match="bytes have no name: give name="):
        await service.ingest_file(ORDERS.encode())


async def test_nothing_is_left_in_the_work_folder(service, tmp_path):
    """The spool of a file goes with its import."""
    await service.ingest_file(put(tmp_path, "orders.csv"))

    assert list((tmp_path / "data" / "work").iterdir()) == []


IMPORTS_OF_THE_LOOP = """
import asyncio, sys, threading
from pathlib import Path
from levelpool.errors import DatabaseError
from levelpool.executor import ExecutorManager
from levelpool.ingest.service import DataIngestionService

class Watch:
    def find_spec(self, name, path=None, target=None):
        print(name, threading.current_thread() is threading.main_thread())

async def main():
    async with ExecutorManager(cpu_workers=1, io_workers=2) as manager:
        await manager.run_io_intensive(int)
        sys.meta_path.insert(0, Watch())
        try:
            await DataIngestionService("postgresql://nobody@127.0.0.1:1/nothing", manager, data_dir=Path("/nonexistent")).intake.open()
        except DatabaseError:
            sys.meta_path.pop(0)

asyncio.run(main())
"""


def test_driver_of_the_database_is_not_imported_on_the_loop():
    """It takes a tenth of a second and more; a thread has the time."""
    done = subprocess.run([sys.executable, "-c", IMPORTS_OF_THE_LOOP], capture_output=True, text=True, timeout=60, check=True)
    imported = dict(line.split() for line in done.stdout.splitlines())

    assert imported["psycopg"] == "False"
    assert {name for name, on_the_loop in imported.items() if on_the_loop == "True"} <= {"encodings.ascii"}  # a page of code


async def test_what_a_killed_process_left_behind_goes_after_a_day(database_url, tmp_path, manager):
    """Its working files may hold the plain form of an encrypted workbook."""
    old, young = tmp_path / "data" / "work" / "old", tmp_path / "data" / "work" / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "spool").touch()
    os.utime(old, (1, 1))
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "data"):
        assert not old.exists() and young.exists()


async def test_same_file_twice_is_loaded_once(service, tmp_path):
    """Under whatever name it comes again."""
    first = await service.ingest_file(put(tmp_path, "orders.csv"))

    again = await service.ingest_file(put(tmp_path, "other.csv"))

    assert (again["status"], again["duplicate_of"]) == ("duplicate", first["id"])
    assert (await service.rows("orders"))["total"] == 2


async def test_bad_rows_come_back_with_the_reason(service, tmp_path):
    """They are in quarantine with sheet, row, column and value; the good ones are in the table."""
    await service.ingest_file(put(tmp_path, "stock.csv", "sku,amount\na,1\nb,2\n"))

    record = await service.ingest_file(put(tmp_path, "stock-2.csv", "sku,amount\nc,3\nd,many\n"))

    assert (record["status"], record["rows_loaded"], record["rows_quarantined"]) == ("partial", 1, 1)
    quarantined = await service.quarantine(record["id"])
    assert quarantined["total"] == 1
    assert {name: quarantined["rows"][0][name] for name in ("row", "column", "value")} == {"row": 3, "column": "amount", "value": "many"}


async def test_sheets_of_one_file_prove_a_type_together(service, tmp_path):
    """A zip code with letters in May makes those of April texts, too; no row of May is refused."""
    path = tmp_path / "branches.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name, codes in (("April", [10115, 20095]), ("May", ["SW1A 1AA", "EC1A 1BB"])):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["branch", "zip"])
            for row, code in enumerate(codes, 1):
                sheet.write_row(row, 0, [row, code])

    record = await service.ingest_file(path)

    assert (record["status"], record["rows_loaded"]) == ("loaded", 4)
    assert {row["zip"] for row in (await service.rows("branches"))["rows"]} == {"10115", "20095", "SW1A 1AA", "EC1A 1BB"}


async def test_header_that_no_database_can_hold_is_shown_as_it_can(service, tmp_path):
    """A NUL in a header is no reason to refuse the file."""
    path = tmp_path / "odd.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["na\0me", "number"])
        sheet.write_row(1, 0, ["a", 1])

    assert (await service.ingest_file(path))["status"] == "loaded"
    (dataset,) = (await service.datasets())["datasets"]
    assert dataset["columns"][0] == {"name": "na_me", "header": "na\N{SYMBOL FOR NULL}me", "type": "TEXT"}


async def test_next_month_finds_the_table_of_this_month(service, tmp_path):
    """The name of the month decides nothing where the columns agree; the record says why, and the look before says where."""
    first = await service.ingest_file(put(tmp_path, "Orders October 2026.csv"))
    path = put(tmp_path, "Orders November 2026 (final).csv", ORDERS.replace("2026-11", "2026-12"))
    look = await service.look(path)
    second = await service.ingest_file(path)

    assert [table.dataset for sheet in look.sheets for table in sheet.tables] == ["orders_october"]
    assert (first["dataset"], first["sheets"][0]["recognised"]["by"]) == ("orders_october", "new")
    assert second["sheets"][0]["recognised"] == {
        "by": "stem",
        "why": "the name of its file says orders, and 4 of 4 columns agree with orders_october",
        "matched": 4,
        "of": 4,
    }
    assert (await service.replay(second["id"]))["dataset"] == "orders_october"
    assert [each["rows"] for each in (await service.datasets())["datasets"]] == [4]


async def test_file_whose_columns_are_others_is_told_of(service, tmp_path):
    """The name leads to a table that it does not look like: that is said, with the figures; a name that says nothing makes a table of its own."""
    await service.ingest_file(put(tmp_path, "orders.csv"))
    await service.ingest_file(put(tmp_path, "export.csv", "a,b,c\n1,2,3\n"))

    other = await service.ingest_file(put(tmp_path, "orders_2.csv", "order_no,weight,carrier\n7,1.5,north\n"))
    nameless = await service.ingest_file(put(tmp_path, "export (2).csv", "iban,sum\nX1,5\n"))

    remark, drift = other["remarks"]
    assert drift.startswith("5 differences from orders: the column weight is new; the column carrier is new; the column ")
    assert remark.startswith("sheet 'orders_2': the name of its file leads to orders, but only 1 of 4 columns agree: is it that report?")
    assert remark.endswith("It was loaded into orders; if that is wrong, undo it and send it again with the name of its dataset")
    assert (other["dataset"], nameless["dataset"], nameless["remarks"]) == ("orders", "export_2", [])


async def test_later_file_adds_and_widens_columns(service, tmp_path):
    """Older rows keep their values, and have NULL in what is new."""
    await service.ingest_file(put(tmp_path, "stock.csv", "sku,amount\na,1\nb,2\n"))

    await service.ingest_file(put(tmp_path, "stock-2.csv", "sku,amount,note\nc,3.5,new\n"))

    columns = {column["name"]: column["type"] for column in (await service.datasets())["datasets"][0]["columns"]}
    assert columns == {"sku": "TEXT", "amount": "NUMERIC", "note": "TEXT"}
    rows = [(row["sku"], row["amount"], row["note"]) for row in (await service.rows("stock"))["rows"]]
    assert rows == [("a", "1", None), ("b", "2", None), ("c", "3.5", "new")]


async def test_header_alone_is_known_by_its_dataset(service, tmp_path):
    """A day without an order is a header of no rows, and no record."""
    await service.ingest_file(put(tmp_path, "stock.csv", "Size,Hue,N\nXL,red,1\nM,blue,2\n"))

    record = await service.ingest_file(put(tmp_path, "stock-2.csv", "Size,Hue\n"))
    other = await service.ingest_file(put(tmp_path, "tint.csv", "Size,Tint\n"))

    assert (record["status"], record["rows_loaded"]) == ("loaded", 0)
    assert (other["status"], other["rows_loaded"]) == ("loaded", 1)
    assert (await service.rows("stock"))["total"] == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "empty"), (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "spreadsheet"), (b"PK\x03\x04 truncated", "damaged")],
)
async def test_unreadable_file_fails_with_a_sentence(service, tmp_path, content, sentence):
    """And leaves nothing but its record."""
    path = tmp_path / "orders.xlsx"
    path.write_bytes(content)

    record = await service.ingest_file(path)

    assert record["status"] == "failed" and sentence in record["error"] and record["finished_at"]
    assert (await service.datasets())["total"] == 0


async def test_sheet_wider_than_a_table_can_be_fails_with_the_figures(service, tmp_path):
    """No database takes so many columns; the sentence says how many there are and what to do."""
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(",".join(f"{word}{number}" for number in range(2100)) for word in ("name", "value")))

    record = await service.ingest_file(path)

    assert record["status"] == "failed" and "2103 columns" in record["error"] and "split" in record["error"]
    assert (await service.datasets())["total"] == 0


async def test_dataset_that_is_not_ours_is_refused(service, tmp_path):
    """A table or view that somebody else made is never touched: by name it is refused at once, by the file's name the file fails."""
    await change(service, "CREATE TABLE stock (sku text)")
    await change(service, "CREATE VIEW report AS SELECT sku FROM stock")

    for name in ("stock", "report", "levelpool_files", "x_current", "Not Valid"):
        with pytest.raises(NameRefused):
            await service.ingest_file(put(tmp_path, "a.csv"), dataset=name)
    record = await service.ingest_file(put(tmp_path, "stock.csv"))

    assert record["status"] == "failed" and "did not create" in record["error"]
    assert await sql(service, "SELECT * FROM stock") == []


async def test_table_that_appears_meanwhile_is_not_touched(service, tmp_path):
    """Between the recording and the import somebody may take the name; then the file fails."""
    upload = put(tmp_path, "upload", ORDERS)
    queued = await service.submit(upload, name="orders.csv", actor="ann")
    await change(service, "CREATE TABLE orders (x text)")

    await service.intake.runner.ingest([queued["id"]])

    record = await service.file(queued["id"])
    assert record["status"] == "failed" and "did not create" in record["error"]


async def test_upload_is_taken_in_by_the_background_worker(service, tmp_path, ended):
    """It is answered before it is read, and its folders are not part of its name."""
    upload = put(tmp_path, "upload")
    queued = await service.submit(upload, name="..\\..//evil/../Orders.csv", actor="ann")
    assert (queued["status"], queued["name"]) == ("pending", "Orders.csv") and not upload.exists()

    await service.start()

    assert (await ended(service, queued["id"]))["status"] == "loaded"


async def test_file_over_the_limit_is_refused_before_it_is_kept(database_url, tmp_path, manager):
    """The error names the limit and its variable."""
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "data", limits=Limits(max_upload_bytes=10)) as service:
        with pytest.raises(LimitExceeded, match="LEVELPOOL_MAX_UPLOAD_BYTES"):
            await service.ingest_file(put(tmp_path, "orders.csv"))
        with pytest.raises(SheetError, match="does not exist"):
            await service.ingest_file(tmp_path / "nowhere.csv")
        assert (await service.files())["total"] == 0


async def test_rows_that_wait_on_disk_count_against_the_limit(tmp_path, manager):
    """SQLite takes one write at a time, so rows wait for it beside the cells: too many for the limit, and nothing is loaded."""
    path = put(tmp_path, "orders.csv", ORDERS + "000125,Eve,3.50,2026-11-03\n" * 500)
    (tmp_path / "cells").mkdir()
    read_workbook(path, tmp_path / "cells")
    cells = sum(each.stat().st_size for each in (tmp_path / "cells").iterdir())

    limits = Limits(max_spool_bytes=cells + 1000)
    async with DataIngestionService(f"sqlite:///{tmp_path / 'data.sqlite'}", manager, data_dir=tmp_path / "data", limits=limits) as service:
        record = await service.ingest_file(path)
        rows = await sql(service, "SELECT count(*) FROM orders")

    assert (record["status"], rows) == ("failed", [(0,)])
    assert f"more room on disk for its cells and rows than the {cells + 1000:,} bytes that are allowed" in record["error"]
    assert "raise LEVELPOOL_MAX_SPOOL_BYTES" in record["error"]


async def test_undo_takes_one_import_back(service, tmp_path):
    """A dry run says how many rows; the undo removes them; the same content may come again."""
    first = await service.ingest_file(put(tmp_path, "orders.csv"))
    second = await service.ingest_file(put(tmp_path, "orders-2.csv", ORDERS + "000125,Cy,3.75,2026-11-03\n"))

    assert await service.undo(second["id"], dry_run=True) == {"id": second["id"], "status": "loaded", "rows_removed": 3, "rows_restored": 0}
    assert (await service.rows("orders"))["total"] == 5
    assert await service.undo(second["id"]) == {"id": second["id"], "status": "undone", "rows_removed": 3, "rows_restored": 0}

    assert {row["_file_id"] for row in (await service.rows("orders"))["rows"]} == {first["id"]}
    assert (await service.rows("orders"))["total"] == 2
    with pytest.raises(FileInUse, match="is undone"):
        await service.undo(second["id"])
    assert (await service.ingest_file(tmp_path / "orders-2.csv"))["status"] == "loaded"


async def test_undo_shows_the_older_rows_of_a_key_again(service, tmp_path):
    """The view of a dataset with a key has the newest row per key, and undo is a delete that brings the older ones back."""
    await service.ingest_file(put(tmp_path, "stock.csv", "sku,amount\na,1\nb,2\n"))
    await service.set_key("stock", ["sku"], actor="ann")
    second = await service.ingest_file(put(tmp_path, "stock-2.csv", "sku,amount,note\na,10.5,x\nc,3,y\n"))
    view = "SELECT sku, amount FROM stock_current ORDER BY sku"
    assert [(sku, float(amount)) for sku, amount in await sql(service, view)] == [("a", 10.5), ("b", 2), ("c", 3)]

    assert (await service.undo(second["id"]))["rows_restored"] == 1

    assert [(sku, float(amount)) for sku, amount in await sql(service, view)] == [("a", 1), ("b", 2)]
    assert (await service.datasets())["datasets"][0]["key"] == ["sku"]


async def test_replay_loads_the_kept_original_once_more(service, tmp_path):
    """In place of the rows it brought before, not beside them."""
    record = await service.ingest_file(put(tmp_path, "orders.csv"))
    (tmp_path / "orders.csv").unlink()

    again = await service.replay(record["id"])
    assert (again["id"], again["status"], again["rows_loaded"]) == (record["id"], "loaded", 2)
    assert (await service.rows("orders"))["total"] == 2

    await service.undo(record["id"])
    assert (await service.replay(record["id"]))["status"] == "loaded"
    assert (await service.rows("orders"))["total"] == 2


async def test_replay_of_what_cannot_be_replayed_is_refused(service, tmp_path):
    """A duplicate has no rows of its own; an unknown file is not there."""
    await service.ingest_file(put(tmp_path, "orders.csv"))
    duplicate = await service.ingest_file(put(tmp_path, "again.csv"))

    with pytest.raises(FileInUse, match="is duplicate"):
        await service.replay(duplicate["id"])
    with pytest.raises(NotFound):
        await service.replay(999)


async def test_many_files_of_one_dataset_at_once(service, tmp_path):
    """Files that run side by side into one table lose nothing and double nothing."""
    ids = []
    for number in range(12):
        upload = put(tmp_path, "upload", f"n,text\n{number},row {number}\n")
        ids.append((await service.submit(upload, name=f"part-{number}.csv", actor="ann"))["id"])

    await service.intake.runner.ingest(ids)

    rows = (await service.rows("part"))["rows"]
    assert sorted(row["n"] for row in rows) == list(range(12))
    assert [row["_file_id"] for row in rows] == sorted(row["_file_id"] for row in rows)


async def test_cancelled_import_is_pending_again_and_can_be_taken_up(service, tmp_path, ended):
    """Who stops waiting stops the work, and the file is not left "running"."""
    upload = put(tmp_path, "upload", "n\n" + "\n".join(map(str, range(200_000))))
    queued = await service.submit(upload, name="numbers.csv", actor="ann")
    task = asyncio.create_task(service.intake.runner.ingest([queued["id"]]))
    while (await service.file(queued["id"]))["status"] == "pending":
        await asyncio.sleep(0.01)

    task.cancel()
    await asyncio.wait([task])

    assert (await service.file(queued["id"]))["status"] in {"pending", "loaded"}
    await service.intake.runner.ingest([queued["id"]])
    assert (await service.file(queued["id"]))["rows_loaded"] == 200_000
    assert (await service.rows("numbers"))["total"] == 200_000


async def test_rows_of_a_program_are_imported(service, database_url):
    """Dictionaries and data frames, with the types of their values, the ledger and undo as with files."""
    import pandas as pd

    importer = RawDataImporter(database_url, intake=service.intake)

    record = await importer.import_rows([{"Order No": "000123", "n": 1}, {"Order No": "0", "n": None}], dataset="orders", source="shop")
    frame = await importer.import_rows(pd.DataFrame({"Order No": ["7"], "n": [2]}), dataset="orders", source="frame")
    again = await importer.import_rows([{"Order No": "000123", "n": 1}, {"Order No": "0", "n": None}], dataset="orders", source="shop")

    assert (record["status"], record["rows_loaded"], record["name"]) == ("loaded", 2, "shop")
    assert (frame["status"], again["status"]) == ("loaded", "duplicate")
    rows = [(row["order_no"], row["n"]) for row in (await service.rows("orders"))["rows"]]
    assert rows == [("000123", 1), ("0", None), ("7", 2)]
    assert (await service.undo(record["id"]))["rows_removed"] == 2


async def test_names_and_texts_that_look_like_sql_are_only_names_and_texts(service, tmp_path):
    """Cell text never becomes SQL; headers become quoted identifiers."""
    texts = ["'; DELETE FROM levelpool_files; --", "%s %(x)s :y ?", "at $1"]
    header = '"a""; DROP TABLE levelpool_files; --","select","order by",n'
    record = await service.ingest_file(put(tmp_path, "table; drop.csv", f"{header}\n{','.join(texts)},1\n{','.join(texts)},2\n"))

    assert record["status"] == "loaded"
    row = (await service.rows(record["dataset"]))["rows"][0]
    assert list(row.values())[3:] == [*texts, 1]


async def test_originals_that_are_old_enough_are_removed(service, tmp_path):
    """Undo still works; replay says that the original is gone; what came again lately stays."""
    old = await service.ingest_file(put(tmp_path, "orders.csv"))
    young = await service.ingest_file(put(tmp_path, "stock.csv", "sku,n\na,1\n"))
    await change(service, f"UPDATE levelpool_files SET received_at = '2020-01-01T00:00:00+00:00' WHERE id = {old['id']}")
    os.utime(service.intake.session.store.path(old["sha256"]), (1, 1))

    assert await service.intake.originals.retire(days=30) == 1

    assert not service.intake.session.store.path(old["sha256"]).exists() and service.intake.session.store.path(young["sha256"]).exists()
    with pytest.raises(FileInUse, match="not kept here: send the file again"):
        await service.replay(old["id"])
    assert (await service.undo(old["id"]))["rows_removed"] == 2


async def test_corrections_stay_with_a_file(service, tmp_path):
    """What a person said holds for the import and for each replay, until something else is said."""
    path = put(tmp_path, "shop.csv", "Report\nday,note\n03/04/2026,-\n04/04/2026,x\n")
    record = await service.ingest_file(path, options=TableOptions(day_first=True, blanks=frozenset({"-"})))
    assert [(row["day"], row["note"]) for row in (await service.rows("shop"))["rows"]] == [("2026-04-03", None), ("2026-04-04", "x")]

    await service.replay(record["id"])
    assert (await service.rows("shop"))["rows"][0]["day"] == "2026-04-03"

    await service.replay(record["id"], options=TableOptions(day_first=False))
    assert [(row["day"], row["note"]) for row in (await service.rows("shop"))["rows"]] == [("2026-03-04", "-"), ("2026-04-04", "x")]


async def test_policy_of_a_dataset_says_what_a_bad_cell_keeps_out(service, tmp_path):
    """By "cell" its row is loaded with NULL; one import may say otherwise."""
    await service.ingest_file(put(tmp_path, "stock.csv", "sku,amount\na,1\nb,2\n"))
    bad = put(tmp_path, "stock-2.csv", "sku,amount\nc,3\nd,four\n")
    record = await service.ingest_file(bad)
    assert (record["status"], record["rows_loaded"], record["rows_quarantined"]) == ("partial", 1, 1)

    await service.set_policy("stock", "cell", actor="ann")
    again = await service.replay(record["id"])

    assert (again["status"], again["rows_loaded"], again["rows_quarantined"]) == ("partial", 2, 0)
    assert (await service.rows("stock"))["rows"][-1]["amount"] is None
    assert (await service.quarantine(record["id"]))["rows"] == [
        {"sheet": "stock-2", "row": 3, "column": "amount", "value": "four", "reason": "not a whole number"}
    ]
    assert (await service.replay(record["id"], options=TableOptions(policy="row")))["rows_loaded"] == 1
    with pytest.raises(OptionsRefused, match="row, cell, error"):
        await service.set_policy("stock", "none")
    with pytest.raises(NotFound):
        await service.set_policy("nothing", "row")


async def test_column_is_widened_to_text_and_the_file_replayed(service, tmp_path):
    """Older rows keep what they say; the replayed file brings its cells as they stand in it."""
    csv = "id,flag,whole,exact,real,day,at,clock\n1,true,7,1.50,1e-7,2026-11-02,2026-11-02T08:30:00,08:30\n2,false,-8,2.25,3e5,,,\n"
    await service.ingest_file(put(tmp_path, "kinds.csv", csv))
    await service.set_key("kinds", ["id"])
    bad = await service.ingest_file(put(tmp_path, "kinds-2.csv", "id,flag,whole\n3,maybe,8 pcs\n4,true,5\n"))
    assert bad["rows_loaded"] == 1

    for column in ("flag", "whole", "exact", "real", "day", "at", "clock"):
        await service.widen_column("kinds", column)
        await service.widen_column("kinds", column)  # it is TEXT already
    again = await service.replay(bad["id"])

    assert (again["status"], again["rows_loaded"]) == ("loaded", 2)
    first, second, third, _ = (await service.rows("kinds"))["rows"]
    texts = [first[name] for name in ("flag", "whole", "exact", "day", "at", "clock")]
    assert texts == ["true", "7", "1.50", "2026-11-02", "2026-11-02T08:30:00", "08:30:00"]
    assert (float(first["real"]), float(second["real"]), second["flag"], second["day"]) == (1e-7, 3e5, "false", None)
    assert (third["flag"], third["whole"]) == ("maybe", "8 pcs")
    assert len(await sql(service, "SELECT * FROM kinds_current")) == 4
    assert {column["type"] for column in (await service.datasets())["datasets"][0]["columns"]} == {"BIGINT", "TEXT"}
    with pytest.raises(NotFound, match="no column colour: it has id, flag"):
        await service.widen_column("kinds", "colour")


async def test_kept_original_is_proved_before_it_is_read_again(service):
    """A hand or a disk has changed it: the good rows stay, the reason is told, and the same file sent again puts it right."""
    record = await service.ingest_file(ORDERS.encode(), name="orders.csv")
    original = service.intake.session.store.path(record["sha256"])
    original.chmod(0o640)
    original.write_text(ORDERS.replace("1.50", "9.50"), encoding="utf-8")

    replayed = await service.replay(record["id"])
    assert (replayed["status"], replayed["rows_loaded"], replayed["error_code"]) == ("loaded", 2, "original_changed")
    assert "is not what was kept" in replayed["error"] and "send the file again" in replayed["error"]
    with pytest.raises(OriginalChanged, match="is not what was kept"):
        await service.look_again(record["id"])

    await service.ingest_file(ORDERS.encode(), name="orders.csv")
    assert (await service.replay(record["id"]))["error"] is None


async def test_kept_original_that_is_gone_is_told_apart(service):
    """It is not said to have changed; sending it again brings it back."""
    record = await service.ingest_file(ORDERS.encode(), name="orders.csv")
    service.intake.session.store.path(record["sha256"]).unlink()

    replayed = await service.replay(record["id"])
    assert (replayed["status"], replayed["rows_loaded"], replayed["error_code"]) == ("loaded", 2, "original_missing")
    with pytest.raises(OriginalMissing, match="is gone"):
        await service.look_again(record["id"])

    await service.ingest_file(ORDERS.encode(), name="orders.csv")
    assert (await service.replay(record["id"]))["error"] is None


@pytest.mark.postgres
async def test_nul_in_a_question_is_not_taken_for_a_database_that_is_away(postgres_service):
    """PostgreSQL takes no text with this character; nothing has such a name."""
    with pytest.raises(NotFound):
        await postgres_service.rows("a\0b")
    with pytest.raises(NotFound):
        await postgres_service.set_policy("a\0b", "cell")
    with pytest.raises(SheetError, match="NUL"):
        await postgres_service.files(name="a\0b")


async def test_database_that_only_reads_is_named_until_it_takes_rows_again(tmp_path, manager, postgres_url):
    """Readiness asks the same question, and nothing that it asks stays in the database."""
    name = postgres_url.split("@/")[1].split("?", maxsplit=1)[0]

    def set_reading(session, value: str) -> None:
        with session.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
        session.engine.dispose()

    async with DataIngestionService(postgres_url, manager, data_dir=tmp_path / "data") as service:
        session = service.intake.session
        set_reading(session, "on")
        with pytest.raises(DatabaseUnwritable, match="nothing was changed"):
            await service.ingest_file(b"a,b\n1,2\n", name="a.csv")
        assert "read-only transaction" in await session.do("look", session.database_room.look)

        set_reading(session, "off")
        assert await session.do("look", session.database_room.look) == ""
        tables = await session.read(lambda connection: sa.inspect(connection).get_table_names())
        assert not [table for table in tables if "room" in table]
