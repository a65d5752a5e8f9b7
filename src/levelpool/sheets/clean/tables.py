"""
Where the tables of a sheet are, and what their columns hold: one walk over all rows.

The first rows of the sheet, and the first rows behind each blank row that could part two tables, are held in the hand until it is
certain what they are. All other rows are taken in bulk: the cells of a batch are turned into columns, and each column's evidence takes
them at once. Rows that may be totals or notes are set apart until the end of the table shows what they are.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import TypeAlias

from levelpool.sheets.clean.evidence import Evidence
from levelpool.sheets.clean.gathering import Gathering
from levelpool.sheets.clean.header import Head, Merges, Row, find_head, given_head, header_texts, is_ruled, is_ruler
from levelpool.sheets.clean.labels import is_total_label
from levelpool.sheets.clean.names import column_names, sheet_dataset_name
from levelpool.sheets.clean.options import TableOptions, letters_of
from levelpool.sheets.clean.reasons import Aside
from levelpool.sheets.clean.totals import Totals, find_totals
from levelpool.sheets.counts import counted
from levelpool.sheets.table import Batch, Box, Cells, Column, Outside, Sheet, TablePlan

_HEAD = 80  # rows that are held in the hand until the beginning of a table is decided, ...
_HEAD_CELLS = 1 << 17  # ... fewer where they have so many cells
_AT_ONCE = 1 << 16  # cells, blank ones included, that are taken into the hand together
_GLANCE = 100  # columns
_GAPS = 50  # a table with so many blank rows inside has blank rows as a habit


Drafts: TypeAlias = "list[_Draft]"
"""What the walk over the rows of a sheet has found."""


def find_tables(
    sheet: Sheet,
    options: TableOptions = TableOptions(),  # noqa: B008  # frozen
    drafts: "Drafts | None" = None,
) -> tuple[TablePlan, ...]:
    """
    The tables of a sheet, from the top; every non-blank row of the sheet is data, header or outside of exactly one of them.

    *drafts* are what `find_drafts` gave for this sheet and these options, if somebody has walked over its rows before.
    A sheet without a cell has none. What a table is taken for, and why, stands in its `reasons` and in the `why` of its columns.
    """
    drafts = find_drafts(sheet, options) if drafts is None else drafts
    if not _follow_one_another(drafts):
        # A damaged sheet whose rows stand out of order: rows could not be told apart by their numbers.
        drafts = find_drafts(sheet, replace(options, one_table=True))
    merges = Merges(sheet.merges)
    return tuple(_plan(sheet, draft, position, merges, options) for position, draft in enumerate(drafts))


def find_drafts(sheet: Sheet, options: TableOptions) -> Drafts:
    """Walk over all rows of a sheet. Of the sheet itself this needs no more than its batches, its merged areas and its calendar."""
    scan = _Scan(sheet, options)
    for batch in sheet.batches():
        scan.take(batch)
    return scan.finish()


def _follow_one_another(drafts: "list[_Draft]") -> bool:
    """Whether each table ends above the next one, and no row that one set aside stands within another."""
    spans = [draft.rows() for draft in drafts]
    if any(above[1] >= below[0] for above, below in pairwise(spans)):
        return False
    starts = [first for first, _ in spans]
    for number, draft in enumerate(drafts):
        for outside in draft.outside:
            within = bisect_right(starts, outside.row) - 1
            if within not in {-1, number} and outside.row <= spans[within][1]:
                return False
    return True


def dataset_names(dataset: str, plans: Sequence[TablePlan]) -> tuple[str, ...]:
    """
    The dataset of each table of a file, in the same order: the first of a visible sheet has the file's own.

    Further tables with the same set of columns go to the same dataset; others to one named after their sheet.
    """
    first = next((plan for plan in plans if not plan.hidden), plans[0] if plans else None)
    names: list[str] = []
    numbers: dict[str, int] = {}
    for plan in plans:
        if first is not None and {column.name for column in plan.columns} == {column.name for column in first.columns}:
            names.append(dataset)
            continue
        numbers[plan.sheet] = numbers.get(plan.sheet, 0) + 1
        name = sheet_dataset_name(dataset, plan.sheet, numbers[plan.sheet])
        while name in names:  # two sheets whose names are alike once they are clean
            numbers[plan.sheet] += 1
            name = sheet_dataset_name(dataset, plan.sheet, numbers[plan.sheet])
        names.append(name)
    return tuple(names)


class _Draft:
    """One table while its rows are taken in."""

    def __init__(self, sheet: Sheet, head: Head, options: TableOptions) -> None:
        self.sheet = sheet
        self.head = head
        self.options = options
        self.gathering = Gathering(date1904=sheet.date1904)
        self.outside: list[Outside] = []
        self.first_row: int | None = None
        self.last_row = 0
        self.data_rows = 0
        self.gaps: list[int] = []  # rows that follow a blank row
        self.labelled: list[Row] = []  # rows that begin with the label of a total
        self.sparse: list[Row] = []  # rows of one text at the very end, so far
        self.sparse_is_data = False
        self.blank_before_sparse = False
        for row in head.titles:
            self.set_aside(row, Aside.TITLE)
        for row in head.header:
            self.set_aside(row, Aside.HEADER)
        for row in head.units:
            self.set_aside(row, Aside.RULER if is_ruler(row) else Aside.UNITS)
        self._titles = {row.texts() for row in head.titles}
        self._title_texts = {text for texts in self._titles for text in texts[:1]}
        self._header = {row.number: row.texts() for row in head.header}
        self._marks = [_mark(row) for row in head.header if row.filled()]

    def set_aside(self, row: Row, reason: Aside) -> None:
        self.outside.append(Outside(row.number, reason.value, row.texts(), row.shown(date1904=self.sheet.date1904)))

    def pass_blank(self, row: int) -> None:
        """The table goes on at *row*, behind a blank row."""
        self.gaps.append(row)
        self.blank_before_sparse = True

    def is_repeated(self, row: Row) -> Aside | None:
        """Whether the row stood above the data already, as a header or as a title, or is a drawn line."""
        if is_ruler(row):
            return Aside.RULER
        if row.texts() in self._header.values():
            return Aside.REPEATED_HEADER
        return Aside.TITLE if row.texts() in self._titles else None

    def rows(self) -> tuple[int, int]:
        """The rows of the table, header included, from and to."""
        numbers = [row.number for row in self.head.header]
        if self.first_row is not None:
            numbers += [self.first_row, self.last_row]
        return (min(numbers), max(numbers)) if numbers else (0, 0)

    def span(self) -> tuple[int, int]:
        """The columns of the table, from and to."""
        columns = [column for row in self.head.header for column in row.filled()] + list(self.gathering.columns())
        return (min(columns), max(columns)) if columns else (0, 16_384)

    # ------------------------------------------------------------ taking rows in

    def take(self, batch: Batch) -> None:
        """Rows without a blank row between them, all part of this table."""
        special = self._special(batch)
        held = set(special)
        plain = [place for place in range(len(batch.rows)) if place not in held] if special else range(len(batch.rows))
        if plain:
            self._flush_sparse()
            self.blank_before_sparse = False
            self.add(batch.pick(plain) if special else batch)
        if special:
            self._sort(special, plain[-1] if plain else -1, batch)

    def add(self, batch: Batch) -> None:
        """Rows of data."""
        first, last = min(batch.rows), max(batch.rows)
        self.first_row = first if self.first_row is None else min(self.first_row, first)
        self.last_row = max(self.last_row, last)
        self.data_rows += len(batch.rows)
        blanks = self.options.blanks
        if blanks:
            batch = Batch(batch.rows, [cells if cells.is_blank else _without(blanks, cells) for cells in batch.columns])
        self.gathering.add(batch)

    def _special(self, batch: Batch) -> list[int]:
        """The places of rows that may not be data."""
        firsts, empty = _firsts(batch)
        places = set(empty)
        worded = {first for first in _worded(batch, firsts) if is_total_label(first) or is_ruled(first)}
        labels = worded | self._title_texts.intersection(firsts)
        if labels:
            places.update(place for place, first in enumerate(firsts) if first in labels)
        for column, text in self._marks:
            if column < len(batch.columns) and _may_hold(batch.columns[column], text):
                places.update(place for place, other in enumerate(batch.columns[column].texts) if other == text)
        if not self.sparse_is_data and not _all_share_columns(batch):
            narrow = _narrow(batch)
            if len(self.gathering) >= 3 or len(narrow) < len(batch.rows):
                places.update(place for place, count in narrow.items() if count <= 1)
        return sorted(places)

    def _sort(self, places: list[int], last_plain: int, batch: Batch) -> None:
        """Put each special row where it belongs; what turns out to be plain data is taken in."""
        data: list[Row] = []
        for place, row in zip(places, _rows(batch, places), strict=True):
            repeated = self.is_repeated(row)
            filled = row.filled()
            if not filled:
                self.set_aside(row, Aside.EMPTY)
            elif repeated:
                self.set_aside(row, repeated)
                # What stands alone under a line that ends the table is a note, as behind a blank row.
                self.blank_before_sparse |= repeated is Aside.RULER and place > last_plain
            elif filled and is_total_label(row.cells[filled[0]]) and len(filled) > 1 and not self.options.keep_totals:
                self.labelled.append(row)
            elif len(filled) == 1 and not self.sparse_is_data and place > last_plain and row.looks(filled[0]) == "text":
                self.sparse.append(row)
            else:
                data.append(row)
        if data:
            self.add(_batch(data))

    def _flush_sparse(self) -> None:
        """Rows of one text that data follows are data, and so are those that come later."""
        if self.sparse:
            rows, self.sparse = self.sparse, []
            self.sparse_is_data = True
            self.add(_batch(rows))

    def close(self) -> None:
        """The table has ended: decide about the rows of one text behind its data."""
        notes = [row for row in self.sparse if self._is_footer(row)]
        rest = [row for row in self.sparse if row not in notes]
        for row in notes:
            self.set_aside(row, Aside.FOOTER)
        self.sparse = []
        if rest:
            self.add(_batch(rest))

    def is_narrow(self, row: Row) -> bool:
        """Whether a row fills so few columns that it may be a note."""
        return 0 < len(row.filled()) * 2 < len(self.gathering)

    def _is_footer(self, row: Row) -> bool:
        """A text behind the last record is a note when a blank row parts them, or when it stands where numbers or dates stand and reads like one."""
        column = row.filled()[0]
        if not self.is_narrow(row):
            return False
        above = self.gathering.looks(column)
        return self.blank_before_sparse or (above not in {"", "text"} and _is_note(row))


class _Scan:
    """The walk over the rows of one sheet."""

    def __init__(self, sheet: Sheet, options: TableOptions) -> None:
        self.sheet = sheet
        self.options = options
        self.merges = Merges(sheet.merges)
        self.drafts: list[_Draft] = []
        self._current: _Draft | None = None
        self._hand: list[Row] = []
        self._held: list[Batch] = []  # the same rows as they came
        self._last_row = 0

    def take(self, batch: Batch) -> None:
        """The next rows of the sheet."""
        start = 0
        while start < len(batch.rows):
            if self._current is not None and not self._hand:
                start = self._feed(batch, start, fresh=False)
                if start == len(batch.rows):
                    return
            start = self._hold(batch, start)
            if self._enough():
                self._decide(final=False)

    def _hold(self, batch: Batch, start: int) -> int:
        """Take rows into the hand until they are enough, or end; returns the place behind them."""
        place = start
        step = max(1, min(_HEAD, _AT_ONCE // max(1, len(batch.columns))))
        while place < len(batch.rows) and not self._enough():
            for row in _rows(batch, range(place, min(place + step, len(batch.rows)))):
                self._hand.append(row)
                place += 1
                if self._enough():
                    break
        self._held.append(_between(batch, start, place))
        return place

    def finish(self) -> list[_Draft]:
        """All rows were taken: the tables."""
        if self._hand:
            self._decide(final=True)
        if self._current is not None:
            self._current.close()
        return self.drafts

    def _enough(self) -> bool:
        given = self.options.header if self._current is None else None
        return _are_enough(self._hand) and (given is None or self._hand[-1].number > given + 1 + _HEAD)

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

    def _takes_all(self, draft: _Draft) -> bool:
        """Whether blank rows part nothing in this table."""
        return self.options.one_table or len(draft.gaps) >= _GAPS

    def _goes_on(self, draft: _Draft, batch: Batch, place: int) -> bool:
        """Whether it is plain from one row that the table goes on behind a blank row."""
        if self._takes_all(draft):
            return True
        row = _row(batch, place)
        filled = row.filled()
        if not filled or draft.is_repeated(row) is Aside.REPEATED_HEADER:
            return True
        if is_total_label(row.cells[filled[0]]) and len(filled) > 1:
            return True
        if len(filled) == 1 < len(draft.gathering):
            return False
        looks = [(row.looks(column), draft.gathering.looks(column)) for column in filled if column in draft.gathering]
        solid = [(here, above) for here, above in looks if above not in {"text", ""}]
        return bool(solid) and all(here in {above, "error"} for here, above in solid)

    # ------------------------------------------------------------ the beginning of a table

    def _decide(self, *, final: bool) -> None:
        rows, self._hand = self._hand, []
        batch, self._held = Batch.together(self._held), []
        place = 0
        while place < len(rows):
            place += self._begin(rows[place:], final=final)
            if place == len(rows):
                return
            place = self._feed(batch, place, fresh=True)
            rest = rows[place:]
            if rest and not final and not _are_enough(rest):
                self._hand, self._held = rest, [_between(batch, place, len(rows))]
                return

    def _begin(self, rows: list[Row], *, final: bool) -> int:
        """Decide what the first of *rows* are; returns how many of them are no data."""
        draft = self._current
        if draft is None:
            head = self._first_head(rows)
            self._open(head)
            return head.length
        if final and (
            all(draft.is_narrow(row) and _is_note(row, most=2) for row in rows)
            or (all(draft.is_narrow(row) and _is_label_and_value(row) for row in rows) and not _fits(draft, rows))
        ):
            for row in rows:
                draft.set_aside(row, Aside.FOOTER)
            return len(rows)
        head = find_head(rows, self.merges)
        if head.header and head.header[-1].texts() in {row.texts() for row in draft.head.header}:
            for row in head.titles:
                draft.set_aside(row, Aside.TITLE)
            for row in head.header:
                draft.set_aside(row, Aside.REPEATED_HEADER)
            for row in head.units:
                draft.set_aside(row, Aside.RULER if is_ruler(row) else Aside.UNITS)
            return head.length
        if not head.header and _fits(draft, rows):
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
        return find_head(rows, self.merges)

    def _open(self, head: Head) -> None:
        self._current = _Draft(self.sheet, head, self.options)
        self.drafts.append(self._current)


def _are_enough(rows: Sequence[Row]) -> bool:
    """Whether so many rows show where a table begins."""
    return len(rows) >= _HEAD or sum(len(row.cells) for row in rows) > _HEAD_CELLS


def _between(batch: Batch, first: int, end: int) -> Batch:
    """The rows from one place to before another."""
    return batch if (first, end) == (0, len(batch.rows)) else batch.pick(range(first, end))


def _row(batch: Batch, place: int) -> Row:
    return next(_rows(batch, [place]))


def _rows(batch: Batch, places: Sequence[int]) -> Iterator[Row]:
    for number, texts, kinds in batch.records(places):
        yield Row(number, texts, kinds, batch.sums.get(number, frozenset()))


def _batch(rows: list[Row]) -> Batch:
    return Batch.of_records([(row.number, row.cells, row.kinds) for row in rows], {row.number: row.sums for row in rows if row.sums})


def _firsts(batch: Batch) -> tuple[Sequence[str], list[int]]:
    """The first text of each row, "" where there is none, and the places of those."""
    if batch.columns and batch.columns[0].is_full:
        return [text or "" for text in batch.columns[0].texts], []
    firsts = [""] * len(batch.rows)
    empty = list(range(len(batch.rows)))
    for cells in batch.columns:
        if not empty:
            break
        texts = cells.texts
        for place in empty:
            firsts[place] = texts[place] or ""
        empty = [place for place in empty if not firsts[place]]
    return firsts, empty


def _worded(batch: Batch, firsts: Sequence[str]) -> set[str]:
    """The distinct texts among the first of each row; none when all of them are plainly numbers, dates and the like."""
    joined = batch.columns[0].joined if batch.columns and batch.columns[0].is_full else None
    plain = joined and joined.isascii() and joined.lower() == joined.upper() and not any(mark in joined for mark in ("---", "===", "*"))
    return set() if plain else set(firsts)


def _may_hold(cells: Cells, text: str) -> bool:
    """Whether the text may stand in one of the cells."""
    return cells.joined is None or text in cells.joined


def _all_share_columns(batch: Batch) -> bool:
    """Whether it is plain at a glance that every row has two cells or more."""
    full = (cells for cells in islice(batch.columns, _GLANCE) if cells.is_full)
    return len(list(islice(full, 2))) == 2


def _narrow(batch: Batch) -> dict[int, int]:
    """The places of rows that have less than three cells, and how many."""
    counts = dict.fromkeys(range(len(batch.rows)), 0)
    for cells in batch.columns:
        if not counts:
            break
        if not cells.is_blank:
            texts = cells.texts
            found = {place: count + (texts[place] is not None) for place, count in counts.items()}
            counts = {place: count for place, count in found.items() if count < 3}
    return counts


def _without(blanks: frozenset[str], cells: Cells) -> Cells:
    """The cells without the texts that mean "no value"."""
    texts = [None if text in blanks else text for text in cells.texts]
    return Cells(texts, kind=cells.kind) if cells.kinds is None else Cells(texts, kinds=cells.kinds)


def _segments(rows: list[int], start: int) -> list[tuple[int, int]]:
    """The places of rows that follow one another without a blank row, from *start* on: (first, behind the last)."""
    first, end = rows[start], len(rows)
    if rows[-1] - first == end - start - 1 and rows[start:] == list(range(first, first + end - start)):
        return [(start, end)]
    breaks = [place for place in range(start + 1, end) if rows[place] - rows[place - 1] != 1]
    return list(zip([start, *breaks], [*breaks, end], strict=True))


def _mark(row: Row) -> tuple[int, str]:
    """The cell by which a repetition of this row is found: its longest text."""
    column = max(row.filled(), key=lambda each: len(row.cells[each]))
    return column, row.cells[column]


def _is_note(row: Row, most: int = 1) -> bool:
    """Whether a row behind the data reads like a note and not like a record."""
    filled = row.filled()
    if not 0 < len(filled) <= most or any(row.looks(column) != "text" for column in filled):
        return False
    text = row.cells[filled[0]].strip()
    return most > 1 or any(map(str.isspace, text)) or ":" in text or "：" in text or not text[0].isalnum()


def _is_label_and_value(row: Row) -> bool:
    """Whether a row says one thing about the sheet: "Printed on", and a date beside it."""
    filled = row.filled()
    return len(filled) == 2 and row.looks(filled[0]) == "text"


def _fits(draft: _Draft, rows: list[Row]) -> bool:
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
            above = draft.gathering.looks(column)
            if above not in {"text", ""}:
                agrees = row.looks(column) in {above, "error"}
                agree, contradict = agree + agrees, contradict + (not agrees)
    return agree >= contradict


# ---------------------------------------------------------------- the plan


def _plan(sheet: Sheet, draft: _Draft, position: int, merges: Merges, options: TableOptions) -> TablePlan:
    if draft.labelled:
        _settle_totals(sheet, draft)
    named = {column for row in draft.head.header for column in row.filled()}
    places = sorted(named.union(draft.gathering.columns()))
    headers = header_texts(draft.head, places, merges, date1904=sheet.date1904)
    columns = _columns(draft, places, headers, options)
    header_rows = tuple(row.number for row in draft.head.header)
    first_row, last_row = draft.rows()
    return TablePlan(
        sheet=sheet.name,
        position=position,
        box=Box(first_row, places[0] if places else 0, last_row, places[-1] if places else 0),
        header_rows=header_rows,
        columns=columns,
        outside=tuple(sorted(draft.outside, key=lambda each: each.row)),
        hidden=sheet.hidden,
        reasons=_reasons(sheet, draft),
    )


def _columns(draft: _Draft, places: list[int], headers: dict[int, str], options: TableOptions) -> tuple[Column, ...]:
    gathered = draft.gathering.evidence()
    evidence = {place: gathered.get(place) or Evidence() for place in places}
    comma = any(each.proves_comma() for each in evidence.values())
    names = column_names([headers[place] for place in places])
    columns = []
    for place, name in zip(places, names, strict=True):
        said = options.column(headers[place], letters_of(place))
        column = evidence[place].decide(
            name=name,
            header=headers[place],
            position=place,
            comma_elsewhere=comma,
            date_form=said.date_form if said else None,
            decimal=(said.decimal if said else None) or options.decimal,
            day_first=options.day_first,
        )
        columns.append(as_said(column, options))
    return tuple(columns)


def as_said(column: Column, options: TableOptions) -> Column:
    """The column with the name and the type that a person gave it."""
    said = options.column(column.header, letters_of(column.position))
    if said is not None and said.name:
        column = replace(column, name=said.name)
    if said is not None and said.type and said.type is not column.type:
        column = replace(column, type=said.type, why=f"{said.type} was given; {column.why}")
    return column


def _settle_totals(sheet: Sheet, draft: _Draft) -> None:
    """Rows that begin with the label of a total are outside when every number in them is a sum, and data otherwise."""
    summed = {place for row in draft.labelled for place in row.filled()[1:]}
    columns = {
        place: each.decide(name="", header="", position=place) for place, each in draft.gathering.evidence().items() if place in summed
    }
    totals = find_totals(
        sheet,
        Totals(
            rows=tuple(draft.labelled),
            columns=columns,
            first_row=draft.first_row or 0,
            last_row=draft.last_row,
            apart=frozenset(each.row for each in draft.outside),
            gaps=frozenset(draft.gaps),
        ),
    )
    data = []
    for row in draft.labelled:
        if row.number in totals:
            draft.set_aside(row, Aside.TOTAL)
        else:
            data.append(row)
    if data:
        draft.add(_batch(data))


def _reasons(sheet: Sheet, draft: _Draft) -> tuple[str, ...]:
    reasons = [draft.head.why] if draft.head.why else []
    counts: dict[str, int] = {}
    for outside in draft.outside:
        counts[outside.reason] = counts.get(outside.reason, 0) + 1
    if counts:
        reasons.append("outside of the data: " + ", ".join(counted(count, f"{reason} row") for reason, count in counts.items()))
    if draft.gaps:
        times = "" if len(draft.gaps) == 1 else f", and behind {counted(len(draft.gaps) - 1, 'blank row')} more"
        reasons.append(f"the data goes on behind a blank row at row {draft.gaps[0]}{times}")
    hidden = sum(1 for row in sheet.hidden_rows if (draft.first_row or 0) <= row <= draft.last_row)
    if hidden:
        reasons.append(f"{counted(hidden, 'hidden row is', 'hidden rows are')} among the data")
    down = sum(1 for box in sheet.merges if box.last_row > box.first_row >= (draft.first_row or 1) and box.first_row <= draft.last_row)
    if down:
        reasons.append(
            f"{counted(down, 'merged cell reaches', 'merged cells reach')} over several rows: the value stands in the first of them"
        )
    if sheet.hidden:
        reasons.append("the sheet is hidden")
    return tuple(reasons)
