"""
The rows of one .xlsx sheet by pattern: many times as fast as with a parser, and held to the very same result.

A run of whole rows is taken this way only if every byte of it is accounted for: it belongs to a row that the sheet's pattern matches
(`row_pattern`), to a plain cell, or to the plain tags between two rows. Any other run goes to the parser (`xlsx_rows`), which sees the
whole part but for the runs that were taken.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import plain_text, resolve_entities, unescape
from levelpool.sheets.read.rich_values import Rich, plain_error
from levelpool.sheets.read.row_pattern import EMPTY_ROWS, FORMULA, ROW_OPEN, VALUE, MatchedRows, RowPattern, WrittenCell, learn_pattern
from levelpool.sheets.read.runs import Runs
from levelpool.sheets.read.shared_texts import SharedTexts
from levelpool.sheets.read.source import SheetBuilder
from levelpool.sheets.read.xlsx_rows import BOOLEANS, SheetParser
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, TEXT, Batch, Cells, Kind

_OPEN = r'<c r="([A-Z]{1,3})\d+"((?: [a-z]+="\w*")*)'
_CELL = re.compile(rf"{_OPEN}(?:/>|>{VALUE})")
_FORMULA_CELL = re.compile(rf"{_OPEN}(?:/>|>{FORMULA}{VALUE})")
_ATTRIBUTES = re.compile(r' ([a-z]+)="(\w*)"')
_KNOWN_ATTRIBUTES = {"s", "t", "cm", "vm", "ph"}

_BETWEEN = re.compile(rf"</row>{EMPTY_ROWS}({ROW_OPEN})")
_AFTER = re.compile(rf"</row>{EMPTY_ROWS}")
_ONLY_EMPTY_ROWS = re.compile(EMPTY_ROWS)
_LAST_ROW = re.compile(r'<row (?:[\w:]+="[^"<>]*" )*?r="([0-9]+)"')
_HIDDEN = re.compile(r' hidden="(?:1|true)"')

_SUM_OR_SHARED = re.compile(r"sum\s*\(|subtotal\s*\(|shared", re.IGNORECASE)
_SHARED_NUMBER = re.compile(r' si="(\w+)"')

_BOOLEANS: dict[str | None, str | None] = {None: None}
_BOOLEANS.update(BOOLEANS)

_LESSONS = 20  # how often the pattern of the rows is learned anew
_MANY = 0.02  # the share of rows that the pattern does not match and that is worth a lesson


def read_rows(
    blocks: Iterable[bytes],
    builder: SheetBuilder,
    texts: SharedTexts,
    styles: Sequence[str],
    meter: Meter,
    *,
    rich: Callable[[str], Rich] = plain_error,
) -> None:
    """
    Read the whole part of a sheet and hand its rows, merged areas and hidden rows and columns to *builder*.

    *rich* says what stands behind the mark of an error cell.
    """
    parser = SheetParser(builder, texts, styles, meter, rich)
    plain = PlainRows(parser, builder, texts, meter)
    runs = Runs("sheetData", "row ")
    for is_run, piece in runs.split(blocks):
        if is_run and not plain.take(piece, runs.prefix):
            if b"<!" in piece:
                runs.give_up()
            parser.feeder.feed(piece)
        elif not is_run:
            parser.feeder.feed(piece)
        if builder.full:
            builder.complete = False
            return
    parser.feeder.close()
    parser.tell()


class _Odd(Exception):
    """Something in a run is not plain: the parser has to take it."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns the cells of a row stand in."""

    columns: tuple[int, ...]
    # from the cells, with a None behind them, to the row; None: they are it
    spread: Callable[[list[str | None]], tuple[str | None, ...]] | None


@dataclass(frozen=True, slots=True)
class _PlainRow:
    """One row, and which of a run's cells are its own."""

    start: int
    end: int
    number: int
    hidden: bool
    layout: _Layout


class PlainRows:
    """Takes runs of rows in which every byte is plain; what it does not take, it leaves untouched."""

    def __init__(self, parser: SheetParser, builder: SheetBuilder, texts: SharedTexts, meter: Meter) -> None:
        self._parser = parser
        self._builder = builder
        self._texts = texts
        self._longest = meter.limits.max_cell_characters
        self._kinds: dict[str, Kind] = {}  # a cell's attributes, as written -> its kind
        self._shared: set[str] = set()  # those that point to shared texts
        self._written: set[str] = set()  # those of texts that stand in the cell itself
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._pattern: RowPattern | None = None
        self._lessons = _LESSONS

    def take(self, run: bytes, prefix: bytes) -> bool:
        """Hand the rows of *run* to the builder; False, and nothing is handed over, when a single byte of it is not plain."""
        # A run that could hold a text beyond the limit is left to the parser, which measures each; and so are cells with a mark.
        text = plain_text(run, prefix) if len(run) <= self._longest and b' vm="' not in run else None
        last = None if text is None else _last_row(text)
        if text is None or last is None:
            return False
        try:
            understood = self._understand(text)
        except _Odd:
            return False
        for part in understood:
            part.hand_over(self._builder, self._parser)
        self._parser.row = last
        return True

    def _understand(self, text: str) -> "list[_CellByCell | _ColumnByColumn]":
        """What stands in a run, in its order; raises `_Odd` when not all of it is plain."""
        pattern = self._pattern
        matched = None if pattern is None else pattern.split(text)
        if pattern is None or matched is None or not matched.count:
            rows = self._read_cells(text)
            self._learn(rows)
            return [rows]
        whole = self._read_columns(text, matched, pattern)
        understood: list[_CellByCell | _ColumnByColumn] = []
        missed = 0
        for before, start, end in matched.stretches():
            if before:
                rows = self._read_cells(before)
                missed += len(rows.rows)
                understood.append(rows)
            if start < end:
                understood.append(whole.part(start, end))
        if missed > _MANY * matched.count and self._lessons:
            self._pattern = None  # the rows look otherwise now, and the next run shows how
        return understood

    def _learn(self, rows: "_CellByCell") -> None:
        if self._lessons and rows.rows:
            self._lessons -= 1
            self._pattern = learn_pattern(rows.written())

    # ------------------------------------------------------------ cell by cell

    def _read_cells(self, text: str) -> "_CellByCell":
        formulas = "<f" in text
        pieces = (_FORMULA_CELL if formulas else _CELL).split(text)
        step = 5 if formulas else 4
        references, attributes = pieces[1::step], pieces[2::step]
        rows = self._placed(_rows(pieces[0::step]), references)
        texts, kinds = self._contents(text, attributes, pieces[step - 1 :: step])
        sums = formulas and _SUM_OR_SHARED.search(text) is not None
        return _CellByCell(rows, references, attributes, texts, kinds, pieces[3::step] if formulas else None, sums)

    def _placed(self, rows: list[tuple[int, int, bool]], references: list[str]) -> "list[_PlainRow]":
        """The rows with their layouts; the last of *rows* only says where the cells end."""
        layouts = self._layouts
        placed = []
        for (start, number, hidden), (end, _, _) in pairwise(rows):
            key = tuple(references[start:end])
            layout = layouts.get(key)
            if layout is None:
                layout = layouts[key] = _layout(key)
            placed.append(_PlainRow(start, end, number, hidden, layout))
        return placed

    def _contents(self, text: str, attributes: list[str], values: list[str | None]) -> tuple[list[str | None], list[Kind | None]]:
        """Texts and kinds of all cells of a run."""
        kinds = self._known_kinds(attributes)
        if "" in values:
            raise _Odd
        if "&" in text:
            values = _resolved(values)
        if "_x" in text:
            values = [unescape(value) if value and key in self._written else value for key, value in zip(attributes, values, strict=True)]
        if BOOLEAN in kinds:
            words = [value if kind == BOOLEAN else None for kind, value in zip(kinds, values, strict=True)]
            values = [value if word is None else word for word, value in zip(_true_or_false(words), values, strict=True)]
        if self._shared:
            numbers = [value if key in self._shared else None for key, value in zip(attributes, values, strict=True)]
            values = [value if text is None else text for text, value in zip(self._look_up(numbers), values, strict=True)]
        if None in values:
            kinds = [None if value is None else kind for kind, value in zip(kinds, values, strict=True)]
        return values, kinds

    def _known_kinds(self, attributes: Sequence[str]) -> list[Kind | None]:
        known = self._kinds
        try:
            return [known[key] for key in attributes]
        except KeyError:
            for key in set(attributes) - known.keys():
                self._meet(key)
            return [known[key] for key in attributes]

    def _meet(self, key: str) -> None:
        """Find out what attributes mean that were not seen before."""
        found = dict(_ATTRIBUTES.findall(key))
        if not found.keys() <= _KNOWN_ATTRIBUTES or len(found) != len(_ATTRIBUTES.findall(key)):
            raise _Odd
        type_ = found.get("t")
        if type_ == "s":
            self._shared.add(key)
        elif type_ in {"str", "inlineStr"}:
            self._written.add(key)
        self._kinds[key] = (
            self._parser.number_kind(found.get("s"))
            if type_ is None or type_ == "n"
            else {"s": TEXT, "str": TEXT, "inlineStr": TEXT, "b": BOOLEAN, "d": DATE}.get(type_, ERROR)
        )

    def _look_up(self, numbers: list[str | None]) -> list[str | None]:
        """The shared texts with these numbers, as they are written."""
        present = list(filter(None, numbers))
        try:
            found = self._texts.look_up(present)
        except LookupError:
            raise _Odd from None
        return _spread(found, numbers) if len(present) < len(numbers) else list(found)

    # ------------------------------------------------------------ column by column

    def _read_columns(self, text: str, matched: MatchedRows, pattern: RowPattern) -> "_ColumnByColumn":
        entities = "&" in text
        odd = entities or "_" in text or "\n" in text
        columns: dict[int, Cells] = {}
        for slot in pattern.slots:
            values = matched.each(slot.value)
            if entities:
                values = _resolved(values)
            if slot.attribute is None:
                cells = self._alike(values, slot.attributes[0], odd=odd)
            else:
                cells = self._different(values, matched.each(slot.attribute), slot.attributes, odd=odd)
            columns[slot.column] = cells
        formulas = {slot.column: matched.each(slot.formula) for slot in pattern.slots if slot.formula is not None}
        if formulas and not _SUM_OR_SHARED.search(text):
            formulas = {}
        tags = matched.tags()
        hidden = [_HIDDEN.search(tag) is not None for tag in tags] if _HIDDEN.search("".join(tags)) else []
        return _ColumnByColumn(matched.numbers(), columns, hidden, formulas)

    def _alike(self, values: list[str | None], key: str, *, odd: bool) -> Cells:
        """The cells of one column that all have the same attributes; *odd* says that a text may need a closer look."""
        (kind,) = self._known_kinds([key])
        if key in self._shared:
            values = self._look_up(values)
            return Cells.plain(values, kind) if self._texts.are_plain else Cells.alike(values, kind)
        if key in self._written and odd:
            values = [unescape(value) if value else value for value in values]
        elif kind == BOOLEAN:
            values = _true_or_false(values)
        return Cells.alike(values, kind) if odd else Cells.plain(values, kind)

    def _different(self, values: list[str | None], keys: list[str | None], attributes: Sequence[str], *, odd: bool) -> Cells:
        """The cells of one column that have several attributes."""
        texts: list[str | None] = [None] * len(values)
        for each in attributes:
            some = [value if key == each else None for key, value in zip(keys, values, strict=True)]
            found = self._alike(some, each, odd=odd).texts
            texts = [text if other is None else other for text, other in zip(texts, found, strict=True)]
        known = dict(zip(attributes, self._known_kinds(attributes), strict=True))
        return Cells.of(texts, [None if text is None else known[key or ""] for key, text in zip(keys, texts, strict=True)])


@dataclass(frozen=True, slots=True)
class _CellByCell:
    """Rows that were read cell by cell."""

    rows: "list[_PlainRow]"
    references: list[str]
    attributes: list[str]
    texts: list[str | None]
    kinds: list[Kind | None]
    formulas: list[str | None] | None
    sums: bool  # whether one of the formulas may be a sum

    def written(self) -> list[list[WrittenCell]]:
        """The cells of each row as they are written, for the lesson."""
        return [
            [
                WrittenCell(
                    column,
                    self.references[cell],
                    self.attributes[cell],
                    has_formula=self.formulas is not None and self.formulas[cell] is not None,
                    has_value=self.texts[cell] is not None,
                )
                for cell, column in enumerate(row.layout.columns, row.start)
            ]
            for row in self.rows
        ]

    def hand_over(self, builder: SheetBuilder, parser: SheetParser) -> None:
        texts, kinds = self.texts, self.kinds
        for row in self.rows:
            cells, of_cells, layout = texts[row.start : row.end], kinds[row.start : row.end], row.layout
            if layout.spread is not None:
                cells, of_cells = list(layout.spread([*cells, None])), list(layout.spread([*of_cells, None]))
            sums: list[int] = []
            if self.sums and self.formulas is not None:
                formulas = zip(layout.columns, self.formulas[row.start : row.end], strict=True)
                sums = [column for column, formula in formulas if formula is not None and _is_sum(parser, formula)]
            builder.add(row.number, cells, of_cells, sums, hidden=row.hidden)


@dataclass(frozen=True, slots=True)
class _ColumnByColumn:
    """Rows that were read by their pattern."""

    rows: list[int]
    columns: dict[int, Cells]
    hidden: list[bool]  # [] when none is
    formulas: dict[int, list[str | None]]  # of columns that have some, where one may be a sum

    def part(self, start: int, end: int) -> "_ColumnByColumn":
        """Some of the rows."""
        if end - start == len(self.rows):
            return self
        return _ColumnByColumn(
            self.rows[start:end],
            {column: cells.pick(range(start, end)) for column, cells in self.columns.items()},
            self.hidden[start:end],
            {column: formulas[start:end] for column, formulas in self.formulas.items()},
        )

    def hand_over(self, builder: SheetBuilder, parser: SheetParser) -> None:
        sums: dict[int, frozenset[int]] = {}
        if self.formulas:
            for row, *formulas in zip(self.rows, *self.formulas.values(), strict=True):
                pairs = zip(self.formulas, formulas, strict=True)
                of_row = frozenset(column for column, formula in pairs if formula is not None and _is_sum(parser, formula))
                if of_row:
                    sums[row] = of_row
        blank = Cells.blank(len(self.rows))
        columns = [self.columns.get(column, blank) for column in range(max(self.columns) + 1)]
        builder.add_columns(Batch(self.rows, columns, sums), self.hidden)


def _rows(gaps: list[str]) -> list[tuple[int, int, bool]]:
    """Where each row begins among the cells, its number, and whether it is hidden; a last entry ends them."""
    if len(gaps) == 1:
        if not _ONLY_EMPTY_ROWS.fullmatch(gaps[0]):
            raise _Odd
        return []
    starts = [index for index, gap in enumerate(gaps) if gap]
    if starts[0] != 0 or starts[-1] != len(gaps) - 1 or not _AFTER.fullmatch(gaps[-1]):
        raise _Odd
    gaps[0] = "</row>" + gaps[0]
    rows = []
    for start in starts[:-1]:
        match = _BETWEEN.fullmatch(gaps[start])
        if match is None:
            raise _Odd
        rows.append((start, int(match[2]), _HIDDEN.search(match[1]) is not None))
    rows.append((starts[-1], 0, False))
    return rows


def _layout(references: tuple[str, ...]) -> _Layout:
    columns = []
    for letters in references:
        number = 0
        for letter in letters:
            number = number * 26 + ord(letter) - 64
        columns.append(number - 1)
    if any(left >= right for left, right in pairwise(columns)):
        raise _Odd
    if columns[-1] == len(columns) - 1:
        return _Layout(tuple(columns), None)
    places = [len(columns)] * (columns[-1] + 1)
    for place, column in enumerate(columns):
        places[column] = place
    return _Layout(tuple(columns), itemgetter(*places))


def _last_row(text: str) -> int | None:
    """The number of the last row, which the next one counts from when it has none of its own."""
    match = _LAST_ROW.match(text, text.rfind("<row "))
    return None if match is None else int(match[1])


def _resolved(values: list[str | None]) -> list[str | None]:
    try:
        return [resolve_entities(value) if value else value for value in values]
    except (KeyError, ValueError):
        raise _Odd from None


def _true_or_false(values: list[str | None]) -> list[str | None]:
    try:
        return [_BOOLEANS[value] for value in values]
    except KeyError:
        raise _Odd from None


def _spread(found: Iterable[str], places: list[str | None]) -> list[str | None]:
    """The texts found, at the places that are not blank."""
    following = iter(found)
    return [None if place is None else next(following) for place in places]


def _is_sum(parser: SheetParser, formula: str) -> bool:
    tag, _, rest = formula.partition(">")
    shared = _SHARED_NUMBER.search(tag) if ' t="shared"' in tag else None
    return parser.note_formula(rest.removesuffix("</f>"), shared[1] if shared else "")
