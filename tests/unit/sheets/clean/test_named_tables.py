"""What Excel's own table part says decides: header, names of columns, totals row."""

import pytest
import xlsxwriter

from levelpool.sheets import inspect_file
from levelpool.sheets.clean.options import TableOptions

ROWS = [["cup", 4, 1.5], ["jug", 5, 2.5], ["pot", 6, 3.5]]


def made(tmp_path, *, at=0, titles=(), **table):
    """A sheet with a table that begins in row *at*, 0-based, below *titles*."""
    path = tmp_path / "named.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet()
        for number, title in enumerate(titles):
            sheet.write(number, 0, title)
        extra = table.get("header_row", True) + table.get("total_row", False)
        sheet.add_table(at, 0, at + len(ROWS) - 1 + extra, 2, {"data": ROWS, **table})
    return path


def found(path, options=None):
    [sheet] = inspect_file(path, options=options).preview()["sheets"]
    return [(column["name"], column["type"]) for column in sheet["columns"]], sheet["rows"], sheet["reasons"]


@pytest.mark.parametrize("label", ["Ergebnis", "Mittel", "Alles zusammen", "Total"])
@pytest.mark.parametrize("function", ["average", "sum", "count", "max"])
def test_totals_row_is_outside_whatever_it_says(tmp_path, label, function):
    """Also where its label is in no list, and its number is no sum."""
    columns = [
        {"header": "Item", "total_string": label},
        {"header": "Sold", "total_function": function, "total_value": 77},
        {"header": "Price"},
    ]
    columns, rows, reasons = found(made(tmp_path, columns=columns, total_row=True))

    assert columns == [("item", "TEXT"), ("sold", "BIGINT"), ("price", "NUMERIC")]
    assert [row["item"] for row in rows] == ["cup", "jug", "pot"]
    assert "outside of the data: 1 header row, 1 total row" in reasons


def test_totals_row_is_data_where_a_person_says_so(tmp_path):
    """The option has the last word."""
    columns = [
        {"header": "Item", "total_string": "Ergebnis"},
        {"header": "Sold", "total_function": "sum", "total_value": 15},
        {"header": "Price"},
    ]

    assert len(found(made(tmp_path, columns=columns, total_row=True), TableOptions(keep_totals=True))[1]) == 4


@pytest.mark.parametrize("titles", [(), ("Sales of the year",)])
def test_table_without_a_header_row_has_the_names_that_are_kept_for_it(tmp_path, titles):
    """Excel hides the header, and remembers it; what stands above the table is a title."""
    columns = [{"header": "Item"}, {"header": "Sold"}, {"header": "Price"}]
    columns, rows, reasons = found(made(tmp_path, at=len(titles), titles=titles, columns=columns, header_row=False))

    assert (columns, len(rows)) == ([("item", "TEXT"), ("sold", "BIGINT"), ("price", "NUMERIC")], 3)
    assert any("has no header row" in reason for reason in reasons)


def test_header_is_where_the_workbook_says(tmp_path):
    """Names that look like records are the header all the same."""
    columns, rows, reasons = found(made(tmp_path, columns=[{"header": "bowl"}, {"header": "7"}, {"header": "4.5"}]))

    assert ([name for name, _ in columns], len(rows)) == (["bowl", "c_7", "c_4_5"], 3)
    assert any("the workbook says that row 1 is the header of its table Table1" in reason for reason in reasons)
