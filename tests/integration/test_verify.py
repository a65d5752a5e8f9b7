"""Whether originals, ledger and tables agree: what a disk or a hand has changed is found, and nothing else is."""

import os
from datetime import UTC, datetime

import pytest

from levelpool.ingest.service import DataIngestionService
from levelpool.ingest.verify import verify

ORDERS = """number,code,price,day,at,open,note
1,007,1.50,2026-11-01,2026-11-01 08:30:00,true,
2,008,2.25,2026-11-02,2026-11-02 09:30:00,false,"two
lines"
3,009,1000.00,2026-11-03,2026-11-03 10:30:15,true,x
"""


async def change(service, statement: str) -> None:
    await service.intake.session.write(lambda connection: connection.exec_driver_sql(statement))


@pytest.fixture
async def record(service):
    """A file that is loaded."""
    return await service.ingest_file(ORDERS.encode(), name="orders.csv")


async def codes(service, *, deep: bool = False) -> list[str]:
    return [each.code for each in (await verify(service.intake, deep=deep)).findings]


async def test_what_was_loaded_is_well(service, record):
    """Every kind of value compares, with rows that a program handed over, a file whose column was widened, and one that was undone beside it."""
    await service.ingest_file(b"number,code\n4,010\n5,011\n", name="orders.csv")
    gone = await service.ingest_file(b"a,b\n1,2\n3,4\n", name="other.csv")
    await service.undo(gone["id"])
    await service.ingest_file(b"day,at\n2026-11-01,2026-11-01\n2026-11-02,2026-11-02 10:00:00\n", name="days.csv")
    await service.widen_column("orders", "price")

    found = await verify(service.intake, deep=True)

    assert found.findings == () and found.is_well
    assert (found.originals, found.datasets, found.files, found.compared) == (4, 3, 3, 3)
    assert record["status"] == "loaded"


async def test_originals_gone_and_rotten_are_told_apart(service, record):
    """The same file sent again mends either."""
    original = service.intake.session.store.path(record["sha256"])
    original.chmod(0o640)
    original.write_bytes(b"something else")
    assert await codes(service, deep=True) == ["original_changed"]
    original.unlink()
    assert await codes(service) == ["original_missing"]

    await service.ingest_file(ORDERS.encode(), name="orders.csv")
    assert await codes(service, deep=True) == []


HANDS = {
    "DELETE FROM orders WHERE _row = 3": (["rows_differ"], "has 2 rows of file 1 (orders.csv)"),
    "UPDATE orders SET price = 9 WHERE _row = 3": ([], "in price, and the original says"),
    "UPDATE orders SET code = '8' WHERE _row = 3": ([], "has '8' in code, and the original says '008'"),
    "UPDATE orders SET _file_id = 77 WHERE _row = 3": (["rows_differ", "orphan_rows"], "1 rows of file 77"),
    "ALTER TABLE orders DROP COLUMN note": (["table_changed"], "has no column note any more"),
}


@pytest.mark.parametrize("statement", HANDS)
@pytest.mark.usefixtures("record")
async def test_hands_on_a_table_are_found(service, statement):
    """By counting, by asking the table what it is, or, where nothing else tells, by comparing."""
    by_counting, told = HANDS[statement]
    await change(service, statement)

    assert await codes(service) == by_counting
    found = await verify(service.intake, deep=True)
    assert [each.code for each in found.findings] == (by_counting or ["cells_differ"])
    assert told in found.findings[-1].sentence and not found.is_well


async def test_original_without_a_record_is_an_orphan(service, record):
    """Not while it may only just be recorded."""
    store = service.intake.session.store
    stray = store.path("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    assert await codes(service) == []
    old = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    os.utime(stray, (old, old))

    assert await codes(service) == ["orphan_original"]
    assert record["status"] == "loaded"


TWINS = b"id,name,,id,name\n1,a,,11,x\n2,b,,12,y\n3,c,,13,z\n"


async def test_tables_side_by_side_are_compared_each_with_its_own_rows(service):
    """Two of their rows have one number; one that is changed is found, though another beside it is as it was."""
    await service.ingest_file(TWINS, name="twins.csv")
    assert await codes(service, deep=True) == []

    await change(service, "UPDATE twins SET name = 'a', id = 1 WHERE id = 11")
    [found] = (await verify(service.intake, deep=True)).findings
    assert "row 2 of the sheet 'twins': none of its 2 rows in the table twins has what the original says, (11, 'x')" in found.sentence


async def test_differences_beyond_the_first_are_told_to_be_there(service):
    """A table that was changed everywhere is not told cell by cell."""
    await service.ingest_file(b"id,name\n" + b"".join(b"%d,n\n" % number for number in range(50)), name="many.csv")
    await change(service, "UPDATE many SET name = 'other'")

    sentences = [each.sentence for each in (await verify(service.intake, deep=True)).findings]
    assert len(sentences) == 6 and sentences[-1].endswith("there are more, behind the first 5")


async def test_original_that_is_kept_elsewhere_is_said_to_be_not_compared(service, record, tmp_path, manager):
    """Its rows are counted all the same, and nothing is wrong."""
    async with DataIngestionService(service.intake.session.url, manager, data_dir=tmp_path / "another") as other:
        found = await verify(other.intake, deep=True)

    assert [each.code for each in found.findings] == ["not_compared"] and found.is_well
    assert f"file {record['id']} (orders.csv) is not compared: its original is not kept here" in found.findings[0].sentence


async def test_folder_in_place_of_an_original_is_told_and_mended_by_sending_again(service, record):
    """By a hand; a file does not take the place of a folder by itself."""
    original = service.intake.session.store.path(record["sha256"])
    original.unlink()
    original.mkdir()
    assert await codes(service) == ["original_changed"]

    await service.ingest_file(ORDERS.encode(), name="orders.csv")
    assert await codes(service, deep=True) == []
