"""Delimited text (CSV, TSV and their kin): text only, exactly as it stands, streamed record by record."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from levelpool.sheets.errors import NotASpreadsheet
from levelpool.sheets.read.dialect import DELIMITERS, detect_delimiter
from levelpool.sheets.read.encoding import Encoding, detect_encoding
from levelpool.sheets.read.source import SheetBuilder, Source
from levelpool.sheets.table import TEXT, Kind, Sheet, Workbook


class _UnbalancedQuotes(Exception):
    """The file ended inside a quoted field, or such a field grew beyond the limit."""


def read_delimited(source: Source) -> Workbook:
    """Read the one sheet of a delimited text file; an empty field is a blank cell. Row numbers count records, as a spreadsheet shows them."""
    encoding = text_encoding(source)
    directive = _directive(source, encoding.name)
    delimiter = source.options.delimiter or directive or detect_delimiter(_filled_lines(source, encoding.name)).character
    with _long_fields(source.meter.limits.max_cell_characters):
        try:
            sheet = _read_sheet(source, encoding.name, delimiter, directive=directive, quoted=source.options.quote != "")
        except _UnbalancedQuotes:
            sheet = _read_sheet(source, encoding.name, delimiter, directive=directive, quoted=False)
    remarks = encoding_remarks(encoding)
    return Workbook(format="csv", sheets=(sheet,), reader="levelpool csv", encoding=encoding.name, delimiter=delimiter, remarks=remarks)


def text_encoding(source: Source) -> Encoding:
    """The encoding asked for, or the one found; raises `NotASpreadsheet` for what is no text."""
    if source.options.encoding:
        return Encoding(source.options.encoding, certain=True)
    encoding = detect_encoding(source.path, source.meter.tick)
    if encoding is None:
        raise NotASpreadsheet(f"{source.name} is not a spreadsheet: its content is neither a workbook nor readable text")
    return encoding


def encoding_remarks(encoding: Encoding) -> tuple[str, ...]:
    """What a person should know about the encoding."""
    if encoding.certain:
        return ()
    fits = f"the file does not say its encoding; {encoding.name} fits its text best"
    return (fits, f"some bytes are no characters of {encoding.name}: they are shown as \ufffd") if encoding.broken else (fits,)


def _read_sheet(source: Source, encoding: str, delimiter: str, *, directive: str | None, quoted: bool) -> Sheet:
    builder = SheetBuilder(source, _sheet_name(source.name), 0)
    if directive:
        builder.remark(f"the first line only names the delimiter {directive!r}")
    if not quoted and source.options.quote != "":
        builder.remark('quotation marks (") do not pair up: they are read as ordinary characters')
    as_text = 0
    for number, (record, has_formula) in enumerate(_records(source, encoding, delimiter, quoted=quoted), start=1):
        if number == 1 and directive:
            continue
        if has_formula:
            as_text += _without_formulas(record)
        if builder.full:
            builder.complete = False
            break
        kinds: list[Kind | None] = [TEXT if field else None for field in record]
        builder.add(number, [field or None for field in record], kinds)
    if as_text:
        builder.remark(f'{as_text} cells are written as ="…", which keeps digits from becoming a number: the text between counts')
    return builder.finish()


def _without_formulas(record: list[str]) -> int:
    """Replace each field ="0123", as marketplaces write a text of digits, by the text that every spreadsheet program shows; returns how many."""
    count = 0
    for place, field in enumerate(record):
        if found := _TEXT_FORMULA.fullmatch(field):
            record[place] = found[1].replace('""', '"')
            count += 1
    return count


_TEXT_FORMULA = re.compile('="((?:[^"]|"")*)"')


def _sheet_name(file_name: str) -> str:
    base = file_name.rpartition("/")[2]
    return base.rpartition(".")[0] or base


def _lines(source: Source, encoding: str) -> Iterator[str]:
    """The lines of the file with their ends; only CR, LF and CR LF end a line."""
    most = source.meter.limits.max_cell_characters * 4
    size = max(1, source.path.stat().st_size)
    with source.path.open("rb") as raw, io.TextIOWrapper(raw, encoding, errors="replace", newline="") as file:
        number = 0
        while line := file.readline(most):
            if len(line) == most and not line.endswith(("\n", "\r")):
                source.meter.text(most, "one line")
            yield line
            number += 1
            if number % 10_000 == 0:
                source.meter.tick()
                source.progress(min(1.0, raw.tell() / size))


def _filled_lines(source: Source, encoding: str) -> Iterator[str]:
    return (line for line in _lines(source, encoding) if not line.isspace())


def _directive(source: Source, encoding: str) -> str | None:
    """The delimiter of a first line "sep=;", as spreadsheet programs write and read it."""
    first = next(_lines(source, encoding), "").strip("\r\n")
    return first[4:] if first[:4].lower() == "sep=" and first[4:] in DELIMITERS else None


def _records(source: Source, encoding: str, delimiter: str, *, quoted: bool) -> Iterator[tuple[list[str], bool]]:
    """The records of the file, each with whether a field may be a formula; raises `_UnbalancedQuotes` when *quoted* and a quoted field does not end."""
    fed = 0
    has_formula = False

    def watched() -> Iterator[str]:
        nonlocal fed, has_formula
        for line in _lines(source, encoding):
            fed += 1
            if '="' in line:
                has_formula = True
            yield line
        if quoted and fed:
            # The reader asks for one more line in the midst of a record: a quoted field is still open.
            raise _UnbalancedQuotes

    mark = source.options.quote or '"'
    reader = csv.reader(watched(), delimiter=delimiter, quotechar=mark, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    while True:
        fed = 0
        has_formula = False
        try:
            record = next(reader)
            yield record, has_formula
        except StopIteration:
            return
        except csv.Error:
            if quoted:
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
