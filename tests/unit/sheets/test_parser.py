"""`ExcelParser.read_excel`: one call, one table."""

import io
import pickle
from decimal import Decimal
from pathlib import Path

import pytest
import xlsxwriter

from levelpool.sheets.errors import NotASpreadsheet, SheetError
from levelpool.sheets.parser import ExcelParser

GALLERY = Path(__file__).parents[2] / "gallery"


@pytest.fixture
def workbook(tmp_path):
    """Two sheets; the first with a title, a header in row 4, and a total."""
    path = tmp_path / "orders.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Orders")
        sheet.write(0, 0, "Orders of the week")
        sheet.write_row(3, 0, ["Order No", "Amount", "Note"])
        for place in range(200):
            sheet.write_row(4 + place, 0, [f"{place:06d}", place + 0.5, "x"])
        sheet.write_row(204, 0, ["Total"])
        sheet.write_formula(204, 1, "=SUM(B5:B204)", None, 20000)
        book.add_worksheet("Stock").write_row(0, 0, ["sku", "on hand"])
        book.get_worksheet_by_name("Stock").write_row(1, 0, ["000123", 7])
    return path


def test_the_first_table_is_read(workbook):
    """Types are proved, leading zeros kept, titles and totals left out."""
    table = ExcelParser.read_excel(workbook)

    assert [column.name for column in table.columns] == ["order_no", "amount", "note"]
    assert len(table) == 200
    assert next(table.rows()) == ("000000", Decimal("0.5"), "x")


def test_header_and_nrows_are_taken(workbook):
    """The header is the 0-based row that is given, and no more than so many rows come back."""
    table = ExcelParser.read_excel(str(workbook), header=3, nrows=100)

    assert [column.header for column in table.columns] == ["Order No", "Amount", "Note"]
    assert len(table) == 100
    assert ExcelParser.read_excel(workbook, header=4, nrows=5).columns[0].header == "000000"


def test_fewer_rows_than_none_are_refused(workbook):
    """A negative number of rows is a mistake, and no way to leave rows out at the end."""
    with pytest.raises(SheetError, match="nrows cannot be -1"):
        ExcelParser.read_excel(workbook, nrows=-1)


def test_a_sheet_is_chosen_by_name_or_position(workbook):
    """Both ways lead to the same sheet; a sheet that is not there is an error with its name."""
    assert list(ExcelParser.read_excel(workbook, sheet="Stock").rows()) == [("000123", 7)]
    assert list(ExcelParser.read_excel(workbook, sheet=1).rows()) == [("000123", 7)]
    with pytest.raises(SheetError, match="Missing"):
        ExcelParser.read_excel(workbook, sheet="Missing")


def test_cells_that_cannot_be_loaded_are_told(tmp_path):
    """An error is None in its row, and is named beside the table; only those of the rows that come back."""
    path = tmp_path / "errors.csv.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["name", "number"])
        for place in range(1, 5):
            sheet.write(place, 0, f"n{place}")
            sheet.write_formula(place, 1, "=1/0", None, "#DIV/0!" if place % 2 else place)

    table = ExcelParser.read_excel(path, nrows=2)

    assert list(table.rows()) == [("n1", None), ("n2", 2)]
    assert [(each.row, each.column, each.value, each.reason) for each in table.quarantined] == [(2, "number", "#DIV/0!", "error value")]


def test_the_function_travels():
    """It is picked by name in a worker."""
    assert pickle.loads(pickle.dumps(ExcelParser.read_excel)) is ExcelParser.read_excel


@pytest.mark.parametrize("hand_over", [bytes, io.BytesIO])
def test_bytes_are_read_like_a_path(workbook, hand_over):
    """It does not matter where they lie."""
    assert list(ExcelParser.read_excel(hand_over(workbook.read_bytes())).rows()) == list(ExcelParser.read_excel(workbook).rows())


def test_an_open_file_is_read_from_its_beginning(workbook):
    """Whoever looked at its first bytes need not rewind it."""
    with workbook.open("rb") as file:
        file.read(10)
        assert len(ExcelParser.read_excel(file)) == 200


def test_a_text_of_bytes_is_told_by_its_name(tmp_path):
    """One column of text is a table when its name says so, and a letter otherwise."""
    assert len(ExcelParser.read_excel(b"sku\n00012\n00013\n", name="skus.csv")) == 2
    with pytest.raises(NotASpreadsheet, match="the file is no"):
        ExcelParser.read_excel(b"sku\n00012\n00013\n")


def test_all_tables_of_all_sheets_are_read(workbook):
    """Each knows its sheet and its header."""
    tables = ExcelParser.read_tables(workbook)

    assert [(table.sheet, table.header_row, len(table)) for table in tables] == [("Orders", 3, 200), ("Stock", 0, 1)]


def test_sheets_are_named_without_being_read(workbook):
    """In the order of the workbook; a text file is one sheet."""
    assert ExcelParser.sheet_names(workbook) == ["Orders", "Stock"]
    assert len(ExcelParser.sheet_names(b"a,b\n1,2\n3,4\n")) == 1


@pytest.mark.parametrize(
    "name", ["old_workbook.xls", "export_of_2003.xls", "repeats_and_kinds.ods", "hidden_and_merged.xlsx", "web_page.xls"]
)
def test_sheets_of_every_kind_of_workbook_are_named(name):
    """The names are those of the tables that are read."""
    path = GALLERY / name

    assert set(ExcelParser.sheet_names(path)) >= {table.sheet for table in ExcelParser.read_tables(path)}


def test_a_missing_sheet_is_told_with_those_that_are_there(workbook):
    """Who mistypes a name sees the right one."""
    with pytest.raises(SheetError, match=r"has no sheet 'orders': it has 'Orders', 'Stock'$"):
        ExcelParser.read_excel(workbook, sheet="orders")
    with pytest.raises(SheetError, match="has no sheet 2: it has 'Orders', 'Stock'; positions count from 0"):
        ExcelParser.read_excel(workbook, sheet=2)
