"""Cells of one kind, as the evidence of a column looks at them: their texts, their shapes, and where each value stands first."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from levelpool.sheets.clean.dates import serial_family
from levelpool.sheets.clean.shapes import Shapes, shapes_of
from levelpool.sheets.clean.zeros import starts_with_zero
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Cells, Kind

SERIAL = "serial"
SAMPLES = 3  # values that are shown of a column
LONGEST = 100  # characters that a number, date or boolean may have
_SURELY_SERIAL = 2_950_000  # below the last day in both calendars


@dataclass(frozen=True, slots=True)
class Seen:
    """One value of the file and its row, to show in a sentence."""

    row: int
    text: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 40 else f"{self.text[:39]}…"
        return f"{shown!r} (row {self.row})"


@lru_cache(maxsize=4096)
def kind_class(kind: Kind | None) -> Kind | None:
    """The kind without its number format; a number that shows a date or time is "serial"."""
    if kind is None or kind in {TEXT, NUMBER, BOOLEAN, ERROR, DATE, NO_VALUE}:
        return kind
    return SERIAL if serial_family(kind) else NUMBER


class CellGroup:
    """The cells of one kind in one column of a batch; empty texts do not count."""

    __slots__ = ("_cells", "_shapes", "_values", "joined", "kind", "rows")

    def __init__(self, rows: Sequence[int], cells: Cells) -> None:
        self.rows = rows
        self.kind = cells.kind or ""
        self.joined = cells.joined  # see `Cells`
        self._cells = cells
        self._values: list[str] | None = None
        self._shapes: Shapes | None = None

    @property
    def texts(self) -> Sequence[str | None]:
        """The text of each row, None for a blank one."""
        return self._cells.texts

    @property
    def values(self) -> list[str]:
        """The texts that are not empty."""
        if self._values is None:
            self._values = list(filter(None, self._cells.texts))
        return self._values

    @property
    def count(self) -> int:
        """How many values there are."""
        return self._cells.count() if self.joined is not None else len(self.values)

    @property
    def shapes(self) -> Shapes:
        """The shapes of `texts`."""
        if self._shapes is None:
            self._shapes = Shapes.of(self.texts) if self.joined is None else Shapes(shapes_of(self.joined))
        return self._shapes

    def firsts(self, count: int) -> Iterator[str]:
        """The first values; each is looked for when it is asked for."""
        joined = self.joined
        return islice(self.values if joined is None else (line[0] for line in _LINE.finditer(joined)), count)

    def first(self) -> Seen:
        """The first value and its row."""
        return self.seen(next(self.firsts(1)))

    def pairs(self) -> Iterable[tuple[int, str]]:
        """The rows that have a value, with it."""
        return ((row, text) for row, text in zip(self.rows, self.texts, strict=True) if text)

    def seen(self, value: str) -> Seen:
        """The value and the first row that has it."""
        return Seen(self.rows[self.texts.index(value)], value)


_LINE = re.compile(r"[^\n]+")
_DAY_SHAPE = re.compile(r"0{5}(?:\.0+)?")


def sure_days(some: CellGroup, family: str) -> str | None:
    """What serials of a family that has a day are, "date" or "timestamp", when all of them are surely in the calendar."""
    joined = some.joined
    shapes = some.shapes.distinct
    if (
        joined is not None
        and (family == "timestamp" or not any("." in shape for shape in shapes))
        and all(map(_DAY_SHAPE.fullmatch, shapes))
        and starts_with_zero(joined) is None
    ):
        return family  # five digits before the point, the first of which is no zero
    serials = _floats(set(some.values))
    if not serials or min(serials) <= 61 or max(serials) >= _SURELY_SERIAL:
        return None
    return "date" if family == "date" and all(map(float.is_integer, serials)) else "timestamp"


def by_class(rows: Sequence[int], texts: Sequence[str | None], kinds: Sequence[Kind | None]) -> dict[Kind, CellGroup]:
    """The cells by class of kind, in the order of their first appearance; date serials by kind, because each shows something else."""
    classes = {kind: kind if kind_class(kind) == SERIAL else kind_class(kind) for kind in dict.fromkeys(kinds)}
    groups: dict[Kind, CellGroup] = {}
    for wanted in dict.fromkeys(classes.values()):
        if wanted is not None:
            found = [text if classes[kind] == wanted else None for text, kind in zip(texts, kinds, strict=True)]
            groups[wanted] = CellGroup(rows, Cells(found, kind=wanted))
    return groups


def _floats(texts: Iterable[str]) -> list[float]:
    try:
        return list(map(float, texts))
    except ValueError:
        return []
