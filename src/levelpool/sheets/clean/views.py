"""Views: a sheet of which only the cells of a part are there, at their true places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from levelpool.sheets.table import Batch, Cells, Sheet


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

    def has_row(self, row: int) -> bool:
        """Whether the span has this row, and it is not left out."""
        return self.span.first_row <= row <= self.span.last_row and row not in self.without_rows

    def has_column(self, column: int) -> bool:
        """Whether the span has this column."""
        return self.span.first_column <= column <= self.span.last_column


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
        cells += sum(column.count() for column in batch.columns)
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
    inside = [place for place, row in enumerate(batch.rows) if part.has_row(row)]
    cut = _without_part(batch, part, inside) if part.rest else _only_part(batch, part, inside)
    while cut.columns and cut.columns[-1].is_blank:
        cut.columns.pop()
    filled = _filled(cut)
    return cut if len(filled) == len(cut.rows) else cut.pick(filled)


def _only_part(batch: Batch, part: Part, inside: list[int]) -> Batch:
    picked = batch if len(inside) == len(batch.rows) else batch.pick(inside)
    columns = [cells if part.has_column(place) else Cells.blank(len(inside)) for place, cells in enumerate(picked.columns)]
    sums = {row: frozenset(filter(part.has_column, batch.sums[row])) for row in picked.rows if row in batch.sums}
    return Batch(picked.rows, columns, sums)


def _without_part(batch: Batch, part: Part, inside: list[int]) -> Batch:
    columns = [_blanked(cells, inside) if part.has_column(place) else cells for place, cells in enumerate(batch.columns)]
    rows = {batch.rows[place] for place in inside}
    sums = {row: frozenset(each for each in some if row not in rows or not part.has_column(each)) for row, some in batch.sums.items()}
    return Batch(batch.rows, columns, sums)


def _blanked(cells: Cells, places: list[int]) -> Cells:
    """The cells without those at these places."""
    if not places:
        return cells
    texts, kinds = list(cells.texts), list(cells.each_kind())
    for place in places:
        texts[place] = kinds[place] = None
    return Cells.of(texts, kinds)


def _filled(batch: Batch) -> list[int]:
    """The places of the rows that hold anything."""
    if any(cells.is_full for cells in batch.columns):
        return list(range(len(batch.rows)))
    filled: set[int] = set()
    for cells in batch.columns:
        filled.update(place for place, kind in enumerate(cells.each_kind()) if kind is not None)
    return sorted(filled)
