"""SpreadsheetML 2003, the XML of Excel 2002 and 2003, which old programs still export under the name .xls."""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta

from levelpool.sheets.read.encoding import BLOCK, Encoding, decode
from levelpool.sheets.read.markup import create_parser, feed, is_sum, local
from levelpool.sheets.read.number_formats import NAMED_FORMATS, number_text
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.read.text import text_encoding
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Box, Kind, Sheet, Workbook

_DECLARED = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9_.\-]+)["']""")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def read_xml2003(source: Source) -> Workbook:
    """Read every sheet to its end: kinds, exact numbers, number formats, merged areas, hidden rows, columns and sheets."""
    encoding = _encoding(source)
    parser = _WorkbookParser(source)
    feed(parser.parser, _blocks(source, encoding), source.meter)
    return Workbook(format="xml2003", sheets=tuple(parser.sheets), reader="levelpool xml2003", encoding=encoding.name)


def _encoding(source: Source) -> Encoding:
    with source.path.open("rb") as file:
        declared = _DECLARED.search(file.read(1024))
    if declared and not source.options.encoding:
        name = declared[1].decode("ascii").lower()
        return Encoding({"gb2312": "gb18030", "gbk": "gb18030"}.get(name, name), certain=True)
    return text_encoding(source)


def _blocks(source: Source, encoding: Encoding) -> Iterator[str]:
    """The text without its declaration: expat knows few encodings by itself, so it gets the decoded text."""
    size = max(1, source.path.stat().st_size)
    for number, text in enumerate(decode(source.path, encoding.name)):
        source.meter.tick()
        source.progress(min(1.0, number * BLOCK / size))
        yield _DECLARATION.sub("", text.lstrip("\ufeff"), count=1) if number == 0 else text


class _WorkbookParser:
    """The handlers of one workbook; finished sheets gather in `sheets`."""

    def __init__(self, source: Source) -> None:
        self.sheets: list[Sheet] = []
        self._source = source
        self._formats: dict[str, str] = {}
        self._style = ""
        self._date1904 = False
        self._builder: SheetBuilder | None = None
        self._position = -1
        self._hidden = False
        self._row = 0
        self._column = 0
        self._cells: list[str | None] = []
        self._kinds: list[Kind | None] = []
        self._sums: list[int] = []
        self._cell: dict[str, str] = {}
        self._row_style = ""
        self._row_hidden = False
        self._span = 0  # further rows that look like this one
        self._type: str | None = None
        self._text: list[str] = []
        self._length = 0
        self._in_data = False
        self.parser = create_parser(source.meter, self._start, self._end)

    def _start(self, name: str, raw: dict[str, str]) -> None:
        tag = local(name)
        attributes = {local(key): value for key, value in raw.items()}
        if tag == "Style":
            self._style = attributes.get("ID", "")
        elif tag == "NumberFormat":
            code = attributes.get("Format", "General")
            self._formats[self._style] = NAMED_FORMATS.get(code, code)
        elif tag == "Worksheet":
            self._start_sheet(attributes)
        elif tag in {"Date1904", "Visible"}:
            self._text.clear()
            self.parser.CharacterDataHandler = self._take
        elif self._builder is not None:
            self._start_inside(tag, attributes)

    def _start_inside(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "Row":
            self._row = int(attributes.get("Index", self._row + 1))
            self._start_row(attributes)
        elif tag == "Cell":
            self._cell = attributes
            self._column = int(attributes["Index"]) - 1 if "Index" in attributes else self._column
            self._type = None
            self._text.clear()
        elif tag == "Data":
            self._type = attributes.get("Type", "String")
            self._text.clear()
            self._length = 0
            self._in_data = True
            self.parser.CharacterDataHandler = self._take
        elif tag == "Column" and self._builder is not None:
            first = int(attributes.get("Index", self._column + 1))
            last = first + int(attributes.get("Span", 0))
            self._column = last
            if attributes.get("Hidden") == "1":
                self._builder.hide_columns(first - 1, last)

    def _start_sheet(self, attributes: dict[str, str]) -> None:
        self._position += 1
        self._hidden = False
        self._row = 0
        self._column = 0
        name = attributes.get("Name", f"Sheet{self._position + 1}")
        if self._source.wants(name, self._position):
            self._builder = SheetBuilder(self._source, name, self._position)

    def _start_row(self, attributes: dict[str, str]) -> None:
        self._column = 0
        self._cells, self._kinds, self._sums = [], [], []
        self._row_style = attributes.get("StyleID", "")
        self._row_hidden = attributes.get("Hidden") == "1"
        self._span = int(attributes.get("Span", 0))

    def _take(self, data: str) -> None:
        self._length += len(data)
        self._source.meter.text(self._length)
        self._text.append(data)

    def _end(self, name: str) -> None:
        tag = local(name)
        if tag == "Data":
            self._in_data = False
            self.parser.CharacterDataHandler = None
        elif tag == "Date1904":
            self.parser.CharacterDataHandler = None
            self._date1904 = True
        elif tag == "Visible":
            self.parser.CharacterDataHandler = None
            self._hidden = "".join(self._text) in {"SheetHidden", "SheetVeryHidden"}
        elif self._builder is not None:
            self._end_inside(self._builder, tag)

    def _end_inside(self, builder: SheetBuilder, tag: str) -> None:
        if tag == "Cell":
            self._end_cell(builder)
        elif tag == "Row":
            builder.add(self._row, self._cells, self._kinds, self._sums, hidden=self._row_hidden)
            self._row += self._span
        elif tag == "Worksheet":
            self.sheets.append(builder.finish(hidden=self._hidden, date1904=self._date1904))
            self._builder = None

    def _end_cell(self, builder: SheetBuilder) -> None:
        text, kind = self._content()
        formula = self._cell.get("Formula", "")
        across, down = int(self._cell.get("MergeAcross", 0)), int(self._cell.get("MergeDown", 0))
        self._source.meter.columns(self._column + 1)
        if across or down:
            builder.merge(Box(self._row, self._column, self._row + down, self._column + across))
        if kind is not None:
            gap = self._column - len(self._cells)
            self._cells.extend([None] * gap)
            self._kinds.extend([None] * gap)
            self._cells.append(text)
            self._kinds.append(kind)
            if is_sum(formula):
                self._sums.append(self._column)
        self._column += across + 1

    def _content(self) -> tuple[str | None, Kind | None]:
        text = "".join(self._text)
        formula = self._cell.get("Formula")
        if self._type is None:
            return (formula, NO_VALUE) if formula else (None, None)
        if self._type == "Number":
            return text, self._number_kind()
        if self._type == "DateTime":
            return self._moment(text)
        if self._type == "Boolean":
            return ("true" if text == "1" else "false"), BOOLEAN
        return text, ERROR if self._type == "Error" else TEXT

    def _number_kind(self) -> Kind:
        code = self._code()
        return NUMBER if code == "General" else NUMBER + code

    def _code(self) -> str:
        """The number format of the cell."""
        return self._formats.get(self._cell.get("StyleID") or self._row_style or "Default", "General")

    def _moment(self, text: str) -> tuple[str, Kind]:
        """A moment as its number format shows it: a day, a time of day, a span of time, or both."""
        code = self._code()
        base = _BASE_1904 if self._date1904 else _BASE_1900
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text, DATE
        if _ELAPSED.search(code) and moment.tzinfo is None and moment >= base:
            return number_text(_serial(moment, base)), NUMBER + code
        shown = _LITERAL.sub("", code.partition(";")[0]).lower()
        has_clock, has_day = any(each in shown for each in "hs"), any(each in shown for each in "yd")
        day, _, clock = text.removesuffix(".000").partition("T")
        if has_day and not has_clock and moment.time() == time():
            return day, DATE
        if has_clock and not has_day and moment.date() == base.date():
            return clock, DATE
        return text.removesuffix(".000"), DATE


_BASE_1900, _BASE_1904 = datetime(1899, 12, 31), datetime(1904, 1, 1)  # noqa: DTZ001 - a spreadsheet's days know no zone
"""The days on which a workbook keeps what has no day."""
_NO_DAY_LIKE_IT = datetime(1900, 3, 1)  # noqa: DTZ001 - as above
"""From here on the number of a day is one more: Excel counts a 29 February 1900."""
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')


def _serial(moment: datetime, base: datetime) -> float:
    days = (moment - base) / timedelta(days=1)
    return days + 1 if base == _BASE_1900 and moment >= _NO_DAY_LIKE_IT else days
