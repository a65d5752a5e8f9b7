"""One row of a sheet: its cells by column, and what each of them looks like."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from levelpool.sheets.clean.cell_group import LONGEST, kind_class
from levelpool.sheets.clean.dates import forms_for, shown_text
from levelpool.sheets.clean.numbers import is_number_shape
from levelpool.sheets.clean.shapes import shapes_of
from levelpool.sheets.table import BOOLEAN, DATE, NUMBER, TEXT, Batch, Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sheet, as the scan looks at it."""

    number: int
    cells: Mapping[int, str]  # by 0-based column, from the left; blank ones are not there
    kinds: Mapping[int, Kind]
    sums: frozenset[int] = frozenset()

    def filled(self) -> list[int]:
        """The columns that have a content; an empty text is none."""
        return [column for column, text in self.cells.items() if text and not text.isspace()]

    def texts(self) -> tuple[str, ...]:
        """All cells that are not blank, as in the file."""
        return tuple(self.cells.values())

    def shown(self, *, date1904: bool) -> tuple[str, ...]:
        """The same as a person sees them."""
        return tuple(shown_text(text, self.kinds[column], date1904=date1904) for column, text in self.cells.items())

    def looks(self, column: int) -> str:
        """What the cell looks like: "text", "number", "date", "boolean", "error" or ""."""
        text = self.cells.get(column)
        return looks_like(text, self.kinds[column]) if text else ""


def looks_like(text: str, kind: Kind | None) -> str:
    """What a cell looks like: "text", "number", "date", "boolean" or "error"."""
    if kind == TEXT and len(text) > LONGEST:
        return "text"
    if kind != TEXT:
        return {NUMBER: "number", BOOLEAN: "boolean", DATE: "date", "serial": "date"}.get(kind_class(kind) or "", "error")
    if "\n" in text:
        return "text"
    shape = shapes_of(text.strip())[0]
    if is_number_shape(shape):
        return "number"
    if forms_for(shape):
        return "date"
    return "boolean" if text.strip().lower() in {"true", "false"} else "text"


_RULED = re.compile(r"[-=_+*~─━═:]+")
_RULES = frozenset("-=_+*~─━═: ")


def is_ruled(text: str) -> bool:
    """Whether a text is part of a drawn line."""
    return text[:1] in _RULES and bool(_RULED.fullmatch(text.strip()))


def is_ruler(row: Row) -> bool:
    """Whether the row is a line drawn of characters: dashes and the like in all of its cells."""
    cells = [row.cells[column].strip() for column in row.filled()]
    return any(len(cell) >= 3 for cell in cells) and all(map(_RULED.fullmatch, cells))


def rows_at(batch: Batch, places: Sequence[int]) -> Iterator[Row]:
    """The rows at these places of a batch."""
    for number, texts, kinds in batch.records(places):
        yield Row(number, texts, kinds, batch.sums.get(number, frozenset()))


def batch_of(rows: list[Row]) -> Batch:
    """The batch with these rows."""
    return Batch.of_records([(row.number, row.cells, row.kinds) for row in rows], {row.number: row.sums for row in rows if row.sums})
