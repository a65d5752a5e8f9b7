"""Tables of one file that go to the same dataset agree on the types of their columns."""

import pytest
import xlsxwriter

from levelpool.sheets import ColumnOptions, ColumnType, TableOptions
from levelpool.sheets.inspect import inspect_file


@pytest.fixture
def months(tmp_path):
    """A function that writes a workbook with a sheet for each month, and says what type and sentence each gives its column."""

    def inspect(*values: list, options: TableOptions | None = None) -> list[tuple[str, str]]:
        path = tmp_path / "months.xlsx"
        with xlsxwriter.Workbook(path) as book:
            for number, some in enumerate(values, 1):
                sheet = book.add_worksheet(f"M{number}")
                sheet.write_row(0, 0, ["day", "zip"])
                for row, value in enumerate(some, 1):
                    sheet.write(row, 0, row)
                    sheet.write(row, 1, value)
        found = inspect_file(path, options=options).to_dict()["sheets"]
        assert {sheet["dataset"] for sheet in found} == {"months"}
        return [(sheet["columns"][1]["type"], sheet["columns"][1]["why"]) for sheet in found]

    return inspect


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ([1, 2], ["A3", "B4"], "TEXT"),
        (["A3", "B4"], [1, 2], "TEXT"),
        ([True, False], [1, 2], "TEXT"),
        ([0.30000000000000004, 2], [3e-7], "DOUBLE PRECISION"),
        ([3e-7], [1, 2], "DOUBLE PRECISION"),
        (["1.234,50", "3,00"], [3e-7], "TEXT"),  # a double has no decimal comma
        (["1.00000000000000005"], [3e-7], "TEXT"),  # nor so many digits
    ],
)
def test_types_that_differ_become_one(months, first, second, together):
    """In whatever order the sheets stand, each value fits its column; the reason names the sheets."""
    found = months(first, second)

    assert [kind for kind, _ in found] == [together, together]
    assert all(" in sheet 'M1', " in why and " in sheet 'M2'; " in why for _, why in found)


def test_types_that_meet_in_the_database_stay(months):
    """BIGINT and NUMERIC become NUMERIC there, and a column without a value is content with any type."""
    assert [kind for kind, _ in months([1, 2], [1.5], [" "])] == ["BIGINT", "NUMERIC", "TEXT"]


def test_said_type_stays(months):
    """What a person said is not overruled: values that do not fit go to quarantine."""
    options = TableOptions(columns=(ColumnOptions(header="zip", type=ColumnType.BIGINT),))

    assert [kind for kind, _ in months([1, 2], ["A3"], options=options)] == ["BIGINT", "BIGINT"]
