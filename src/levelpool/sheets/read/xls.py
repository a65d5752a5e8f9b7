"""Old binary workbooks (.xls) through xlrd, its only door; calamine helps out where xlrd does not get through."""

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from levelpool.sheets.errors import SheetError
from levelpool.sheets.read.biff import sums_of_sheet
from levelpool.sheets.read.calamine import read_with_calamine
from levelpool.sheets.read.locked import no_password
from levelpool.sheets.read.number_formats import GENERAL, number_text
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.table import BOOLEAN, ERROR, NUMBER, TEXT, Box, Kind, Sheet, Workbook


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to open a workbook: the next one asks for less."""

    formatting: bool
    mend: bool
    remark: str | None


_WAYS = (
    _Way(formatting=True, mend=False, remark=None),
    _Way(formatting=False, mend=False, remark="number formats, merged areas, hidden rows and columns could not be read from this file"),
    _Way(formatting=False, mend=True, remark="the file is damaged: what could be reached was read, without number formats"),
)


def read_xls(source: Source) -> Workbook:
    """
    Read every sheet to its end: kinds, shortest exact numbers, number formats, merged areas, hidden rows, columns and sheets.

    xlrd holds a sheet in memory and does not tell formulas from values: which cells are sums is read from its stream once more.
    """
    try:
        import xlrd  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        return read_with_calamine(source, "xls", "xlrd is not installed")
    why = ""
    for way in _WAYS:
        try:
            return _read(xlrd, source, way)
        except SheetError:
            raise
        except Exception as error:
            # A library on a stranger's bytes: it may raise anything.
            if isinstance(error, xlrd.XLRDError) and "encrypted" in str(error):
                raise no_password(source.name) from error
            why = why or f"xlrd fails with {type(error).__name__}"
    return read_with_calamine(source, "xls", why)


def _read(xlrd: Any, source: Source, way: _Way) -> Workbook:
    with xlrd.open_workbook(
        str(source.path),
        logfile=io.StringIO(),
        on_demand=True,
        formatting_info=way.formatting,
        ragged_rows=True,
        ignore_workbook_corruption=way.mend,
    ) as book:
        sheets: list[Sheet] = []
        for position, name in enumerate(book.sheet_names()):
            if source.wants(name, position):
                sheets.append(_read_sheet(book, position, source))
            book.unload_sheet(position)
            source.progress((position + 1) / book.nsheets)
    remarks = [_NO_SUMS] if book.biff_version not in _WITH_SUMS else []
    remarks += [_NO_FORMATS] if book.formatting_info and len(set(_number_kinds(book))) <= 1 and book.biff_version not in _WITH_SUMS else []
    return Workbook(format="xls", sheets=tuple(sheets), reader="xlrd", remarks=(*remarks, *([way.remark] if way.remark else [])))


def _read_sheet(book: Any, position: int, source: Source) -> Sheet:
    sheet = book.sheet_by_index(position)
    builder = SheetBuilder(source, sheet.name, position)
    for top, bottom, left, right in sheet.merged_cells:
        builder.merge(Box(top + 1, left, bottom, right - 1))
    for column, info in sheet.colinfo_map.items():
        if info.hidden:
            builder.hide_columns(column, column + 1)
    formats = _number_kinds(book)
    sums = _sums(book, position)
    for row in range(sheet.nrows):
        _add_row(builder, sheet, row, formats, sums.get(row, ()))
        if not builder.complete:
            break
    return builder.finish(hidden=sheet.visibility != 0, date1904=bool(book.datemode))


_WITH_SUMS = {50, 70, 80}
_NO_SUMS = "sums are not told from other numbers in a workbook of this age"
_NO_FORMATS = "the program that wrote this workbook gave it no number formats: a day or a time in it is a plain number"


def _sums(book: Any, position: int) -> Mapping[int, Collection[int]]:
    """The columns of sums by 0-based row."""
    # xlrd knows where a sheet begins, and keeps it to itself.
    return sums_of_sheet(book.mem, book._sh_abs_posn[position]) if book.biff_version in _WITH_SUMS else {}  # noqa: SLF001


def _number_kinds(book: Any) -> list[Kind]:
    """The kind of a number cell for each style number; [] when styles were not asked for."""
    if not book.formatting_info:
        return []
    codes = [book.format_map[style.format_key].format_str if style.format_key in book.format_map else GENERAL for style in book.xf_list]
    return [NUMBER if code in {GENERAL, ""} else NUMBER + code for code in codes]


def _add_row(builder: SheetBuilder, sheet: Any, row: int, formats: list[Kind], sums: Collection[int]) -> None:
    cells: list[str | None] = []
    kinds: list[Kind | None] = []
    for column, (type_, value) in enumerate(zip(sheet.row_types(row), sheet.row_values(row), strict=True)):
        text, kind = _content(type_, value)
        if kind == NUMBER:
            style = sheet.cell_xf_index(row, column) if formats else None
            if style is not None and style < len(formats):
                kind = formats[style]
            elif type_ == _DATE:
                kind = NUMBER + "yyyy-mm-dd hh:mm:ss"
        cells.append(text)
        kinds.append(kind)
    info = sheet.rowinfo_map.get(row)
    builder.add(row + 1, cells, kinds, sums, hidden=info is not None and bool(info.hidden))


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
