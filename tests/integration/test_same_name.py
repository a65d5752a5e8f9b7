"""The same file mended and sent again under its name: nobody has to find out from doubled rows."""

import pytest

FIRST = b"number,sold\n1,10\n2,11\n3,x\n"
MENDED = b"number,sold\n1,10\n2,11\n3,30\n"


async def remarks(service, first: bytes, second: bytes, *, name: str = "sold.csv") -> list[str]:
    await service.ingest_file(first, name="sold.csv")
    record = await service.ingest_file(second, name=name)
    return [each for each in record["remarks"] if "same name" in each]


async def test_mended_file_names_the_one_that_it_repeats(service):
    """With how many rows came again, and what to do."""
    [remark] = await remarks(service, FIRST, MENDED)

    assert "file 1 has the same name and is loaded in sold, too, and 2 of its 3 rows are in this one" in remark
    assert "undo file 1" in remark


@pytest.mark.parametrize(
    ("second", "name"),
    [(b"number,sold\n4,12\n5,13\n6,14\n", "sold.csv"), (MENDED, "sold (2).csv")],
    ids=["other rows", "another name"],
)
async def test_report_that_is_called_the_same_each_day_is_not_doubted(service, second, name):
    """It shares no rows; and a file of another name is told by what else is known of it."""
    assert await remarks(service, FIRST, second, name=name) == []


async def test_key_makes_it_no_question(service):
    """The newest row of each record counts then."""
    await service.ingest_file(b"number,sold\n0,1\n", name="before.csv", dataset="sold")
    await service.set_key("sold", ["number"])

    assert await remarks(service, FIRST, MENDED) == []
