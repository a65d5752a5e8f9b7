"""OpenDocument spreadsheets: .ods with expat over content.xml, and the flat .fods."""

import re
from collections.abc import Callable, Iterable, Iterator

from levelpool.sheets.read.markup import create_parser, feed, is_sum, local
from levelpool.sheets.read.number_formats import number_text
from levelpool.sheets.read.ods_styles import CellStyles, Look
from levelpool.sheets.read.package import BLOCK, Package
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Box, Kind, Sheet, Workbook

_ERROR_TEXT = re.compile(r"#[A-Z0-9/!?]+[A-Z0-9!?]|Err:\d+")
_DURATION = re.compile(r"(-)?P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?")

_NUMBERS = {"float": NUMBER, "currency": NUMBER, "percentage": NUMBER + "0.00%"}

MAX_COLUMN = 16_384


def read_ods(source: Source) -> Workbook:
    """Read every sheet of a zipped .ods to its end."""
    with Package(source) as package:
        whole = max(1, package.unpacked_size("content.xml"))
        styles = CellStyles()
        if "styles.xml" in package:
            _read_styles(source, package.stream("styles.xml"), styles)
        return _read(source, _watched(package.stream("content.xml"), whole, source), "ods", styles)


def read_fods(source: Source) -> Workbook:
    """Read every sheet of a flat .fods to its end."""
    return _read(source, _watched(_file_blocks(source), max(1, source.path.stat().st_size), source), "ods", CellStyles())


def _read_styles(source: Source, blocks: Iterable[bytes], styles: CellStyles) -> None:
    """The styles that the whole document shares: those of content.xml may be made from them."""

    def start(name: str, raw: dict[str, str]) -> None:
        styles.start(local(name), {local(key): value for key, value in raw.items()})

    parser = create_parser(source.meter, start, lambda name: styles.end(local(name)))
    feed(parser, blocks, source.meter)


def _file_blocks(source: Source) -> Iterator[bytes]:
    with source.path.open("rb") as file:
        while block := file.read(BLOCK):
            source.meter.tick()
            yield block


def _watched(blocks: Iterable[bytes], whole: int, source: Source) -> Iterator[bytes]:
    seen = 0
    for block in blocks:
        yield block
        seen += len(block)
        source.progress(min(1.0, seen / whole))


def _read(source: Source, blocks: Iterable[bytes], format_: str, styles: CellStyles) -> Workbook:
    content = _ContentParser(source, styles)
    feed(content.parser, blocks, source.meter)
    return Workbook(format=format_, sheets=tuple(content.sheets), reader="levelpool ods")


class _ContentParser:
    """The handlers of content.xml; finished sheets gather in `sheets`."""

    def __init__(self, source: Source, styles: CellStyles) -> None:
        self.sheets: list[Sheet] = []
        self._styles = styles
        self._looks: dict[str, Look] = {}  # of the styles that cells have
        self._column_styles: list[tuple[int, str]] = []  # the column behind the last one, and the style of cells that have none
        self._row_style = ""
        self._source = source
        self._hidden_styles: set[str] = set()
        self._table_style = ""
        self._builder: SheetBuilder | None = None
        self._depth = 0  # tables within tables: only the outer one is a sheet
        self._position = -1
        self._hidden = False
        self._column = 0
        self._row = 0
        self._row_repeat = 1
        self._row_hidden = False
        self._cells: list[str | None] = []
        self._kinds: list[Kind | None] = []
        self._sums: list[int] = []
        self._cell: dict[str, str] | None = None
        self._paragraphs: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._aside = 0  # within a note or a drawing, whose text is not the cell's
        self.parser = create_parser(source.meter, self._start, self._end)

    def _start(self, name: str, raw: dict[str, str]) -> None:
        tag = local(name)
        if self._cell is not None:
            self._start_in_cell(tag, raw)
            return
        attributes = {local(key): value for key, value in raw.items()}
        if tag == "table":
            self._start_table(attributes)
        elif tag == "style" and attributes.get("family") == "table":
            self._table_style = attributes.get("name", "")
        elif tag == "table-properties" and attributes.get("display") == "false":
            self._hidden_styles.add(self._table_style)
        elif self._builder is not None:
            self._start_in_table(self._builder, tag, attributes)
        else:
            self._styles.start(tag, attributes)

    def _start_table(self, attributes: dict[str, str]) -> None:
        self._position += 1
        self._row = 0
        self._column = 0
        self._hidden = attributes.get("style-name", "") in self._hidden_styles
        self._column_styles = []
        name = attributes.get("name", f"Sheet{self._position + 1}")
        if self._source.wants(name, self._position):
            self._builder = SheetBuilder(self._source, name, self._position)

    def _start_in_table(self, builder: SheetBuilder, tag: str, attributes: dict[str, str]) -> None:
        if tag == "table-row":
            self._row += 1
            self._column = 0
            self._row_repeat = _repeat(attributes, "number-rows-repeated")
            self._row_hidden = attributes.get("visibility") in {"collapse", "filter"}
            self._row_style = attributes.get("default-cell-style-name", "")
            self._cells, self._kinds, self._sums = [], [], []
        elif tag in {"table-cell", "covered-table-cell"}:
            self._cell = attributes
            self._paragraphs.clear()
            self._length = 0
        elif tag == "table-column":
            repeat = _repeat(attributes, "number-columns-repeated")
            if attributes.get("visibility") in {"collapse", "filter"}:
                builder.hide_columns(self._column, self._column + repeat)
            self._column += repeat
            if len(self._column_styles) < MAX_COLUMN:
                self._column_styles.append((self._column, attributes.get("default-cell-style-name", "")))

    def _start_in_cell(self, tag: str, raw: dict[str, str]) -> None:
        if tag in {"annotation", "frame", "shapes", "custom-shape", "ruby-text"}:
            self._aside += 1
        elif self._aside:
            return
        elif tag in {"p", "h"}:
            self._text.clear()
            self.parser.CharacterDataHandler = self._take
        elif tag == "s":
            count = next((value for key, value in raw.items() if local(key) == "c"), "1")
            self._take(" " * min(int(count), self._source.meter.limits.max_cell_characters + 1))
        elif tag == "tab":
            self._take("\t")
        elif tag == "line-break":
            self._take("\n")

    def _take(self, data: str) -> None:
        if self._aside:
            return
        self._length += len(data)
        self._source.meter.text(self._length)
        self._text.append(data)

    def _end(self, name: str) -> None:
        tag = local(name)
        if self._cell is not None:
            self._end_in_cell(tag)
        elif self._builder is not None:
            if tag == "table-row":
                self._end_row(self._builder)
            elif tag == "table":
                self.sheets.append(self._builder.finish(hidden=self._hidden))
                self._builder = None
        else:
            self._styles.end(tag)

    def _end_in_cell(self, tag: str) -> None:
        if tag in {"annotation", "frame", "shapes", "custom-shape", "ruby-text"}:
            self._aside -= 1
        elif self._aside:
            return
        elif tag in {"p", "h"}:
            self.parser.CharacterDataHandler = None
            self._paragraphs.append("".join(self._text))
        elif tag in {"table-cell", "covered-table-cell"} and self._cell is not None:
            self._end_cell(self._cell)
            self._cell = None

    def _end_cell(self, cell: dict[str, str]) -> None:
        repeat = _repeat(cell, "number-columns-repeated")
        text, kind = _content(cell, "\n".join(self._paragraphs), self._look)
        self._note_merge(cell)
        if kind is None:
            self._column += repeat
            return
        self._source.meter.columns(self._column + repeat)
        gap = self._column - len(self._cells)
        self._cells += [None] * gap + [text] * repeat
        self._kinds += [None] * gap + [kind] * repeat
        if is_sum(cell.get("formula", "")):
            self._sums += range(self._column, self._column + repeat)
        self._column += repeat

    def _look(self, cell: dict[str, str]) -> Look:
        """What the style of a cell says: its own, that of its row, or that of its column."""
        style = cell.get("style-name") or self._row_style
        if not style:
            style = next((name for behind, name in self._column_styles if self._column < behind), "")
        if style not in self._looks:
            self._looks[style] = self._styles.look(style)
        return self._looks[style]

    def _note_merge(self, cell: dict[str, str]) -> None:
        columns, rows = _repeat(cell, "number-columns-spanned"), _repeat(cell, "number-rows-spanned")
        if self._builder is not None and (columns > 1 or rows > 1):
            self._builder.merge(Box(self._row, self._column, self._row + rows - 1, self._column + columns - 1))

    def _end_row(self, builder: SheetBuilder) -> None:
        last = self._row + self._row_repeat - 1
        if self._kinds:
            self._source.meter.cells_ahead(self._row_repeat * len(self._kinds))
            for row in range(self._row, last + 1):
                builder.add(row, list(self._cells), list(self._kinds), self._sums, hidden=self._row_hidden)
                if builder.full and not builder.complete:
                    break
        self._row = last


def _repeat(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "1")
    return max(1, int(text)) if text.isdecimal() else 1


def _content(cell: dict[str, str], text: str, look: Callable[[dict[str, str]], Look]) -> tuple[str | None, Kind | None]:
    type_ = cell.get("value-type")
    formula = cell.get("formula")
    if formula is not None and _ERROR_TEXT.fullmatch(text):
        return text, ERROR
    if type_ == "float":
        return _number(cell.get("value", text), look(cell), formula)
    if type_ in _NUMBERS:
        return cell.get("value", text), _NUMBERS[type_]
    if type_ == "boolean":
        return cell.get("boolean-value", "false"), BOOLEAN
    if type_ == "date":
        return cell.get("date-value", text), DATE
    if type_ == "time":
        return _time(cell.get("time-value", ""), text, look(cell))
    if type_ == "string":
        return cell.get("string-value", text), TEXT
    if formula is not None and not text:
        return formula, NO_VALUE
    return (text, TEXT) if text else (None, None)


def _number(value: str, look: Look, formula: str | None) -> tuple[str, Kind]:
    """A number as its style shows it: programs write days, times and truth values as numbers, too."""
    is_truth = look == "boolean" or (formula is not None and _TRUTH.fullmatch(formula) is not None)
    if is_truth and value in {"0", "1"}:
        return ("true" if value == "1" else "false"), BOOLEAN
    return value, NUMBER + look if look and look != "boolean" else NUMBER


_TRUTH = re.compile(r"(?:of:|msoxl:|oooc:)?=(?:TRUE|FALSE)\(\)", re.IGNORECASE)


def _time(duration: str, text: str, look: Look) -> tuple[str, Kind]:
    """
    A time as a number of days under a number format, as other workbooks keep it: what decides about a column is then the same.

    One with more digits of a second than such a number holds for certain is a time of day as ISO text.
    """
    match = _DURATION.fullmatch(duration)
    if match is None:
        return text, TEXT
    sign, *parts = match.groups(default="")
    days, hours, minutes, seconds = (int(part or 0) for part in parts[:4])
    fraction = parts[4].rstrip("0")
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    is_span = bool(sign) or total >= 86_400 or look == "[h]:mm:ss"
    if not is_span and len(fraction) > _MOST_DIGITS:
        return f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}.{fraction}", DATE
    value = (total + float(f"0.{fraction or 0}")) / 86_400
    return number_text(-value if sign else value), NUMBER + ("[h]:mm:ss" if is_span else "h:mm:ss")


_MOST_DIGITS = 3
"""Milliseconds."""
