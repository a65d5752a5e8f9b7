"""
What the cells of one column have shown: a family of evidence for each kind of cell, and the values that refute every type.

Evidence is taken in batch by batch and stays small: of a million numbers only their shapes are kept (see `shapes`). What follows from it
is the table of `decisions`.
"""

from collections.abc import Sequence

from levelpool.sheets.clean.cell_group import SAMPLES, SERIAL, CellGroup, Seen, by_class, kind_class
from levelpool.sheets.clean.date_evidence import DateEvidence
from levelpool.sheets.clean.dates import shown_text
from levelpool.sheets.clean.format_evidence import FormatEvidence
from levelpool.sheets.clean.number_evidence import NumberEvidence
from levelpool.sheets.clean.refutations import Refutations
from levelpool.sheets.clean.text_evidence import BOOLEANS, NUMBERS, TextEvidence
from levelpool.sheets.table import DATE, ERROR, NO_VALUE, NUMBER, TEXT, Cells, Kind

_SAMPLE = 200  # most characters of one
_FIRSTS = 50  # values of a group among which a new sample is looked for
_NO_VALUES = frozenset({ERROR, NO_VALUE})
_MIX_WITH_TEXTS = {"a number": NUMBERS, "true or false": BOOLEANS}
"""Cells that mix with texts, when these are written the same way."""


class ColumnEvidence:
    """What the cells of one column have shown so far."""

    __slots__ = ("booleans", "dates", "errors", "formats", "numbers", "refutations", "samples", "texts", "values")

    def __init__(self, *, date1904: bool = False) -> None:
        self.values = 0  # cells that count: neither blank, nor empty text, nor error
        self.errors = 0
        self.samples: list[str] = []
        self.refutations = Refutations()
        self.numbers = NumberEvidence(self.refutations)
        self.formats = FormatEvidence()
        self.dates = DateEvidence(date1904=date1904)
        self.booleans: Seen | None = None  # the first cell that is true or false
        self.texts = TextEvidence(self.refutations)

    @property
    def is_text(self) -> bool:
        """Whether the column is TEXT whatever comes."""
        return self.refutations.is_text

    @property
    def are_spans(self) -> bool:
        """Whether all numbers are spans of time, and what else has a format of times may be one as well: 7:30 beside 38:45."""
        return self.formats.are_spans and bool(self.numbers.shapes) and not (self.dates.days or self.dates.stamps or self.dates.iso)

    @property
    def looks(self) -> str:
        """What all values so far look like: "number", "date", "boolean", "text", or "" when there is none."""
        if self.is_text:
            return "text"
        if self.dates.is_there:
            return "date"
        if self.booleans:
            return "boolean"
        return "number" if self.numbers.shapes else self.texts.looks

    def add(self, rows: Sequence[int], cells: Cells) -> None:
        """Take in the cells of some rows."""
        if not self.is_text:
            self.formats.add(rows, cells)
        if cells.kinds is None:
            only = kind_class(cells.kind)
            if only is None or not (only in _NO_VALUES or self._wants_more):
                return
            self._take(only, CellGroup(rows, cells))
        else:
            for kind, group in by_class(rows, cells.texts, cells.kinds).items():
                self._take(kind_class(kind) or kind, group)
        self._check_mixture()

    @property
    def _wants_more(self) -> bool:
        """Whether more values can still change what is said about the column."""
        return not self.is_text or len(self.samples) < SAMPLES or self.refutations.wants_more

    def _take(self, kind: Kind, group: CellGroup) -> None:
        """Take in cells of one class of kinds."""
        count = group.count
        if not count:
            return
        if kind in _NO_VALUES:
            self.errors += count
            return
        self.values += count
        if len(self.samples) < SAMPLES:
            self._sample(group)
        if not self.is_text or (kind == TEXT and self.refutations.wants_more):
            self._weigh(kind, group)

    def _weigh(self, kind: Kind, group: CellGroup) -> None:
        """Give the cells to the family of their kind."""
        if kind == TEXT:
            is_among_typed = bool(self.numbers.shapes or self.dates.shapes or self.dates.days or self.booleans)
            self.texts.add(group, is_among_typed=is_among_typed)
        elif kind == NUMBER:
            self.numbers.add(group)
        elif kind == SERIAL:
            self.dates.add_serials(group)
        elif kind == DATE:
            self.dates.add_iso(group)
        else:
            self.booleans = self.booleans or group.first()

    def _sample(self, group: CellGroup) -> None:
        for value in group.firsts(_FIRSTS):
            shown = shown_text(value, group.kind, date1904=self.dates.date1904)
            if shown not in self.samples:
                self.samples.append(shown if len(shown) <= _SAMPLE else f"{shown[: _SAMPLE - 1]}…")
            if len(self.samples) == SAMPLES:
                break

    def _check_mixture(self) -> None:
        """Numbers, dates and booleans do not mix; texts mix with numbers and booleans when they are written the same way."""
        if self.is_text:
            return
        firsts = {
            "a number": next(iter(self.numbers.shapes.values()), None),
            "a date": self.dates.days or self.dates.stamps or self.dates.impossible,
            "a time": self.dates.clocks,
            "true or false": self.booleans,
        }
        if self.are_spans:
            del firsts["a time"]  # it is a span of time as well, in a format for those below a day
        kinds = [(name, seen) for name, seen in firsts.items() if seen]
        text = self.texts.first
        if self.dates.zoned:
            self.refutations.add(f"{self.dates.zoned} has a zone, which a TIMESTAMP does not keep")
        elif len(kinds) > 1:
            self.refutations.add(" and ".join(f"{seen} is {name}" for name, seen in kinds[:2]))
        elif kinds and text:
            name, seen = kinds[0]
            if _MIX_WITH_TEXTS.get(name) not in self.texts.could:
                self.refutations.add(f"{seen} is {name} and {text} is a text")
