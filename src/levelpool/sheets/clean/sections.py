"""
Tables that stand below each other in a text without a blank row between them.

Statements of brokers say in each record which section it belongs to, and in the second field whether it names the columns of the section or
holds data. Other exports go on with a header of another kind, such as a summary's: there columns of numbers and dates end in texts, all in
one row, and what follows fits that row.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from levelpool.sheets.clean.draft import Draft
from levelpool.sheets.clean.labels import is_total_label
from levelpool.sheets.clean.row import Row, rows_at
from levelpool.sheets.clean.scan import Drafts
from levelpool.sheets.table import Sheet

_SAYS_HEADER = frozenset({"header", "headers", "hdr", "heading", "columns", "fields"})
_FEWEST_CELLS = 3
_MOST_SECTIONS = 64
"""A text of more sections is something else; each is cut out by a walk over all rows."""
_FEWEST_BROKEN = 2
"""Columns of numbers or dates that end in texts in one and the same row."""


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one section, from and to, of which the first names the columns."""

    name: str  # "" where the file gives it none
    first_row: int
    last_row: int
    totals: frozenset[int] = frozenset()  # rows that the file says are totals


def marked_sections(sheet: Sheet, drafts: Drafts) -> tuple[Section, ...]:
    """The sections of a text whose records say which one they belong to; () for any other text, with no more than a look at its first row."""
    if not _names_columns(_first_row(sheet, drafts)):
        return ()
    sections: list[Section] = []
    totals: set[int] = set()
    width = 0
    for row in _rows(sheet):
        if _names_columns(row):
            sections += [Section(row.cells[0], row.number, row.number)]
            totals, width = set(), len(row.cells)
        elif row.cells.get(0) != sections[-1].name or len(sections) > _MOST_SECTIONS:
            return ()
        totals.update([row.number] if _is_total(row, width) else [])
        sections[-1] = Section(sections[-1].name, sections[-1].first_row, row.number, frozenset(totals))
    return tuple(sections)


def _first_row(sheet: Sheet, drafts: Drafts) -> Row:
    """The first row of a sheet: mostly a title or the header, so that nobody has to read the sheet again."""
    known = [row for draft in drafts[:1] for row in (*draft.head.titles, *draft.head.header)]
    if known:
        return min(known, key=lambda row: row.number)
    return next((row for batch in sheet.batches() for row in rows_at(batch, [0])), Row(0, {}, {}))


def _names_columns(row: Row) -> bool:
    return len(row.cells) >= _FEWEST_CELLS and 0 in row.cells and row.cells.get(1, "").strip().lower() in _SAYS_HEADER


def _is_total(row: Row, width: int) -> bool:
    """Whether a record says that it is a total: in its second field, or in the first of its own where it has less than a record of *width* cells."""
    return is_total_label(row.cells.get(1, "")) or (is_total_label(row.cells.get(2, "")) and len(row.filled()) < width)


def _rows(sheet: Sheet) -> Iterator[Row]:
    for batch in sheet.batches():
        yield from rows_at(batch, range(len(batch.rows)))


def row_of_another_header(sheet: Sheet, draft: Draft) -> Row | None:
    """The row within the data of a table that names the columns of another one; None where no two columns end in texts in one row."""
    rows = Counter(each.refutations.row for each in draft.evidence.by_column().values() if each.refutations.row)
    number = min((row for row, count in rows.items() if count >= _FEWEST_BROKEN), default=0)
    if not (draft.first_row or 0) < number <= draft.last_row:
        return None
    row = next((row for row in _rows(sheet) if row.number == number), None)
    return row if row is not None and _may_name_columns(row) else None


def _may_name_columns(row: Row) -> bool:
    """Whether a row holds nothing but different texts without a digit."""
    filled = row.filled()
    texts = [row.cells[column].strip() for column in filled]
    return (
        len(filled) > 1
        and len(set(texts)) == len(texts)
        and all(row.looks(column) == "text" for column in filled)
        and not any(letter.isdigit() for text in texts for letter in text)
    )
