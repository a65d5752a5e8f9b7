"""Views: a sheet of which only the cells of a part are there, at their true places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from levelpool.sheets.table import Batch, Kind, Sheet

Layout = list[Kind | None]


@dataclass(frozen=True, slots=True)
class Span:
    """A rectangle of cells, ends included; an end that lies behind the sheet takes all of it."""

    first_row: int  # 1-based
    first_column: int  # 0-based
    last_row: int
    last_column: int


@dataclass(frozen=True, slots=True)
class Part:
    """Which cells of a sheet a view shows: those of the span in rows that are not left out, or, turned around, all the others."""

    span: Span
    without_rows: frozenset[int] = frozenset()
    rest: bool = False

    def columns(self, row: int, width: int) -> tuple[range, ...]:
        """The columns of this row that are shown, of *width* in all."""
        span = self.span
        inside = span.first_row <= row <= span.last_row and row not in self.without_rows
        if not self.rest:
            return (range(span.first_column, min(span.last_column + 1, width)),) if inside else ()
        return (range(span.first_column), range(span.last_column + 1, width)) if inside else (range(width),)


def view(sheet: Sheet, part: Part) -> Sheet:
    """The sheet with the cells of *part* only; it walks the batches of *sheet* and keeps nothing."""
    span = part.span
    shown = replace(
        sheet,
        batches=_Walk(sheet.batches, part),
        merges=tuple(box for box in sheet.merges if part.rest or (span.first_column <= box.first_column <= span.last_column)),
    )
    rows = cells = 0
    for batch in shown.batches():
        rows += len(batch.rows)
        cells += sum(len(layout) - layout.count(None) for layout in batch.kinds)
    return replace(shown, row_count=rows, cell_count=cells)


@dataclass(frozen=True, slots=True)
class _Walk:
    """The batches of a view; each call walks them from the start."""

    batches: Callable[[], Iterator[Batch]]
    part: Part

    def __call__(self) -> Iterator[Batch]:
        for batch in self.batches():
            cut = _cut(batch, self.part)
            if cut.rows:
                yield cut


def _cut(batch: Batch, part: Part) -> Batch:
    cut = Batch([], [], [], {})
    known: dict[tuple[int, tuple[range, ...]], Layout] = {}  # rows of one layout keep sharing it
    for row, cells, kinds in zip(batch.rows, batch.cells, batch.kinds, strict=True):
        columns = part.columns(row, len(kinds))
        layout = known.get((id(kinds), columns))
        if layout is None:
            layout = known[id(kinds), columns] = _only(kinds, columns)
        if not layout:
            continue
        cut.rows.append(row)
        cut.cells.append(_only(cells, columns)[: len(layout)])
        cut.kinds.append(layout)
        if row in batch.sums:
            cut.sums[row] = frozenset(each for each in batch.sums[row] if any(each in some for some in columns))
    # A cell without a kind has no text, so both lists end at the same place.
    return cut


def _only(values: list[str | None], columns: tuple[range, ...]) -> list[str | None]:
    """The values of these columns at their places, without blanks at the end."""
    shown: list[str | None] = []
    for some in columns:
        if some.start >= len(values):
            break
        shown.extend([None] * (some.start - len(shown)))
        shown.extend(values[some.start : some.stop])
    while shown and shown[-1] is None:
        shown.pop()
    return shown
