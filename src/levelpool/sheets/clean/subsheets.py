"""Subsheets: a sheet of which only the cells of a part are there, at their true places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from levelpool.sheets.spool import SpooledBatches
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
    """Which cells of a sheet a subsheet shows: those of the span in rows that are not left out, or, turned around, all the others."""

    span: Span
    without_rows: frozenset[int] = frozenset()
    rest: bool = False


def subsheet(sheet: Sheet, part: Part) -> Sheet:
    """The sheet with the cells of *part* only; it walks the batches of *sheet* and keeps nothing."""
    span = part.span
    shown = replace(
        sheet,
        batches=_Parts(sheet.batches, part),
        merges=tuple(box for box in sheet.merges if part.rest or (span.first_column <= box.first_column <= span.last_column)),
    )
    rows = cells = 0
    for batch in shown.batches():
        rows += len(batch.rows)
        cells += sum(column.count() for column in batch.columns)
    return replace(shown, row_count=rows, cell_count=cells)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The batches of a subsheet; each call walks them from the start."""

    batches: Callable[[], Iterator[Batch]]
    part: Part

    def __call__(self) -> Iterator[Batch]:
        for batch in self.batches():
            cut = _cut(batch, self.part)
            if cut is not None:
                yield cut


def batch_numbers(sheet: Sheet, first: int, last: int) -> list[int] | None:
    """The numbers of the batches that may hold a row from *first* to *last*; None for batches that only come one after the other."""
    batches = sheet.batches
    while isinstance(batches, _Parts):
        batches = batches.batches
    return batches.numbers(first, last) if isinstance(batches, SpooledBatches) else None


def batches_between(sheet: Sheet, first: int, last: int) -> Iterator[Batch]:
    """The batches that may hold a row from *first* to *last*; all of them, where they only come one after the other."""
    numbers = batch_numbers(sheet, first, last)
    if numbers is None:
        yield from sheet.batches()
        return
    for number in numbers:
        batch = batch_at(sheet.batches, number)
        if batch is not None:
            yield batch


def batch_at(batches: Callable[[], Iterator[Batch]], number: int) -> Batch | None:
    """One of the batches that `batch_numbers` numbers; None where a subsheet shows nothing of it."""
    if isinstance(batches, _Parts):
        whole = batch_at(batches.batches, number)
        return None if whole is None else _cut(whole, batches.part)
    if isinstance(batches, SpooledBatches):
        return batches[number]
    raise TypeError(f"{type(batches).__name__} has no batches by number")


def _cut(batch: Batch, part: Part) -> Batch | None:
    """The cells of the part in this batch; None when there is none, and rows without one are left out."""
    span = part.span
    within = [span.first_row <= row <= span.last_row and row not in part.without_rows for row in batch.rows]
    if all(within):
        return _with_columns(batch, part, part.rest)
    inside = [place for place, is_within in enumerate(within) if is_within]
    if not part.rest:
        return _with_columns(batch.pick(inside), part, rest=False) if inside else None
    # The rest takes whole rows beside the box, and of the others what lies left and right of it.
    columns = [_blank_at(cells, set(inside)) if _is_inside(place, part) else cells for place, cells in enumerate(batch.columns)]
    return _filled(Batch(batch.rows, columns, batch.sums))


def _with_columns(batch: Batch, part: Part, rest: bool) -> Batch | None:
    """The batch with the columns of the part alone, or with the others."""
    blank = Cells.blank(len(batch.rows))
    columns = [cells if _is_inside(place, part) != rest else blank for place, cells in enumerate(batch.columns)]
    return _filled(Batch(batch.rows, columns, batch.sums))


def _is_inside(column: int, part: Part) -> bool:
    return part.span.first_column <= column <= part.span.last_column


def _blank_at(cells: Cells, places: set[int]) -> Cells:
    kinds = [None if place in places else kind for place, kind in enumerate(cells.each_kind())]
    return Cells.of([None if place in places else text for place, text in enumerate(cells.texts)], kinds)


def _filled(batch: Batch) -> Batch | None:
    """The rows that have a cell, with their sums."""
    columns = list(batch.columns)
    while columns and columns[-1].is_blank:
        columns.pop()
    if not columns:
        return None
    sums = {row: there for row, found in batch.sums.items() if (there := frozenset(each for each in found if _has(columns, each)))}
    if any(column.is_full for column in columns):
        return Batch(batch.rows, columns, sums)
    has_cell = [False] * len(batch.rows)
    for column in columns:
        if not column.is_blank:
            has_cell = [known or kind is not None for known, kind in zip(has_cell, column.each_kind(), strict=True)]
    places = [place for place, filled in enumerate(has_cell) if filled]
    return Batch(batch.rows, columns, sums).pick(places) if len(places) < len(batch.rows) else Batch(batch.rows, columns, sums)


def _has(columns: list[Cells], place: int) -> bool:
    return place < len(columns) and not columns[place].is_blank
