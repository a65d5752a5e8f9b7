"""
Tables that stand side by side: a blank column parts them, and each has a header of its own.

A blank column alone parts nothing: a table may merely have an empty column, and reports leave columns free for looks. Both sides must
have a certain header of two columns at least, and something must speak against one table: headers in different rows, the same names on
both sides, or rows that go on where the other side has long ended. A wrong cut would tear records apart, a missed one only makes a wide table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from levelpool.sheets.clean.header import Head, Merges, Row, find_head
from levelpool.sheets.clean.options import letters_of
from levelpool.sheets.clean.views import Span
from levelpool.sheets.table import Kind, Sheet, TablePlan

BESIDE = "tables stand side by side"

_HEAD = 80  # first rows of each side that are looked at
_LONGER = 2  # rows by which one side must outlast the other
_DENSE = 0.9  # of the rows of a side hold something
_END = 1 << 40


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a sheet is cut: the rows of the band, the last column before the blank ones, and why."""

    first_row: int
    last_row: int
    left_end: int  # last column of the left side
    why: str

    def spans(self) -> tuple[Span, Span, Span, Span]:
        """What lies above the band, left and right in it, and below; the columns between hold nothing within it."""
        return (
            Span(1, 0, self.first_row - 1, _END),
            Span(self.first_row, 0, self.last_row, self.left_end),
            Span(self.first_row, self.left_end + 1, self.last_row, _END),
            Span(self.last_row + 1, 0, _END, _END),
        )


def find_cut(sheet: Sheet, plans: Sequence[TablePlan]) -> Cut | None:
    """The first place where tables of *sheet* that were found as one stand side by side; None when there is none."""
    for plan in plans:
        for left, right in _gutters(plan):
            cut = _judge(sheet, plan, left, right)
            if cut is not None:
                return cut
    return None


def _gutters(plan: TablePlan) -> Iterator[tuple[range, range]]:
    """
    The columns on both sides of each gap of the table, where there are two at least: first those up to the next gaps, then all.

    A third table further on would blur a side; a table that has an empty column of its own is only whole with all of them.
    """
    groups = _groups([column.position for column in plan.columns])
    whole = range(groups[0].start, groups[-1].stop) if groups else range(0)
    for left, right in pairwise(groups):
        for sides in dict.fromkeys([(left, right), (range(whole.start, left.stop), range(right.start, whole.stop))]):
            if min(map(len, sides)) > 1:
                yield sides


def _groups(places: list[int]) -> list[range]:
    """The places in ranges without a gap."""
    groups: list[range] = []
    for place in places:
        if groups and groups[-1].stop == place:
            groups[-1] = range(groups[-1].start, place + 1)
        else:
            groups.append(range(place, place + 1))
    return groups


@dataclass(slots=True)
class _Side:
    """What stands on one side of a gutter."""

    head: list[Row] = field(default_factory=list)
    first: int = 0
    last: int = 0
    count: int = 0
    wide_after: int = 0  # rows of two cells or more since the other side ended

    def take(self, row: Row) -> None:
        if len(self.head) < _HEAD:
            self.head.append(row)
        self.first = self.first or row.number
        self.last = row.number
        self.count += 1
        self.wide_after += len(row.filled()) > 1

    def is_dense(self) -> bool:
        return self.count >= _DENSE * (self.last - self.first + 1)


@dataclass(slots=True)
class _Band:
    """The rows around a table in which the gutter is blank."""

    first_row: int = 1
    last_row: int = _END
    left: _Side = field(default_factory=_Side)
    right: _Side = field(default_factory=_Side)

    def take(self, left: Row | None, right: Row | None) -> None:
        if left is not None:
            self.left.take(left)
            self.right.wide_after = 0
        if right is not None:
            self.right.take(right)
            self.left.wide_after = 0


def _judge(sheet: Sheet, plan: TablePlan, left: range, right: range) -> Cut | None:
    band = _band(sheet, plan, left, right)
    if band is None:
        return None
    merges = Merges(sheet.merges)
    heads = [find_head(side.head, merges) for side in (band.left, band.right)]
    if not all(_is_certain(head, side) for head, side in zip(heads, (band.left, band.right), strict=True)):
        return None
    why = _against_one_table(heads[0], heads[1], band)
    if why is None:
        return None
    blank = letters_of(left.stop) if right.start - left.stop == 1 else f"{letters_of(left.stop)} to {letters_of(right.start - 1)}"
    return Cut(band.first_row, band.last_row, left.stop - 1, f"{BESIDE}, parted by the blank column {blank}: {why}")


def _band(sheet: Sheet, plan: TablePlan, left: range, right: range) -> _Band | None:
    """The band around the plan's table; None when something stands in the gutter beside its rows."""
    band = _Band()
    for row, on_the_left, on_the_right, crosses in _rows(sheet, left, right):
        if not crosses:
            band.take(on_the_left, on_the_right)
        elif row < plan.box.first_row:
            band = _Band(first_row=row + 1)
        elif row <= plan.box.last_row:
            return None
        else:
            band.last_row = row - 1
            break
    return band


def _rows(sheet: Sheet, left: range, right: range) -> Iterator[tuple[int, Row | None, Row | None, bool]]:
    """Each row: its number, what stands on both sides of the gutter, and whether something stands in it."""
    for batch in sheet.batches():
        for number, texts, kinds in batch.records():
            crosses = any(kind is not None for kind in kinds[left.stop : right.start])
            yield number, _side(number, texts, kinds, left), _side(number, texts, kinds, right), crosses


def _side(number: int, texts: list[str | None], kinds: list[Kind | None], columns: range) -> Row | None:
    shown = kinds[columns.start : columns.stop]
    if not any(shown):
        return None
    blank: list[None] = [None] * columns.start  # merged areas are told by true columns
    return Row(number, [*blank, *texts[columns.start : columns.stop]], [*blank, *shown])


def _is_certain(head: Head, side: _Side) -> bool:
    return bool(head.header) and len(head.header[-1].filled()) > 1 and side.last > head.header[-1].number


def _against_one_table(left: Head, right: Head, band: _Band) -> str | None:
    """What shows that the two sides are no one table."""
    rows = left.header[-1].number, right.header[-1].number
    if rows[0] != rows[1]:
        return f"their headers stand in the rows {rows[0]} and {rows[1]}"
    names = [{head.header[-1].cells[column] or "" for column in head.header[-1].filled()} for head in (left, right)]
    shared = names[0] & names[1]
    if len(shared) >= 2 and len(shared) * 2 >= min(map(len, names)):
        return f"both have a column {min(shared)!r}"
    longer = max(band.left, band.right, key=lambda side: side.wide_after)
    shorter = band.right if longer is band.left else band.left
    if longer.wide_after >= _LONGER and longer.is_dense() and shorter.is_dense():
        return f"one ends at row {shorter.last}, and the other goes on to row {longer.last}"
    return None
