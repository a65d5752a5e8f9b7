"""What changed between the files of a dataset: with a key and without, kept beyond an undo, the same on both databases."""

import asyncio

import pytest

from levelpool.sheets.errors import FileInUse, NotFound

SEPTEMBER = "No,City,Price,Day\nA1,Graz,1.50,2026-09-01\nA2,Wien,2.50,2026-09-02\nA3,Linz,3.50,2026-09-03\n"
OCTOBER = "No,City,Price,Day\nA1,Graz,1.5,2026-09-01\nA2,Wien,2.75,2026-09-02\nA4,Graz,4.50,2026-10-04\n"


async def load(service, text, name):
    return (await service.ingest_file(text.encode(), name=name))["id"]


async def two(service, key=()):
    first = await load(service, SEPTEMBER, "prices 2026-09.csv")
    await service.set_key("prices", key)
    return first, await load(service, OCTOBER, "prices 2026-10.csv")


async def test_without_a_key_whole_rows_are_compared(service):
    """A price that is written with other digits is the same; nothing is called changed."""
    first, second = await two(service)
    found = await service.changes(second)

    rows = found.pop("rows")
    assert found == {
        "against": first,
        "dataset": "prices",
        "added": 2,
        "removed": 2,
        "changed": 0,
        "set_aside": 0,
        "unkeyed": 0,
        "columns": [],
        "total": 4,
    }
    assert [(row["kind"], row["key"], (row["was"] or row["now"])["no"]) for row in rows] == [
        ("added", None, "A2"),
        ("added", None, "A4"),
        ("removed", None, "A2"),
        ("removed", None, "A3"),
    ]


async def test_with_a_key_records_are_found_again(service):
    """What differs in them is counted for each column, and shown."""
    first, second = await two(service, ["no"])
    found = await service.changes(second)

    assert (found["against"], found["added"], found["removed"], found["changed"]) == (first, 1, 1, 1)
    assert found["columns"] == [{"name": "price", "changed": 1}]
    assert found["rows"][2] == {"kind": "changed", "key": {"no": "A2"}, "was": {"price": "2.50"}, "now": {"price": "2.75"}}
    assert found["rows"][0]["now"] | {"price": ""} == {"no": "A4", "city": "Graz", "price": "", "day": "2026-10-04"}


async def test_a_key_of_two_columns_and_rows_without_it(service):
    """A row without a part of its key is compared with nothing."""
    await load(service, SEPTEMBER, "prices 2026-09.csv")
    await service.set_key("prices", ["no", "city"])
    second = await load(service, OCTOBER.replace("A4,Graz", "A4,"), "prices 2026-10.csv")
    found = await service.changes(second)

    assert (found["added"], found["removed"], found["changed"], found["unkeyed"]) == (0, 1, 1, 1)
    assert found["rows"][1]["key"] == {"no": "A2", "city": "Wien"}


async def test_a_key_of_all_columns_leaves_nothing_to_change(service):
    """A record is there or not."""
    _, second = await two(service, ["no", "city", "price", "day"])
    found = await service.changes(second)

    assert (found["added"], found["removed"], found["changed"], found["columns"]) == (2, 2, 0, [])


async def test_any_two_files_are_compared_and_others_are_refused(service):
    """The older one is chosen by its number; a file of another dataset is none of them."""
    first, _ = await two(service, ["no"])
    third = await load(service, SEPTEMBER.replace("3.50", "3.75"), "prices 2026-11.csv")
    other = await load(service, "x,y\n1,2\n", "others.csv")

    assert (await service.changes(third, against=first))["changed"] == 1
    assert (await service.changes(third, against=first))["removed"] == 0
    with pytest.raises(NotFound, match=f"file {other} has no rows in prices"):
        await service.changes(third, against=other)
    with pytest.raises(NotFound, match="there is no file 999"):
        await service.changes(999)


async def test_the_first_file_is_compared_with_nothing(service):
    """All of its rows are added."""
    first = await load(service, SEPTEMBER, "prices 2026-09.csv")
    found = await service.changes(first)

    assert (found["against"], found["added"], found["removed"]) == (None, 3, 0)


async def test_what_was_found_outlives_the_rows_and_is_found_anew_after_a_replay(service):
    """It was kept when the file was loaded; a file that nobody compared says that it cannot be any more."""
    first, second = await two(service, ["no"])
    await service.undo(second)
    kept = await service.changes(second)
    with pytest.raises(FileInUse, match=f"file {second} is undone"):
        await service.changes(second, against=first + 999)
    await service.undo(first)
    await service.replay(second)

    assert (kept["against"], kept["changed"]) == (first, 1)
    assert (await service.changes(second))["against"] is None


async def test_columns_that_one_file_lacks_and_rows_set_aside_change_nothing(service):
    """They are told as drift, and counted apart."""
    await load(service, SEPTEMBER, "prices 2026-09.csv")
    await service.set_key("prices", ["no"])
    text = "No,City,Price,Day,Note\n" + "".join(f"{line},x\n" for line in SEPTEMBER.splitlines()[1:]) + "A9,Graz,cheap,2026-10-09,x\n"
    second = await load(service, text, "prices 2026-10.csv")
    found = await service.changes(second)

    assert (found["added"], found["removed"], found["changed"], found["set_aside"]) == (0, 0, 0, 1)


async def test_values_of_every_type_are_the_same_in_two_files(service):
    """Dates, moments, times, booleans, doubles and long numbers, with a key and without."""
    text = "Id,Day,Moment,Clock,Yes,Ratio,Long,Blank\n1,2026-09-01,2026-09-01 10:00,10:30:00,true,1.5E3,12345678901234567.25,\n2,2026-09-02,2026-09-02 11:00,11:30:00,false,2.5E3,22345678901234567.25,\n"
    await load(service, text, "kinds 2026-09.csv")
    await service.set_key("kinds", ["id"])
    second = await load(service, text + "3,2026-09-03,2026-09-03 11:00,11:30:00,false,2.5E3,32345678901234567.25,\n", "kinds 2026-10.csv")
    keyed = await service.changes(second)
    await service.set_key("kinds", [])
    third = await load(service, text.replace("1,2026", "7,2026"), "kinds 2026-11.csv")
    whole = await service.changes(third, against=keyed["against"])

    assert (keyed["added"], keyed["removed"], keyed["changed"]) == (1, 0, 0)
    assert (whole["added"], whole["removed"]) == (1, 1)


@pytest.mark.parametrize("key", [["no"], []])
async def test_changes_are_told_before_the_file_is_loaded(service, tmp_path, key):
    """As they are told afterwards; a type that would become wider and a column that would be new are no change, and nothing is left behind."""
    await load(service, SEPTEMBER, "prices 2026-09.csv")
    await service.set_key("prices", key)
    path = tmp_path / "prices 2026-10.csv"
    path.write_text(OCTOBER.replace("Day\n", "Day,Note\n").replace("2026-09-02", "2026-09-02,x"))
    before = await service.changes_before(path)
    record = await service.ingest_file(path)
    after = await service.changes(record["id"])
    again = await service.changes_before_replay(record["id"])

    assert again | {"rows": []} == after | {"rows": []}
    assert before | {"rows": []} == after | {"rows": []}
    assert [row["kind"] for row in before["rows"]] == [row["kind"] for row in after["rows"]]
    assert [row["now"]["price"] for row in before["rows"] if row["now"]] == [row["now"]["price"] for row in after["rows"] if row["now"]]
    assert (before["added"], before["removed"], before["changed"]) == ((1, 1, 1) if key else (2, 2, 0))
    assert await service.changes_before(path, dataset="another") is None


async def test_several_people_may_ask_at_once(service):
    """Each has the same answer, and one is kept."""
    _, second = await two(service)
    first = await load(service, OCTOBER.replace("4.50", "4.60"), "prices 2026-11.csv")

    answers = await asyncio.gather(*(service.changes(first, against=second) for _ in range(3)))

    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["added"], answers[0]["removed"]) == (1, 1)
