"""
HTML tables, which many programs export under the name .xls: all tables of the page below each other in one sheet.

A cell is the text that a browser shows, or the value that an office program left behind it.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from levelpool.sheets.errors import DamagedFile, NotASpreadsheet
from levelpool.sheets.read.encoding import BLOCK, Encoding, decode
from levelpool.sheets.read.html_styles import Element, Look, StyleSheet
from levelpool.sheets.read.html_values import NOTHING_BEHIND, Behind
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.read.text import text_encoding
from levelpool.sheets.table import TEXT, Box, Kind, Sheet, Workbook
from levelpool.sheets.wording import counted

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]+)", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f]+")

_SILENT = {"script", "style", "head", "title", "template", "noscript", "rt", "rp"}
_NEW_ROWS = {"tr", "td", "th"}
_SECTIONS = {"table", "tbody", "thead", "tfoot"}
_ROWS_AND_CELLS = _SECTIONS | _NEW_ROWS
_SHOWN_INPUTS = {"text", "number", "date", "email", "tel", "url", "search", "time", "month", "week", "datetime-local"}
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "br", "hr", "center", "caption", "table", "body", "form", "section"}

MAX_SPAN = 16_384
MAX_TABLES_DEEP = 100


def read_html(source: Source) -> Workbook:
    """Read the tables of a page, and the text around them as rows of one cell; a cell that spans others is a merged area."""
    encoding = page_encoding(source)
    page = read_page(source, encoding, "Sheet1", 0)
    if page.sheet is None:
        # An error page or a sign-in page that was saved under the name of the export.
        said = f", which says {page.first_text[:80]!r}" if page.first_text else ""
        raise NotASpreadsheet(f"{source.name} is not a spreadsheet: it is a web page without a table{said}; export it again")
    return Workbook(format="html", sheets=(page.sheet,), reader="levelpool html", encoding=encoding.name, remarks=page.remarks)


@dataclass(frozen=True, slots=True)
class Page:
    """What one page holds."""

    sheet: Sheet | None  # None: it has no table
    first_text: str  # outside of its tables
    remarks: tuple[str, ...]


def read_page(source: Source, encoding: Encoding, name: str, position: int) -> Page:
    """Read one page to its end, as the sheet with this name."""
    builder = SheetBuilder(source, name, position)
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
    return Page(builder.finish() if tables.seen else None, tables.first_text, tables.remarks())


def page_encoding(source: Source) -> Encoding:
    """What the page says, where that decodes it; else what its bytes say."""
    with source.path.open("rb") as file:
        head = file.read(4096)
    named = _CHARSET.search(head)
    if named and not source.options.encoding and not head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        # A page of GB 2312 that holds one rarer character is a page of its superset.
        name = _python_name(named[1].decode("ascii").lower())
        if decodes(source, name):
            return Encoding(name, certain=True)
    return text_encoding(source)


def decodes(source: Source, name: str) -> bool:
    """Whether an encoding is known and gives a character for every byte of the page."""
    try:
        return not any("\ufffd" in block for block in decode(source.path, name))
    except LookupError:
        return False


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
class _Cell:
    """A cell whose text gathers."""

    span: tuple[int, int]  # columns, rows
    behind: Behind  # what its attributes hold
    code: str  # of its number format, "" for none
    hidden: bool
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return _text(self.pieces)


@dataclass(slots=True)
class _Table:
    """A table whose rows are being read; inner tables have one of their own."""

    marks: int  # how many hidden elements it stands in
    row: list[_Cell] | None = None
    row_hidden: bool = False
    cell: _Cell | None = None
    reserved: dict[int, int] = field(default_factory=dict)  # column -> rows that a cell from above still covers
    column: int = 0  # of the next <col>
    pattern: tuple[bool, ...] | None = None  # which cells of the first row of several are hidden


@dataclass(slots=True)
class _Option:
    """A list to choose from: the choice is shown, or the first."""

    first: str | None = None
    chosen: str | None = None
    pieces: list[str] | None = None  # of the open option
    is_chosen: bool = False

    def end(self) -> None:
        """The option ends."""
        if self.pieces is not None:
            text = "".join(self.pieces)
            self.first = text if self.first is None else self.first
            self.chosen = text if self.is_chosen else self.chosen
        self.pieces = None


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
        self._styles = StyleSheet()
        self._css: list[str] | None = None  # of the open <style>
        self._depth = 0
        self._parents: list[Element] = []  # where a rule asks for them
        self._marks: list[tuple[int, str]] = []  # the hidden elements that are open: how deep, and what
        self._select: _Option | None = None
        self._left_off = _LeftOff()
        self._behind = 0  # cells with a value behind their text
        self.seen = 0  # tables
        self.first_text = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        name = tag.lower()
        self._depth += 1
        look = self._styles.look(name, attributes, self._parents)
        if self._styles.needs_parents:
            self._parents.append(Element.of(name, attributes))
        if name in _SILENT:
            self._silent += 1
            self._css = [] if name == "style" else self._css
        if name in _NEW_ROWS and self._tables:
            # An element that nobody closed ends where the next cell begins.
            self._forget_marks(self._tables[-1], name)
        if look.hidden and name != "col":
            self._marks.append((self._depth, name))
        if name == "table":
            self._start_table()
        elif not self._tables:
            if name in _BLOCKS:
                self._flush_outside()
        else:
            self._start_inside(self._tables[-1], name, attributes, look)

    def _forget_marks(self, table: _Table, name: str) -> None:
        while len(self._marks) > table.marks and self._marks[-1][1] not in _SECTIONS and (name != "td" or self._marks[-1][1] != "tr"):
            self._marks.pop()

    def _start_table(self) -> None:
        self._flush_outside()
        if self._tables:
            # A table within a cell: what came before it is a row of its own, what comes after it another one.
            outer = self._tables[-1]
            self._end_cell(outer)
            if not any(cell.text for cell in outer.row or ()):
                outer.row = None
            self._end_row(outer)
        elif self._next_row > 1:
            self._next_row += 1
        if len(self._tables) >= MAX_TABLES_DEEP:
            raise DamagedFile(f"{self._meter.name} is damaged: its tables stand within each other more than {MAX_TABLES_DEEP} deep")
        self._tables.append(_Table(len(self._marks)))
        self.seen += 1

    def _start_inside(self, table: _Table, name: str, attributes: dict[str, str], look: Look) -> None:
        if name == "tr":
            self._end_row(table)
            table.row, table.row_hidden = [], bool(self._marks)
        elif name in {"td", "th"}:
            self._end_cell(table)
            if table.row is None:
                table.row, table.row_hidden = [], any(mark not in {"td", "th"} for _, mark in self._marks)
            span = _span(attributes.get("colspan")), _span(attributes.get("rowspan"))
            table.cell = _Cell(
                span, Behind.of(attributes), look.code or "", hidden=bool(self._marks) and self._marks[-1][1] in {"td", "th"}
            )
            self._length = 0
        elif name == "col":
            self._start_column(table, attributes, look)
        elif table.cell is not None:
            self._start_in_cell(table.cell, name, attributes)

    def _start_column(self, table: _Table, attributes: dict[str, str], look: Look) -> None:
        count = _span(attributes.get("span"))
        if look.hidden:
            self._builder.hide_columns(table.column, table.column + count)
        table.column = min(table.column + count, MAX_SPAN)

    def _start_in_cell(self, cell: _Cell, name: str, attributes: dict[str, str]) -> None:
        if name in {"br", "p", "div", "li"} and any(piece.strip() for piece in cell.pieces):
            cell.pieces.append("\v")
        elif name == "select":
            self._select = _Option()
        elif name == "option" and self._select is not None:
            self._select.end()
            self._select.pieces, self._select.is_chosen = [], "selected" in attributes
        elif name == "input" and attributes.get("type", "text").lower() in _SHOWN_INPUTS and not self._is_muted:
            self.data(attributes.get("value", ""))

    @property
    def _is_muted(self) -> bool:
        """Whether what comes now is hidden within its cell, or outside of all tables."""
        if not self._marks:
            return False
        if not self._tables:
            return True
        return len(self._marks) > self._tables[-1].marks and self._marks[-1][1] not in _ROWS_AND_CELLS

    def end(self, tag: str) -> None:
        """A tag closes."""
        name = tag.lower()
        if self._marks and self._marks[-1][0] == self._depth:
            self._marks.pop()
        self._depth -= 1
        if self._parents:
            self._parents.pop()
        if name in _SILENT:
            self._silent = max(0, self._silent - 1)
            if name == "style" and self._css is not None:
                self._styles.add("".join(self._css))
                self._css = None
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
        elif name == "select" and self._select is not None:
            self._end_select(self._select)

    def _end_select(self, select: _Option) -> None:
        select.end()
        self._select = None
        self.data((select.first if select.chosen is None else select.chosen) or "")

    def data(self, text: str) -> None:
        """Text between tags."""
        if self._css is not None:
            self._css.append(text)
        if self._silent:
            return
        if self._marks and self._is_muted:
            self._left_off.note(text, self._next_row)
            return
        self._length += len(text)
        self._meter.text(self._length)
        if not self._tables:
            self._outside.append(text)
        elif self._tables[-1].cell is not None:
            pieces = self._tables[-1].cell.pieces
            if self._select is not None:
                pieces = self._select.pieces if self._select.pieces is not None else []
            pieces.append(text)
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

    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the whole page."""
        if self._behind:
            values = counted(self._behind, "cell holds its value", "cells hold their values")
            said = f"{values} behind the text that is shown, and that value counts; all other cells of the page are text"
        else:
            said = "cells of an HTML page are text: the page does not hold the values behind them"
        return (said, *self._left_off.remarks(), *self._styles.remarks())

    def _end_cell(self, table: _Table) -> None:
        if table.cell is not None and table.row is not None:
            table.row.append(table.cell)
        table.cell = None
        self._select = None

    def _end_row(self, table: _Table) -> None:
        self._end_cell(table)
        row, table.row = table.row, None
        if row is None:
            return
        cells: list[str | None] = []
        kinds: list[Kind | None] = []
        sums: list[int] = []
        number = self._next_row
        reserved = {column: rows - 1 for column, rows in table.reserved.items() if rows > 1}
        for cell in self._in_place(table, row):
            while table.reserved.get(len(cells), 0) > 0:
                cells.append(None)
            column = len(cells)
            text, kind = cell.behind.content(cell.text, cell.code)
            self._behind += kind not in {None, TEXT}
            columns, rows = cell.span
            if columns > 1 or rows > 1:
                self._builder.merge(Box(number, column, number + rows - 1, column + columns - 1))
            if rows > 1:
                reserved.update(dict.fromkeys(range(column, column + columns), rows - 1))
            if cell.hidden:
                self._builder.hide_columns(column, column + columns)
            if cell.behind.is_sum:
                sums.append(column)
            kinds.extend([None] * (column - len(kinds)))
            cells.append(text)
            kinds.append(kind)
            cells.extend([None] * (columns - 1))
            self._meter.columns(len(cells))
        table.reserved = reserved
        kinds.extend([None] * (len(cells) - len(kinds)))
        self._builder.add(number, cells, kinds, sums, hidden=table.row_hidden)
        self._next_row += 1

    def _in_place(self, table: _Table, row: list[_Cell]) -> list[_Cell]:
        """
        The cells of a row as they stand under the others: a hidden cell takes no room in a browser.

        Where the first row of several cells has one at this place it is a hidden column; elsewhere it is left off.
        """
        hidden = tuple(cell.hidden for cell in row)
        if table.pattern is None and len(row) > 1:
            table.pattern = hidden
        pattern = table.pattern or ()
        if not any(hidden):
            if any(pattern) and len(row) == pattern.count(False):
                given = iter(row)
                return [_Cell((1, 1), NOTHING_BEHIND, "", hidden=False) if is_hidden else next(given) for is_hidden in pattern]
            return row
        kept = []
        for place, cell in enumerate(row):
            if cell.hidden and not (place < len(pattern) and pattern[place]):
                self._left_off.note(cell.text, self._next_row)
            else:
                kept.append(cell)
        return kept

    def _flush_outside(self) -> None:
        text = _text(self._outside)
        self._outside.clear()
        self._length = 0
        if text:
            self.first_text = self.first_text or text
            self._builder.add(self._next_row, [text], [TEXT])
            self._next_row += 1


@dataclass(slots=True)
class _LeftOff:
    """Hidden content that is not the value of a cell."""

    count: int = 0
    first: str = ""
    row: int = 0

    def note(self, text: str, row: int) -> None:
        """One more piece of it."""
        if text.strip():
            self.count += 1
            self.first, self.row = (self.first, self.row) if self.first else (text.strip(), row)

    def remarks(self) -> tuple[str, ...]:
        """How many there were, and the first."""
        if not self.count:
            return ()
        are = counted(self.count, "hidden piece of text is", "hidden pieces of text are")
        return (f"{are} left off, as no browser shows them: the first is {self.first[:40]!r} (row {self.row})",)


def _text(pieces: list[str]) -> str:
    """Text as a browser shows it: runs of white space are one blank; a break is a line end."""
    lines = (_SPACES.sub(" ", line).strip(" ") for line in "".join(pieces).split("\v"))
    return "\n".join(lines).strip("\n")


def _span(text: str | None) -> int:
    return min(max(int(text), 1), MAX_SPAN) if text and text.strip().isdecimal() else 1
