"""
The walk over all rows of a sheet, from which its tables come.

The first rows of the sheet, and the first rows behind each blank row that could part two tables, are buffered until it is
certain what they are. All other rows are taken in bulk.
"""

from collections.abc import Sequence
from typing import TypeAlias

from levelpool.sheets.clean.draft import Draft, is_note
from levelpool.sheets.clean.header import Head, find_head, given_head
from levelpool.sheets.clean.labels import is_total_label
from levelpool.sheets.clean.merges import Merges
from levelpool.sheets.clean.named_tables import named_head
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.reasons import Aside
from levelpool.sheets.clean.row import Row, is_ruler, rows_at
from levelpool.sheets.table import Batch, Sheet

_HEAD = 80  # rows that are buffered until the beginning of a table is decided, ...
_HEAD_CELLS = 1 << 17  # ... fewer where they have so many cells
_AT_ONCE = 1 << 16  # cells, blank ones included, that are buffered together
_GAPS = 50  # a table with so many blank rows inside has blank rows as a habit

Drafts: TypeAlias = list[Draft]
"""What the walk over the rows of a sheet has found."""


def find_drafts(sheet: Sheet, options: TableOptions) -> Drafts:
    """Walk over all rows of a sheet. Of the sheet itself this needs no more than its batches, its merged areas and its calendar."""
    scan = _Scan(sheet, options)
    for batch in sheet.batches():
        scan.take(batch)
    return scan.finish()


class _Scan:
    """The walk over the rows of one sheet."""

    def __init__(self, sheet: Sheet, options: TableOptions) -> None:
        self.sheet = sheet
        self.options = options
        self.merges = Merges(sheet.merges)
        self.drafts: list[Draft] = []
        self._current: Draft | None = None
        self._undecided: list[Row] = []
        self._undecided_batches: list[Batch] = []  # the same rows as they came
        self._last_row = 0

    def take(self, batch: Batch) -> None:
        """The next rows of the sheet."""
        start = 0
        while start < len(batch.rows):
            if self._current is not None and not self._undecided:
                start = self._feed(batch, start, fresh=False)
                if start == len(batch.rows):
                    return
            start = self._buffer(batch, start)
            if self._enough():
                self._decide(final=False)

    def _buffer(self, batch: Batch, start: int) -> int:
        """Buffer rows until they are enough, or end; returns the place behind them."""
        place = start
        step = max(1, min(_HEAD, _AT_ONCE // max(1, len(batch.columns))))
        while place < len(batch.rows) and not self._enough():
            for row in rows_at(batch, range(place, min(place + step, len(batch.rows)))):
                self._undecided.append(row)
                place += 1
                if self._enough():
                    break
        self._undecided_batches.append(_between(batch, start, place))
        return place

    def finish(self) -> list[Draft]:
        """All rows were taken: the tables."""
        if self._undecided:
            self._decide(final=True)
        if self._current is not None:
            self._current.close()
        return self.drafts

    def _enough(self) -> bool:
        given = self.options.header if self._current is None else None
        return _are_enough(self._undecided) and (given is None or self._undecided[-1].number > given + 1 + _HEAD)

    def _feed(self, batch: Batch, start: int, *, fresh: bool) -> int:
        """Give rows to the current table; returns the place of a row behind a blank row that has to be decided about, or the end."""
        draft = self._current
        if draft is None:
            raise RuntimeError("rows without a table")
        end = len(batch.rows)
        # Where blank rows are a habit, each segment may be a single row: they are taken together.
        segments = [(start, end)] if self._takes_all(draft) else _segments(batch.rows, start)
        for first, last in segments:
            follows = batch.rows[first] - self._last_row == 1
            if not follows and not (fresh and first == start):
                if not self._goes_on(draft, batch, first):
                    return first
                draft.pass_blank(batch.rows[first])
            self._last_row = batch.rows[last - 1]
            draft.take(_between(batch, first, last))
        return end

    def _takes_all(self, draft: Draft) -> bool:
        """Whether blank rows part nothing in this table."""
        return self.options.one_table or len(draft.gaps) >= _GAPS

    def _goes_on(self, draft: Draft, batch: Batch, place: int) -> bool:
        """Whether it is plain from one row that the table goes on behind a blank row."""
        if self._takes_all(draft):
            return True
        row = _row(batch, place)
        filled = row.filled()
        if not filled or draft.is_repeated(row) is Aside.REPEATED_HEADER:
            return True
        if is_total_label(row.cells[filled[0]]) and len(filled) > 1:
            return True
        if len(filled) == 1 < len(draft.evidence):
            return False
        looks = [(row.looks(column), draft.evidence.looks(column)) for column in filled if column in draft.evidence]
        solid = [(here, above) for here, above in looks if above not in {"text", ""}]
        return bool(solid) and all(here in {above, "error"} for here, above in solid)

    # ------------------------------------------------------------ the beginning of a table

    def _decide(self, *, final: bool) -> None:
        rows, self._undecided = self._undecided, []
        batch, self._undecided_batches = Batch.together(self._undecided_batches), []
        place = 0
        while place < len(rows):
            place += self._begin(rows[place:], final=final)
            if place == len(rows):
                return
            place = self._feed(batch, place, fresh=True)
            rest = rows[place:]
            if rest and not final and not _are_enough(rest):
                self._undecided, self._undecided_batches = rest, [_between(batch, place, len(rows))]
                return

    def _begin(self, rows: list[Row], *, final: bool) -> int:
        """Decide what the first of *rows* are; returns how many of them are no data."""
        draft = self._current
        if draft is None:
            head = self._first_head(rows)
            self._open(head)
            return head.length
        if final and (
            all(draft.is_narrow(row) and is_note(row, most=2) for row in rows)
            or (all(draft.is_narrow(row) and _is_label_and_value(row) for row in rows) and not _fits(draft, rows))
        ):
            for row in rows:
                draft.set_aside(row, Aside.FOOTER)
            return len(rows)
        head = self._find_head(rows)
        if head.header and head.header[-1].texts() in {row.texts() for row in draft.head.header}:
            for row in head.titles:
                draft.set_aside(row, Aside.TITLE)
            for row in head.header:
                draft.set_aside(row, Aside.REPEATED_HEADER)
            for row in head.units:
                draft.set_aside(row, Aside.RULER if is_ruler(row) else Aside.UNITS)
            return head.length
        if _goes_on_alone(draft, rows) if head.header else _fits(draft, rows):
            draft.pass_blank(rows[0].number)
            return 0
        draft.close()
        self._open(head)
        return head.length

    def _first_head(self, rows: list[Row]) -> Head:
        if self.options.no_header:
            return Head(why="the first row was said to be data")
        if self.options.header is not None:
            first = None if self.options.header_from is None else self.options.header_from + 1
            return given_head(rows, self.options.header + 1, self.merges, first)
        return self._find_head(rows)

    def _find_head(self, rows: list[Row]) -> Head:
        return named_head(self.sheet, rows, self.merges) or find_head(rows, self.merges)

    def _open(self, head: Head) -> None:
        self._current = Draft(self.sheet, head, self.options)
        self.drafts.append(self._current)


def _are_enough(rows: Sequence[Row]) -> bool:
    """Whether so many rows show where a table begins."""
    return len(rows) >= _HEAD or sum(len(row.cells) for row in rows) > _HEAD_CELLS


def _between(batch: Batch, first: int, end: int) -> Batch:
    """The rows from one place to before another."""
    return batch if (first, end) == (0, len(batch.rows)) else batch.pick(range(first, end))


def _row(batch: Batch, place: int) -> Row:
    return next(rows_at(batch, [place]))


def _segments(rows: list[int], start: int) -> list[tuple[int, int]]:
    """The places of rows that follow one another without a blank row, from *start* on: (first, behind the last)."""
    first, end = rows[start], len(rows)
    if rows[-1] - first == end - start - 1 and rows[start:] == list(range(first, first + end - start)):
        return [(start, end)]
    breaks = [place for place in range(start + 1, end) if rows[place] - rows[place - 1] != 1]
    return list(zip([start, *breaks], [*breaks, end], strict=True))


def _is_label_and_value(row: Row) -> bool:
    """Whether a row says one thing about the sheet: "Printed on", and a date beside it."""
    filled = row.filled()
    return len(filled) == 2 and row.looks(filled[0]) == "text"


def _fits(draft: Draft, rows: list[Row]) -> bool:
    """Whether rows behind a blank row can be more data of the same table."""
    first, last = draft.span()
    agree = contradict = 0
    previous = rows[0].number - 1
    for row in rows:
        if row.number - previous != 1:
            break
        previous = row.number
        filled = row.filled()
        if filled and (filled[0] < first or filled[-1] > last):
            return False
        for column in filled:
            above = draft.evidence.looks(column)
            if above not in {"text", ""}:
                agrees = row.looks(column) in {above, "error"}
                agree, contradict = agree + agrees, contradict + (not agrees)
    return agree >= contradict


def _goes_on_alone(draft: Draft, rows: list[Row]) -> bool:
    """Whether rows with a header are texts in the one column of a table of texts: printed lines, where a header is soon seen and parts nothing."""
    first, last = draft.span()
    if first != last or draft.evidence.looks(first) not in {"text", ""}:
        return False
    block = [row for place, row in enumerate(rows) if row.number - place == rows[0].number]
    return all(row.filled() == [first] and row.looks(first) == "text" for row in block)
