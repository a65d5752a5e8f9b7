"""What only the style of a number says, in OpenDocument and SpreadsheetML 2003: days, times, spans of time, truth values."""

import pytest

from levelpool.sheets import inspect_file

NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in {"office": "office", "style": "style", "number": "datastyle", "table": "table", "text": "text"}.items()
)
DATA_STYLES = """
<number:date-style style:name="day"><number:day/><number:text>.</number:text><number:month/><number:text>.</number:text><number:year/></number:date-style>
<number:date-style style:name="moment"><number:year/><number:month/><number:day/><number:hours/><number:minutes/></number:date-style>
<number:time-style style:name="clock"><number:hours/><number:minutes/></number:time-style>
<number:time-style style:name="span" number:truncate-on-overflow="false"><number:hours/><number:minutes/></number:time-style>
<number:boolean-style style:name="truth"><number:boolean/></number:boolean-style>
<style:style style:name="plain" style:family="table-cell"/>
"""
STYLES = DATA_STYLES + "".join(
    f'<style:style style:name="{name} cell" style:family="table-cell" style:data-style-name="{name}"/>'
    f'<style:style style:name="{name} child" style:family="table-cell" style:parent-style-name="{name} cell"/>'
    for name in ("day", "moment", "clock", "span", "truth")
)


def cell(kind: str, value: str, style: str = "", formula: str = "") -> str:
    given = f'table:style-name="{style}"' if style else ""
    how = f'table:formula="{formula}"' if formula else ""
    return f'<table:table-cell {given} {how} office:value-type="{kind}" office:{"time-value" if kind == "time" else "value"}="{value}"/>'


def column_of(path) -> tuple[str, list[object]]:
    [sheet] = inspect_file(path).preview()["sheets"]
    return sheet["columns"][1]["type"], [row["amount"] for row in sheet["rows"]]


def flat(tmp_path, cells: list[str], columns: str = ""):
    head = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{name}</text:p></table:table-cell>' for name in ("number", "amount")
    )
    rows = "".join(f"<table:table-row>{cell('float', str(at))}{each}</table:table-row>" for at, each in enumerate(cells, 1))
    path = tmp_path / "styled.fods"
    path.write_text(
        f'<?xml version="1.0"?><office:document {NAMES} office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:automatic-styles>{STYLES}</office:automatic-styles>'
        f'<office:body><office:spreadsheet><table:table table:name="One">{columns}<table:table-row>{head}</table:table-row>{rows}</table:table></office:spreadsheet></office:body></office:document>'
    )
    return path


@pytest.mark.parametrize(
    ("style", "values", "found"),
    [
        ("day cell", ["46000", "46001"], ("DATE", ["2025-12-09", "2025-12-10"])),
        ("day child", ["46000", "46001"], ("DATE", ["2025-12-09", "2025-12-10"])),
        ("moment cell", ["46000.5", "46001"], ("TIMESTAMP", ["2025-12-09T12:00:00", "2025-12-10T00:00:00"])),
        ("clock cell", ["0.25", "0.75"], ("TIME", ["06:00:00", "18:00:00"])),
        ("span child", ["0.25", "1.75"], ("NUMERIC", ["0.25", "1.75"])),
        ("truth cell", ["1", "0"], ("BOOLEAN", [True, False])),
        ("plain", ["46000", "46001"], ("BIGINT", [46000, 46001])),
    ],
)
def test_number_is_what_its_style_shows(tmp_path, style, values, found):
    """By its own style, and by the one that this is made from."""
    assert column_of(flat(tmp_path, [cell("float", value, style) for value in values])) == found


def test_style_of_the_column_holds_for_cells_without_one(tmp_path):
    """Programs write it once for the whole column."""
    columns = '<table:table-column/><table:table-column table:default-cell-style-name="day cell" table:number-columns-repeated="2"/>'

    assert column_of(flat(tmp_path, [cell("float", "46000")], columns)) == ("DATE", ["2025-12-09"])


@pytest.mark.parametrize(
    ("style", "values", "found"),
    [
        ("clock cell", ["PT6H00M00S", "PT18H30M00S"], ("TIME", ["06:00:00", "18:30:00"])),
        ("span cell", ["PT6H00M00S", "PT18H00M00S"], ("NUMERIC", ["0.25", "0.75"])),
        ("clock cell", ["PT6H00M00S", "PT30H00M00S"], ("NUMERIC", ["0.25", "1.25"])),
        ("", ["PT6H00M00S", "-PT6H00M00S"], ("NUMERIC", ["0.25", "-0.25"])),
    ],
)
def test_hours_of_a_column_are_one_kind_of_value(tmp_path, style, values, found):
    """Times of a day, or numbers of days where one is longer than a day, below zero, or shown as a span: never some of each."""
    assert column_of(flat(tmp_path, [cell("time", value, style) for value in values])) == found


def test_truth_that_a_formula_says_is_one(tmp_path):
    """LibreOffice writes the number, and no style."""
    cells = [cell("float", "1", formula="of:=TRUE()"), cell("float", "0", formula="of:=FALSE()")]

    assert column_of(flat(tmp_path, cells)) == ("BOOLEAN", [True, False])


@pytest.mark.parametrize(
    ("code", "values", "found"),
    [
        ("dd/mm/yyyy", ["2026-05-01T00:00:00.000", "2026-05-02T00:00:00.000"], ("DATE", ["2026-05-01", "2026-05-02"])),
        ("Medium Date", ["2026-05-01T00:00:00.000"], ("DATE", ["2026-05-01"])),
        ("dd/mm/yyyy", ["2026-05-01T06:00:00.000"], ("TIMESTAMP", ["2026-05-01T06:00:00"])),
        ("hh:mm", ["1899-12-31T06:00:00.000", "1899-12-31T18:00:00.000"], ("TIME", ["06:00:00", "18:00:00"])),
        ("[hh]:mm", ["1899-12-31T06:00:00.000", "1900-01-01T18:00:00.000"], ("NUMERIC", ["0.25", "1.75"])),
        ("General Date", ["2026-05-01T00:00:00.000"], ("TIMESTAMP", ["2026-05-01T00:00:00"])),
    ],
)
def test_moment_is_what_its_number_format_shows(tmp_path, code, values, found):
    """SpreadsheetML 2003 has no other type for days, times and spans."""
    rows = "".join(
        f'<Row><Cell><Data ss:Type="Number">{at}</Data></Cell><Cell ss:StyleID="a"><Data ss:Type="DateTime">{value}</Data></Cell></Row>'
        for at, value in enumerate(values, 1)
    )
    head = "".join(f'<Cell><Data ss:Type="String">{name}</Data></Cell>' for name in ("number", "amount"))
    path = tmp_path / "moments.xml"
    path.write_text(
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">'
        f'<Styles><Style ss:ID="a"><NumberFormat ss:Format="{code}"/></Style></Styles><Worksheet ss:Name="One"><Table><Row>{head}</Row>{rows}</Table></Worksheet></Workbook>'
    )

    assert column_of(path) == found
