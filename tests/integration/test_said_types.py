"""A type that a person gives to a column of one file, where the table has rows of other files, too."""

import pytest

from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.table import ColumnType

JANUARY = b"number,code\n1,10\n2,11\n"
FEBRUARY = b"number,code\n3,C-12\n4,13\n"


def corrected(header: str, type_: ColumnType) -> TableOptions:
    return TableOptions(columns=(ColumnOptions(header=header, type=type_),))


async def types(service) -> dict[str, str]:
    [dataset] = (await service.datasets())["datasets"]
    return {column["name"]: column["type"] for column in dataset["columns"]}


async def test_text_lets_every_row_in(service):
    """The table follows, for good, and its older rows say what they said."""
    first = await service.ingest_file(JANUARY, name="codes-2026-01.csv")
    second = await service.ingest_file(FEBRUARY, name="codes-2026-02.csv")
    assert (second["rows_loaded"], second["rows_quarantined"]) == (1, 1)

    again = await service.replay(second["id"], options=corrected("code", ColumnType.TEXT))

    assert (again["rows_loaded"], again["rows_quarantined"]) == (2, 0)
    assert await types(service) == {"number": "BIGINT", "code": "TEXT"}
    assert [row["code"] for row in (await service.rows("codes"))["rows"]] == ["10", "11", "C-12", "13"]
    await service.replay(first["id"])
    assert (await types(service))["code"] == "TEXT"


async def test_type_that_the_table_cannot_take_is_told(service):
    """The record says which column keeps which type, why, and what to do; the rows are there."""
    first = await service.ingest_file(b"number,code\n1,10\n2,n/a\n", name="codes-2026-01.csv")
    await service.ingest_file(JANUARY, name="codes-2026-02.csv")

    again = await service.replay(first["id"], options=corrected("code", ColumnType.BIGINT))

    assert (await types(service))["code"] == "TEXT"
    [remark] = [each for each in again["remarks"] if "corrected" in each]
    assert (
        "the column code was corrected to BIGINT, and the table codes keeps it TEXT, for it has rows of other files: undo these first"
        in remark
    )


async def test_type_that_is_taken_is_not_worth_a_word(service):
    """Alone in its table, a file has the type that is given."""
    first = await service.ingest_file(JANUARY, name="codes-2026-01.csv")

    again = await service.replay(first["id"], options=corrected("code", ColumnType.NUMERIC))

    assert (await types(service))["code"] == "NUMERIC"
    assert not [each for each in again["remarks"] if "corrected" in each]


@pytest.mark.parametrize("rows", [0, 1, 3])
async def test_header_of_texts_alone_is_known_by_its_dataset(service, rows):
    """Where nothing in a file tells its header from its rows, the columns of the dataset do."""
    await service.ingest_file(b"parcel,town,weight\nP1,Wels,1.5\nP2,Linz,2.5\n", name="parcels.csv")
    content = "parcel,town\n" + "".join(f"P{row},Graz\n" for row in range(3, 3 + rows))

    record = await service.ingest_file(content.encode(), name="more.csv", dataset="parcels")

    assert (record["status"], record["rows_loaded"]) == ("loaded", rows)
    assert [row["town"] for row in (await service.rows("parcels"))["rows"]] == ["Wels", "Linz", *["Graz"] * rows]
