"""A second look at the cells of one column, for what few columns need and the first one does not gather."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat

from levelpool.sheets.clean.cell_group import Seen
from levelpool.sheets.clean.dates import forms_for
from levelpool.sheets.clean.decisions import Answers, decide
from levelpool.sheets.clean.draft import Draft
from levelpool.sheets.clean.evidence import ColumnEvidence
from levelpool.sheets.clean.numbers import SURELY_DOUBLE, are_shortest, is_double, is_number_shape
from levelpool.sheets.clean.shapes import shape_of
from levelpool.sheets.clean.subsheets import batches_between
from levelpool.sheets.table import TEXT, Batch, Cells, Column, ColumnType, Kind

_NUMBERS = frozenset({ColumnType.BIGINT, ColumnType.NUMERIC, ColumnType.DOUBLE})
_DAYS = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP})

Values = list[tuple[int, str, Kind]]
"""The row, the text and the kind of cells that are not blank."""


def first_beyond_double(draft: Draft, position: int) -> Seen | None:
    """The first number of a column of texts that has more digits than a double keeps; None when there is none."""
    for batch in batches_between(draft.sheet, *draft.rows()):
        cells = batch.columns[position] if position < len(batch.columns) else None
        if cells is None or cells.is_blank or are_shortest(cells.texts):
            continue
        for row, text, kind in _values_in(batch, draft, position):
            if kind == TEXT and len(text) > SURELY_DOUBLE and not is_double(text):
                return Seen(row, text)
    return None


def in_notation_of_most(draft: Draft, column: Column, wanted: ColumnType, answers: Answers) -> Column:
    """A column that is TEXT by its values and gets another type from a person: in the notation of those values that can be of that type."""
    evidence = ColumnEvidence(date1904=draft.sheet.date1904)
    can_be = is_number_shape if wanted in _NUMBERS else forms_for
    for values in _values_of(draft, column.position):
        fitting = [value for value in values if value[2] != TEXT or can_be(shape_of(value[1]))]
        if fitting:
            rows, texts, kinds = zip(*fitting, strict=True)
            evidence.add(rows, Cells.of(texts, kinds))
    found = decide(evidence, answers, name=column.name, header=column.header, position=column.position)
    family = next((family for family in (_NUMBERS, _DAYS) if wanted in family), frozenset({wanted}))
    if found.type not in family or (found.type, wanted) == (ColumnType.TIMESTAMP, ColumnType.DATE):
        return column
    return replace(column, notation=found.notation, digits=found.digits, scale=found.scale, why=f"{column.why}; the rest: {found.why}")


def _values_of(draft: Draft, position: int) -> Iterator[Values]:
    """The values of one column in the rows of data, batch by batch."""
    for batch in batches_between(draft.sheet, *draft.rows()):
        if position < len(batch.columns) and not batch.columns[position].is_blank:
            yield _values_in(batch, draft, position)


def _values_in(batch: Batch, draft: Draft, position: int) -> Values:
    (first, last), outside, blanks = draft.rows(), {each.row for each in draft.outside}, draft.options.blanks
    cells = batch.columns[position]
    kinds = repeat(cells.kind) if cells.kinds is None else cells.kinds
    return [
        (row, text, kind)
        for row, text, kind in zip(batch.rows, cells.texts, kinds, strict=False)
        if text and kind is not None and first <= row <= last and row not in outside and text not in blanks
    ]
