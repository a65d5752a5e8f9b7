"""Whether originals, ledger and tables agree: what a disk or a hand has changed is found, and nothing else is."""

import os
from datetime import UTC, datetime

import pytest

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
