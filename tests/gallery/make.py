"""
Make the gallery: `python tests/gallery/make.py` writes each trap as a small file, with the cells that must come out beside it.

The cells, and for traps of understanding the tables, are written down here by hand, not taken from a reader.
A messy file that once hurt us joins as one more entry of TRAPS.
"""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xlwt

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
ODS_NAMES = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text", "style"))
SS = 'xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"'


@dataclass(frozen=True)
class Trap:
    """One file, why it is a trap, and the sheets that must come out."""

    name: str
    why: str
    make: Callable[[], bytes]
    format: str
    sheets: list[dict[str, Any]] = field(default_factory=list)  # [] where the tables say it all
    tables: list[dict[str, Any]] = field(default_factory=list)  # what `inspect_file` makes of it; [] where the cells say it all


def one(cells: dict[str, tuple[str, str]], name: str = "S", **more: Any) -> list[dict[str, Any]]:
    """A workbook with one sheet."""
    return [{"name": name, "cells": cells, **more}]


def text(**cells: str) -> dict[str, tuple[str, str]]:
    """Cells that are text throughout."""
    return {place: (value, "s") for place, value in cells.items()}


def table(header_row: int | None, columns: dict[str, str], rows: list[list[Any]], outside: dict[int, str], **more: Any) -> dict[str, Any]:
    """A table as it must be found: names and types of the columns, the rows as JSON has them, and why other rows are none."""
    aside = {str(row): reason for row, reason in outside.items()}
    return {"header_row": header_row, "columns": columns, "rows": rows, "outside": aside, "quarantine": [], **more}


# ---------------------------------------------------------------- writers


def pack(parts: dict[str, str | bytes]) -> bytes:
    """A zip container with these parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(zipfile.ZipInfo(name, (2026, 11, 2, 0, 0, 0)), part, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def xlsx(
    rows: str,
    *,
    before: str = "",
    after: str = "",
    texts: str = "",
    formats: tuple[str, ...] = (),
    properties: str = "",
    state: str = "",
    more: dict[str, str | bytes | None] | None = None,
) -> bytes:
    """An .xlsx with one sheet named S; style 1 is the first of *formats*."""
    numbers = "".join(f'<numFmt numFmtId="{164 + place}" formatCode="{code}"/>' for place, code in enumerate(formats))
    styles = '<xf numFmtId="0"/>' + "".join(f'<xf numFmtId="{164 + place}"/>' for place in range(len(formats)))
    relation = '<Relationship Id="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"/>'
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    links = [("r1", "worksheet", "worksheets/sheet1.xml"), ("r2", "sharedStrings", "sharedStrings.xml"), ("r3", "styles", "styles.xml")]
    parts: dict[str, str | bytes | None] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations.format(relation.format("r1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'{HEAD}<workbook {MAIN} xmlns:r="r">{properties}<sheets><sheet name="S" {state} r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations.format("".join(relation.format(*link) for link in links)),
        "xl/styles.xml": f"{HEAD}<styleSheet {MAIN}><numFmts>{numbers}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>",
        "xl/sharedStrings.xml": f"{HEAD}<sst {MAIN}>{texts}</sst>",
        "xl/worksheets/sheet1.xml": f"{HEAD}<worksheet {MAIN}>{before}<sheetData>{rows}</sheetData>{after}</worksheet>",
        **(more or {}),
    }
    return pack({name: part for name, part in parts.items() if part is not None})


def row(number: int, *cells: str) -> str:
    """One row; each cell is written "A:attributes:content", the content as XML."""
    written = ""
    for cell in cells:
        column, attributes, content = cell.split(":", 2)
        written += f'<c r="{column}{number}"{attributes and " " + attributes}>{content}</c>'
    return f'<row r="{number}">{written}</row>'


def plain(number: int, **cells: str | float) -> str:
    """One row of texts and numbers."""
    return row(
        number,
        *(f'{place}:t="str":<v>{cell}</v>' if isinstance(cell, str) else f"{place}::<v>{cell}</v>" for place, cell in cells.items()),
    )


def merged(*areas: str) -> str:
    """The merged areas of a sheet."""
    return "<mergeCells>{}</mergeCells>".format("".join(f'<mergeCell ref="{area}"/>' for area in areas))


def ods(rows: str, styles: str = "") -> bytes:
    """An .ods with one sheet named S."""
    content = (
        f"{HEAD}<office:document-content {ODS_NAMES}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
        f'<office:spreadsheet><table:table table:name="S">{rows}</table:table></office:spreadsheet></office:body></office:document-content>'
    )
    return pack({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": content})


def xml2003(table: str, *, styles: str = "", encoding: str = "UTF-8", options: str = "") -> bytes:
    """A SpreadsheetML 2003 workbook with one sheet named S."""
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><?mso-application progid="Excel.Sheet"?><Workbook {SS}><Styles>{styles}</Styles>'
        f'<Worksheet ss:Name="S"><Table>{table}</Table>{options}</Worksheet></Workbook>'
    ).encode(encoding)


def xls() -> bytes:
    """An old workbook that begins at C4, with an error, a date, a percentage, a hidden row and column, and a hidden sheet."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write(3, 2, "000123")
    sheet.write(3, 3, 46328, xlwt.easyxf(num_format_str="YYYY-MM-DD"))
    sheet.write(5, 2, 0.125, xlwt.easyxf(num_format_str="0.00%"))
    sheet.row(5).set_cell_error(3, 0x2A)
    sheet.row(5).set_cell_boolean(4, True)
    sheet.write(6, 2, 0.1 + 0.2)
    sheet.row(6).hidden = True
    sheet.col(1).hidden = True
    sheet.write_merge(8, 9, 0, 1, "merged")
    back = book.add_sheet("back")
    back.visibility = 1
    back.write(0, 0, "x")
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def xls_with_sums() -> bytes:
    """An old workbook with sums; xlwt writes formulas without a result, and a program would have left 3 in each."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for number, cells in enumerate([("Order", "Amount"), ("A-1", 1), ("A-2", 2)]):
        for column, cell in enumerate(cells):
            sheet.write(number, column, cell)
    sheet.write(3, 0, "Total")
    sheet.write(3, 1, xlwt.Formula("SUM(B2:B3)"))
    sheet.write(4, 1, xlwt.Formula("B2*0+SUM(B2:B3)+0"))
    sheet.write(5, 1, xlwt.Formula("SUBTOTAL(9,B2:B3)"))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue().replace(b"\x03\0\0\0\0\0\xff\xff", struct.pack("<d", 3.0))


def erp_report() -> bytes:
    """A report as an ERP system formats it for people."""
    texts = {
        "B1": "Sales 2026",
        "B2": "Client:",
        "C2": "Muster GmbH",
        "B4": "Region",
        "C4": "2025",
        "E4": "2026",
        "C5": "Qty",
        "D5": "Net",
        "E5": "Qty",
    }
    texts |= {
        "C6": "pcs",
        "D6": "EUR",
        "E6": "pcs",
        "B7": "Nord",
        "B8": "Nord",
        "B9": "Subtotal",
        "B10": "Süd",
        "B11": "Subtotal",
        "B12": "Total",
    }
    texts |= {"B14": "* preliminary figures"}
    numbers = {"C7": "10", "D7": "1.5", "E7": "5", "C8": "20", "D8": "2.25", "E8": "6", "C10": "7", "D10": "3", "E10": "1"}
    totals = {"C9": "30", "D9": "3.75", "E9": "11", "C11": "7", "D11": "3", "E11": "1", "C12": "37", "D12": "6.75", "E12": "12"}
    cells = {place: f't="str":<v>{said}</v>' for place, said in texts.items()} | {
        place: f":<v>{said}</v>" for place, said in numbers.items()
    }
    cells |= {place: f":<f>SUBTOTAL(9,{place[0]}7:{place})</f><v>{said}</v>" for place, said in totals.items()}
    rows = "".join(row(n, *(f"{c}:{cells[f'{c}{n}']}" for c in "BCDE" if f"{c}{n}" in cells)) for n in range(1, 15))
    merged = "".join(f'<mergeCell ref="{area}"/>' for area in ("B1:E1", "B4:B5", "C4:D4"))
    return xlsx(rows, after=f"<mergeCells>{merged}</mergeCells>")


XLS_SHEETS = [
    {
        "name": "S",
        "cells": {
            "C4": ("000123", "s"),
            "D4": ("46328", "nYYYY-MM-DD"),
            "C6": ("0.125", "n0.00%"),
            "D6": ("#N/A", "e"),
            "E6": ("true", "b"),
            "C7": ("0.30000000000000004", "n"),
            "A9": ("merged", "s"),
        },
        "merges": ["A9:B10"],
        "hidden_rows": [7],
        "hidden_columns": ["B"],
    },
    {"name": "back", "hidden": True, "cells": {"A1": ("x", "s")}},
]

LATE = "".join(row(number, f"A::<v>{number}</v>") for number in range(1, 1201)) + row(1201, 'A:t="str":<v>n/a</v>')
SHORT = xlsx(row(1, "A::<v>1</v>"))

TRAPS = [
    Trap(
        "error_cells.xlsx",
        "calamine and fastexcel read error cells as blanks, and refuse a whole sheet for one #SPILL! or #CALC!",
        lambda: xlsx(
            row(1, 'A:t="e":<v>#N/A</v>', 'B:t="e":<v>#DIV/0!</v>', 'C:t="e":<v>#SPILL!</v>', 'D:t="e":<v>#CALC!</v>', "E::<v>1</v>")
        ),
        "xlsx",
        one({"A1": ("#N/A", "e"), "B1": ("#DIV/0!", "e"), "C1": ("#SPILL!", "e"), "D1": ("#CALC!", "e"), "E1": ("1", "n")}),
    ),
    Trap(
        "long_numbers.xlsx",
        "a double holds 15 to 17 digits: 123456789012345678 comes back as ...680, 1E+400 as infinity, and the tail of 1.1000000000000001 tells its double",
        lambda: xlsx(
            row(
                1,
                *(f"{c}::<v>{v}</v>" for c, v in zip("ABCD", ["123456789012345678", "1E+400", "1.1000000000000001", "-0.0"], strict=True)),
            )
        ),
        "xlsx",
        one({"A1": ("123456789012345678", "n"), "B1": ("1E+400", "n"), "C1": ("1.1000000000000001", "n"), "D1": ("-0.0", "n")}),
    ),
    Trap(
        "late_text.xlsx",
        "fastexcel looks at the first 1000 rows and makes a later text in a numeric column NULL",
        lambda: xlsx(LATE),
        "xlsx",
        one({**{f"A{number}": (str(number), "n") for number in range(1, 1201)}, "A1201": ("n/a", "s")}),
    ),
    Trap(
        "text_that_looks_like_something_else.xlsx",
        'pandas makes 000123 a number, and "NA" and "null" a missing value',
        lambda: xlsx(row(1, *(f'{c}:t="str":<v>{v}</v>' for c, v in zip("ABCDE", ["000123", "NA", "null", "-", "TRUE"], strict=True)))),
        "xlsx",
        one(text(A1="000123", B1="NA", C1="null", D1="-", E1="TRUE")),
    ),
    Trap(
        "dimension_that_lies.xlsx",
        "openpyxl and pandas lose the rows outside of the dimension, and rows that stand out of order",
        lambda: xlsx(
            row(3, "A::<v>3</v>") + row(1, "A::<v>1</v>", "C::<v>9</v>") + row(2, "A::<v>2</v>"), before='<dimension ref="A1:A1"/>'
        ),
        "xlsx",
        one({"A1": ("1", "n"), "C1": ("9", "n"), "A2": ("2", "n"), "A3": ("3", "n")}),
    ),
    Trap(
        "blanks_around_text.xlsx",
        "calamine strips blanks at the ends of a text without xml:space",
        lambda: xlsx(row(1, 'A:t="s":<v>0</v>', 'B:t="inlineStr":<is><t> b </t></is>'), texts="<si><t>  a </t></si>"),
        "xlsx",
        one(text(A1="  a ", B1=" b ")),
    ),
    Trap(
        "starts_at_c5.xlsx",
        "calamine and pandas move a table that does not begin at A1",
        lambda: xlsx(row(5, 'C:t="str":<v>x</v>') + row(9, "D::<v>1</v>")),
        "xlsx",
        one({"C5": ("x", "s"), "D9": ("1", "n")}),
    ),
    Trap(
        "odd_dates.xlsx",
        "negative serials become midnight, fractions of a day are rounded, and 1904 shifts all by four years",
        lambda: xlsx(
            row(1, 'A:s="1":<v>-5</v>', 'B:s="1":<v>46328.354166666664</v>', 'C:s="1":<v>60</v>', 'D:t="d":<v>2026-11-02T08:30:00</v>'),
            formats=("yyyy-mm-dd hh:mm",),
            properties='<workbookPr date1904="1"/>',
        ),
        "xlsx",
        one(
            {
                "A1": ("-5", "nyyyy-mm-dd hh:mm"),
                "B1": ("46328.354166666664", "nyyyy-mm-dd hh:mm"),
                "C1": ("60", "nyyyy-mm-dd hh:mm"),
                "D1": ("2026-11-02T08:30:00", "d"),
            },
            date1904=True,
        ),
    ),
    Trap(
        "built_in_formats.xlsx",
        "a format may be named only by its number: 14 is a date, 10 a percentage, 57 a Chinese month",
        lambda: xlsx(
            row(1, 'A:s="1":<v>46328</v>', 'B:s="2":<v>0.5</v>', 'C:s="3":<v>46328</v>'),
            more={
                "xl/styles.xml": f'<styleSheet {MAIN}><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/>'
                '<xf numFmtId="10"/><xf numFmtId="57"/></cellXfs></styleSheet>'
            },
        ),
        "xlsx",
        one({"A1": ("46328", "nmm-dd-yy"), "B1": ("0.5", "n0.00%"), "C1": ("46328", 'nyyyy"年"m"月"')}),
    ),
    Trap(
        "prefixed_tags.xlsx",
        "a pattern that does not know <x:row> returns an empty sheet without a word",
        lambda: xlsx(
            "",
            more={
                "xl/worksheets/sheet1.xml": '<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData><x:row r="1">'
                '<x:c r="A1" t="s"><x:v>0</x:v></x:c></x:row></x:sheetData></x:worksheet>',
                "xl/sharedStrings.xml": '<x:sst xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:si><x:t>a</x:t></x:si></x:sst>',
            },
        ),
        "xlsx",
        one(text(A1="a")),
    ),
    Trap(
        "utf16_parts.xlsx",
        "XML parts may be in UTF-16",
        lambda: xlsx(
            "",
            more={
                "xl/worksheets/sheet1.xml": f'<?xml version="1.0" encoding="UTF-16"?><worksheet {MAIN}><sheetData><row r="1"><c r="A1" t="str">'
                "<v>ü中</v></c></row></sheetData></worksheet>".encode("utf-16")
            },
        ),
        "xlsx",
        one(text(A1="ü中")),
    ),
    Trap(
        "names_in_another_case.xlsx",
        "part names do not care about case, and some programs leave out the relations of the package",
        lambda: xlsx(
            row(1, 'A:t="s":<v>0</v>'),
            texts="<si><t>a</t></si>",
            more={"_rels/.rels": None, "xl/sharedStrings.xml": None, "xl/SharedStrings.XML": f"<sst {MAIN}><si><t>a</t></si></sst>"},
        ),
        "xlsx",
        one(text(A1="a")),
    ),
    Trap(
        "line_ends_and_escapes.xlsx",
        "XML makes CR LF one LF; what the user typed as CR stands as _x000D_, and _x005F_ is an underscore that escapes nothing",
        lambda: xlsx(
            row(
                1,
                'A:t="str":<v>a\r\nb</v>',
                'B:t="str":<v>a_x000D_b</v>',
                'C:t="str":<v>_x005F_x000D_</v>',
                'D:t="str":<v>_xD83D__xDE00_</v>',
            )
        ),
        "xlsx",
        one(text(A1="a\nb", B1="a\rb", C1="_x000D_", D1="😀")),
    ),
    Trap(
        "rich_and_phonetic_text.xlsx",
        "a text may come in pieces, its phonetic reading is not part of it, and what looks like an escape across two pieces is none",
        lambda: xlsx(
            row(1, 'A:t="s":<v>0</v>', 'B:t="s":<v>1</v>', 'C:t="s":<v>2</v>')
            + row(2, 'A:t="inlineStr":<is><r><t>_x00</t></r><r><t>41__x0042_</t></r></is>'),
            texts='<si><r><t>bo</t></r><r><rPr><b/></rPr><t>ld</t></r></si><si><t>漢字</t><rPh sb="0" eb="2"><t>かんじ</t></rPh></si>'
            "<si><r><t>_x0042__x00</t></r><r><t>41_</t></r></si>",
        ),
        "xlsx",
        one(text(A1="bold", B1="漢字", C1="B_x0041_", A2="_x0041_B")),
    ),
    Trap(
        "both_value_and_inline_text.xlsx",
        "a cell may hold both <v> and <is>; its type says which one is meant",
        lambda: xlsx(row(1, 'A:t="inlineStr":<v>7</v><is><t>text</t></is>', "B::<is><t>8</t></is><v>9</v>")),
        "xlsx",
        one({"A1": ("text", "s"), "B1": ("9", "n")}),
    ),
    Trap(
        "rows_without_numbers.xlsx",
        "rows and cells may leave out where they stand, and may be closed at once",
        lambda: xlsx('<row><c><v>1</v></c><c/><c><v>3</v></c></row><row/><row><c t="str"><v>x</v></c></row>'),
        "xlsx",
        one({"A1": ("1", "n"), "C1": ("3", "n"), "A3": ("x", "s")}),
    ),
    Trap(
        "comment_in_the_data.xlsx",
        "rows in a comment are no rows",
        lambda: xlsx(row(1, "A::<v>1</v>") + "<!-- " + row(2, "A::<v>2</v>") + " -->" + row(3, 'A:t="str":<v><![CDATA[<3>]]></v>')),
        "xlsx",
        one({"A1": ("1", "n"), "A3": ("<3>", "s")}),
    ),
    Trap(
        "hidden_and_merged.xlsx",
        "hidden rows, columns and sheets hold data too, and merged areas hold one cell",
        lambda: xlsx(
            row(1, 'A:t="str":<v>2024</v>') + '<row r="2" hidden="1"><c r="A2"><v>1</v></c></row>' + row(3, "C::<v>2</v>"),
            before='<cols><col min="3" max="4" hidden="1"/></cols>',
            after='<mergeCells count="1"><mergeCell ref="A1:B1"/></mergeCells>',
            state='state="veryHidden"',
        ),
        "xlsx",
        one(
            {"A1": ("2024", "s"), "A2": ("1", "n"), "C3": ("2", "n")},
            hidden=True,
            merges=["A1:B1"],
            hidden_rows=[2],
            hidden_columns=["C", "D"],
        ),
    ),
    Trap(
        "formulas.xlsx",
        "a total is known by its formula; a formula without a value is no blank cell; an empty result is an empty text",
        lambda: xlsx(
            row(1, "A::<v>1</v>", "B::<f>A1*2</f><v>2</v>")
            + row(
                2,
                "A::<f>SUM(A1:A1)</f><v>1</v>",
                'B::<f t="shared" ref="B2:C2" si="0">SUBTOTAL(9,B1:B1)</f><v>2</v>',
                'C::<f t="shared" si="0"/><v>0</v>',
            )
            + row(3, "A::<f>NOW()</f>", "B::<f>SUM(A1:A2)</f><v></v>", 'C:t="str":<f>IF(1,"","")</f><v></v>')
        ),
        "xlsx",
        one(
            {
                "A1": ("1", "n"),
                "B1": ("2", "n"),
                "A2": ("1", "n"),
                "B2": ("2", "n"),
                "C2": ("0", "n"),
                "A3": ("=NOW()", "f"),
                "B3": ("=SUM(A1:A2)", "f"),
                "C3": ("", "s"),
            },
            sums=["A2", "B2", "C2", "B3"],
        ),
    ),
    Trap("workbook_named.csv", "content decides, not the name: this is an .xlsx", lambda: SHORT, "xlsx", one({"A1": ("1", "n")})),
    Trap("old_workbook.xls", "true places, number formats, errors, hidden and merged cells of an old workbook", xls, "xls", XLS_SHEETS),
    Trap(
        "sums.xls",
        "xlrd does not tell formulas from values: which cells are sums stands in the compiled formulas only",
        xls_with_sums,
        "xls",
        one(
            {
                "A1": ("Order", "s"),
                "B1": ("Amount", "s"),
                "A2": ("A-1", "s"),
                "B2": ("1", "n"),
                "A3": ("A-2", "s"),
                "B3": ("2", "n"),
                "A4": ("Total", "s"),
                "B4": ("3", "n"),
                "B5": ("3", "n"),
                "B6": ("3", "n"),
            },
            sums=["B4", "B6"],
        ),
    ),
    Trap("old_workbook_named.xlsx", "an old workbook under a new name", xls, "xls", XLS_SHEETS),
    Trap(
        "repeats_and_kinds.ods",
        "cells repeat by count, errors look like texts, a duration is no time of day, a note is not the cell's text",
        lambda: ods(
            '<table:table-column table:number-columns-repeated="2"/><table:table-column table:visibility="collapse"/>'
            '<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="2" office:value-type="float" office:value="1.50">'
            '<text:p>1,5</text:p></table:table-cell><table:table-cell table:number-columns-repeated="1022"/></table:table-row>'
            '<table:table-row table:number-rows-repeated="3"><table:table-cell table:number-columns-repeated="1024"/></table:table-row>'
            '<table:table-row table:visibility="filter"><table:table-cell office:value-type="percentage" office:value="0.125"><text:p>12,5 %</text:p></table:table-cell>'
            '<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value=""><text:p>#DIV/0!</text:p></table:table-cell>'
            '<table:table-cell office:value-type="time" office:time-value="PT08H30M00S"><text:p>08:30</text:p></table:table-cell>'
            '<table:table-cell office:value-type="time" office:time-value="PT36H00M00S"><text:p>36:00</text:p></table:table-cell>'
            '<table:table-cell office:value-type="string"><office:annotation><text:p>a note</text:p></office:annotation><text:p>a<text:s text:c="2"/>b</text:p>'
            "<text:p>c</text:p></table:table-cell>"
            '<table:table-cell table:formula="of:=SUM([.A1:.A2])" office:value-type="float" office:value="3"><text:p>3</text:p></table:table-cell>'
            '<table:table-cell office:value-type="boolean" office:boolean-value="true"><text:p>WAHR</text:p></table:table-cell>'
            '<table:table-cell office:value-type="date" office:date-value="2026-11-02"><text:p>2.11.26</text:p></table:table-cell></table:table-row>'
        ),
        "ods",
        one(
            {
                "A1": ("1.50", "n"),
                "B1": ("1.50", "n"),
                "A2": ("1.50", "n"),
                "B2": ("1.50", "n"),
                "A6": ("0.125", "n0.00%"),
                "B6": ("#DIV/0!", "e"),
                "C6": ("08:30:00", "d"),
                "D6": ("1.5", "n[h]:mm:ss"),
                "E6": ("a  b\nc", "s"),
                "F6": ("3", "n"),
                "G6": ("true", "b"),
                "H6": ("2026-11-02", "d"),
            },
            sums=["F6"],
            hidden_rows=[6],
            hidden_columns=["C"],
        ),
    ),
    Trap(
        "export_of_2003.xls",
        "the XML of Excel 2003: cells leave out where they stand unless they jump, and the encoding is what the file says",
        lambda: xml2003(
            '<Column ss:Index="2" ss:Hidden="1"/><Row><Cell ss:MergeAcross="1"><Data ss:Type="String">订单</Data></Cell>'
            '<Cell><Data ss:Type="String">x</Data></Cell></Row>'
            '<Row ss:Index="4" ss:Hidden="1"><Cell ss:Index="2" ss:StyleID="p"><Data ss:Type="Number">0.125</Data></Cell>'
            '<Cell ss:Formula="=SUM(R1C1:R3C1)"><Data ss:Type="Number">123456789012345678</Data></Cell>'
            '<Cell><Data ss:Type="DateTime">2026-11-02T08:30:00.000</Data></Cell><Cell><Data ss:Type="Boolean">1</Data></Cell>'
            '<Cell><Data ss:Type="Error">#N/A</Data></Cell><Cell ss:Formula="=NOW()"/>'
            '<Cell ss:StyleID="y"><Data ss:Type="Number">1</Data></Cell></Row>',
            styles='<Style ss:ID="p"><NumberFormat ss:Format="Percent"/></Style><Style ss:ID="y"><NumberFormat ss:Format="Yes/No"/></Style>',
            encoding="gb2312",
            options='<WorksheetOptions xmlns="urn:schemas-microsoft-com:office:excel"><Visible>SheetHidden</Visible></WorksheetOptions>',
        ),
        "xml2003",
        one(
            {
                "A1": ("订单", "s"),
                "C1": ("x", "s"),
                "B4": ("0.125", "n0.00%"),
                "C4": ("123456789012345678", "n"),
                "D4": ("2026-11-02T08:30:00", "d"),
                "E4": ("true", "b"),
                "F4": ("#N/A", "e"),
                "G4": ("=NOW()", "f"),
                "H4": ("1", 'n"Yes";"Yes";"No"'),
            },
            hidden=True,
            sums=["C4"],
            merges=["A1:B1"],
            hidden_rows=[4],
            hidden_columns=["B"],
        ),
    ),
    Trap(
        "web_page.xls",
        "a page named .xls: cells are never closed, spans push others aside, text above the table is a title, and a table in a cell is data too",
        lambda: (
            "<html><head><meta charset='gb2312'><title>no</title><style>td {color: red}</style></head><body><h2>报表</h2>"
            "<table><tr><th rowspan=2>No<th colspan=2>Amount &amp; fee<tr><th>Gross<th>Fee<tr><td> 000123 <td>1,234.50<td>5&nbsp;%"
            "<tr><td><table><tr><td>inner</table><td>after</table><script>no</script></body></html>"
        ).encode("gbk"),
        "html",
        one(
            text(
                A1="报表", A3="No", B3="Amount & fee", B4="Gross", C4="Fee", A5="000123", B5="1,234.50", C5="5\xa0%", A6="inner", A7="after"
            ),
            name="Sheet1",
            merges=["A3:A4", "B3:C3"],
        ),
    ),
    Trap(
        "chinese.csv",
        "GBK without a word about it, as Chinese programs write CSV",
        lambda: "订单号,商品,数量\r\n000123,白瓷茶壶,2\r\n202611014000000000,茶杯,\r\n".encode("gbk"),
        "csv",
        one(
            text(A1="订单号", B1="商品", C1="数量", A2="000123", B2="白瓷茶壶", C2="2", A3="202611014000000000", B3="茶杯"), name="chinese"
        ),
    ),
    Trap(
        "taiwanese.csv",
        "Big5 looks like GBK to a careless eye",
        lambda: "訂單號,商品名稱\r\n000123,白瓷茶壺與茶杯\r\n000124,這是一個測試\r\n".encode("big5"),
        "csv",
        one(text(A1="訂單號", B1="商品名稱", A2="000123", B2="白瓷茶壺與茶杯", A3="000124", B3="這是一個測試"), name="taiwanese"),
    ),
    Trap(
        "japanese.csv",
        "Shift-JIS, with a backslash inside a character",
        lambda: "商品,数量\r\nティーポット,1\r\n表示と予約,2\r\n".encode("cp932"),
        "csv",
        one(text(A1="商品", B1="数量", A2="ティーポット", B2="1", A3="表示と予約", B3="2"), name="japanese"),
    ),
    Trap(
        "german.csv",
        "Windows-1252, semicolons, decimal commas",
        lambda: "Größe;Preis\r\nÄpfel;1,50\r\nFüße;2,75\r\n".encode("cp1252"),
        "csv",
        one(text(A1="Größe", B1="Preis", A2="Äpfel", B2="1,50", A3="Füße", B3="2,75"), name="german"),
    ),
    Trap(
        "unicode_text.csv",
        "what Excel calls Unicode text: UTF-16 and tabs, here without its mark",
        lambda: "a\tb\r\n000123\tü\r\n".encode("utf-16-le"),
        "csv",
        one(text(A1="a", B1="b", A2="000123", B2="ü"), name="unicode_text"),
    ),
    Trap(
        "quotes_and_lines.csv",
        "a field may hold delimiters, doubled quotes and line ends; the first line may only name the delimiter",
        lambda: b'sep=;\r\na;"b;1"\r\n"line 1\nline 2";"say ""hi"""\r\n;\r\nx;\r\n',
        "csv",
        one(text(A2="a", B2="b;1", A3="line 1\nline 2", B3='say "hi"', A5="x"), name="quotes_and_lines"),
    ),
    Trap(
        "stray_quote.csv",
        "one quotation mark that nothing closes must not swallow the rest of the file",
        lambda: b'item,size\nscreen,"15 inch\nphone,6\n',
        "csv",
        one(text(A1="item", B1="size", A2="screen", B2='"15 inch', A3="phone", B3="6"), name="stray_quote"),
    ),
    Trap(
        "one_foreign_letter.csv",
        "one ñ is all there is to tell the encoding by, and other readers take it for Polish",
        lambda: "id,store,city\r\n1,El Niño,Boston\r\n2,Corner Shop,London\r\n".encode("cp1252"),
        "csv",
        one(
            text(A1="id", B1="store", C1="city", A2="1", B2="El Niño", C2="Boston", A3="2", B3="Corner Shop", C3="London"),
            name="one_foreign_letter",
        ),
    ),
    Trap(
        "list_of_dos.csv",
        "letters as DOS has them, and its end mark, which is no row",
        lambda: "Nr;Artikel;Stück\r\n1;Türschloß;5\r\n2;Käsereibe;7\r\n\x1a".encode("cp850"),
        "csv",
        one(
            text(A1="Nr", B1="Artikel", C1="Stück", A2="1", B2="Türschloß", C2="5", A3="2", B3="Käsereibe", C3="7"),
            name="list_of_dos",
        ),
    ),
    Trap(
        "put_together.csv",
        "two files put together: the byte order mark of the second would be part of its header, and hide the quotation mark",
        '\ufeff"id","name"\n"1","a, b"\n\ufeff"id","name"\n"2","c"\n'.encode,
        "csv",
        one(text(A1="id", B1="name", A2="1", B2="a, b", A3="id", B3="name", A4="2", B4="c"), name="put_together"),
    ),
    Trap(
        "texts_as_formulas.csv",
        'marketplaces write ="0123" so that a spreadsheet program shows the digits; other readers keep the formula',
        lambda: '订单编号,金额\r\n="1234567890123456789",128.50\r\n"=""0012""",=1+1\r\n="",x="1"\r\n'.encode("gb18030"),
        "csv",
        one(
            text(A1="订单编号", B1="金额", A2="1234567890123456789", B2="128.50", A3="0012", B3="=1+1", B4='x="1"'),
            name="texts_as_formulas",
        ),
    ),
    Trap(
        "long_ids.csv",
        "readers that guess types drop leading zeros and turn a 22-digit id into a float",
        lambda: b"\xef\xbb\xbfid,code\r\n1234567890123456789012,007\r\n1E5,1.10\r\n",
        "csv",
        one(text(A1="id", B1="code", A2="1234567890123456789012", B2="007", A3="1E5", B3="1.10"), name="long_ids"),
    ),
    Trap(
        "report_of_an_erp.xlsx",
        "a title, what the report is about, a header of two rows with merged groups, units, subtotals, a total and a note; the table begins at B4",
        erp_report,
        "xlsx",
        tables=[
            table(
                4,
                {"region": "TEXT", "c_2025_qty": "BIGINT", "c_2025_net": "NUMERIC", "c_2026_qty": "BIGINT"},
                [["Nord", 10, "1.5", 5], ["Nord", 20, "2.25", 6], ["Süd", 7, "3", 1]],
                {1: "title", 2: "title", 4: "header", 5: "header", 6: "units", 9: "total", 11: "total", 12: "total", 14: "footer"},
            )
        ],
    ),
    Trap(
        "numbers_without_a_zero.xlsx",
        "some programs write the number cells .5, -.5, 5. and +5, or blanks around them: XML takes all of them for numbers",
        lambda: xlsx(
            row(1, 'A:t="str":<v>item</v>', 'B:t="str":<v>share</v>', 'C:t="str":<v>count</v>')
            + row(2, 'A:t="str":<v>a</v>', "B::<v>.5</v>", "C::<v>5.</v>")
            + row(3, 'A:t="str":<v>b</v>', "B::<v>-.25</v>", "C::<v>+6</v>")
            + row(4, 'A:t="str":<v>c</v>', "B::<v>1.5</v>", "C::<v> 7 </v>")
        ),
        "xlsx",
        tables=[
            table(
                0,
                {"item": "TEXT", "share": "NUMERIC", "count": "BIGINT"},
                [["a", "0.5", 5], ["b", "-0.25", 6], ["c", "1.5", 7]],
                {1: "header"},
            )
        ],
    ),
    Trap(
        "page_breaks.csv",
        "the title and the header come again on each page, and the total is the sum of all pages",
        lambda: b"Stock page 1\nItem,Qty\nA1,5\nA2,6\n\nStock page 2\nItem,Qty\nA3,7\nTotal,18\n",
        "csv",
        tables=[
            table(
                1,
                {"item": "TEXT", "qty": "BIGINT"},
                [["A1", 5], ["A2", 6], ["A3", 7]],
                {1: "title", 2: "header", 6: "title", 7: "repeated header", 9: "total"},
            )
        ],
    ),
    Trap(
        "total_that_is_a_record.csv",
        'a row that begins with "Total" and adds up to nothing is a record: a wrong guess would drop it',
        lambda: b"Brand,Sold\nShell,5\nTotal,6\nEsso,7\n",
        "csv",
        tables=[table(0, {"brand": "TEXT", "sold": "BIGINT"}, [["Shell", 5], ["Total", 6], ["Esso", 7]], {1: "header"})],
    ),
    Trap(
        "side_by_side.csv",
        "two lists beside each other are two tables, and their rows are not the same records",
        lambda: b"Budget,,,Actual\nAccount,Amount,,Account,Amount\nA1,5,,A1,4\nA2,6,,A9,8\n",
        "csv",
        tables=[
            table(1, {"account": "TEXT", "amount": "BIGINT"}, [["A1", 5], ["A2", 6]], {1: "title", 2: "header"}),
            table(1, {"account": "TEXT", "amount": "BIGINT"}, [["A1", 4], ["A9", 8]], {1: "title", 2: "header"}),
        ],
    ),
    Trap(
        "empty_column.csv",
        "a table that has an empty column is one table",
        lambda: b"Item,Qty,,Price,Net\nA1,5,,2,10\nA2,6,,3,18\n",
        "csv",
        tables=[
            table(
                0,
                {"item": "TEXT", "qty": "BIGINT", "price": "BIGINT", "net": "BIGINT"},
                [["A1", 5, 2, 10], ["A2", 6, 3, 18]],
                {1: "header"},
            )
        ],
    ),
    Trap(
        "tables_below_each_other.csv",
        "a second header behind a blank row begins a second table",
        lambda: b"Order,Net\nO-1,5\nO-2,6\n\nCustomer,City,Since\nAnn,Graz,2020-01-01\nBob,Cork,2021-02-03\n",
        "csv",
        tables=[
            table(0, {"order": "TEXT", "net": "BIGINT"}, [["O-1", 5], ["O-2", 6]], {1: "header"}),
            table(
                4,
                {"customer": "TEXT", "city": "TEXT", "since": "DATE"},
                [["Ann", "Graz", "2020-01-01"], ["Bob", "Cork", "2021-02-03"]],
                {5: "header"},
            ),
        ],
    ),
    Trap(
        "errors_among_numbers.xlsx",
        "an error goes to quarantine with its row, and the column stays a number",
        lambda: xlsx(
            row(1, 'A:t="str":<v>sku</v>', 'B:t="str":<v>margin</v>')
            + row(2, 'A:t="str":<v>a</v>', "B::<v>0.5</v>")
            + row(3, 'A:t="str":<v>b</v>', 'B:t="e":<v>#DIV/0!</v>')
        ),
        "xlsx",
        tables=[
            table(
                0,
                {"sku": "TEXT", "margin": "NUMERIC"},
                [["a", "0.5"]],
                {1: "header"},
                quarantine=[{"row": 3, "column": "margin", "value": "#DIV/0!", "reason": "error value"}],
            )
        ],
    ),
    Trap(
        "dates_that_no_row_decides.csv",
        "03/04/2026 is the 3 April or the 4 March; other readers choose one without a word, some for each row anew",
        lambda: b"id,open\n1,03/04/2026\n2,05/06/2026\n",
        "csv",
        tables=[table(0, {"id": "BIGINT", "open": "TEXT"}, [[1, "03/04/2026"], [2, "05/06/2026"]], {1: "header"})],
    ),
    Trap(
        "one_column_decides.csv",
        "one column proves that the day comes first, and another that a comma parts decimals; other readers choose for each column, or each row, anew",
        lambda: b"id;sent;paid;kg;sum\n1;03/04/2026;03/04/2026;1,250;9,5\n2;05/06/2026;27/04/2026;2,500;12,75\n",
        "csv",
        tables=[
            table(
                0,
                {"id": "BIGINT", "sent": "DATE", "paid": "DATE", "kg": "NUMERIC", "sum": "NUMERIC"},
                [[1, "2026-04-03", "2026-04-03", "1.250", "9.5"], [2, "2026-06-05", "2026-04-27", "2.500", "12.75"]],
                {1: "header"},
            )
        ],
    ),
    Trap(
        "points_between_thousands.csv",
        "-3.000 in a German account is minus three thousand; other readers load minus three",
        lambda: b"Datum;Betrag\n02.11.2026;-3.000\n13.11.2026;1.250\n",
        "csv",
        tables=[
            table(0, {"datum": "DATE", "betrag": "TEXT"}, [["2026-11-02", "-3.000"], ["2026-11-13", "1.250"]], {1: "header"}),
        ],
    ),
    Trap(
        "money_of_many_lands.csv",
        "thousands marks, decimal commas, currencies, percent signs, accounting negatives and full-width digits: each column in one notation",
        (
            "us;eu;ch;pct;acc;behind;wide;mixed\n$1,234.50;1.234,50 €;1'234.50;12,5 %;(5.00);5.00-;１２;1,5\n-$3.00;3,00 €;0.05;7,0 %;12.00;2.00;３;1.5\n"
        ).encode,
        "csv",
        tables=[
            table(
                0,
                {**dict.fromkeys(("us", "eu", "ch", "pct", "acc", "behind"), "NUMERIC"), "wide": "BIGINT", "mixed": "TEXT"},
                [
                    ["1234.50", "1234.50", "1234.50", "0.125", "-5.00", "-5.00", 12, "1,5"],
                    ["-3.00", "3.00", "0.05", "0.070", "12.00", "2.00", 3, "1.5"],
                ],
                {1: "header"},
            )
        ],
    ),
    Trap(
        "日报_20261102.csv",
        "a daily report in Chinese: a title, a date and a unit above, Chinese dates, a total, and who made it",
        lambda: (
            "XX公司销售日报\n日期：2026年11月2日,单位：元\n订单编号,日期,数量,金额\n0012,2026年11月1日,1,12.50\n0013,2026年11月2日,2,25.00\n合计,,3,37.50\n\n制表人：张三\n"
        ).encode("gb18030"),
        "csv",
        tables=[
            table(
                2,
                {"订单编号": "TEXT", "日期": "DATE", "数量": "BIGINT", "金额": "NUMERIC"},
                [["0012", "2026-11-01", 1, "12.50"], ["0013", "2026-11-02", 2, "25.00"]],
                {1: "title", 2: "title", 3: "header", 6: "total", 8: "footer"},
            )
        ],
    ),
    Trap(
        "EXTF_Buchungsstapel.csv",
        "a DATEV export: its first row describes the file, and is wider than the table",
        lambda: (
            '"EXTF";700;21;"Buchungsstapel";13;20261101120000000;;"RE";"";"";1001;1;20260101;4;20261001;20261031\n'
            '"Umsatz (ohne Soll/Haben-Kz)";"Soll/Haben-Kennzeichen";"Konto";"Belegdatum"\n1234,50;"S";10000;0110\n99,00;"H";70001;1510\n'
        ).encode("cp1252"),
        "csv",
        tables=[
            table(
                1,
                {"umsatz_ohne_soll_haben_kz": "NUMERIC", "soll_haben_kennzeichen": "TEXT", "konto": "BIGINT", "belegdatum": "TEXT"},
                [["1234.50", "S", 10000, "0110"], ["99.00", "H", 70001, "1510"]],
                {1: "title", 2: "header"},
            )
        ],
    ),
    Trap(
        "sap_list.txt",
        "a list of an ERP program: drawn lines, padded cells, the minus behind, and a star before the total",
        lambda: (
            b"01.11.2026                List                1\n--------------------------------------------------\n\n"
            b"|Konto     |Belegdat. |        Betrag|Waehr|\n|----------|----------|--------------|-----|\n"
            b"|0000400000|15.10.2026|     1.234,50 |EUR  |\n|0000400000|16.10.2026|        99,00-|EUR  |\n"
            b"|0000471100|17.10.2026|    12.000,00 |USD  |\n|-------------------------------------------|\n|*         |          |    13.135,50 |     |\n"
        ),
        "csv",
        tables=[
            table(
                3,
                {"konto": "TEXT", "belegdat": "DATE", "betrag": "NUMERIC", "waehr": "TEXT"},
                [
                    ["0000400000", "2026-10-15", "1234.50", "EUR  "],
                    ["0000400000", "2026-10-16", "-99.00", "EUR  "],
                    ["0000471100", "2026-10-17", "12000.00", "USD  "],
                ],
                {1: "title", 2: "title", 4: "header", 5: "ruler", 9: "ruler", 10: "total"},
            )
        ],
    ),
    Trap(
        "支付宝交易明细.csv",
        "a payment service in GB18030: tabs behind numbers, blanks that fill up amounts and moments, a drawn line below",
        lambda: (
            "支付宝交易记录明细查询\n交易号           ,交易创建时间        ,金额（元） ,收/支\n2026103122001400001234567890\t,2026-10-31 08:30:11 ,199.00  ,支出\n"
            "2026103022001400009876543210\t,2026-10-30 19:02:45 ,35.50   ,支出\n--------------------------------\n共2笔记录\n"
        ).encode("gb18030"),
        "csv",
        tables=[
            table(
                1,
                {"交易号": "TEXT", "交易创建时间": "TIMESTAMP", "金额_元": "NUMERIC", "收_支": "TEXT"},
                [
                    ["2026103122001400001234567890", "2026-10-31T08:30:11", "199.00", "支出"],
                    ["2026103022001400009876543210", "2026-10-30T19:02:45", "35.50", "支出"],
                ],
                {1: "title", 2: "header", 5: "ruler", 6: "footer"},
            )
        ],
    ),
    Trap(
        "trial_balance.csv",
        "the mark of the currency stands before the total alone",
        lambda: (
            b'ACME Inc.,,\nTrial Balance,,\n,Debit,Credit\nCash,"12,345.67",\nPayable,,"3,345.67"\nEquity,,"9,000.00"\nTOTAL,"$12,345.67","$12,345.67"\n'
        ),
        "csv",
        tables=[
            table(
                2,
                {"column_1": "TEXT", "debit": "NUMERIC", "credit": "NUMERIC"},
                [["Cash", "12345.67", None], ["Payable", None, "3345.67"], ["Equity", None, "9000.00"]],
                {1: "title", 2: "title", 3: "header", 7: "total"},
            )
        ],
    ),
    Trap(
        "timesheet.xlsx",
        "a title of three cells with a month, spans of more than a day, and their sum",
        lambda: xlsx(
            row(1, 'A:t="str":<v>Timesheet</v>', 'C:t="str":<v>Month</v>', 'D:s="1":<v>46296</v>')
            + row(
                3,
                *(
                    f'{column}:t="str":<v>{name}</v>'
                    for column, name in zip("ABCDEF", ("Day", "From", "To", "Rest", "Span", "Note"), strict=True)
                ),
            )
            + "".join(
                row(
                    number,
                    f'A:s="2":<v>{46292 + number}</v>',
                    'B:s="3":<v>0.333333333333333</v>',
                    'C:s="3":<v>0.729166666666667</v>',
                    'D:s="3":<v>0.03125</v>',
                    'E:s="4":<v>1.25</v>',
                    'F:t="str":<v>x</v>',
                )
                for number in (4, 5)
            )
            + row(6, 'A:t="str":<v>Total</v>', 'E:s="4":<f>SUM(E4:E5)</f><v>2.5</v>'),
            formats=("mmmm yyyy", "dd.mm.yyyy", "hh:mm", "[h]:mm"),
        ),
        "xlsx",
        tables=[
            table(
                2,
                {"day": "DATE", "from": "TIME", "to": "TIME", "rest": "TIME", "span": "NUMERIC", "note": "TEXT"},
                [
                    ["2026-10-01", "08:00:00", "17:30:00", "00:45:00", "1.25", "x"],
                    ["2026-10-02", "08:00:00", "17:30:00", "00:45:00", "1.25", "x"],
                ],
                {1: "title", 3: "header", 6: "total"},
            )
        ],
    ),
    Trap(
        "three_floors_of_headers.xlsx",
        "tables of statistical offices: groups within groups above the names, and a footnote under the last record",
        lambda: xlsx(
            plain(1, A="Table 4: Visits", B="all areas")
            + plain(2, F="thousands")
            + plain(3, B="All visits", D="Area of residence")
            + plain(4, D="Europe", F="Other")
            + plain(5, D="EU", E="Rest")
            + plain(6, A="Month", B="NSA", C="SA", D="NSA", E="NSA", F="NSA")
            + plain(7, A="Jan", B=10, C=11, D=5, E=3, F=2)
            + plain(8, A="Feb", B=12, C=11, D=6, E=4, F=2)
            + plain(10, A="NSA: not seasonally adjusted"),
            after=merged("B3:C3", "D3:F3", "D4:E4"),
        ),
        "xlsx",
        tables=[
            table(
                5,
                {
                    "month": "TEXT",
                    "all_visits_nsa": "BIGINT",
                    "all_visits_sa": "BIGINT",
                    "area_of_residence_europe_eu_nsa": "BIGINT",
                    "area_of_residence_europe_rest_nsa": "BIGINT",
                    "area_of_residence_other_nsa": "BIGINT",
                },
                [["Jan", 10, 11, 5, 3, 2], ["Feb", 12, 11, 6, 4, 2]],
                {1: "title", 2: "title", 3: "header", 4: "header", 5: "header", 6: "header", 10: "footer"},
            )
        ],
    ),
    Trap(
        "names_beside_one_year.xlsx",
        "a portal writes a year as a number over the name of its only column; the names beside it reach down, and stand in both rows",
        lambda: xlsx(
            plain(1, A="시군별", B="산업별", C="2014")
            + plain(2, A="시군별", B="산업별", C="당해년 가격")
            + plain(3, A="포항시", B="총생산", C=17478079)
            + plain(4, A="경주시", B="총생산", C=9066800),
            after=merged("A1:A2", "B1:B2"),
        ),
        "xlsx",
        tables=[
            table(
                1,
                {"시군별": "TEXT", "산업별": "TEXT", "c_2014_당해년_가격": "BIGINT"},
                [["포항시", "총생산", 17478079], ["경주시", "총생산", 9066800]],
                {1: "header", 2: "header"},
            )
        ],
    ),
    Trap(
        "note_under_a_merged_title.xlsx",
        "a single text under a merged one names no column: the row is a record, and as a header it would be lost",
        lambda: xlsx(
            plain(1, A="Index", D="Chapters of August")
            + plain(2, A="01 Coal", D="All cost is in EUR")
            + plain(3, A="02 Gas")
            + plain(4, A="03 Wind")
            + plain(5, A="04 Sun"),
            after=merged("D1:K1"),
        ),
        "xlsx",
        tables=[
            table(
                0,
                {"index": "TEXT", "chapters_of_august": "TEXT"},
                [["01 Coal", "All cost is in EUR"], ["02 Gas", None], ["03 Wind", None], ["04 Sun", None]],
                {1: "header"},
            )
        ],
    ),
    Trap(
        "printed_lines.xlsx",
        "a printed report in one column, where every block seems to begin with a header: it is one table, and not one for each block",
        lambda: xlsx(
            "".join(
                plain(number * 5 + 1, A=name)
                + "".join(
                    plain(number * 5 + place, A=f"{who}  .  .  {number}{place} 30.{place}")
                    for place, who in ((2, "Ann"), (3, "Bob"), (4, "Cid"))
                )
                for number, name in enumerate(("SENATOR", "CLERK", "SHERIFF"))
            )
        ),
        "xlsx",
        tables=[
            table(
                0,
                {"senator": "TEXT"},
                [
                    [text]
                    for number, name in enumerate(("", "CLERK", "SHERIFF"))
                    for text in (name, *(f"{who}  .  .  {number}{place} 30.{place}" for place, who in ((2, "Ann"), (3, "Bob"), (4, "Cid"))))
                    if text
                ],
                {1: "header"},
            )
        ],
    ),
    Trap(
        "damaged_styles.xlsx",
        "the part with the number formats is no well-formed XML, and all cells are there: other readers refuse the file",
        lambda: xlsx(
            plain(1, A="item", B="qty") + row(2, 'A:t="str":<v>tea</v>', 'B:s="1":<v>5</v>'),
            more={"xl/styles.xml": f"{HEAD}<styleSheet {MAIN}><cellXfs>xf numFmtId='0'/></cel</styleSheet>"},
        ),
        "xlsx",
        one({"A1": ("item", "s"), "B1": ("qty", "s"), "A2": ("tea", "s"), "B2": ("5", "n")}),
    ),
    Trap(
        "years_with_a_point.xlsx",
        "some programs write the year 2024 over a column as 2024.0",
        lambda: xlsx(
            plain(1, A="Land", B="2023.0", C="2024.0").replace(' t="str"><v>202', "><v>202")
            + plain(2, A="Nord", B=5, C=6)
            + plain(3, A="Süd", B=7, C=8)
        ),
        "xlsx",
        tables=[
            table(0, {"land": "TEXT", "c_2023": "BIGINT", "c_2024": "BIGINT"}, [["Nord", 5, 6], ["Süd", 7, 8]], {1: "header"}),
        ],
    ),
    Trap(
        "list_of_sheets.xlsx",
        "the first of a series names no column: with it the first record would be lost to the header",
        lambda: xlsx(
            plain(1, A="T1", B="All turnover", C="Steel")
            + "".join(
                plain(number, A=f"T{number}", B=("Turnover" if number < 5 else "Stocks"), C=f"Part {number}") for number in range(2, 9)
            )
        ),
        "xlsx",
        tables=[
            table(
                None,
                {"column_1": "TEXT", "column_2": "TEXT", "column_3": "TEXT"},
                [
                    ["T1", "All turnover", "Steel"],
                    *([f"T{number}", "Turnover" if number < 5 else "Stocks", f"Part {number}"] for number in range(2, 9)),
                ],
                {},
            )
        ],
    ),
    Trap(
        "records_above_a_wider_table.csv",
        "rows of several numbers above a wide table are records and no titles, although they are narrow",
        lambda: (
            b"1,1733,Left,61\n2,1586,Right,17\n3,1675,Green,7\n\n"
            b"Office,P1,P2,P3,P4,P5,P6,P7,P8\nMayor,1,2,3,4,5,6,7,8\nClerk,2,3,4,5,6,7,8,9\n"
        ),
        "csv",
        tables=[
            table(
                None,
                {"column_1": "BIGINT", "column_2": "BIGINT", "column_3": "TEXT", "column_4": "BIGINT"},
                [[1, 1733, "Left", 61], [2, 1586, "Right", 17], [3, 1675, "Green", 7]],
                {},
            ),
            table(
                4,
                {"office": "TEXT", **{f"p{number}": "BIGINT" for number in range(1, 9)}},
                [["Mayor", *range(1, 9)], ["Clerk", *range(2, 10)]],
                {5: "header"},
            ),
        ],
    ),
    Trap(
        "wide_row_below.xlsx",
        "readers that look at the first row for the width drop what stands further right below it",
        lambda: xlsx(row(1, 'A:t="str":<v>a</v>') + row(2, "A::<v>1</v>", "B::<v>2</v>", "F::<v>3</v>")),
        "xlsx",
        one({"A1": ("a", "s"), "A2": ("1", "n"), "B2": ("2", "n"), "F2": ("3", "n")}),
    ),
    Trap(
        "rows_elsewhere.xlsx",
        "what looks like a row outside of the sheet's data is none",
        lambda: xlsx(row(1, "A::<v>1</v>"), after=f'<extLst><ext uri="x">{row(9, "A::<v>9</v>")}</ext></extLst>'),
        "xlsx",
        one({"A1": ("1", "n")}),
    ),
]


def main() -> None:
    """Write every trap beside this script."""
    folder = Path(__file__).parent
    for trap in TRAPS:
        (folder / trap.name).write_bytes(trap.make())
        expected: dict[str, Any] = {"why": trap.why, "format": trap.format}
        expected |= {name: said for name, said in (("sheets", trap.sheets), ("tables", trap.tables)) if said}
        (folder / f"{trap.name}.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
