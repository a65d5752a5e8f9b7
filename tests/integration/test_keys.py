"""Which keys are proposed, and what is said of those that are chosen, on both databases."""

import pytest

from levelpool.sheets.errors import NotFound, OptionsRefused

SEPTEMBER = "Place,Day,Amount,Order no\nGraz,2026-09-01,1.25,A1\nGraz,2026-09-02,2.50,A2\nWien,2026-09-01,3.75,A3\n"


async def load(service, text, name):
    return await service.ingest_file(text.encode(), name=name)


async def test_a_key_is_proposed_with_its_proof(service):
    """What a name calls a number comes first; amounts are never keys, however they differ."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")

    assert await service.key_proposals("orders") == [{"columns": ["order_no"], "unique": True, "blanks": 0, "rows": 3}]


async def test_a_key_may_come_again_in_the_next_file_but_not_twice_in_one(service):
    """A record is recognised by it; an older file in which it does not hold is looked at, too."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    await load(service, SEPTEMBER.replace("1.25", "9.25"), "orders 2026-10.csv")
    again = await service.key_proposals("orders")
    await load(service, SEPTEMBER + "Graz,2026-09-09,7.00,A1\n", "orders 2026-11.csv")
    await load(service, SEPTEMBER.replace("1.25", "8.25"), "orders 2026-12.csv")

    assert [(each["columns"], each["rows"]) for each in again] == [(["order_no"], 6)]
    assert await service.prove_key("orders", ["order_no"]) == {"columns": ["order_no"], "unique": False, "blanks": 0, "rows": 13}
    assert ["order_no"] not in [each["columns"] for each in await service.key_proposals("orders")]


async def test_two_columns_are_proposed_where_none_will_do(service):
    """A place has a row a day."""
    await load(service, SEPTEMBER.replace(",Order no", "").replace(",A1", "").replace(",A2", "").replace(",A3", ""), "days.csv")

    assert [each["columns"] for each in await service.key_proposals("days")] == [["place", "day"]]


async def test_newest_rows_are_those_of_the_view(service):
    """An undo brings older ones back; without a key there are none."""
    await load(service, SEPTEMBER, "orders 2026-09.csv")
    with pytest.raises(OptionsRefused, match="orders has no key, and so no current rows"):
        await service.rows("orders", current=True)
    await service.set_key("orders", ["order_no"])
    second = await load(service, SEPTEMBER.replace("Wien", "Linz"), "orders 2026-10.csv")

    newest = await service.rows("orders", current=True)
    assert (newest["total"], {row["_file_id"] for row in newest["rows"]}) == (3, {second["id"]})
    assert (await service.rows("orders"))["total"] == 6
    assert [row["place"] for row in (await service.rows("orders", 1, 2, current=True))["rows"]] == ["Linz"]
    await service.undo(second["id"])
    assert [row["place"] for row in (await service.rows("orders", current=True))["rows"]] == ["Graz", "Graz", "Wien"]


async def test_blanks_are_no_key(service):
    """They are counted where somebody chooses such a column."""
    await load(service, SEPTEMBER.replace("A2", ""), "orders.csv")

    assert await service.prove_key("orders", ["order_no"]) == {"columns": ["order_no"], "unique": True, "blanks": 1, "rows": 3}
    assert ["order_no"] not in [each["columns"] for each in await service.key_proposals("orders")]


async def test_one_row_proves_nothing_and_what_is_not_there_is_told(service):
    """Each column of a single row is unique."""
    await load(service, "a,b\n1,2\n", "single.csv")

    assert await service.key_proposals("single") == []
    with pytest.raises(NotFound, match="has no column colour: it has a, b"):
        await service.prove_key("single", ["colour"])
    with pytest.raises(NotFound, match="no dataset nothing"):
        await service.key_proposals("nothing")
