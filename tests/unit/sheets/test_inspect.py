"""What a file would become, told without a database."""

import json
import runpy
from datetime import datetime
from pathlib import Path

import pytest
import xlsxwriter
import xlwt

from levelpool.sheets.errors import NotASpreadsheet
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.work_sharing import WorkSharing
from sharing_helpers import helping, wait_for_somebody

MAKE = runpy.run_path(str(Path(__file__).parents[2] / "gallery" / "make.py"))


@pytest.fixture
def workbook(tmp_path):
    """One sheet with a title, an error and a total, one without a cell, one hidden."""
    path = tmp_path / "0123abcd"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Orders")
        sheet.write(0, 0, "Orders of the week")
        sheet.write_row(2, 0, ["Order No", "Amount"])
        sheet.write_row(3, 0, ["000123", 12.5])
        sheet.write(4, 0, "000124")
        sheet.write_formula(4, 1, "=1/0", None, "#DIV/0!")
        sheet.write_row(5, 0, ["000125", 3])
        sheet.write(6, 0, "Total")
        sheet.write_formula(6, 1, "=SUM(B4:B6)", None, 15.5)
        book.add_worksheet("Empty")
        secret = book.add_worksheet("Secret")
        secret.hide()
        secret.write_row(0, 0, ["code", "number"])
        secret.write_row(1, 0, ["a", 123456789012345])
    return path


def test_bytes_and_a_path_in_text_are_inspected_alike(workbook):
    """The same account, under the name that is given."""
    of_path, of_bytes = (inspect_file(given, name="orders.xlsx").to_dict() for given in (str(workbook), workbook.read_bytes()))

    assert of_path == of_bytes


def test_inspection_tells_everything(workbook):
    """Columns with reasons, rows outside, quarantine, and an account that adds up; ready for JSON."""
    found = json.loads(json.dumps(inspect_file(workbook, name="Orders_2026-11-01.xlsx").to_dict()))
    first, empty, secret = found["sheets"]

    assert first["name"] == "Orders"
    assert first["dataset"] == "orders"
    assert first["header_row"] == 2
    assert [column["type"] for column in first["columns"]] == ["TEXT", "NUMERIC"]
    assert first["columns"][0].keys() >= {"name", "header", "type", "why", "samples"}
    assert first["rows"] == 2
    assert first["quarantine"] == [{"row": 5, "column": "amount", "value": "#DIV/0!", "reason": "error value"}]
    assert [(each["row"], each["reason"]) for each in first["outside"]] == [(1, "title"), (3, "header"), (7, "total")]
    assert first["cells"] == {"read": 11, "loaded": 4, "quarantined": 2, "outside": 5}
    assert (empty["name"], empty["columns"], empty["rows"]) == ("Empty", [], 0)
    assert secret["hidden"]
    assert secret["dataset"] == "orders__secret"
    assert found["complete"]


@pytest.mark.parametrize("suffix", ["xlsx", "xls", "ods"])
@pytest.mark.parametrize("date1904", [False, True])
def test_date_beside_the_data_is_shown_as_a_date(tmp_path, suffix, date1904):
    """Nobody knows the day of a report by its serial, whichever program wrote it."""
    path = tmp_path / f"report.{suffix}"
    rows = [
        ["Report of", datetime(2026, 11, 2)],
        [],
        ["sku", "qty", "price", "sum", "place"],
        ["a", 1, 2, 2, "x"],
        ["b", 2, 3, 6, "y"],
        [],
        ["As of", datetime(2026, 11, 3, 8, 30)],
    ]
    _WRITERS[suffix](path, rows, date1904)

    (sheet,) = inspect_file(path).to_dict()["sheets"]

    shown = {each["row"]: each["cells"] for each in sheet["outside"]}
    assert shown[1][1].startswith("2026-11-02")
    assert shown[7][1] == "2026-11-03T08:30:00"
    assert sheet["cells"] == {"read": 19, "loaded": 10, "quarantined": 0, "outside": 9}


def _write_xlsx(path, rows, date1904):
    with xlsxwriter.Workbook(path, {"date_1904": date1904, "default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)


def _write_xls(path, rows, date1904):
    book = xlwt.Workbook()
    book.dates_1904 = date1904
    sheet = book.add_sheet("S")
    style = xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(number, column, value, *([style] if isinstance(value, datetime) else []))
    book.save(str(path))


def _write_ods(path, rows, _date1904):
    cells = "".join(f"<table:table-row>{''.join(map(_ods_cell, row)) or '<table:table-cell/>'}</table:table-row>" for row in rows)
    path.write_bytes(MAKE["ods"](cells))


def _ods_cell(value):
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, datetime):
        return f'<table:table-cell office:value-type="date" office:date-value="{value.isoformat()}"/>'
    if isinstance(value, int):
        return f'<table:table-cell office:value-type="float" office:value="{value}"/>'
    return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'


_WRITERS = {"xlsx": _write_xlsx, "xls": _write_xls, "ods": _write_ods}


def test_preview_shows_the_first_rows(workbook):
    """Rows are objects; decimals come as text, so that no reader of JSON rounds them."""
    found = json.loads(json.dumps(inspect_file(workbook).preview()))

    assert found["sheets"][0]["rows"] == [{"order_no": "000123", "amount": "12.5"}, {"order_no": "000125", "amount": "3"}]
    assert found["rows_examined"] == 8
    assert found["complete"]


def test_a_preview_without_time_judges_by_the_first_rows(tmp_path):
    """A large file is judged by what the time allows, and says so."""
    path = tmp_path / "large.csv"
    path.write_text("number,name\n" + "\n".join(f"{row},x" for row in range(40_000)), encoding="utf-8")

    found = inspect_file(path, max_seconds=0.0)

    assert not found.complete
    assert found.rows_examined == 5_000
    assert inspect_file(path).complete


def test_what_is_no_spreadsheet_is_said(tmp_path):
    """One sentence, with the name the sender knows."""
    path = tmp_path / "abc"
    path.write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3")

    with pytest.raises(NotASpreadsheet, match=r"scan\.pdf"):
        inspect_file(path, name="scan.pdf")


GALLERY = Path(__file__).parents[2] / "gallery"
FILES = sorted(path for path in GALLERY.iterdir() if path.suffix not in {".json", ".py"} and path.is_file())


@pytest.fixture
def large(tmp_path):
    """Several batches of rows with a note in their midst, errors of spelling, gaps and a total."""
    path = tmp_path / "large.csv"
    lines = [f"{number:05d};{number * 7};{'' if number % 9 else number};{number % 28 + 1:02d}.03.2026" for number in range(20_000)]
    lines[15_000:15_000] = ["", "a note"]
    path.write_text("\n".join(["Report;;;", "id;number;sometimes;day", *lines, f"Total;{7 * 19_999 * 10_000};;"]), encoding="utf-8")
    return path


def told_by_two(path: Path, folder: Path) -> Inspection:
    """What is told when a second process is behind the reader from the start, and at the rows from their end."""
    sharing = WorkSharing(folder / "shared work")
    sharing.set_up()
    with helping(sharing):
        return inspect_file(path, sharing=sharing, progress=lambda _: wait_for_somebody(sharing))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_two_processes_tell_of_the_gallery_what_one_tells(tmp_path, path):
    """Every trap: the same JSON, and the same preview."""
    together, alone = told_by_two(path, tmp_path), inspect_file(path)

    assert json.dumps(together.to_dict()) == json.dumps(alone.to_dict())
    assert json.dumps(together.preview()) == json.dumps(alone.preview())


def test_two_processes_tell_of_a_large_file_what_one_tells(tmp_path, large):
    """Several batches, in one account."""
    together, alone = told_by_two(large, tmp_path), inspect_file(large)

    assert json.dumps(together.to_dict()) == json.dumps(alone.to_dict())
    assert alone.sheets[0].tables[0].rows > 10_000
