"""
Tables that stand side by side: a blank column parts them, and each has a header of its own.

A blank column alone parts nothing: a table may merely have an empty column, and reports leave columns free for looks. Both sides must
have a certain header of two columns at least, and something must speak against one table: headers in different rows, the same names on
both sides, or rows that go on where the other side has long ended. A wrong cut would tear records apart, a missed one only makes a wide table.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from levelpool.sheets.clean.header import find_head
from levelpool.sheets.clean.merges import Merges
from levelpool.sheets.clean.options import letters_of
from levelpool.sheets.clean.row import Row
from levelpool.sheets.clean.subsheets import Span
from levelpool.sheets.table import Sheet, TablePlan

SIDE_BY_SIDE = "tables stand side by side"

_HEAD = 80  # first rows of each side that are looked at
_MOST_COLUMNS = 1 << 14  # of all sides that are looked at: a sheet with more gaps is one table that has empty columns
_MOST_ROWS = 1 << 17  # that are looked at for all tables of a sheet, each from the first row on, and ...
_MOST_TIMES = 4  # ... so many times its own rows: of a sheet with more tables below each other only the upper ones may stand side by side
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
    merges = Merges(sheet.merges)
    looked_at = 0
    for plan in plans:
        bands, rows = _walk(sheet, plan, merges)
        looked_at += rows
        for band in bands:
            cut = _judge(band, merges)
            if cut is not None:
                return cut
        if looked_at > _MOST_ROWS + _MOST_TIMES * sheet.row_count:
            break
    return None


def _gutters(plan: TablePlan) -> Iterator[tuple[range, range]]:
    """
    The columns on both sides of each gap of the table, where there are two at least: first those up to the next gaps, then all.

    A third table further on would blur a side; a table that has an empty column of its own is only whole with all of them.
    """
    groups = _groups([column.position for column in plan.columns])
    whole = range(groups[0].start, groups[-1].stop) if groups else range(0)
    looked_at = 0
    for left, right in pairwise(groups):
        for sides in dict.fromkeys([(left, right), (range(whole.start, left.stop), range(right.start, whole.stop))]):
            if min(map(len, sides)) > 1:
                yield sides
            looked_at += sum(map(len, sides))
            if looked_at > _MOST_COLUMNS:
                return


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

    columns: range
    head: list[Row] = field(default_factory=list)
    first: int = 0
    last: int = 0
    count: int = 0
    wide_after: int = 0  # rows of two cells or more since the other side ended
    is_known: bool = False  # a header was found

    def take(self, row: Row, places: list[int]) -> None:
        """Take in a row that has cells at these places of this side."""
        if len(self.head) < _HEAD:
            # Merged areas are told by true columns.
            self.head.append(Row(row.number, {each: row.cells[each] for each in places}, {each: row.kinds[each] for each in places}))
        self.first = self.first or row.number
        self.last = row.number
        self.count += 1
        self.wide_after += len(list(islice((each for each in places if row.cells[each].strip()), 2))) > 1

    def is_dense(self) -> bool:
        return self.count >= _DENSE * (self.last - self.first + 1)

    def may_have_header(self, merges: Merges) -> bool:
        """Whether rows that are still to come may show a header, or some have shown one."""
        if not self.is_known and len(self.head) == _HEAD:
            self.is_known = self.header(merges) is not None
            return self.is_known
        return True

    def header(self, merges: Merges) -> Row | None:
        """The header of this side, with rows below it; None when none is certain."""
        header = find_head(self.head, merges).header
        return header[-1] if header and len(header[-1].filled()) > 1 and self.last > header[-1].number else None


class _Band:
    """The rows around a table in which a gutter is blank."""

    def __init__(self, left: range, right: range) -> None:
        self.left = _Side(left)
        self.right = _Side(right)
        self.first_row = 1
        self.last_row = _END
        self.is_open = True  # rows may still come
        self.is_none = False  # it is known that no tables are parted here

    def take(self, row: Row, places: list[int], plan: TablePlan) -> None:
        """The next row of the sheet, with the places of its cells."""
        left, right = self.left.columns, self.right.columns
        starts = [bisect_left(places, edge) for edge in (left.start, left.stop, right.start, right.stop)]
        if starts[1] < starts[2]:
            self._cross(row.number, plan)
            return
        if starts[0] < starts[1]:
            self.left.take(row, places[starts[0] : starts[1]])
            self.right.wide_after = 0
        if starts[2] < starts[3]:
            self.right.take(row, places[starts[2] : starts[3]])
            self.left.wide_after = 0

    def _cross(self, row: int, plan: TablePlan) -> None:
        """Something stands in the gutter: above the table a band may begin below it, beside its rows there is none."""
        if row < plan.box.first_row:
            self.first_row = row + 1
            self.left, self.right = _Side(self.left.columns), _Side(self.right.columns)
        else:
            self.is_open = False
            self.is_none = row <= plan.box.last_row
            self.last_row = row - 1

    def is_hopeless(self, merges: Merges) -> bool:
        """Whether one side has shown all rows that its header is looked for in, and none is certain."""
        return self.is_none or not all(side.may_have_header(merges) for side in (self.left, self.right))


def _walk(sheet: Sheet, plan: TablePlan, merges: Merges) -> tuple[list[_Band], int]:
    """
    The bands that may part tables, all of them filled in one walk, and how many rows were looked at.

    Most are given up as soon as their sides have shown no header.
    """
    looked_at = 0
    bands = [_Band(left, right) for left, right in _gutters(plan)]
    for batch in sheet.batches() if bands else ():
        for number, texts, kinds in batch.records():
            row, places = Row(number, texts, kinds), list(texts)
            looked_at += len(bands)
            for band in bands:
                if band.is_open:
                    band.take(row, places, plan)
        if batch.rows[-1] >= plan.box.first_row:
            bands = [band for band in bands if not band.is_hopeless(merges)]
        if not any(band.is_open for band in bands):
            break
    return [band for band in bands if not band.is_none], looked_at


def _judge(band: _Band, merges: Merges) -> Cut | None:
    left, right = band.left.header(merges), band.right.header(merges)
    why = _against_one_table(left, right, band) if left and right else None
    if why is None:
        return None
    end, start = band.left.columns.stop, band.right.columns.start
    blank = letters_of(end) if start - end == 1 else f"{letters_of(end)} to {letters_of(start - 1)}"
    return Cut(band.first_row, band.last_row, end - 1, f"{SIDE_BY_SIDE}, parted by the blank column {blank}: {why}")


def _against_one_table(left: Row, right: Row, band: _Band) -> str | None:
    """What shows that the two sides, with these headers, are no one table."""
    if left.number != right.number:
        return f"their headers stand in the rows {left.number} and {right.number}"
    names = [{header.cells[column] for column in header.filled()} for header in (left, right)]
    common = names[0] & names[1]
    if len(common) >= 2 and len(common) * 2 >= min(map(len, names)):
        return f"both have a column {min(common)!r}"
    longer = max(band.left, band.right, key=lambda side: side.wide_after)
    shorter = band.right if longer is band.left else band.left
    if longer.wide_after >= _LONGER and longer.is_dense() and shorter.is_dense():
        return f"one ends at row {shorter.last}, and the other goes on to row {longer.last}"
    return None
