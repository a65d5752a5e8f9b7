"""`ExcelParser.read_excel`: one call, one table."""

import pickle
from decimal import Decimal

import pytest
import xlsxwriter

from levelpool.sheets.errors import SheetError
from levelpool.sheets.parser import ExcelParser


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


def test_a_sheet_is_chosen_by_name_or_position(workbook):
    """Both ways lead to the same sheet; a sheet that is not there is an error with its name."""
    assert list(ExcelParser.read_excel(workbook, sheet="Stock").rows()) == [("000123", 7)]
    assert list(ExcelParser.read_excel(workbook, sheet=1).rows()) == [("000123", 7)]
    with pytest.raises(SheetError, match="Missing"):
        ExcelParser.read_excel(workbook, sheet="Missing")


def test_the_function_travels():
    """It is picked by name in a worker."""
    assert pickle.loads(pickle.dumps(ExcelParser.read_excel)) is ExcelParser.read_excel
