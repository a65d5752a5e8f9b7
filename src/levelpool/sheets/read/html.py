"""HTML tables, which many programs export under the name .xls: text only, all tables of the page below each other in one sheet."""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from levelpool.sheets.errors import DamagedFile, NotASpreadsheet
from levelpool.sheets.read.encoding import BLOCK, Encoding, decode
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.read.text import text_encoding
from levelpool.sheets.table import TEXT, Box, Kind, Workbook

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]+)", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f]+")

_SILENT = {"script", "style", "head", "title", "template", "noscript"}
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "br", "hr", "center", "caption", "table", "body", "form", "section"}

MAX_SPAN = 16_384
MAX_TABLES_DEEP = 100


def read_html(source: Source) -> Workbook:
    """Read the tables of a page, and the text around them as rows of one cell; a cell that spans others is a merged area."""
    encoding = _encoding(source)
    builder = SheetBuilder(source, "Sheet1", 0)
    tables = TableCollector(builder, source.meter)
    feed = _create_feed(tables)
    size = max(1, source.path.stat().st_size)
    for number, text in enumerate(decode(source.path, encoding.name), start=1):
        source.meter.tick()
        feed.feed(text)
        source.progress(min(1.0, number * BLOCK / size))
        if builder.full:
            builder.complete = False
            break
    feed.close()
    tables.close()
    if not tables.seen:
        # An error page or a sign-in page that was saved under the name of the export.
        said = f", which says {tables.first_text[:80]!r}" if tables.first_text else ""
        raise NotASpreadsheet(f"{source.name} is not a spreadsheet: it is a web page without a table{said}; export it again")
    sheet = builder.finish()
    remarks = ("cells of an HTML page are text: the page does not hold the values behind them",)
    return Workbook(format="html", sheets=(sheet,), reader="levelpool html", encoding=encoding.name, remarks=remarks)


def _encoding(source: Source) -> Encoding:
    """What the page says, where that decodes it; else what its bytes say."""
    with source.path.open("rb") as file:
        head = file.read(4096)
    named = _CHARSET.search(head)
    if named and not source.options.encoding and not head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        name = _python_name(named[1].decode("ascii").lower())
        try:
            # A page of GB 2312 that holds one rarer character is a page of its superset.
            for block in decode(source.path, name):
                if "\ufffd" in block:
                    break
            else:
                return Encoding(name, certain=True)
        except LookupError:
            pass
    return text_encoding(source)


def _python_name(name: str) -> str:
    return {
        "gb2312": "gb18030",
        "gbk": "gb18030",
        "x-gbk": "gb18030",
        "big5": "big5hkscs",
        "shift_jis": "cp932",
        "iso-8859-1": "cp1252",
    }.get(name, name)


class _Feed(Protocol):
    def feed(self, text: str) -> None: ...
    def close(self) -> object: ...


def _create_feed(tables: "TableCollector") -> _Feed:
    """lxml's parser: it mends what browsers mend, such as cells that are never closed."""
    try:
        from lxml import etree  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        raise DamagedFile(
            "this file is an HTML page, and the package lxml that reads it is not installed: pip install 'levelpool[sheets]'"
        ) from None

    parser: _Feed = etree.HTMLParser(target=cast("Any", tables), huge_tree=True)
    return parser


@dataclass(slots=True)
class _Table:
    """A table whose rows are being read; inner tables have one of their own."""

    row: list[tuple[str, int, int]] | None = None  # text, columns, rows spanned
    cell: list[str] | None = None
    span: tuple[int, int] = (1, 1)
    reserved: dict[int, int] = field(default_factory=dict)  # column -> rows that a cell from above still covers


class TableCollector:
    """A target for a tag parser: takes tags and text, and gives rows to the builder."""

    def __init__(self, builder: SheetBuilder, meter: Meter) -> None:
        self._builder = builder
        self._meter = meter
        self._next_row = 1
        self._tables: list[_Table] = []
        self._silent = 0
        self._length = 0  # of the text that gathers now
        self._outside: list[str] = []
        self.seen = 0  # tables
        self.first_text = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        name = tag.lower()
        if name in _SILENT:
            self._silent += 1
        if name == "table":
            self._start_table()
        elif not self._tables:
            if name in _BLOCKS:
                self._flush_outside()
        else:
            self._start_inside(self._tables[-1], name, attributes)

    def _start_table(self) -> None:
        self._flush_outside()
        if self._tables:
            # A table within a cell: what came before it is a row of its own, what comes after it another one.
            self._end_cell(self._tables[-1])
            if not any(text for text, _, _ in self._tables[-1].row or ()):
                self._tables[-1].row = None
            self._end_row(self._tables[-1])
        elif self._next_row > 1:
            self._next_row += 1
        if len(self._tables) >= MAX_TABLES_DEEP:
            raise DamagedFile(f"{self._meter.name} is damaged: its tables stand within each other more than {MAX_TABLES_DEEP} deep")
        self._tables.append(_Table())
        self.seen += 1

    def _start_inside(self, table: _Table, name: str, attributes: dict[str, str]) -> None:
        if name == "tr":
            self._end_row(table)
            table.row = []
        elif name in {"td", "th"}:
            self._end_cell(table)
            if table.row is None:
                table.row = []
            table.cell = []
            self._length = 0
            table.span = _span(attributes.get("colspan")), _span(attributes.get("rowspan"))
        elif table.cell is not None and name in {"br", "p", "div", "li"} and any(piece.strip() for piece in table.cell):
            table.cell.append("\v")

    def end(self, tag: str) -> None:
        """A tag closes."""
        name = tag.lower()
        if name in _SILENT:
            self._silent = max(0, self._silent - 1)
        if not self._tables:
            if name in _BLOCKS:
                self._flush_outside()
            return
        table = self._tables[-1]
        if name in {"td", "th"}:
            self._end_cell(table)
        elif name == "tr":
            self._end_row(table)
        elif name == "table":
            self._end_row(table)
            self._tables.pop()

    def data(self, text: str) -> None:
        """Text between tags."""
        if self._silent:
            return
        self._length += len(text)
        self._meter.text(self._length)
        if not self._tables:
            self._outside.append(text)
        elif self._tables[-1].cell is not None:
            self._tables[-1].cell.append(text)
        elif text.strip():
            # Text between the cells of a table: browsers show it before the table.
            self._outside.append(text)
            self._flush_outside()

    def comment(self, text: str) -> None:
        """Comments are no content."""

    def close(self) -> None:
        """The page ends, with or without its closing tags."""
        while self._tables:
            self._end_row(self._tables[-1])
            self._tables.pop()
        self._flush_outside()

    def _end_cell(self, table: _Table) -> None:
        if table.cell is not None and table.row is not None:
            table.row.append((_text(table.cell), *table.span))
        table.cell = None

    def _end_row(self, table: _Table) -> None:
        self._end_cell(table)
        row, table.row = table.row, None
        if row is None:
            return
        cells: list[str | None] = []
        number = self._next_row
        reserved = {column: rows - 1 for column, rows in table.reserved.items() if rows > 1}
        for text, columns, rows in row:
            while table.reserved.get(len(cells), 0) > 0:
                cells.append(None)
            column = len(cells)
            if columns > 1 or rows > 1:
                self._builder.merge(Box(number, column, number + rows - 1, column + columns - 1))
            if rows > 1:
                reserved.update(dict.fromkeys(range(column, column + columns), rows - 1))
            cells.append(text or None)
            cells.extend([None] * (columns - 1))
            self._meter.columns(len(cells))
        table.reserved = reserved
        self._add(cells)

    def _add(self, cells: list[str | None]) -> None:
        kinds: list[Kind | None] = [None if cell is None else TEXT for cell in cells]
        self._builder.add(self._next_row, cells, kinds)
        self._next_row += 1

    def _flush_outside(self) -> None:
        text = _text(self._outside)
        self._outside.clear()
        self._length = 0
        if text:
            self.first_text = self.first_text or text
            self._add([text])


def _text(pieces: list[str]) -> str:
    """Text as a browser shows it: runs of white space are one blank; a break is a line end."""
    lines = (_SPACES.sub(" ", line).strip(" ") for line in "".join(pieces).split("\v"))
    return "\n".join(lines).strip("\n")


def _span(text: str | None) -> int:
    return min(max(int(text), 1), MAX_SPAN) if text and text.strip().isdecimal() else 1
