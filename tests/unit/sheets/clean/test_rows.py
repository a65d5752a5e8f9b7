"""Values, quarantine, and the account of cells."""

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from handmade import account, make_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, CellCounts, Column, ColumnType


def clean(rows, *, target=None, policy="row", **more):
    """All batches of the one table of these rows, as one."""
    sheet = make_sheet(rows, **more)
    (plan,) = find_tables(sheet)
    columns = [
        Column(each.name, each.header, each.position, kind or each.type, each.notation)
        for each, kind in zip(plan.columns, [*(target or ()), *[None] * 9], strict=False)
    ]
    return list(clean_rows(sheet, plan, columns, policy=policy))


def values(*cells, target=None, **more):
    """The values that these cells give in one column, None for those that do not fit."""
    rows = [["h", "id"], *([cell, place] for place, cell in enumerate(cells, 1))]
    batches = clean(rows, target=[target], policy="cell", **more)
    return [record[0] for batch in batches for record in batch.values]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["5", "-7", None], [5, -7, None]),
        (["12.50", "3"], [Decimal("12.50"), Decimal(3)]),
        (["1,234.50", "-3.00"], [Decimal("1234.50"), Decimal("-3.00")]),
        (["1.234,50", "3,00"], [Decimal("1234.50"), Decimal("3.00")]),
        (["12%", "3.5%"], [Decimal("0.12"), Decimal("0.035")]),
        # a long whole double is itself: its shortest decimal would be another number
        ([("9.8765432109876543E+16", NUMBER), ("5", NUMBER)], [98765432109876544, 5]),
        ([("9.8765432109876543E+16", NUMBER), ("0.5", NUMBER)], [Decimal(98765432109876544), Decimal("0.5")]),
        ([("9.8765432109876543E+16", NUMBER), "n/a"], ["98765432109876544", "n/a"]),
        ([("1000000000000000000", NUMBER)], [1e18]),
        # hours above a day and below it are days alike
        ([("0.3125", NUMBER + "h:mm"), ("1.625", NUMBER + "[h]:mm")], [Decimal("0.3125"), Decimal("1.625")]),
        ([("2026-11-02T08:30:00.000Z", DATE)], [datetime(2026, 11, 2, 8, 30)]),
        (["(5.00)", "1.00"], [Decimal("-5.00"), Decimal("1.00")]),
        (["$5", "-$7"], [5, -7]),
        (["5.00-", "7.00"], [Decimal("-5.00"), Decimal("7.00")]),
        (["１２", "－３"], [12, -3]),
        (["1e5", "2.5e-3"], [1e5, 2.5e-3]),
        (["000123", "5"], ["000123", "5"]),
        (["NA", "null", "-", ""], ["NA", "null", "-", ""]),
        (["5", "", "7"], [5, None, 7]),
        (["5", "  ", "7"], [5, None, 7]),
        (["true", "false"], [True, False]),
        (["TRUE", "FALSE"], [True, False]),
        (["2026-11-02"], [date(2026, 11, 2)]),
        (["2026年11月2日", "2026年1月12日"], [date(2026, 11, 2), date(2026, 1, 12)]),
        (["03/04/2026", "27/04/2026"], [date(2026, 4, 3), date(2026, 4, 27)]),
        (["2026-11-02 08:30:15"], [datetime(2026, 11, 2, 8, 30, 15)]),
        (["08:30"], [time(8, 30)]),
        ([("1.1000000000000001", NUMBER), ("2", NUMBER)], [Decimal("1.1"), Decimal(2)]),
        ([("123456789012345678", NUMBER)], [123456789012345678]),
        ([("1E+20", NUMBER)], [1e20]),
        ([("5", NUMBER), "n/a"], ["5", "n/a"]),
        ([("1.1000000000000001", NUMBER), "n/a"], ["1.1", "n/a"]),
        ([("45000", "nyyyy-mm-dd"), "n/a"], ["2023-03-15", "n/a"]),
        ([("45000", "nyyyy-mm-dd")], [date(2023, 3, 15)]),
        ([("45000.5", "nyyyy-mm-dd")], [datetime(2023, 3, 15, 12)]),
        ([("45000.354166666664", "nm/d/yy h:mm")], [datetime(2023, 3, 15, 8, 30)]),
        ([("0.5", "nh:mm")], [time(12)]),
        ([("1", "nyyyy-mm-dd"), ("59", "nyyyy-mm-dd"), ("61", "nyyyy-mm-dd")], [date(1900, 1, 1), date(1900, 2, 28), date(1900, 3, 1)]),
        ([("0.125", "n0.0%")], [Decimal("0.125")]),
        ([("2026-11-02", DATE)], [date(2026, 11, 2)]),
        ([("true", BOOLEAN), ("false", BOOLEAN)], [True, False]),
    ],
)
def test_values_of_a_column(cells, expected):
    """Each cell gives the value that renders back to it."""
    assert values(*cells) == expected


def test_serials_of_1904():
    """Some workbooks count their days from 1904."""
    assert values(("0", "nyyyy-mm-dd"), ("43538", "nyyyy-mm-dd"), date1904=True) == [date(1904, 1, 1), date(2023, 3, 15)]


@pytest.mark.parametrize(
    ("cell", "target", "reason"),
    [
        (("#N/A", ERROR), None, "error value"),
        (("=A1", NO_VALUE), None, "formula without a value"),
        ("n/a", ColumnType.BIGINT, "not a whole number"),
        ("1.5", ColumnType.BIGINT, "not a whole number"),
        ("1234567890123456789", ColumnType.BIGINT, "more digits than the column keeps"),
        ("007", ColumnType.BIGINT, "not a whole number"),
        ("-0", ColumnType.BIGINT, "not a whole number"),
        ("n/a", ColumnType.NUMERIC, "not a number"),
        ("n/a", ColumnType.DOUBLE, "not a number"),
        ("0.12345678901234567", ColumnType.DOUBLE, "more digits than the column keeps"),
        ("yes", ColumnType.BOOLEAN, "not true or false"),
        ("soon", ColumnType.DATE, "not a date"),
        ("2026-02-30", ColumnType.DATE, "not a date"),
        ("soon", ColumnType.TIMESTAMP, "not a timestamp"),
        ("25:00", ColumnType.TIME, "not a time of day"),
        (("60", "nyyyy-mm-dd"), ColumnType.DATE, "a date that does not exist"),
        (("0", "nyyyy-mm-dd"), ColumnType.DATE, "a date that does not exist"),
        (("-1", "nyyyy-mm-dd"), ColumnType.DATE, "a date that does not exist"),
        (("3000000", "nyyyy-mm-dd"), ColumnType.DATE, "a date that does not exist"),
        (("45000.5", "nyyyy-mm-dd"), ColumnType.DATE, "not a date"),
        (("5", NUMBER), ColumnType.DATE, "not a date"),
        (("1E+400", NUMBER), ColumnType.DOUBLE, "not a number"),
        (("5", NUMBER), ColumnType.BOOLEAN, "not true or false"),
        ("a\x00b", None, "text that no database can hold"),
        ("a\ud800b", None, "text that no database can hold"),
    ],
)
def test_a_cell_that_does_not_fit_goes_to_quarantine(cell, target, reason):
    """Row, column, value and reason are told; nothing is silently blank."""
    batches = clean([["h", "id"], [cell, 1], ["x" if target is None else None, 2]], target=[target])
    quarantined = [each for batch in batches for each in batch.quarantined]

    assert [(each.row, each.column, each.reason) for each in quarantined] == [(2, "h", reason)]
    assert quarantined[0].value == (cell if isinstance(cell, str) else cell[0])
    assert [row for batch in batches for row in batch.rows] == [3]


def test_a_row_in_quarantine_takes_all_its_cells_along():
    """The row is not loaded, and each of its cells counts as quarantined; one entry per offending cell."""
    rows = [["a", "b", "c"], [1, 2, 3], [("#N/A", ERROR), ("#REF!", ERROR), 6], [7, 8, None]]
    (batch,) = clean(rows)

    assert batch.rows == [2, 4]
    assert batch.values == [(1, 2, 3), (7, 8, None)]
    assert [each.column for each in batch.quarantined] == ["a", "b"]
    assert batch.quarantined_rows == {3: ("#N/A", "#REF!", "6")}
    assert batch.cells == CellCounts(read=11, loaded=5, quarantined=3, outside=3)


def test_by_the_policy_cell_only_the_cell_is_lost():
    """The row is loaded with NULL there, and the cell alone counts as quarantined."""
    rows = [["a", "b"], [1, 2], [("#N/A", ERROR), 4]]
    (batch,) = clean(rows, policy="cell")

    assert batch.values == [(1, 2), (None, 4)]
    assert batch.quarantined_rows == {}
    assert batch.cells == CellCounts(read=6, loaded=3, quarantined=1, outside=2)


def test_a_wider_target_takes_all_values():
    """What is a whole number in this file fits a column of decimals, texts, or timestamps for days."""
    assert values("5", "7", target=ColumnType.NUMERIC) == [Decimal(5), Decimal(7)]
    assert values("5", ("7", NUMBER), target=ColumnType.TEXT) == ["5", "7"]
    assert values("2026-11-02", target=ColumnType.TIMESTAMP) == [datetime(2026, 11, 2)]
    assert values(("45000", "nyyyy-mm-dd"), target=ColumnType.TIMESTAMP) == [datetime(2023, 3, 15)]


def test_good_rows_of_a_text_column_still_fit_a_typed_target():
    """One bad value makes the column of a file TEXT, but sends only its own row to quarantine where the table has numbers."""
    assert values("5", "n/a", "7", target=ColumnType.BIGINT) == [5, None, 7]
    assert values("2026-11-02", "soon", target=ColumnType.DATE) == [date(2026, 11, 2), None]


def test_cells_of_several_tables_are_counted_once():
    """Every cell of a sheet is in the account of exactly one table."""
    rows = [["Title"], None, ["a", "b"], [1, 2], [3, 4], None, ["x", "y", "z"], ["p", 2, 3], ["q", ("#N/A", ERROR), 3]]

    assert account(make_sheet(rows)) == CellCounts(read=16, loaded=7, quarantined=3, outside=6)


def test_text_is_kept_to_the_letter():
    """Blanks, line breaks and capitals of a text stay as they are."""
    assert values(" a ", "b\nc", "É") == [" a ", "b\nc", "É"]
    assert values(("x", TEXT)) == ["x"]
