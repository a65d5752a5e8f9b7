"""A file that was understood wrongly is corrected: loaded once more, in place of what it brought, on SQLite and PostgreSQL."""

import pytest
import sqlalchemy as sa

from handmade import encrypted_workbook
from levelpool.ingest.importer import RawDataImporter
from levelpool.ingest.ledger import abandoned, files
from levelpool.ingest.ledger.holder import has_died, new_holder
from levelpool.ingest.service import DataIngestionService
from levelpool.sheets import ColumnOptions, ColumnType, TableOptions
from levelpool.sheets.errors import EncryptedFile, FileInUse, NotFound, SheetError

STOCK = "Report;;\nsku;qty;day\n00012;4;03/04/2026\n00013;5;04/04/2026\n"
SECRET = "open sesame"


def put(folder, name: str, text: str = STOCK):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def shape(service: DataIngestionService, name: str) -> dict[str, str]:
    """The columns of a dataset and their types, as the ledger says; the table itself must have the same."""
    found = next(each for each in (await service.datasets())["datasets"] if each["name"] == name)
    columns = {column["name"]: column["type"] for column in found["columns"]}
    there = await service.intake.session.read(lambda connection: {each["name"] for each in sa.inspect(connection).get_columns(name)})
    assert there == {"_file_id", "_sheet", "_row", *columns}
    return columns


async def test_table_of_a_corrected_file_has_the_corrected_columns_and_no_other(service, tmp_path):
    """Wrong names and types leave nothing behind when no other file is in the table."""
    wrong = TableOptions(delimiter=",")
    record = await service.ingest_file(put(tmp_path, "stock.csv"), options=wrong)
    assert len(await shape(service, "stock")) == 1

    right = TableOptions(columns=(ColumnOptions(header="qty", type=ColumnType.TEXT), ColumnOptions(header="day", date_form="%d/%m/%Y")))
    again = await service.replay(record["id"], options=right)

    assert (again["status"], again["rows_loaded"], again["delimiter"], again["options"]) == ("loaded", 2, ";", right.to_dict())
    assert await shape(service, "stock") == {"sku": "TEXT", "qty": "TEXT", "day": "DATE"}
    assert [tuple(row.values())[3:] for row in (await service.rows("stock"))["rows"]] == [
        ("00012", "4", "2026-04-03"),
        ("00013", "5", "2026-04-04"),
    ]


async def test_table_that_was_never_meant_goes_with_the_correction(service, tmp_path):
    """But not one that another file fills, or about which a person decided."""
    report = "order,placed\n1,2026-11-01\n2,2026-11-02\n\nregion,visits\nnorth,5\nsouth,6\n"
    (tmp_path / "later").mkdir()
    record = await service.ingest_file(put(tmp_path, "report.csv", report))
    again = await service.ingest_file(put(tmp_path / "later", "report.csv", report.replace("5", "7")))
    names = [each["name"] for each in (await service.datasets())["datasets"]]
    assert names == ["report", "report__report"]

    only_first = TableOptions(box="1:3")
    await service.replay(record["id"], options=only_first)
    assert [each["name"] for each in (await service.datasets())["datasets"]] == names
    await service.undo(again["id"])

    other = await service.ingest_file(put(tmp_path, "sales.csv", report.replace("5", "8")))
    kept, gone = [each["sheets"][1]["dataset"] for each in (record, other)]
    await service.replay(other["id"], options=only_first)
    assert kept in (left := [each["name"] for each in (await service.datasets())["datasets"]]) and gone not in left
    with pytest.raises(NotFound):
        await service.rows(gone)

    await service.replay(other["id"], options=TableOptions())
    await service.set_policy(gone, "cell")
    await service.replay(other["id"], options=only_first)
    assert (await service.rows(gone))["total"] == 0


async def test_table_with_rows_of_other_files_only_grows(service, tmp_path):
    """What they brought stays as it is; what does not fit goes to quarantine."""
    first = await service.ingest_file(put(tmp_path, "stock.csv", "sku,qty\na,1\n"))
    second = await service.ingest_file(put(tmp_path, "stock-2.csv", "sku,qty\nb,2\n"))

    options = TableOptions(columns=(ColumnOptions(header="qty", name="amount"),))
    await service.replay(second["id"], options=options)

    assert await shape(service, "stock") == {"sku": "TEXT", "qty": "BIGINT", "amount": "BIGINT"}
    assert [(row["_file_id"], row["qty"], row["amount"]) for row in (await service.rows("stock"))["rows"]] == [
        (first["id"], 1, None),
        (second["id"], None, 2),
    ]


async def test_key_and_columns_that_a_person_widened_survive_a_correction(service, tmp_path):
    """The view of the newest rows is there again, and TEXT for good is for good."""
    record = await service.ingest_file(put(tmp_path, "stock.csv", "sku,qty,day\na,1,x\n"))
    await service.set_key("stock", ["sku"])
    await service.widen_column("stock", "qty")

    await service.replay(record["id"], options=TableOptions(columns=(ColumnOptions(header="day", name="note"),)))
    assert await shape(service, "stock") == {"sku": "TEXT", "qty": "TEXT", "note": "TEXT"}
    found = await service.intake.session.read(
        lambda connection: connection.execute(sa.text("SELECT sku, qty, note FROM stock_current")).all()
    )
    assert [tuple(row) for row in found] == [("a", "1", "x")]

    # Without its key column the table would lose the view: it keeps its columns then.
    await service.replay(record["id"], options=TableOptions(columns=(ColumnOptions(header="sku", name="code"),)))
    assert await shape(service, "stock") == {"sku": "TEXT", "qty": "TEXT", "note": "TEXT", "code": "TEXT", "day": "TEXT"}


async def test_correction_that_cannot_be_leaves_everything_as_it_was(service, tmp_path):
    """The rows, the columns, and the corrections before it; the record says what went wrong."""
    before = TableOptions(blanks=frozenset({"-"}))
    record = await service.ingest_file(put(tmp_path, "stock.csv"), options=before)

    failed = await service.replay(record["id"], options=TableOptions(box="Z50:Z90"))

    assert (failed["status"], failed["rows_loaded"], failed["options"]) == ("loaded", 2, before.to_dict())
    assert "holds no table" in failed["error"]
    assert (await service.rows("stock"))["total"] == 2
    assert (await service.replay(record["id"]))["error"] is None


async def test_look_at_a_kept_file_loads_nothing(service, tmp_path):
    """The decision for other corrections, seen before anything changes."""
    record = await service.ingest_file(put(tmp_path, "stock.csv"), "goods", options=TableOptions(day_first=True))

    (found,) = (await service.look_again(record["id"])).preview()["sheets"]
    assert (found["dataset"], found["header_row"], found["row_count"], found["rows"][0]["day"]) == ("goods", 1, 2, "2026-04-03")
    (other,) = (await service.look_again(record["id"], options=TableOptions(no_header=True))).preview()["sheets"]
    assert (other["header_row"], [column["name"] for column in other["columns"]]) == (None, ["column_1", "column_2", "column_3"])

    assert (await service.file(record["id"]))["options"] == {"day_first": True}
    assert list((tmp_path / "data" / "work").iterdir()) == []
    with pytest.raises(NotFound):
        await service.look_again(record["id"] + 1)
    with pytest.raises(SheetError, match="not written in utf-16"):
        await service.look_again(record["id"], options=TableOptions(encoding="utf-16"))


async def test_password_opens_a_file_that_was_kept_and_is_kept_nowhere(service, tmp_path):
    """Without it the file fails; with it, it is looked at and loaded, and the corrections stay; no table holds the password."""
    record = await service.ingest_file(encrypted_workbook(tmp_path / "secret.xlsx", SECRET), options=TableOptions(no_header=False))
    assert record["status"] == "failed" and "password" in record["error"]
    with pytest.raises(EncryptedFile):
        await service.look_again(record["id"])

    assert (await service.look_again(record["id"], password=SECRET)).preview()["sheets"][0]["row_count"] == 2
    loaded = await service.replay(record["id"], password=SECRET)
    assert (loaded["status"], loaded["rows_loaded"], loaded["options"]) == ("loaded", 2, {})
    # A replay without it cannot open the file, and leaves what is there.
    again = await service.replay(record["id"])
    assert (again["status"], again["rows_loaded"]) == ("loaded", 2) and "password" in again["error"]

    def everything(connection: sa.Connection) -> str:
        names = sa.inspect(connection).get_table_names()
        return str([connection.execute(sa.text(f'SELECT * FROM "{name}"')).all() for name in names])

    assert SECRET not in await service.intake.session.read(everything)


async def test_who_knows_the_password_takes_the_file_in(service, tmp_path, database_url, manager, ended):
    """Another process does not claim it, and fail; when the one that knew it has died, anybody does, and says what is needed."""
    path = encrypted_workbook(tmp_path / "secret.xlsx", SECRET)
    async with DataIngestionService(database_url, manager, data_dir=tmp_path / "data") as other:
        sent = await service.submit(path, name="secret.xlsx", options=TableOptions(password=SECRET), actor="ann")
        assert await other.intake.runner.claim_next() is None
        assert await other.intake.runner.reclaim() == []
        await service.start()
        assert (await ended(service, sent["id"]))["status"] == "loaded"

        lost = await other.submit(
            encrypted_workbook(path, SECRET, rows=3), name="lost.xlsx", options=TableOptions(password=SECRET), actor="ann"
        )
        await service.intake.session.write(abandoned.reclaim, lambda holder, *_: holder == other.intake.session.claimer.holder)
        failed = await ended(service, lost["id"])
        assert failed["status"] == "failed" and "password" in failed["error"]


def test_holder_that_waits_elsewhere_is_left_alone():
    """Whether a process of another host still knows a password, only that host can say."""
    elsewhere = new_holder().replace("|", " of another host|", 1)

    assert not has_died(elsewhere, files.now(), files.now())


async def test_rows_of_a_program_have_nothing_to_look_at(service):
    """Their columns and types are the program's."""
    importer = RawDataImporter(service.intake.session.engine.url.render_as_string(hide_password=False), intake=service.intake)
    record = await importer.import_rows([{"a": 1}], dataset="rows", source="test")

    with pytest.raises(FileInUse, match="handed over"):
        await service.look_again(record["id"])
