"""
How the time of every reader and every cleaning rule grows: `make growth`.

Each case makes a file of size n. A file of twice the size must take about twice the time of a processor: the best of five readings, each in a
process of its own so that nothing is remembered, at sizes that take at least a tenth of a second. A case fails when its time grows more than
2.8 times from n to 2n and again from 2n to 4n. A file that is refused is told with its reason: a limit that has a name is an answer, too.
"""

import io
import os
import pickle
import resource
import string
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import xlwt
from tests.gallery.make import ODS_NAMES, merged, ods, pack, plain, xlsx, xml2003
from tests.unit.sheets.read.test_xlsb import RELATION, RELATIONS, cell, record, row, wide

from levelpool.sheets import inspect_file
from levelpool.sheets.errors import LimitExceeded, SheetError

MOST = 2.8  # times, from n to 2n
LONG_ENOUGH = float(os.environ.get("LONG_ENOUGH", "0.1"))  # seconds of a processor
READINGS = 5
TOO_LONG = 120  # seconds of a processor
LARGEST = 60_000_000  # bytes of a file: what is not slow up to here has no time to grow


# ---------------------------------------------------------------- files


def lines(n: int, line: Callable[[int], str], head: str = "number,name,amount,day\n", end: str = "\n") -> bytes:
    """A text of *n* lines."""
    return (head + "".join(line(number) + end for number in range(n))).encode()


def record_line(number: int) -> str:
    """A record of four fields."""
    return f"{number},customer {number % 5000},{number % 997}.50,2026-11-{number % 28 + 1:02d}"


def records(n: int) -> str:
    """The same as rows of a sheet."""
    rows = [plain(1, A="number", B="name", C="amount")]
    return "".join(rows + [plain(number, A=number, B=f"customer {number % 5000}", C=number / 4) for number in range(2, n + 2)])


FEW = records(50)


def letters(column: int) -> str:
    """A, B, ..., AA, ... of a 0-based column."""
    text, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = string.ascii_uppercase[rest] + text
    return text


def wide_sheet(n: int, name: Callable[[int], str] = "column {}".format) -> bytes:
    """A header of *n* columns over three rows."""
    head = "".join(f'<c r="{letters(place)}1" t="str"><v>{name(place)}</v></c>' for place in range(n))
    body = "".join(
        f'<row r="{number}">{"".join(f"""<c r="{letters(place)}{number}"><v>{place}</v></c>""" for place in range(n))}</row>'
        for number in (2, 3, 4)
    )
    return xlsx(f'<row r="1">{head}</row>{body}')


def of_blocks(n: int, head: str, body: Callable[[int], str], gap: str = "\n") -> bytes:
    """*n* small tables below each other."""
    return gap.join(head.format(block) + "".join(body(each) + "\n" for each in range(3)) for block in range(n)).encode()


def sheet_of_blocks(n: int) -> str:
    """The rows of *n* tables below each other, each with columns of its own."""
    blocks = [
        plain(4 * at + 1, A=f"number {at}", B=f"name {at}") + plain(4 * at + 2, A=at, B="x") + plain(4 * at + 3, A=at, B="y")
        for at in range(n)
    ]
    return "".join(blocks)


def two_sheets(n: int) -> bytes:
    """Two sheets of the same *n* columns, with whole numbers in one of them and fractions in the other."""
    head = '<row r="1">' + "".join(f'<c r="{letters(at)}1" t="str"><v>column {at}</v></c>' for at in range(n)) + "</row>"
    sheets = []
    for value in ("7", "1E+300"):
        rows = [
            f'<row r="{row}">' + "".join(f'<c r="{letters(at)}{row}"><v>{value}</v></c>' for at in range(n)) + "</row>" for row in (2, 3, 4)
        ]
        sheets.append(head + "".join(rows))
    return of_sheets(["a", "b"], sheets)


def many_sheets(n: int, named: str = "S{}") -> bytes:
    """An .xlsx of *n* sheets."""
    return of_sheets([named.format(number) for number in range(n)], [records(3)] * n)


def of_sheets(names: list[str], rows: list[str]) -> bytes:
    """An .xlsx of sheets with these names and rows."""
    relation = '<Relationship Id="r{0}" Type="http://x/worksheet" Target="worksheets/sheet{0}.xml"/>'
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    entries = "".join(f'<sheet name="{name}" r:id="r{number}"/>' for number, name in enumerate(names))
    return pack(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": RELATIONS.format(RELATION.format("r1", "officeDocument", "xl/workbook.xml")),
            "xl/_rels/workbook.xml.rels": RELATIONS.format("".join(map(relation.format, range(len(names))))),
            "xl/workbook.xml": f'<workbook {main} xmlns:r="r"><sheets>{entries}</sheets></workbook>',
            **{
                f"xl/worksheets/sheet{number}.xml": f"<worksheet {main}><sheetData>{of_sheet}</sheetData></worksheet>"
                for number, of_sheet in enumerate(rows)
            },
        }
    )


def slow(rows: str) -> str:
    """The same rows so that only the parser can read them."""
    return rows.replace("<v>", "<v><!-- -->")


def ods_row(*cells: str | float) -> str:
    """A row of an .ods."""
    written = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{each}</text:p></table:table-cell>'
        if isinstance(each, str)
        else f'<table:table-cell office:value-type="float" office:value="{each}"/>'
        for each in cells
    )
    return f"<table:table-row>{written}</table:table-row>"


def ods_records(n: int) -> str:
    return ods_row("number", "name") + "".join(ods_row(number, f"customer {number}") for number in range(n))


def xml_row(*cells: str | float) -> str:
    """A row of SpreadsheetML 2003."""
    kind = {str: "String", int: "Number", float: "Number"}
    return "<Row>" + "".join(f'<Cell><Data ss:Type="{kind[type(each)]}">{each}</Data></Cell>' for each in cells) + "</Row>"


def xml_records(n: int) -> str:
    return xml_row("number", "name") + "".join(xml_row(number, f"customer {number}") for number in range(n))


def xls(n: int, fill: Callable[[xlwt.Worksheet, int], None], sheets: int = 1) -> bytes:
    """An old workbook, filled by *fill*."""
    book = xlwt.Workbook()
    for each in range(sheets):
        fill(book.add_sheet(f"S{each}"), n)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def fill_records(sheet: xlwt.Worksheet, n: int) -> None:
    for column in range(20):
        sheet.write(0, column, f"column {column}")
    for number in range(1, min(n, 65_000)):
        for column in range(20):
            sheet.write(number, column, f"text {number}" if column % 2 else number)


def fill_merges(sheet: xlwt.Worksheet, n: int) -> None:
    for number in range(min(n, 65_000)):
        sheet.write_merge(number, number, 0, 1, number)


def xlsb(*pieces: bytes, styles: bytes = b"", texts: bytes = b"") -> bytes:
    """An .xlsb with one sheet."""
    parts = [("r1", "worksheet", "worksheets/sheet1.bin"), ("r2", "styles", "styles.bin"), ("r3", "sharedStrings", "sharedStrings.bin")]
    return pack(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": RELATIONS.format(RELATION.format("r1", "officeDocument", "xl/workbook.bin")),
            "xl/_rels/workbook.bin.rels": RELATIONS.format("".join(RELATION.format(*part) for part in parts)),
            "xl/workbook.bin": record(156, struct.pack("<II", 0, 1) + wide("r1") + wide("S")),
            "xl/styles.bin": styles,
            "xl/sharedStrings.bin": texts,
            "xl/worksheets/sheet1.bin": b"".join(pieces),
        }
    )


def xlsb_records(n: int) -> list[bytes]:
    head = [row(0), record(6, cell(0) + wide("number")), record(6, cell(1) + wide("name"))]
    rows = [
        row(number) + record(5, cell(0) + struct.pack("<d", number)) + record(6, cell(1) + wide(f"customer {number}"))
        for number in range(1, n + 1)
    ]
    return head + rows


def html(rows: str) -> bytes:
    return f"<html><table>{rows}</table></html>".encode()


def html_records(n: int) -> str:
    return "<tr><th>number</th><th>name</th></tr>" + "".join(f"<tr><td>{number}</td><td>customer {number}</td></tr>" for number in range(n))


def columnar(n: int, write: Callable[[pa.Table, io.BytesIO], None], columns: int = 0) -> bytes:
    """A file with types: *n* rows, or *columns* columns of three rows."""
    table = (
        pa.table({f"c{place}": [1, 2, 3] for place in range(columns)})
        if columns
        else pa.table(
            {"number": range(n), "name": [f"customer {number}" for number in range(n)], "amount": [number / 4 for number in range(n)]}
        )
    )
    target = io.BytesIO()
    write(table, target)
    return target.getvalue()


def feather(table: pa.Table, target: io.BytesIO) -> None:
    pyarrow.feather.write_feather(table, target, compression="uncompressed")


def formats(n: int, code: Callable[[int], str]) -> bytes:
    """*n* number formats."""
    return xlsx(FEW, formats=tuple(code(place) for place in range(n)))


def in_format(code: str) -> bytes:
    """Numbers in one number format."""
    rows = plain(1, A="number", B="seen") + "".join(
        f'<row r="{number}"><c r="A{number}"><v>{number}</v></c><c r="B{number}" s="1"><v>46000.5</v></c></row>' for number in range(2, 40)
    )
    return xlsx(rows, formats=(code,))


# ---------------------------------------------------------------- cases


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of file: what it is called, how one of size n is made, and the size to begin with."""

    file: str
    make: Callable[[int], bytes]
    start: int = 1000


def text_cases() -> Iterable[tuple[str, Case]]:
    csv = partial(Case, "a.csv")
    yield "csv", csv(partial(lines, line=record_line))
    yield "csv, every field quoted", csv(lambda n: lines(n, lambda number: '"' + record_line(number).replace(",", '","') + '"'))
    yield "csv in UTF-16", csv(lambda n: lines(n, record_line).decode().encode("utf-16"))
    yield "csv in an encoding to be found", csv(lambda n: lines(n, lambda number: record_line(number) + " Müßig").decode().encode("cp1252"))
    yield "csv in GB 18030", csv(lambda n: lines(n, lambda number: f"{number},客户{number},北京,3").decode().encode("gb18030"))
    yield "tsv", Case("a.tsv", lambda n: lines(n, record_line).replace(b",", b"\t"))
    yield (
        "fixed width",
        Case("a.txt", lambda n: lines(n, lambda number: f"{number:<10}{'customer ' + str(number):<24}{number / 4:>12.2f}", head="")),
    )
    yield "printed lines without columns", Case("a.txt", lambda n: lines(n, lambda number: f"line {number} of a text", head=""))
    yield "line ends alone", csv(lambda n: b"a,b\n1,2\n" + b"\n" * n + b"3,4\n", 100_000)
    yield "line ends CR alone", csv(lambda n: b"a,b\r1,2\r" + b"\r" * n + b"3,4\r", 100_000)
    yield "line ends CR LF alone", csv(lambda n: b"a,b\r\n1,2\r\n" + b"\r\n" * n + b"3,4\r\n", 100_000)
    yield "line ends of all kinds", csv(lambda n: b"a,b\n" + b"1,2\r2,3\r\n3,4\n\r" * n)
    yield "line ends within a quoted field", csv(lambda n: b'a,b\n1,"' + b"\n" * n + b'"\n2,3\n', 10_000)
    yield "quoted fields of two lines", csv(lambda n: lines(n, lambda number: f'{number},"a\nb",3,4'))
    yield "a quotation mark that never closes", csv(lambda n: b'a,b\n1,"x\n' + b"2,y\n" * n)
    yield "quotation marks that do not pair up", csv(lambda n: lines(n, lambda number: f'{number},5" pipe,3,4'))
    yield "text behind quotation marks", csv(lambda n: lines(n, lambda number: f'{number},"a" b,3,4'))
    yield "quotation marks alone", csv(lambda n: b"a,b\n" + b'"' * n, 10_000)
    yield "doubled quotation marks", csv(lambda n: b'a,b\n1,"' + b'""' * n + b'"\n', 10_000)
    yield "escaped quotation marks", csv(lambda n: lines(n, lambda number: rf'{number},"a \"b\" c",3,4'))
    yield "single quotation marks", csv(lambda n: lines(n, lambda number: f"'{number}','a, b','3','4'"))
    yield "texts as formulas", csv(lambda n: lines(n, lambda number: f'{number},="00{number}",3,4'))
    yield "fields that end in a tab", csv(lambda n: lines(n, lambda number: f"{number},00{number}\t,3,4"))
    yield "byte order marks within", csv(lambda n: lines(n, lambda number: f"\ufeff{number},a,3,4"))
    yield "lines of different lengths", csv(lambda n: lines(n, lambda number: ",".join(["x"] * (number % 40 + 1)), head=""))
    yield "delimiters alone", csv(lambda n: b"a,b\n1,2\n" + b",,,,,,\n" * n + b"3,4\n")
    yield "long cells", csv(lambda n: b"a,b\n" + b"".join(b"%d,%s\n" % (number, b"x" * 500_000) for number in range(n)), 2)
    yield "one long cell", csv(lambda n: b"a,b\n1," + b"x " * n + b"\n", 10_000)
    yield "one long cell of digits", csv(lambda n: b"a,b\n1," + b"7" * n + b"\n2,8\n", 10_000)
    yield "one long cell of points and commas", csv(lambda n: b"a;b\n1;" + b"1.234," * n + b"\n2;8\n", 2_000)
    yield "one long cell of blanks", csv(lambda n: b"a,b\n1,x" + b" " * n + b"x\n2,8\n", 10_000)
    yield "a long header", csv(lambda n: b"a," + b"B c" * n + b"\n1,2\n2,3\n", 10_000)
    yield "end marks", csv(lambda n: b"a,b\n1,2\n" + b"\x1a" * n, 10_000)
    yield "bytes that are no characters", csv(lambda n: b"a,b\n" + b"1,\xc3\xa4\xff\n" * n)
    yield (
        "many columns",
        csv(lambda n: b"\n".join(b",".join(b"%s%d" % (name, place) for place in range(n)) for name in (b"c", b"", b"1", b"2"))),
    )


def book_cases() -> Iterable[tuple[str, Case]]:
    book = partial(Case, "a.xlsx")
    yield "xlsx, fast reader", book(lambda n: xlsx(records(n)))
    yield "xlsx, slow reader", book(lambda n: xlsx(slow(records(n))))
    yield (
        "xlsx, shared texts",
        book(
            lambda n: xlsx(
                plain(1, A="number", B="name")
                + "".join(
                    f'<row r="{at + 2}"><c r="A{at + 2}"><v>{at}</v></c><c r="B{at + 2}" t="s"><v>{at}</v></c></row>' for at in range(n)
                ),
                texts="".join(f"<si><t>text {at}</t></si>" for at in range(n)),
            )
        ),
    )
    yield "xlsx, runs of one rich text", book(lambda n: xlsx(FEW, texts="<si>" + "<r><t>a</t></r>" * n + "</si>"))
    yield "xlsx, entities in a text", book(lambda n: xlsx(FEW + plain(60, A=1, B="&amp;" * n)))
    yield "xlsx, escapes in a text", book(lambda n: xlsx(FEW + plain(60, A=1, B="_x0041_" * n)))
    yield "xlsx, comments between the rows", book(lambda n: xlsx(FEW + "<!-- a -->" * n))
    yield "xlsx, CDATA in a text", book(lambda n: xlsx(FEW + plain(60, A=1, B="<![CDATA[a]]>" * n)))
    yield "xlsx, unknown elements", book(lambda n: xlsx(FEW, before="<a b='1'><c/></a>" * n))
    yield "xlsx, attributes of one element", book(lambda n: xlsx(FEW, before="<a " + " ".join(f"b{at}='1'" for at in range(n)) + "/>"))
    yield (
        "xlsx, formulas",
        book(
            lambda n: xlsx(
                plain(1, A="number", B="twice")
                + "".join(
                    f'<row r="{at}"><c r="A{at}"><v>{at}</v></c><c r="B{at}"><f>A{at}*2</f><v>{2 * at}</v></c></row>'
                    for at in range(2, n + 2)
                )
            )
        ),
    )
    yield (
        "xlsx, shared sums",
        book(
            lambda n: xlsx(
                plain(1, A="number", B="sum")
                + "".join(
                    f'<row r="{at}"><c r="A{at}"><v>{at}</v></c><c r="B{at}"><f t="shared" si="{at}">SUM(A1:A{at})</f><v>{at}</v></c></row>'
                    for at in range(2, n + 2)
                )
            )
        ),
    )
    yield "xlsx, merged rows", book(lambda n: xlsx(records(n), after=merged(*(f"A{at}:B{at}" for at in range(2, n + 2)))))
    yield "xlsx, merged areas alone", book(lambda n: xlsx(FEW, after=merged(*(f"A{at}:B{at}" for at in range(2, n + 2)))))
    yield "xlsx, merged areas of the header", book(lambda n: xlsx(FEW, after=merged(*(f"{letters(at % 16_000)}1:XFD1" for at in range(n)))))
    yield "xlsx, merged areas over everything", book(lambda n: xlsx(FEW, after=merged(*("A1:XFD1048576" for _ in range(n)))))
    yield (
        "xlsx, merged areas, side by side",
        book(
            lambda n: xlsx(
                "".join(plain(at, A=at, B=f"b {at}", D=at, E=f"e {at}") for at in range(2, n)),
                after=merged(*(f"A{at}:B{at}" for at in range(2, n))),
            )
        ),
    )
    yield "xlsx, column records", book(lambda n: xlsx(FEW, before="<cols>" + '<col min="1" max="1" width="9"/>' * n + "</cols>"))
    yield (
        "xlsx, hidden column records",
        book(lambda n: xlsx(FEW, before="<cols>" + '<col min="5" max="16384" hidden="1"/>' * n + "</cols>"), 100),
    )
    yield "xlsx, hidden rows", book(lambda n: xlsx(records(n).replace("<row ", '<row hidden="1" ')))
    yield (
        "xlsx, empty rows",
        book(
            lambda n: xlsx(FEW + "".join(f'<row r="{at}" spans="1:3"/>' for at in range(60, n + 60)) + plain(n + 61, A=1, B="x")), 100_000
        ),
    )
    yield "xlsx, rows out of order", book(lambda n: xlsx("".join(plain(at, A=at, B=f"b {at}") for at in range(n + 1, 1, -1))))
    yield "xlsx, one row many times", book(lambda n: xlsx(FEW + plain(52, A=1, B="x") * n))
    yield (
        "xlsx, cells out of order",
        book(
            lambda n: xlsx(
                FEW
                + '<row r="60">'
                + "".join(f'<c r="{letters(at)}60"><v>1</v></c>' for at in range(min(n, 16_384) - 1, -1, -1))
                + "</row>"
            )
        ),
    )
    yield "xlsx, one cell many times", book(lambda n: xlsx(FEW + '<row r="60">' + '<c r="A60"><v>1</v></c>' * n + "</row>"))
    yield "xlsx, blank cells", book(lambda n: xlsx(FEW + '<row r="60">' + '<c r="A60" s="1"/>' * n + "</row>"))
    yield "xlsx, number formats", book(lambda n: formats(n, lambda place: f"0.00_{place}"))
    yield (
        "xlsx, cell styles",
        book(lambda n: xlsx(FEW, more={"xl/styles.xml": f"<styleSheet><cellXfs>{'<xf/>' * n}</cellXfs></styleSheet>"})),
    )
    for unit in ("[", "]", "[h]", '"', '"y"', "\\", "_", "*", ";", "y", "0", "#,", ".0", "m/", "h:", "AM/PM", "[$-409]", "@", "'", "E+"):
        code = unit.replace('"', "&quot;")
        yield f"xlsx, a number format of many {unit}", book(lambda n, code=code: in_format(code * n + "0"))
        yield f"xlsx, a number format of a date, then many {unit}", book(lambda n, code=code: in_format("yyyy-mm-dd" + code * n))
    yield "xlsx, many sheets", book(many_sheets, 50)
    yield "xlsx, many sheets of one name", book(partial(many_sheets, named="S"), 50)
    yield "xlsx, many columns", book(wide_sheet, 500)
    yield "xlsx, columns of one name", book(partial(wide_sheet, name=lambda _: "name"), 500)
    yield "xlsx, columns of one long name", book(partial(wide_sheet, name=lambda place: "name " * 20 + str(place)), 500)
    yield "xlsx, names that end in numbers", book(partial(wide_sheet, name=lambda place: f"name_{place // 2}"), 500)
    yield "xlsx, parts that nobody reads", book(lambda n: xlsx(FEW, more={f"xl/media/{at}": "" for at in range(n)}))
    yield (
        "xlsx, relations",
        book(
            lambda n: xlsx(
                FEW,
                more={
                    "xl/_rels/workbook.xml.rels": RELATIONS.format(
                        RELATION.format("r1", "worksheet", "worksheets/sheet1.xml")
                        + '<Relationship Id="x" Type="y" Target="../a/b/c"/>' * n
                    )
                },
            )
        ),
    )
    yield (
        "xlsx, conditional formats",
        book(lambda n: xlsx(FEW, after="<conditionalFormatting><cfRule><formula>A1</formula></cfRule></conditionalFormatting>" * n)),
    )


def binary_cases() -> Iterable[tuple[str, Case]]:
    binary = partial(Case, "a.xlsb")
    yield "xlsb", binary(lambda n: xlsb(*xlsb_records(n)))
    yield (
        "xlsb, shared texts",
        binary(lambda n: xlsb(*xlsb_records(50), texts=b"".join(record(19, b"\0" + wide(f"text {at}")) for at in range(n)))),
    )
    yield (
        "xlsb, merged areas",
        binary(lambda n: xlsb(*xlsb_records(50), *(record(176, struct.pack("<4I", at, at, 0, 1)) for at in range(n)))),
    )
    yield (
        "xlsb, hidden column records",
        binary(lambda n: xlsb(*[record(60, struct.pack("<IIIIH", 5, 16_383, 0, 0, 1))] * n, *xlsb_records(50)), 100),
    )
    yield (
        "xlsb, number formats",
        binary(
            lambda n: xlsb(
                *xlsb_records(50), styles=b"".join(record(44, struct.pack("<H", at % 60_000) + wide(f"0_{at}")) for at in range(n))
            )
        ),
    )
    yield "xlsb, unknown records", binary(lambda n: xlsb(*[record(1000, b"x")] * n, *xlsb_records(50)))
    yield "xlsb, one row many times", binary(lambda n: xlsb(*xlsb_records(50), *[row(60) + record(5, cell(0) + bytes(8))] * n))
    yield (
        "xlsb, cells out of order",
        binary(lambda n: xlsb(*xlsb_records(50), row(60), *(record(5, cell(at) + bytes(8)) for at in range(min(n, 16_384) - 1, -1, -1)))),
    )
    old = partial(Case, "a.xls")
    yield "xls", old(partial(xls, fill=fill_records), 500)
    yield "xls, merged areas", old(partial(xls, fill=fill_merges))
    yield "xls, many sheets", old(lambda n: xls(5, fill_records, sheets=n), 20)


def other_cases() -> Iterable[tuple[str, Case]]:
    open_ = partial(Case, "a.ods")
    yield "ods", open_(lambda n: ods(ods_records(n)))
    yield (
        "ods, repeated rows",
        open_(lambda n: ods(ods_records(50) + '<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>' * n)),
    )
    yield (
        "ods, one row repeated",
        open_(
            lambda n: ods(
                ods_records(50) + ods_row(1, "x").replace("<table:table-row", f'<table:table-row table:number-rows-repeated="{n}"')
            )
        ),
    )
    yield (
        "ods, one cell repeated",
        open_(
            lambda n: ods(
                ods_records(50) + ods_row(1, 7).replace("<table:table-cell", f'<table:table-cell table:number-columns-repeated="{n}"')
            ),
            500,
        ),
    )
    yield (
        "ods, merged areas",
        open_(
            lambda n: ods(
                ods_records(50)
                + ods_row(1, "x").replace(
                    "<table:table-cell", '<table:table-cell table:number-columns-spanned="2" table:number-rows-spanned="2"'
                )
                * n
            )
        ),
    )
    yield (
        "ods, column records",
        open_(
            lambda n: ods('<table:table-column table:visibility="collapse" table:number-columns-repeated="16000"/>' * n + ods_records(50)),
            100,
        ),
    )
    yield "ods, paragraphs in a cell", open_(lambda n: ods(ods_records(50) + ods_row(1, "a</text:p><text:p>" * n)))
    yield "ods, blanks in a cell", open_(lambda n: ods(ods_records(50) + ods_row(1, "a<text:s text:c='2'/>" * n)))
    yield (
        "ods, notes in a cell",
        open_(lambda n: ods(ods_records(50) + ods_row(1, "a<office:annotation><text:p>b</text:p></office:annotation>" * n))),
    )
    yield (
        "ods, styles",
        open_(lambda n: ods(ods_records(50), "".join(f'<style:style style:name="c{at}" style:family="table-column"/>' for at in range(n)))),
    )
    yield (
        "ods, many sheets",
        open_(
            lambda n: ods(ods_records(3) + "".join(f'</table:table><table:table table:name="S{at}">{ods_records(3)}' for at in range(n))),
            50,
        ),
    )
    yield (
        "fods",
        Case(
            "a.fods",
            lambda n: (
                f'<office:document {ODS_NAMES} office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:body><office:spreadsheet>'
                f'<table:table table:name="S">{ods_records(n)}</table:table></office:spreadsheet></office:body></office:document>'
            ).encode(),
        ),
    )
    of_2003 = partial(Case, "a.xml")
    yield "SpreadsheetML 2003", of_2003(lambda n: xml2003(xml_records(n)))
    yield (
        "SpreadsheetML 2003, merged areas",
        of_2003(lambda n: xml2003(xml_records(50) + xml_row(1, "x").replace("<Cell>", '<Cell ss:MergeAcross="1" ss:MergeDown="1">') * n)),
    )
    yield (
        "SpreadsheetML 2003, column records",
        of_2003(lambda n: xml2003('<Column ss:Hidden="1" ss:Index="5" ss:Span="16000"/>' * n + xml_records(50)), 100),
    )
    yield (
        "SpreadsheetML 2003, styles",
        of_2003(
            lambda n: xml2003(
                xml_records(50), styles="".join(f'<Style ss:ID="s{at}"><NumberFormat ss:Format="0.0_{at}"/></Style>' for at in range(n))
            )
        ),
    )
    yield (
        "SpreadsheetML 2003, rows by number",
        of_2003(
            lambda n: xml2003(
                xml_records(50)
                + "".join(f'<Row ss:Index="{60 + 2 * at}"><Cell><Data ss:Type="Number">{at}</Data></Cell></Row>' for at in range(n))
            )
        ),
    )
    yield "SpreadsheetML 2003, marks within a text", of_2003(lambda n: xml2003(xml_records(50) + xml_row(1, "a<B>b</B>" * n)))
    page = partial(Case, "a.html")
    yield "html", page(lambda n: html(html_records(n)))
    yield "html, open tags", page(lambda n: html(html_records(n).replace("</td>", "").replace("</tr>", "")))
    yield "html, spans of rows", page(lambda n: html(html_records(50) + '<tr><td rowspan="3">1<td>x</tr>' * n))
    yield "html, spans of columns", page(lambda n: html(html_records(50) + '<tr><td colspan="2">1</tr>' * n))
    yield "html, one long span of rows", page(lambda n: html(f'<tr><td rowspan="{n}">1<td>x</tr>' + "<tr><td>x<td>y</tr>" * n))
    yield "html, inline tags in a cell", page(lambda n: html(html_records(50) + f"<tr><td>1<td>{'<b>x</b>' * n}</tr>"))
    yield "html, open inline tags", page(lambda n: html(html_records(50) + f"<tr><td>1<td>{'<b>x' * n}</tr>"))
    yield "html, line breaks in a cell", page(lambda n: html(html_records(50) + f"<tr><td>1<td>{'x<br>' * n}</tr>"))
    yield "html, entities", page(lambda n: html(html_records(50) + f"<tr><td>1<td>{'&auml;&amp' * n}</tr>"))
    yield "html, comments", page(lambda n: html(html_records(50) + "<!-- a -->" * n))
    yield "html, a comment that never closes", page(lambda n: html(html_records(50) + "<!-- a " * n))
    yield "html, tags that never close", page(lambda n: html(html_records(50) + "<a " * n))
    yield "html, brackets", page(lambda n: html(html_records(50) + "<" * n))
    yield "html, declarations", page(lambda n: html(html_records(50) + "<![if x]>" * n))
    yield "html, scripts", page(lambda n: html(html_records(50) + "<script>x</script>" * n))
    yield "html, a script that never closes", page(lambda n: html(html_records(50) + "<script>" + "</scrip" * n))
    yield "html, attributes of one tag", page(lambda n: html(html_records(50) + "<tr><td " + "a=b " * n + ">x</td></tr>"))
    yield (
        "html, many tables",
        page(lambda n: b"<html>" + b"".join(b"<table>%s</table>" % html_records(3).encode() for _ in range(n)) + b"</html>"),
    )
    yield "parquet", Case("a.parquet", partial(columnar, write=pyarrow.parquet.write_table), 10_000)
    yield "parquet, many columns", Case("a.parquet", lambda n: columnar(3, pyarrow.parquet.write_table, n), 500)
    yield "parquet, many row groups", Case("a.parquet", partial(columnar, write=partial(pyarrow.parquet.write_table, row_group_size=10)))
    yield "arrow", Case("a.feather", partial(columnar, write=feather), 10_000)
    yield "arrow, many columns", Case("a.feather", lambda n: columnar(3, feather, n), 500)


def rule_cases() -> Iterable[tuple[str, Case]]:
    csv = partial(Case, "a.csv")
    days = {
        "days of which each may be day or month": lambda at: f"{at % 12 + 1:02d}/{at % 11 + 1:02d}/2026",
        "days in many forms": lambda at: (f"2026-11-{at % 28 + 1:02d}", f"{at % 28 + 1}.11.2026", f"{at % 28 + 1} Nov 2026")[at % 3],
        "days and texts": lambda at: f"2026-11-{at % 28 + 1:02d}" if at % 100 else "soon",
        "instants": lambda at: f"2026-11-02 {at % 24:02d}:{at % 60:02d}:00.{at % 1000:03d}",
        "days that do not exist": lambda at: f"2026-02-{at % 31 + 1:02d}",
        "days of six digits": lambda at: f"{at % 28 + 1:02d}11{26}",
    }
    numbers = {
        "numbers that no row decides": lambda at: f'"{at % 900 + 1},{at % 900 + 100}"',
        "numbers with marks of thousands": lambda at: f'"{at:,}.50"',
        "numbers and texts": lambda at: str(at) if at % 100 else "n/a",
        "money": lambda at: f"EUR {at}.00",
        "percentages": lambda at: f"{at % 100}%",
        "leading zeros": lambda at: f"{at:012d}",
        "numbers of many digits": lambda at: f"{10**40 + at}",
        "numbers with exponents": lambda at: f"{at}E+{at % 300}",
        "negative numbers in brackets": lambda at: f"({at}.00)",
        "booleans": lambda at: ("yes", "no")[at % 2],
        "error cells": lambda at: "#N/A" if at % 10 else str(at),
        "different texts": lambda at: f"text {at}",
        "words for nothing": lambda at: "n/a" if at % 2 else str(at),
    }
    for name, value in {**days, **numbers}.items():
        yield name, csv(lambda n, value=value: lines(n, lambda at: f"{at},{value(at)}", head="number,value\n"))
    yield "totals that add up", csv(lambda n: lines(n, lambda at: "Total,9" if at % 10 == 9 else f"a {at},1", head="name,amount\n"))
    yield "totals that do not add up", csv(lambda n: lines(n, lambda at: f"Total,{at}" if at % 2 else f"a {at},1", head="name,amount\n"))
    yield "totals alone", csv(lambda n: lines(n, lambda at: f"Total {at},{at}", head="name,amount\na,1\n"))
    yield (
        "totals of many columns",
        csv(
            lambda n: lines(
                3, lambda at: ("Total" if at == 2 else f"a {at}") + f",{at}" * n, head="name" + "".join(f",c{at}" for at in range(n)) + "\n"
            ),
            500,
        ),
    )
    yield (
        "sums by formula",
        Case(
            "a.xlsx",
            lambda n: xlsx(
                plain(1, A="name", B="amount")
                + "".join(
                    f'<row r="{at}"><c r="A{at}" t="str"><v>Total</v></c><c r="B{at}"><f>SUM(B1:B2)</f><v>3</v></c></row>'
                    for at in range(2, n + 2)
                )
            ),
        ),
    )
    yield "sections", csv(lambda n: of_blocks(n, "Section {}\n", lambda at: f"{at},b,{at}", gap=""))
    yield "repeated headers", csv(lambda n: of_blocks(n, "number,name,amount\n", lambda at: f"{at},b,{at}", gap=""))
    yield "repeated titles", csv(lambda n: of_blocks(n, "Report\n\nnumber,name,amount\n", lambda at: f"{at},b,{at}"))
    yield "tables below each other", csv(lambda n: of_blocks(n, "number {0},name {0},amount\n", lambda at: f"{at},b,{at}"), 200)
    yield "tables below each other, of one header", csv(lambda n: of_blocks(n, "number,name,amount\n", lambda at: f"{at},b,{at}"), 200)
    yield (
        "tables below each other, with merged areas",
        Case("a.xlsx", lambda n: xlsx(sheet_of_blocks(n), after=merged(*(f"A{4 * at + 2}:A{4 * at + 3}" for at in range(n)))), 200),
    )
    yield (
        "tables below each other, with hidden rows",
        Case("a.xlsx", lambda n: xlsx(sheet_of_blocks(n).replace("<row ", '<row hidden="1" ')), 200),
    )
    yield (
        "tables below each other, each with a gap",
        csv(lambda n: of_blocks(n, "number {0},name {0},,amount {0},unit {0}\n", lambda at: f"{at},b,,{at},c"), 200),
    )
    yield (
        "tables below each other, each with a total",
        csv(lambda n: of_blocks(n, "name {0},amount\n", lambda at: "Total,2" if at == 2 else f"b {at},1"), 200),
    )
    yield "columns of different types in two sheets", Case("a.xlsx", two_sheets, 200)
    yield "a table, then notes", csv(lambda n: b"a,b,c\n1,2,3\n2,3,4\n" + b"a note that stands alone\n" * n)
    yield "a table, then notes behind blank rows", csv(lambda n: b"a,b,c\n1,2,3\n2,3,4\n" + b"\nnote,\n" * n)
    yield "notes, then a table", csv(lambda n: b"a note that stands alone\n" * n + b"a,b,c\n1,2,3\n2,3,4\n")
    yield "rulers", csv(lambda n: b"a,b,c\n" + b"1,2,3\n---,---,---\n" * n)
    yield "rows behind blank rows", csv(lambda n: b"a,b,c\n" + b"1,2,3\n\n" * n)
    yield "rows of one cell", csv(lambda n: lines(n, lambda at: f"text {at}", head="names\n"))
    yield "rows of one cell in turn", csv(lambda n: lines(n, lambda at: "," * (at % 3) + "x", head="a,b,c\n"))
    yield "headers of many rows", csv(lambda n: b"\n".join(b",".join(b"h%d" % (at % 7) for at in range(20)) for _ in range(n)))
    yield "tables side by side", csv(lambda n: lines(n, lambda at: f"{at},x,,{at},y", head="number,name,,number,name\n"))
    yield (
        "many tables side by side",
        csv(
            lambda n: (",".join(["number,name,"] * n) + "\n" + "".join(",".join([f"{at},x,"] * n) + "\n" for at in range(5))).encode(), 100
        ),
    )
    yield "columns that are filled in turn", csv(lambda n: b"".join(b"," * (at % 500) + b"1\n" for at in range(n)), 500)
    yield "values outside of the range", csv(lambda n: lines(n, lambda at: f"{at},9{'9' * 30}" if at % 2 else f"{at},1", head="a,b\n"))


CASES = dict([*text_cases(), *book_cases(), *binary_cases(), *other_cases(), *rule_cases()])


# ---------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Reading:
    """The seconds of a processor that a file took, and the sentence with which it was refused."""

    seconds: float
    refused: str | None = None


def read_once(path: Path, name: str) -> Reading:
    """Read and clean the file in a fork, which remembers nothing of the readings before."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (TOO_LONG, TOO_LONG))
        began, refused = time.process_time(), None
        try:
            inspect_file(path, name=name)
        except LimitExceeded as error:
            refused = f"{error.limit}: {error}"
        except SheetError as error:
            refused = f"{type(error).__name__}: {error}"
        os.write(sending, pickle.dumps(Reading(time.process_time() - began, refused)))
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if not told and os.WIFSIGNALED(status):
        return Reading(float(TOO_LONG))
    return pickle.loads(told)


def warm_up() -> None:
    """Import what reads the formats, which is no part of any reading."""
    for each in ("csv", "xlsx, slow reader", "xlsb", "xls", "ods", "SpreadsheetML 2003", "html", "parquet", "arrow"):
        inspect_file(CASES[each].make(3), name=CASES[each].file)


class Measured:
    """The readings of one case, by size; each is taken when somebody asks."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.folder = folder

    def write(self, n: int) -> Path:
        path = self.folder / f"{n}"
        if not path.exists():
            path.write_bytes(self.case.make(n))
        return path

    def best(self, n: int, enough: float = 0.0) -> Reading:
        """The best of five readings, or the first one that is not above *enough* seconds: more could only be better."""
        path = self.write(n)
        best = Reading(float("inf"))
        for _ in range(READINGS):
            best = min(best, read_once(path, self.case.file), key=lambda each: each.seconds)
            if best.seconds <= enough or best.seconds >= TOO_LONG:
                break
        return best


def judge(case: Case, folder: Path) -> tuple[bool, str]:
    """Whether the time of a case grows in proportion, and what was seen."""
    measured = Measured(case, folder)
    n, reading = case.start, read_once(measured.write(case.start), case.file)
    while reading.seconds < LONG_ENOUGH and measured.write(n).stat().st_size < LARGEST and not reading.refused:
        n *= 2 if reading.seconds > LONG_ENOUGH / 4 else 4
        reading = read_once(measured.write(n), case.file)
    if reading.seconds < LONG_ENOUGH:
        return True, f"n = {n:,}: {reading.seconds:.2f} s{'; ' + reading.refused if reading.refused else ''}"
    seen = [measured.best(n)]
    for doubled in (2 * n, 4 * n):
        seen.append(measured.best(doubled, enough=MOST * seen[-1].seconds))
        if seen[-1].seconds <= MOST * seen[-2].seconds:
            break
    grew = ", ".join(f"{after.seconds / before.seconds:.2f}" for before, after in pairwise(seen))
    took = ", ".join(f"{each.seconds:.2f}" for each in seen)
    refused = seen[-1].refused
    is_good = seen[-1].seconds <= MOST * seen[-2].seconds
    return is_good, f"n = {n:,}: {took} s, times {grew}{'; ' + refused if refused else ''}"


def main(wanted: list[str]) -> int:
    """Measure the cases whose name holds one of *wanted*, or all; returns how many fail."""
    warm_up()
    chosen = {name: case for name, case in CASES.items() if not wanted or any(each in name for each in wanted)}
    failed = []
    for name, case in chosen.items():
        with tempfile.TemporaryDirectory(prefix="levelpool-growth-") as folder:
            is_good, seen = judge(case, Path(folder))
        if not is_good:
            failed.append(name)
        print(f"{'      ' if is_good else 'GROWS '}{name}: {seen}", flush=True)
    print(f"{len(chosen)} cases, {len(failed)} of them grow more than {MOST} times from n to 2n, twice")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
