"""Every format comes in by the same door, with the same cells."""

from datetime import date
from pathlib import Path

import openpyxl
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from tests.handmade import grid_of

from levelpool.sheets.errors import DamagedFile, EmptyFile, LimitExceeded, NotASpreadsheet
from levelpool.sheets.read.limits import Limits
from levelpool.sheets.read.source import ReadOptions
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Box, Sheet, Workbook


def read(path: Path, tmp_path: Path, **options) -> Workbook:
    folder = tmp_path / "spool"
    folder.mkdir(exist_ok=True)
    limits = options.pop("limits", None) or Limits()
    return read_workbook(path, folder, limits=limits, options=ReadOptions(**options))


def rows(sheet: Sheet) -> list[tuple[int, list[str | None], list[str | None]]]:
    return [row for batch in sheet.batches() for row in grid_of(batch)]


def test_xlsx_keeps_kind_place_format_and_exact_text(tmp_path):
    """A sheet that starts at C5 keeps its place; dates keep their serial and format; errors and booleans are what they are."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["C5"], sheet["D5"], sheet["E5"] = "000123", 1.1, date(2026, 11, 2)
    sheet["C6"], sheet["D6"], sheet["E6"] = "=SUM(D1:D5)", True, "#N/A"
    sheet["A1"] = "title"
    sheet.merge_cells("A1:C1")
    sheet.row_dimensions[6].hidden = True
    sheet.column_dimensions["B"].hidden = True
    book.create_sheet("back").sheet_state = "hidden"
    book["back"]["A1"] = "x"
    book.save(tmp_path / "a.xlsx")

    workbook = read(tmp_path / "a.xlsx", tmp_path)
    first, back = workbook.sheets

    assert rows(first) == [
        (1, ["title"], ["s"]),
        (5, [None, None, "000123", "1.1", "46328"], [None, None, "s", "n", "nyyyy-mm-dd"]),
        (6, [None, None, "=SUM(D1:D5)", "true", "#N/A"], [None, None, "f", "b", "e"]),
    ]
    assert next(first.batches()).sums == {6: frozenset({2})}
    assert (first.merges, first.hidden_rows, first.hidden_columns) == ((Box(1, 0, 1, 2),), {6}, {1})
    assert (first.row_count, first.cell_count, first.hidden, back.hidden) == (3, 7, False, True)


def test_batches_can_be_walked_again(tmp_path):
    """Pass 2 sees what pass 1 saw."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    sheet = read(tmp_path / "a.csv", tmp_path).sheets[0]

    assert rows(sheet) == rows(sheet) == [(1, ["a", "b"], ["s", "s"]), (2, ["1", "2"], ["s", "s"])]


def test_xls_keeps_true_rows_and_formats(tmp_path):
    """Blank rows above and between do not shift the numbers of the rows below."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    percent = xlwt.easyxf(num_format_str="0.00%")
    sheet.write(3, 2, "hi")
    sheet.write(5, 1, 0.125, percent)
    sheet.row(5).set_cell_error(3, 0x2A)
    book.save(str(tmp_path / "a.xls"))

    assert rows(read(tmp_path / "a.xls", tmp_path).sheets[0]) == [
        (4, [None, None, "hi"], [None, None, "s"]),
        (6, [None, "0.125", None, "#N/A"], [None, "n0.00%", None, "e"]),
    ]


def test_ods_million_blank_repeats_cost_nothing(tmp_path):
    """A program pads its sheets to the last row and column by repeat counts; nothing of that is delivered."""
    document = OpenDocumentSpreadsheet()
    table, row, cell = Table(name="T"), TableRow(), TableCell(valuetype="string")
    cell.addElement(P(text="000123"))
    row.addElement(cell)
    row.addElement(TableCell(valuetype="float", value="1.50"))
    row.addElement(TableCell(valuetype="date", datevalue="2026-11-02"))
    row.addElement(TableCell(numbercolumnsrepeated=1021))
    table.addElement(row)
    blank = TableRow(numberrowsrepeated=1_048_575)
    blank.addElement(TableCell(numbercolumnsrepeated=1024))
    table.addElement(blank)
    document.spreadsheet.addElement(table)
    document.save(tmp_path / "a.ods")

    assert rows(read(tmp_path / "a.ods", tmp_path).sheets[0]) == [(1, ["000123", "1.50", "2026-11-02"], ["s", "n", "d"])]


def test_html_named_xls_is_read_as_html(tmp_path):
    """Content decides: a page named .xls is a page, its spans are merges, its charset is what it says."""
    page = "<html><head><meta charset=gb2312></head><body><h1>报表</h1><table><tr><th colspan=2>订单<th>金额<tr><td>000123<td>a&amp;b<br>c<td>5</table>"
    (tmp_path / "a.xls").write_bytes(page.encode("gb18030"))

    workbook = read(tmp_path / "a.xls", tmp_path)

    assert (workbook.format, workbook.encoding) == ("html", "gb18030")
    assert [(row, cells) for row, cells, _ in rows(workbook.sheets[0])] == [
        (1, ["报表"]),
        (3, ["订单", None, "金额"]),
        (4, ["000123", "a&b\nc", "5"]),
    ]


def test_spreadsheetml_named_xls_keeps_kinds(tmp_path):
    """The XML of 2003 tells numbers, dates and texts apart, and so do we."""
    (tmp_path / "a.xls").write_text(
        """<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
        <Styles><Style ss:ID="p"><NumberFormat ss:Format="Percent"/></Style></Styles><Worksheet ss:Name="S"><Table>
        <Row ss:Index="3"><Cell ss:Index="2" ss:StyleID="p"><Data ss:Type="Number">0.5</Data></Cell>
        <Cell ss:Formula="=SUM(R1C1:R2C1)"><Data ss:Type="Number">7</Data></Cell>
        <Cell><Data ss:Type="DateTime">2026-11-02T00:00:00.000</Data></Cell></Row></Table></Worksheet></Workbook>"""
    )

    sheet = read(tmp_path / "a.xls", tmp_path).sheets[0]

    assert rows(sheet) == [(3, [None, "0.5", "7", "2026-11-02T00:00:00"], [None, "n0.00%", "n", "d"])]
    assert next(sheet.batches()).sums == {3: frozenset({2})}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "big5", "shift_jis"])
def test_csv_encoding_is_found(tmp_path, encoding):
    """A table of East Asian text reads the same in every encoding that can hold it."""
    text = "名前,数量\nりんごのジュース,0001\nオレンジ,2\n" if encoding == "shift_jis" else "商品,數量\n蘋果,0001\n這是我的中文,2\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))

    cells = [cells for _, cells, _ in rows(read(tmp_path / "a.csv", tmp_path).sheets[0])]

    assert cells == [line.split(",") for line in text.split()]


def test_csv_of_decimal_commas_is_cut_at_semicolons(tmp_path):
    """1,5;2,75 are two numbers, not three."""
    (tmp_path / "a.csv").write_bytes("Name;Preis\nMüller;1,5\nÄpfel;2,75\n".encode("cp1252"))

    workbook = read(tmp_path / "a.csv", tmp_path)

    assert (workbook.delimiter, workbook.encoding) == (";", "cp1252")
    assert rows(workbook.sheets[0])[1] == (2, ["Müller", "1,5"], ["s", "s"])


def test_csv_with_one_stray_quote_loses_no_row(tmp_path):
    """A quotation mark that nothing closes must not swallow the rest of the file."""
    (tmp_path / "a.csv").write_text('a,b\n1,"5 inch\n2,3\n')

    sheet = read(tmp_path / "a.csv", tmp_path).sheets[0]

    assert [cells for _, cells, _ in rows(sheet)] == [["a", "b"], ["1", '"5 inch'], ["2", "3"]]
    assert "do not pair up" in sheet.remarks[0]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.xlsx", b"", EmptyFile),
        ("a.xlsx", b"%PDF-1.7 ...", NotASpreadsheet),
        ("a.xlsx", b"PK\x03\x04 cut off", DamagedFile),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 cut off", DamagedFile),
        ("notes.doc", b"Dear all,\nthis is a letter.\nKind regards\n", NotASpreadsheet),
        ("a.csv", b"\n\n,,\n", EmptyFile),
    ],
)
def test_what_cannot_be_read_is_refused_with_one_sentence(tmp_path, name, content, error):
    """The sentence begins with the file's name and fits on a page."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(error) as caught:
        read(tmp_path / name, tmp_path)

    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


def test_refusal_names_limit_value_and_variable(tmp_path):
    """Who reads it knows which knob to turn."""
    (tmp_path / "a.csv").write_text("a,b,c\n" * 10)

    with pytest.raises(LimitExceeded, match=r"a\.csv .* 3 columns.*LEVELPOOL_MAX_COLUMNS \(now 2\)") as caught:
        read(tmp_path / "a.csv", tmp_path, limits=Limits(max_columns=2))

    assert (caught.value.limit, caught.value.value, caught.value.allowed) == ("max_columns", 3, 2)


def test_first_rows_alone_can_be_asked_for(tmp_path):
    """A preview does not wait for a million rows, and says that it is one."""
    (tmp_path / "a.csv").write_text("a,b\n" * 1000)

    sheet = read(tmp_path / "a.csv", tmp_path, max_rows=5).sheets[0]

    assert (sheet.row_count, sheet.complete) == (5, False)


def test_a_page_without_a_table_is_refused_with_what_it_says(tmp_path):
    """An error page that was saved under the name of the export is no data."""
    path = tmp_path / "export.xls"
    path.write_text(
        "<!DOCTYPE html><html><head><title>x</title></head><body><h1>503 Service Unavailable</h1><p>Try later</p></body></html>"
    )

    with pytest.raises(NotASpreadsheet, match="a web page without a table, which says '503 Service Unavailable'"):
        read_workbook(path, tmp_path)
