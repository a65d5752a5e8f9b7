"""Old binary workbooks (.xls) through xlrd, its only door; calamine helps out where xlrd does not get through."""

import io
from typing import Any

from levelpool.sheets.errors import DamagedFile, EncryptedFile
from levelpool.sheets.read.calamine import read_with_calamine
from levelpool.sheets.read.number_formats import GENERAL, number_text
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.table import BOOLEAN, ERROR, NUMBER, TEXT, Box, Kind, Sheet, Workbook


def read_xls(source: Source) -> Workbook:
    """
    Read every sheet to its end: kinds, shortest exact numbers, number formats, merged areas, hidden rows, columns and sheets.

    xlrd holds a sheet in memory and does not tell formulas from values, so no sum is flagged.
    """
    try:
        import xlrd  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        return read_with_calamine(source, "xls", "xlrd is not installed")
    try:
        return _read(xlrd, source)
    except xlrd.XLRDError as error:
        if "encrypted" in str(error):
            raise EncryptedFile(f"{source.name} is protected by a password: save it without one and send it again") from error
        return read_with_calamine(source, "xls", f"xlrd says: {error}")
    except Exception as error:
        if isinstance(error, DamagedFile):
            raise
        return read_with_calamine(source, "xls", f"xlrd fails with {type(error).__name__}")


def _read(xlrd: Any, source: Source) -> Workbook:
    try:
        book = _open(xlrd, source, formatting=True)
    except (NotImplementedError, LookupError, AssertionError):
        book = _open(xlrd, source, formatting=False)
    with book:
        sheets: list[Sheet] = []
        for position, name in enumerate(book.sheet_names()):
            if source.wants(name, position):
                sheets.append(_read_sheet(book, position, source))
            book.unload_sheet(position)
            source.progress((position + 1) / book.nsheets)
    return Workbook(format="xls", sheets=tuple(sheets), reader="xlrd", remarks=("sums are not told from other numbers by this route",))


def _open(xlrd: Any, source: Source, *, formatting: bool) -> Any:
    return xlrd.open_workbook(str(source.path), logfile=io.StringIO(), on_demand=True, formatting_info=formatting, ragged_rows=True)


def _read_sheet(book: Any, position: int, source: Source) -> Sheet:
    sheet = book.sheet_by_index(position)
    builder = SheetBuilder(source, sheet.name, position)
    try:
        for top, bottom, left, right in sheet.merged_cells:
            builder.merge(Box(top + 1, left, bottom, right - 1))
        builder.hidden_columns.update(column for column, info in sheet.colinfo_map.items() if info.hidden)
        formats = _number_kinds(book)
        for row in range(sheet.nrows):
            _add_row(builder, sheet, row, formats)
        return builder.finish(hidden=sheet.visibility != 0, date1904=bool(book.datemode))
    finally:
        builder.close()


def _number_kinds(book: Any) -> list[Kind]:
    """The kind of a number cell for each style number; without style information (very old files) there is none."""
    codes = [book.format_map[style.format_key].format_str if style.format_key in book.format_map else GENERAL for style in book.xf_list]
    return [NUMBER if code in {GENERAL, ""} else NUMBER + code for code in codes]


def _add_row(builder: SheetBuilder, sheet: Any, row: int, formats: list[Kind]) -> None:
    cells: list[str | None] = []
    kinds: list[Kind | None] = []
    for cell in sheet.row(row):
        text, kind = _content(cell.ctype, cell.value)
        if kind == NUMBER and cell.xf_index is not None and cell.xf_index < len(formats):
            kind = formats[cell.xf_index]
        elif kind == NUMBER and cell.ctype == _DATE:
            kind = NUMBER + "yyyy-mm-dd hh:mm:ss"
        cells.append(text)
        kinds.append(kind)
    info = sheet.rowinfo_map.get(row)
    builder.add(row + 1, cells, kinds, hidden=info is not None and bool(info.hidden))


_TEXT, _NUMBER, _DATE, _BOOLEAN, _ERROR = 1, 2, 3, 4, 5

_ERROR_NAMES = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}


def _content(type_: int, value: Any) -> tuple[str | None, Kind | None]:
    if type_ == _TEXT:
        return value, TEXT
    if type_ in {_NUMBER, _DATE}:
        return number_text(value), NUMBER
    if type_ == _BOOLEAN:
        return ("true" if value else "false"), BOOLEAN
    if type_ == _ERROR:
        return _ERROR_NAMES.get(value, f"#ERROR {value}"), ERROR
    return None, None
