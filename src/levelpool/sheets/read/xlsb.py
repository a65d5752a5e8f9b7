"""Binary workbooks (.xlsb) through excelreader-native, its only door; calamine where it is missing or fails."""

from typing import Any

from levelpool.sheets.read.calamine import read_with_calamine
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.table import BOOLEAN, ERROR, NO_VALUE, NUMBER, TEXT, Kind, Sheet, Workbook

LOSSES = (
    "rows are counted without the blank ones by this route",
    "number formats (but for dates), merged areas, hidden rows and columns are not seen by this route",
    "sums are not told from other numbers by this route",
)


def read_xlsb(source: Source) -> Workbook:
    """Read every sheet to its end: kinds, errors and exact numbers."""
    try:
        import excelreader  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        return read_with_calamine(source, "xlsb", "excelreader-native is not installed")
    try:
        return _read(excelreader, source)
    except excelreader.ExcelReaderError as error:
        return read_with_calamine(source, "xlsb", f"excelreader-native says: {error}")


def _read(excelreader: Any, source: Source) -> Workbook:
    limits = source.meter.limits
    options = excelreader.OpenOptions(
        max_total_decompressed_bytes=limits.max_inflated_bytes,
        max_shared_string_bytes=limits.max_string_bytes,
        max_zip_entries=limits.max_zip_entries,
    )
    sheets: list[Sheet] = []
    with excelreader.open_workbook(str(source.path), format="xlsb", options=options) as book:
        for position, sheet in enumerate(book.sheets):
            if source.wants(sheet.name, position):
                sheets.append(_read_sheet(book, sheet, position, source))
            source.progress((position + 1) / len(book.sheets))
    return Workbook(format="xlsb", sheets=tuple(sheets), reader="excelreader-native", remarks=LOSSES)


def _read_sheet(book: Any, sheet: Any, position: int, source: Source) -> Sheet:
    builder = SheetBuilder(source, sheet.name, position)
    try:
        for number, row in enumerate(sheet.rows(), start=1):
            cells: list[str | None] = []
            kinds: list[Kind | None] = []
            for cell in row:
                gap = cell.column - len(cells)
                cells += [None] * gap
                kinds += [None] * gap
                text, kind = _content(cell.type, cell.value)
                cells.append(text)
                kinds.append(kind)
            builder.add(number, cells, kinds)
            if builder.full:
                builder.complete = False
                break
        return builder.finish(hidden=sheet.visibility != 0, date1904=book.is_date1904)
    finally:
        builder.close()


_STRING, _NUMBER, _DATE, _BOOLEAN, _FORMULA, _ERROR = 1, 2, 3, 4, 5, 6


def _content(type_: int, value: str) -> tuple[str | None, Kind | None]:
    if type_ == _STRING:
        return value, TEXT
    if type_ == _NUMBER:
        return value, NUMBER
    if type_ == _DATE:
        return value, NUMBER + "yyyy-mm-dd hh:mm:ss"
    if type_ == _BOOLEAN:
        return ("true" if value in {"1", "TRUE", "true"} else "false"), BOOLEAN
    if type_ == _FORMULA:
        return value, NO_VALUE
    if type_ == _ERROR:
        return value, ERROR
    return None, None
