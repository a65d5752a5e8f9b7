"""Binary workbooks (.xlsb): the same package as .xlsx with binary parts ([MS-XLSB]), streamed record by record."""

import struct
from collections.abc import Iterable, Sequence

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.biff import error_text, is_compiled_sum, records12, rk_text
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.number_formats import number_kind, number_text
from levelpool.sheets.read.package import Package, Relation, SheetsProgress
from levelpool.sheets.read.shared_texts import SharedTexts, TextCollector
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.read.xlsx import READABLE_SHEETS
from levelpool.sheets.table import BOOLEAN, ERROR, NUMBER, TEXT, Box, Kind, Sheet, Workbook

_ROW, _BLANK, _RK, _ERROR, _BOOLEAN, _REAL, _TEXT, _SHARED = 0, 1, 2, 3, 4, 5, 6, 7
_FORMULA_TEXT, _FORMULA_NUMBER, _FORMULA_BOOLEAN, _FORMULA_ERROR = 8, 9, 10, 11
_SHORT_FIRST, _SHORT_LAST = 12, 18  # cells without a column: they follow the one before
_SHARED_TEXT_ITEM = 19
_FORMAT, _STYLE, _COLUMN_INFO, _RICH_TEXT = 44, 47, 60, 62
_WORKBOOK_PROPERTIES, _SHEET_ENTRY, _MERGE = 153, 156, 176
_SHARED_FORMULA = 427
_BEGIN_CELL_STYLES, _END_CELL_STYLES = 617, 618

_FORMULA_KINDS = {_FORMULA_TEXT: _TEXT, _FORMULA_NUMBER: _REAL, _FORMULA_BOOLEAN: _BOOLEAN, _FORMULA_ERROR: _ERROR}

_REFERENCE_TO_SHARED = 0x01


def read_xlsb(source: Source) -> Workbook:
    """Read every sheet to its end; loses nothing but looks, formulas, comments and drawings."""
    with Package(source) as package:
        part = next((relation.target for relation in package.relations("") if relation.type == "officeDocument"), None) or "xl/workbook.bin"
        relations = package.relations(part)
        date1904, entries = _workbook(package, part, relations, source.meter)
        texts = _shared_texts(package, relations, source.meter)
        styles = _styles(package, relations, source.meter)
        progress = SheetsProgress(source, package, [target for _, _, relation in entries if (target := relation.target)])
        sheets: list[Sheet] = []
        remarks: list[str] = []
        for position, (name, hidden, relation) in enumerate(entries):
            if relation.type not in READABLE_SHEETS or relation.target is None:
                remarks.append(f"sheet {name!r} ({relation.type}) holds no table and is not read")
            elif source.wants(name, position):
                builder = SheetBuilder(source, name, position)
                _SheetReader(builder, texts, styles, source.meter).read(progress.watch(relation.target))
                sheets.append(builder.finish(hidden=hidden, date1904=date1904))
    return Workbook(format="xlsb", sheets=tuple(sheets), reader="levelpool xlsb", remarks=tuple(remarks))


def _workbook(package: Package, part: str, relations: tuple[Relation, ...], meter: Meter) -> tuple[bool, list[tuple[str, bool, Relation]]]:
    """Whether dates count from 1904, and each sheet's name, whether it is hidden, and where it is."""
    by_id = {relation.id: relation for relation in relations}
    date1904 = False
    entries = []
    for number, data in records12(package.stream(part), meter):
        if number == _WORKBOOK_PROPERTIES:
            date1904 = bool(data[0] & 1)
        elif number == _SHEET_ENTRY:
            (state,) = struct.unpack_from("<I", data)
            id_, end = _wide_text(data, 8)
            name, _ = _wide_text(data, end)
            entries.append((name, state != 0, by_id.get(id_, Relation(id_, "missing part", None))))
    return date1904, entries


def _shared_texts(package: Package, relations: tuple[Relation, ...], meter: Meter) -> SharedTexts:
    part = next((relation.target for relation in relations if relation.type == "sharedStrings" and relation.target), None)
    if part is None:
        return SharedTexts()
    collector = TextCollector(meter)
    for number, data in records12(package.stream(part), meter):
        if number == _SHARED_TEXT_ITEM:
            collector.extend([_wide_text(data, 1)[0]])
    return collector.texts()


def _styles(package: Package, relations: tuple[Relation, ...], meter: Meter) -> list[Kind]:
    """The kind of a number cell for each style number."""
    part = next((relation.target for relation in relations if relation.type == "styles" and relation.target), None)
    custom: dict[int, str] = {}
    numbers: list[int] = []
    in_cell_styles = False
    for number, data in records12(package.stream(part), meter) if part else ():
        if number == _FORMAT:
            custom[struct.unpack_from("<H", data)[0]] = _wide_text(data, 2)[0]
        elif number in {_BEGIN_CELL_STYLES, _END_CELL_STYLES}:
            in_cell_styles = number == _BEGIN_CELL_STYLES
        elif number == _STYLE and in_cell_styles:
            numbers.append(struct.unpack_from("<H", data, 2)[0])
    return [number_kind(each, custom) for each in numbers]


def _wide_text(data: bytes, start: int) -> tuple[str, int]:
    """A text with its length before it, and where it ends; "no text" is an empty one."""
    (length,) = struct.unpack_from("<I", data, start)
    if length == 0xFFFFFFFF:
        return "", start + 4
    end = start + 4 + 2 * length
    if end > len(data):
        raise ValueError("a text is cut off")
    return data[start + 4 : end].decode("utf-16-le", "replace"), end


class _SheetReader:
    """Reads the records of one sheet and gives its rows to the builder."""

    def __init__(self, builder: SheetBuilder, texts: SharedTexts, styles: Sequence[Kind], meter: Meter) -> None:
        self._builder = builder
        self._texts = texts.by_number
        self._styles = styles
        self._meter = meter
        self._row = 0
        self._hidden = False
        self._column = -1
        self._cells: list[str | None] = []
        self._kinds: list[Kind | None] = []
        self._sums: list[int] = []
        self._shared_sums: dict[tuple[int, int], bool] = {}

    def read(self, blocks: Iterable[bytes]) -> None:
        """Read the whole part."""
        for number, data in records12(blocks, self._meter):
            if number == _ROW:
                self._end_row()
                self._row = struct.unpack_from("<I", data)[0] + 1
                self._hidden = len(data) > 11 and bool(data[11] & 0x10)
                if self._builder.full:
                    self._builder.complete = False
                    return
            elif number < _SHARED_TEXT_ITEM or number == _RICH_TEXT:
                self._read_cell(number, data)
            elif number == _SHARED_FORMULA:
                self._note_shared(data)
            elif number == _MERGE:
                top, bottom, left, right = struct.unpack_from("<4I", data)
                self._builder.merge(Box(top + 1, left, bottom + 1, right))
            elif number == _COLUMN_INFO:
                first, last, _, _, flags = struct.unpack_from("<IIIIH", data)
                if flags & 1:
                    self._builder.hide_columns(first, last + 1)
        self._end_row()

    def _end_row(self) -> None:
        if self._kinds:
            self._builder.add(self._row, self._cells, self._kinds, self._sums, hidden=self._hidden)
        self._cells, self._kinds, self._sums = [], [], []
        self._column = -1

    def _read_cell(self, number: int, data: bytes) -> None:
        if _SHORT_FIRST <= number <= _SHORT_LAST:
            column, style, start = self._column + 1, int.from_bytes(data[:3], "little"), 4
            number -= _SHORT_FIRST - _BLANK
        else:
            column, style, start = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:7], "little"), 8
        self._column = column
        if number == _BLANK:
            return
        self._meter.columns(column + 1)
        text, kind, end = self._content(_FORMULA_KINDS.get(number, number), data, start)
        if kind is NUMBER and style < len(self._styles):
            kind = self._styles[style]
        self._place(column, text, kind)
        if number in _FORMULA_KINDS:
            self._note_formula(data, end + 2)

    def _content(self, number: int, data: bytes, start: int) -> tuple[str, Kind, int]:
        """Text, kind, and where the value ends."""
        if number == _SHARED:
            return self._shared_text(int.from_bytes(data[start : start + 4], "little")), TEXT, start + 4
        if number == _REAL:
            return number_text(struct.unpack_from("<d", data, start)[0]), NUMBER, start + 8
        if number == _RK:
            return rk_text(int.from_bytes(data[start : start + 4], "little")), NUMBER, start + 4
        if number in {_TEXT, _RICH_TEXT}:
            text, end = _wide_text(data, start + (number == _RICH_TEXT))
            self._meter.text(len(text))
            return text, TEXT, end
        if number == _BOOLEAN:
            return ("true" if data[start] else "false"), BOOLEAN, start + 1
        return error_text(data[start]), ERROR, start + 1

    def _shared_text(self, number: int) -> str:
        if number >= len(self._texts):
            raise DamagedFile(
                f"{self._meter.name} is damaged: a cell in row {self._row} of sheet {self._builder.name!r} points to shared text {number}, "
                f"but the file holds only {len(self._texts)}; export it again"
            )
        return self._texts[number]

    def _place(self, column: int, text: str, kind: Kind) -> None:
        gap = column - len(self._cells)
        if gap < 0:
            self._builder.remark(f"a cell of row {self._row} stands out of order, in column {column + 1}: the last one counts")
            self._cells[column], self._kinds[column] = text, kind
            return
        self._cells += [None] * gap
        self._kinds += [None] * gap
        self._cells.append(text)
        self._kinds.append(kind)

    def _note_formula(self, data: bytes, start: int) -> None:
        size = int.from_bytes(data[start : start + 4], "little")
        tokens = data[start + 4 : start + 4 + size]
        if tokens[:1] == bytes([_REFERENCE_TO_SHARED]) and len(tokens) >= 5:
            row = int.from_bytes(tokens[1:5], "little")
            column = int.from_bytes(data[start + 8 + size : start + 12 + size], "little")
            if self._shared_sums.get((row, column), False):
                self._sums.append(self._column)
        elif is_compiled_sum(tokens):
            self._sums.append(self._column)

    def _note_shared(self, data: bytes) -> None:
        """The formula that the cell before shares with others."""
        size = int.from_bytes(data[16:20], "little")
        if is_compiled_sum(data[20 : 20 + size]):
            self._shared_sums[self._row - 1, self._column] = True
            self._sums.append(self._column)
