"""
Delimited text (CSV, TSV and their kin): text only, exactly as it stands, streamed in pieces of whole lines.

The csv module reads what holds a quotation mark. A piece without one needs no more than to be cut at its line ends and delimiters,
column by column where its lines have equally many: that is several times as fast, and the same.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from levelpool.sheets.read.dialect import Delimiter, Quoting, detect_delimiter, detect_quoting
from levelpool.sheets.read.dressed_lines import detect_dressing
from levelpool.sheets.read.fixed_width import cut, detect_columns
from levelpool.sheets.read.source import SheetBuilder, Source, is_thin
from levelpool.sheets.read.text import Text, open_text
from levelpool.sheets.table import LONGEST_JOINED, TEXT, Batch, Cells, Sheet, Workbook
from levelpool.sheets.wording import counted

_MOST_POSITIONS = 1 << 18  # of one piece, blank ones included


class _UnbalancedQuotes(Exception):
    """The file ended inside a quoted field, or such a field grew beyond the limit."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How the text is cut into fields."""

    delimiter: str
    quoting: Quoting
    is_quoted: bool  # False: quotation marks are ordinary characters

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quoting.mark,
            quoting=csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE,
            skipinitialspace=self.quoting.is_spaced,
            strict=strict,
        )


def read_delimited(source: Source) -> Workbook:
    """Read the one sheet of a delimited text file; an empty field is a blank cell. Row numbers count records, as a spreadsheet shows them."""
    text = open_text(source)
    if not source.wants(_sheet_name(source.name), 0):
        return Workbook(format="csv", sheets=(), reader="levelpool csv", encoding=text.encoding.name)
    asked = source.options
    text = replace(text, dressing=None if asked.quote == "" else detect_dressing(_filled_lines(text)))
    directive = _directive(text)
    known = asked.delimiter or directive
    found = Delimiter(known, 1.0) if known else detect_delimiter(_filled_lines(text))
    columns = () if known else _columns(text, found)
    if columns:
        sheet = _read_columns(source, text, columns)
        return Workbook(format="csv", sheets=(sheet,), reader="levelpool csv", encoding=text.encoding.name, remarks=text.remarks())
    quoting = detect_quoting(_filled_lines(text), found.character) if asked.quote is None else Quoting(asked.quote or '"')
    remarks = (*text.remarks(), *_remarks(found, quoting))
    dialect = _Dialect(found.character, quoting, is_quoted=asked.quote != "")
    with _long_fields(source.meter.limits.max_cell_characters):
        try:
            sheet = _read_sheet(source, text, dialect, directive=directive)
        except _UnbalancedQuotes:
            sheet = _read_sheet(source, text, replace(dialect, is_quoted=False), directive=directive)
    return Workbook(
        format="csv", sheets=(sheet,), reader="levelpool csv", encoding=text.encoding.name, delimiter=found.character, remarks=remarks
    )


def _columns(text: Text, found: Delimiter) -> tuple[int, ...]:
    """Where columns of a fixed width begin; () where the delimiter that was found parts the first line, too, or there are none."""
    first = next(_filled_lines(text), "")
    return () if found.share and found.character in first else detect_columns(_filled_lines(text))


def _remarks(found: Delimiter, quoting: Quoting) -> Iterator[str]:
    """What is unusual, and how to have it otherwise."""
    if found.declined:
        yield f"no delimiter parts the lines alike: each line is one cell; if {found.declined!r} parts them, ask for that delimiter"
    if quoting.mark == "'":
        yield "single quotation marks enclose the fields, and are no part of them"
    if quoting.is_escaped:
        yield 'a quotation mark within a field is written \\": the mark alone counts'
    if quoting.is_spaced:
        yield "blanks between a delimiter and a quotation mark, and those in front of other fields, are no part of the fields"


def _read_columns(source: Source, text: Text, columns: tuple[int, ...]) -> Sheet:
    builder = SheetBuilder(source, _sheet_name(source.name), 0)
    places = ", ".join(str(start + 1) for start in columns)
    builder.remark(
        f"{counted(len(columns), 'column')} of a fixed width, beginning at the characters {places}: the blanks that fill them up are no part of the cells"
    )
    rows = _Rows(builder, "")
    rows.filled_up(text.zeros)
    for block in text.blocks(rows.filled_up):
        if builder.full:
            builder.complete = False
            break
        rows.add_records([cut(line, columns) for line in _normal(block).split("\n")])
    for remark in rows.remarks():
        builder.remark(remark)
    return builder.finish()


def _read_sheet(source: Source, text: Text, dialect: _Dialect, *, directive: str | None) -> Sheet:
    builder = SheetBuilder(source, _sheet_name(source.name), 0)
    if directive:
        builder.remark(f"the first line only names the delimiter {directive!r}")
    if not dialect.is_quoted and source.options.quote != "":
        builder.remark('quotation marks (") do not pair up: they are read as ordinary characters')
    rows = _Rows(builder, dialect.delimiter)
    rows.filled_up(text.zeros)
    blocks = rows.without_marks(text.blocks(rows.filled_up))
    if directive:
        rows.skip()
        blocks = chain([_without_first_line(next(blocks))], blocks)
    if dialect.is_quoted and dialect.quoting.is_escaped:
        blocks = map(_doubled, blocks)
    as_text = 0
    for block in blocks:
        if builder.full:
            builder.complete = False
            break
        if (
            len(block) > source.meter.limits.max_cell_characters
            or (dialect.is_quoted and dialect.quoting.mark in block)
            or _FORMULA in block
        ):
            records = _whole_records(block, dialect, rows) if dialect.is_quoted else None
            if records is not None:
                rows.add_records(records)
                continue
            records = []
            for record, has_formula in _records(source, chain([block], blocks), dialect):
                as_text += _without_formulas(record) if has_formula else 0
                records.append(record)
            rows.add_records(records)
        else:
            rows.add_lines(block)
    if as_text:
        builder.remark(
            f'{counted(as_text, "cell is", "cells are")} written as ="…", which keeps digits from becoming a number: the text between counts'
        )
    for remark in rows.remarks():
        builder.remark(remark)
    return builder.finish(delimiter=dialect.delimiter)


def _without_formulas(record: list[str]) -> int:
    """Replace each field ="0123", as marketplaces write a text of digits, by the text that every spreadsheet program shows; returns how many."""
    count = 0
    for place, field in enumerate(record):
        if found := _TEXT_FORMULA.fullmatch(field):
            record[place] = found[1].replace('""', '"')
            count += 1
    return count


_FORMULA = '="'
_TEXT_FORMULA = re.compile('="((?:[^"]|"")*)"')


class _Rows:
    """Numbers the records and hands them to the builder, column by column."""

    def __init__(self, builder: SheetBuilder, delimiter: str) -> None:
        self._builder = builder
        self._delimiter = delimiter
        self._next = 1
        self._tabs = 0  # fields that begin or end in a tab
        self._marks = 0  # byte order marks that begin a line further below
        self._zeros = 0  # NULs that fill something up
        self._stray = 0  # the first row in which text follows a closing quotation mark

    def remarks(self) -> Iterator[str]:
        """What was noticed on the way."""
        if self._tabs:
            cells = counted(self._tabs, "cell begins or ends", "cells begin or end")
            yield f"{cells} in a tab, which keeps digits from becoming a number: the rest of the text counts"
        if self._marks:
            stand = counted(self._marks, "byte order mark stands", "byte order marks stand")
            yield f"{stand} within the file, as where several were put together: they are no part of the cells"
        if self._zeros:
            stand = counted(self._zeros, "NUL character fills", "NUL characters fill")
            yield f"{stand} up fields, lines or the end of the file: they are no part of the cells"
        if self._stray:
            yield (
                f"in row {self._stray} text follows a quotation mark that closes a field, as where a mark within a field is not doubled: "
                "the fields there may be cut wrongly"
            )

    def without_marks(self, blocks: Iterator[str]) -> Iterator[str]:
        """The pieces without the byte order marks at the beginning of lines."""
        for block in blocks:
            without, found = _BYTE_ORDER_MARKS.subn("", block) if _BYTE_ORDER_MARK in block else (block, 0)
            self._marks += found
            yield without

    def filled_up(self, zeros: int) -> None:
        """So many NULs were left off."""
        self._zeros += zeros

    def stray(self, behind: int) -> None:
        """The record that comes after *behind* more has text behind a closing quotation mark."""
        self._stray = self._stray or self._next + behind

    def skip(self) -> None:
        """One record is none."""
        self._next += 1

    def add_lines(self, block: str) -> None:
        """Whole lines without a quoted field."""
        text = _normal(block)
        lines = text.split("\n")
        delimiter = self._delimiter
        counts = {line.count(delimiter) for line in lines}
        if len(counts) > 1:
            self.add_records([line.split(delimiter) for line in lines])
            return
        width = counts.pop() + 1
        fields = text.replace("\n", delimiter).split(delimiter)
        self._add_columns([fields[place::width] for place in range(width)], len(lines))

    def add_records(self, records: list[list[str]]) -> None:
        """Records that may differ in length."""
        widths = set(map(len, records))
        width = max(widths, default=0)
        if len(widths) == 1:
            self._add_columns(list(zip(*records, strict=True)), len(records))
            return
        positions = width * len(records)
        if positions <= _MOST_POSITIONS and not is_thin(positions, sum(map(len, records))):
            self._add_columns(list(zip_longest(*records, fillvalue="")), len(records))
            return
        for row, record in enumerate(records, self._next):
            self._builder.add(row, [field or None for field in record], [TEXT if field else None for field in record])
        self._next += len(records)

    def _add_columns(self, columns: Sequence[Sequence[str]], count: int) -> None:
        rows = list(range(self._next, self._next + count))
        self._builder.add_columns(Batch(rows, [_cells(self._without_tabs(fields)) for fields in columns]))
        self._next += count

    def _without_tabs(self, fields: Sequence[str]) -> Sequence[str]:
        """Without the tabs that shops put around digits so that a spreadsheet takes them for text; what a person sees has none."""
        if self._delimiter == "\t" or "\t" not in "".join(fields):
            return fields
        without = [field.strip("\t") for field in fields]
        self._tabs += sum(map(str.__ne__, fields, without))
        return without


def _cells(fields: Sequence[str]) -> Cells:
    """The cells of one column; an empty field is a blank one."""
    joined = "\n".join(fields)
    if joined.count("\n") != len(fields) - 1 or len(joined) > LONGEST_JOINED:
        return Cells.alike([field or None for field in fields], TEXT)
    return Cells(joined=joined, kind=TEXT) if len(joined) >= len(fields) else Cells.blank(len(fields))


def _sheet_name(file_name: str) -> str:
    base = file_name.rpartition("/")[2]
    return base.rpartition(".")[0] or base


# ---------------------------------------------------------------- lines


def _normal(block: str) -> str:
    """A piece whose lines end with LF, the last one with nothing."""
    if "\r" in block:
        block = block.replace("\r\n", "\n").replace("\r", "\n")
    return block.removesuffix("\n")


def _without_first_line(block: str) -> str:
    return "".join(list(io.StringIO(block, newline=""))[1:])


def _filled_lines(text: Text) -> Iterator[str]:
    for block in text.blocks():
        yield from (line for line in _normal(block).split("\n") if line and not line.isspace())


def _directive(text: Text) -> str | None:
    """The delimiter of a first line "sep=;", as spreadsheet programs write and read it."""
    found = _SEP.fullmatch(_normal(next(text.blocks(), "")).partition("\n")[0])
    return found[2] if found else None


_SEP = re.compile(r"""\ufeff?("?)sep=([^\w"'\r\n\ufeff])\1[ ,;]*""", re.IGNORECASE)


def _doubled(block: str) -> str:
    """The piece with quotation marks within fields doubled, which were written with a backslash."""
    return _ESCAPED.sub(r'\1""', block)


_ESCAPED = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_BYTE_ORDER_MARK = "\ufeff"
_BYTE_ORDER_MARKS = re.compile("(?:^|(?<=[\r\n]))\ufeff+")


_END = "end"


def _whole_records(block: str, dialect: _Dialect, rows: _Rows) -> list[list[str]] | None:
    """The records of a piece; None when the last one goes on behind it, and when a closer look is needed."""
    if not block.endswith(("\n", "\r")) or _FORMULA in block:
        return None
    records: list[list[str]] = []
    try:
        records.extend(dialect.reader(_ended(block), strict=True))
    except csv.Error:
        strict = len(records)
        try:
            records = list(dialect.reader(_ended(block)))
        except csv.Error:
            return None
        if records[-1] == [_END]:
            rows.stray(strict)
    return records if records.pop() == [_END] else None


def _ended(block: str) -> Iterator[str]:
    """Its lines, and one more, which shows where the reader stands: it is a record of its own, or goes into a field that is still open."""
    return chain(io.StringIO(block, newline=""), [_END])


def _records(source: Source, blocks: Iterator[str], dialect: _Dialect) -> Iterator[tuple[list[str], bool]]:
    """
    The records of the first block, and of as many more as it takes until none is open; each with whether a field may be a formula.

    Raises `_UnbalancedQuotes` when a quoted field does not end.
    """
    fed, has_formula = 0, False

    def watched() -> Iterator[str]:
        nonlocal fed, has_formula
        for block in blocks:
            has_formula = has_formula or _FORMULA in block
            for line in io.StringIO(block, newline=""):
                fed += 1
                yield line
            if not fed:
                return
        if dialect.is_quoted and fed:
            # The reader asks for one more line in the midst of a record: a quoted field is still open.
            raise _UnbalancedQuotes

    reader = dialect.reader(watched())
    while True:
        fed = 0
        try:
            record = next(reader)
            yield record, has_formula
        except StopIteration:
            return
        except csv.Error:
            if dialect.is_quoted:
                raise _UnbalancedQuotes from None
            source.meter.text(source.meter.limits.max_cell_characters + 1, "one field")
            raise


@contextmanager
def _long_fields(most: int) -> Iterator[None]:
    """Let the csv module take fields of up to *most* characters; its limit is one for the whole process and is set back afterwards."""
    before = csv.field_size_limit(most)
    try:
        yield
    finally:
        csv.field_size_limit(before)
