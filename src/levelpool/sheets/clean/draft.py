"""
One table while its rows are taken in: the cells of a batch are turned into columns, and each column's evidence takes them at once.

Rows that may be totals or notes are set apart until the end of the table shows what they are.
"""

from levelpool.sheets.clean.batch_checks import all_share_columns, first_texts, may_hold, narrow_rows, worded_texts
from levelpool.sheets.clean.header import Head
from levelpool.sheets.clean.labels import group_of_total, is_comment, is_total_label
from levelpool.sheets.clean.named_tables import total_rows
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.reasons import Aside
from levelpool.sheets.clean.row import Row, batch_of, is_ruled, is_ruler, rows_at
from levelpool.sheets.clean.table_evidence import TableEvidence
from levelpool.sheets.table import Batch, Cells, Outside, Sheet

_MOST_TEMPLATES = 20
"""Of more hidden rows than this each is a record: a filter has hidden them."""


def may_have_templates(sheet: Sheet) -> bool:
    """Whether so few rows are hidden that each is looked at."""
    return 0 < len(sheet.hidden_rows) <= _MOST_TEMPLATES


class Draft:
    """One table while its rows are taken in."""

    def __init__(self, sheet: Sheet, head: Head, options: TableOptions) -> None:
        self.sheet = sheet
        self.head = head
        self.options = options
        self.evidence = TableEvidence(date1904=sheet.date1904)
        self.outside: list[Outside] = []
        self.first_row: int | None = None
        self.last_row = 0
        self.gaps: list[int] = []  # rows that follow a blank row
        self.hidden: list[Row] = []  # hidden rows, where they are so few that one may be a template
        self.labelled: list[Row] = []  # rows that begin with the label of a total
        self.grouped: set[int] = set()  # those that name the group which they are the total of
        self._before: Batch | None = None  # the rows before those that are taken in
        self.comments: list[Row] = []  # rows that begin as comments do, so far
        self.comments_are_data = False
        self.sparse: list[Row] = []  # rows of one text at the very end, so far
        self.sparse_is_data = False
        self.blank_before_sparse = False
        self._texts_of: dict[int, dict[int, set[str]]] = {}  # of a batch by column, those that were asked for
        for row in head.titles:
            self.set_aside(row, Aside.TITLE)
        for row in head.header:
            self.set_aside(row, Aside.HEADER)
        for row in head.units:
            self.set_aside(row, Aside.RULER if is_ruler(row) else Aside.UNITS)
        self._may_be_templates = sheet.hidden_rows if options.hidden_rows and may_have_templates(sheet) else frozenset()
        self._total_rows = frozenset() if options.keep_totals else total_rows(sheet)
        self._titles = {row.texts() for row in head.titles}
        self._title_texts = {text for texts in self._titles for text in texts[:1]}
        self._header = {row.number: row.texts() for row in head.header}
        self._marks = [_mark(row) for row in head.header if row.filled()]

    def set_aside(self, row: Row, reason: Aside) -> None:
        """The row is no data."""
        self.outside.append(Outside(row.number, reason.value, row.texts(), row.shown(date1904=self.sheet.date1904)))

    def pass_blank(self, row: int) -> None:
        """The table goes on at *row*, behind a blank row."""
        self.gaps.append(row)
        self.blank_before_sparse = True

    def is_repeated(self, row: Row) -> Aside | None:
        """Whether the row stood above the data already, as a header or as a title, is a drawn line, or is a total by the workbook's own word."""
        if row.number in self._total_rows:
            return Aside.TOTAL
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

    def reach(self) -> tuple[int, int]:
        """The same with the rows that may turn out to be totals or data."""
        first, last = self.rows()
        others = [row.number for row in (*self.labelled, *self.hidden)]
        return min([first, *others]), max([last, *others])

    def span(self) -> tuple[int, int]:
        """The columns of the table, from and to."""
        columns = [column for row in self.head.header for column in row.filled()] + list(self.evidence.columns())
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
        self._texts_of = {id(batch): self._texts_of.get(id(batch), {})}
        self._before = batch

    def add(self, batch: Batch) -> None:
        """Rows of data."""
        first, last = min(batch.rows), max(batch.rows)
        self.first_row = first if self.first_row is None else min(self.first_row, first)
        self.last_row = max(self.last_row, last)
        blanks = self.options.blanks
        if blanks:
            batch = Batch(batch.rows, [cells if cells.is_blank else _without(blanks, cells) for cells in batch.columns])
        self.evidence.add(batch)

    def _special(self, batch: Batch) -> list[int]:
        """The places of rows that may not be data."""
        firsts, empty = first_texts(batch)
        places = set(empty)
        worded = set(filter(self._is_worded, worded_texts(batch, firsts)))
        labels = worded | self._title_texts.intersection(firsts)
        if labels:
            places.update(place for place, first in enumerate(firsts) if first in labels)
        if self._total_rows:
            places.update(place for place, row in enumerate(batch.rows) if row in self._total_rows)
        return sorted(places | self._repeated_places(batch) | self._hidden_places(batch) | self._narrow_places(batch))

    def _repeated_places(self, batch: Batch) -> set[int]:
        """Rows that may be the header once more."""
        return {
            place
            for column, text in self._marks
            if column < len(batch.columns) and may_hold(batch.columns[column], text)
            for place, other in enumerate(batch.columns[column].texts)
            if other == text
        }

    def _hidden_places(self, batch: Batch) -> set[int]:
        """Rows that may be templates."""
        hidden = self._may_be_templates
        return {place for place, row in enumerate(batch.rows) if row in hidden} if hidden else set()

    def _narrow_places(self, batch: Batch) -> set[int]:
        """Rows of one cell, which may be notes."""
        if self.sparse_is_data or all_share_columns(batch):
            return set()
        narrow = narrow_rows(batch)
        if len(self.evidence) < 3 and len(narrow) == len(batch.rows):
            return set()
        return {place for place, count in narrow.items() if count <= 1}

    def _sort(self, places: list[int], last_plain: int, batch: Batch) -> None:
        """Put each special row where it belongs; what turns out to be plain data is taken in."""
        data: list[Row] = []
        for place, row in zip(places, rows_at(batch, places), strict=True):
            repeated = self.is_repeated(row)
            filled = row.filled()
            if not filled:
                self.set_aside(row, Aside.EMPTY)
            elif repeated:
                self.set_aside(row, repeated)
                # What stands alone under a line that ends the table is a note, as behind a blank row.
                self.blank_before_sparse |= repeated is Aside.RULER and place > last_plain
            elif row.number in self._may_be_templates:
                self.hidden.append(row)
            elif len(filled) > 1 and not self.options.keep_totals and self._is_labelled(row, batch):
                self.labelled.append(row)
            elif self._is_comment(row):
                self.comments.append(row)
            elif len(filled) == 1 and not self.sparse_is_data and place > last_plain and row.looks(filled[0]) == "text":
                self.sparse.append(row)
            else:
                data.append(row)
        if data:
            self.add(batch_of(data))

    def _is_worded(self, first: str) -> bool:
        """Whether the first text of a row may say that it is no data."""
        return is_total_label(first) or is_ruled(first) or self._may_be_comment(first) or group_of_total(first) is not None

    def _is_labelled(self, row: Row, batch: Batch) -> bool:
        """Whether a row begins with the label of a total, or with one and a group that stands above it in the same column."""
        column = row.filled()[0]
        if is_total_label(row.cells[column]):
            return True
        group = group_of_total(row.cells[column])
        if group is None or not (self._has_above(batch, column, group) or self._has_above(self._before, column, group)):
            return False
        self.grouped.add(row.number)
        return True

    def _has_above(self, batch: Batch | None, column: int, group: str) -> bool:
        if batch is None or column >= len(batch.columns):
            return False
        # Of these rows and of those before them: a row is looked for in both.
        known = self._texts_of.setdefault(id(batch), {})
        if column not in known:
            known[column] = {text.strip() for text in batch.columns[column].texts if text}
        return group in known[column]

    def _may_be_comment(self, first: str) -> bool:
        """Whether the first text of a row begins as a comment does, and no record began so."""
        return not self.comments_are_data and is_comment(first)

    def _is_comment(self, row: Row) -> bool:
        """
        Whether a row begins as comments do and is no record.

        It is one when it is as wide, or has numbers and dates where they stand; then there are no comments.
        """
        filled = row.filled()
        if not self._may_be_comment(row.cells[filled[0]]):
            return False
        looks = [(row.looks(column), self.evidence.looks(column)) for column in filled]
        solid = [here in {above, "error"} for here, above in looks if above not in {"text", ""}]
        is_record = all(solid) if solid else len(filled) * 2 > len(self.evidence)
        if is_record:
            comments, self.comments = self.comments, []
            self.comments_are_data = True
            if comments:
                self.add(batch_of(comments))
        return not is_record

    def _flush_sparse(self) -> None:
        """Rows of one text that data follows are data, and so are those that come later."""
        if self.sparse:
            rows, self.sparse = self.sparse, []
            self.sparse_is_data = True
            self.add(batch_of(rows))

    def is_template(self, row: Row) -> bool:
        """Whether no cell of a hidden row fits the type of the other rows: it is there to be copied, and no record."""
        typed = [(row.looks(column), looks) for column in row.filled() if (looks := self.evidence.looks(column)) not in {"", "text"}]
        return bool(typed) and not any(here in {above, "error"} for here, above in typed)

    def close(self) -> None:
        """The table has ended: decide about the rows of one text behind its data."""
        for row in self.comments:
            self.set_aside(row, Aside.COMMENT)
        self.comments = []
        rest: list[Row] = []
        for row in self.sparse:
            if self._is_footer(row):
                self.set_aside(row, Aside.FOOTER)
            else:
                rest.append(row)
        self.sparse = []
        if rest:
            self.add(batch_of(rest))

    def is_narrow(self, row: Row) -> bool:
        """Whether a row fills so few columns that it may be a note."""
        return 0 < len(row.filled()) * 2 < len(self.evidence)

    def _is_footer(self, row: Row) -> bool:
        """A text behind the last record is a note when a blank row parts them, or when it stands where numbers or dates stand and reads like one."""
        column = row.filled()[0]
        if not self.is_narrow(row):
            return False
        above = self.evidence.looks(column)
        return self.blank_before_sparse or (above not in {"", "text"} and is_note(row))


def _mark(row: Row) -> tuple[int, str]:
    """The cell by which a repetition of this row is found: its longest text."""
    column = max(row.filled(), key=lambda each: len(row.cells[each]))
    return column, row.cells[column]


def is_note(row: Row, most: int = 1) -> bool:
    """Whether a row behind the data reads like a note and not like a record."""
    filled = row.filled()
    if not 0 < len(filled) <= most or any(row.looks(column) != "text" for column in filled):
        return False
    text = row.cells[filled[0]].strip()
    return most > 1 or any(map(str.isspace, text)) or ":" in text or "：" in text or not text[0].isalnum()


def _without(blanks: frozenset[str], cells: Cells) -> Cells:
    """The cells without the texts that mean "no value"."""
    texts = [None if text in blanks else text for text in cells.texts]
    return Cells(texts, kind=cells.kind) if cells.kinds is None else Cells(texts, kinds=cells.kinds)
