"""
One pattern for whole rows of a sheet, learned from some of them.

The rows of an export look alike: the same columns with the same attributes, some of them missing here and there. A pattern that knows
them takes a row in one step and gives its cells column by column, several times as fast as cell by cell. It matches plain rows only,
to the last byte; whatever it does not match is handed back.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

EMPTY_ROWS = r"(?:<row [^<>]*/>|<row [^<>]*></row>)*+"
ROW_OPEN = r'<row (?:[\w:]+="[^"<>]*" )*?r="([0-9]+)"[^<>/]*>'
FORMULA = "(<f[^<>]*/>|<f[^<>]*>[^<]*</f>)?"
VALUE = r'(?:<v>|<is><t(?: xml:space="preserve")?>)([^<]*+)(?:</v>|</t></is>)</c>'

_FEWEST_ROWS = 16  # to learn from
_USUAL = 0.05  # the share of rows that makes a column part of the pattern, ...
_COMMON = 0.02  # ... and attributes part of a column
_MOST_COLUMNS = 200
_SHORTEST_ROW = len('<row r="1"></row>')
_MOST_POSITIONS = 1 << 20  # parts of one run: missing cells cost memory, too


@dataclass(frozen=True, slots=True)
class WrittenCell:
    """One cell as it is written."""

    column: int  # 0-based
    letters: str
    attributes: str
    has_formula: bool
    has_value: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of the pattern, and where its parts stand among those of a row."""

    column: int  # 0-based
    attributes: tuple[str, ...]  # all that the pattern takes, as written
    value: int
    attribute: int | None  # None: there is only one, `attributes[0]`
    formula: int | None  # None: no cell of the column has a formula


class MatchedRows:
    """What the pattern made of a run: the parts of each row that it matched, and what stands between them."""

    def __init__(self, pieces: list[str | None], stride: int) -> None:
        self._pieces = pieces
        self._stride = stride
        self.count = len(pieces) // stride

    def each(self, part: int) -> list[str | None]:
        """One part of every row, as the slots number them."""
        return self._pieces[part :: self._stride]

    def tags(self) -> list[str]:
        """The opening tag of every row."""
        return [tag or "" for tag in self.each(1)]

    def numbers(self) -> list[int]:
        """The number of every row."""
        return [int(number or 0) for number in self.each(2)]

    def stretches(self) -> Iterator[tuple[str, int, int]]:
        """What the pattern did not match, and the rows behind it that it did: their places, from and to."""
        gaps = self.each(0)
        before, start = gaps[0] or "", 0
        for place in range(1, len(gaps)):
            if gaps[place]:
                yield before, start, place
                before, start = gaps[place] or "", place
        yield before, start, self.count


class RowPattern:
    """A pattern of whole rows."""

    def __init__(self, columns: Sequence["_Column"]) -> None:
        slots = []
        parts = [f"({ROW_OPEN})"]
        group = 2
        for column in columns:
            attribute = formula = None
            if len(column.attributes) > 1:
                group = attribute = group + 1
            if column.has_formulas:
                group = formula = group + 1
            group += 1
            slots.append(Slot(column.place, column.attributes, group, attribute, formula))
            parts.append(column.pattern())
        self.slots = tuple(slots)
        self._stride = group + 1
        self._pattern = re.compile(f"{''.join(parts)}</row>{EMPTY_ROWS}")

    def split(self, run: str) -> MatchedRows | None:
        """The rows of *run*; None when so many are so short that their missing cells would take more memory than it is worth."""
        if len(run) // _SHORTEST_ROW * self._stride > _MOST_POSITIONS and run.count("<row ") * self._stride > _MOST_POSITIONS:
            return None
        return MatchedRows(self._pattern.split(run), self._stride)


def learn_pattern(rows: Sequence[Sequence[WrittenCell]]) -> RowPattern | None:
    """The pattern of rows that look like these, rare things left out; None when they are too few, too wide or too different."""
    if len(rows) < _FEWEST_ROWS:
        return None
    seen: dict[int, _Column] = {}
    for cell in (cell for row in rows for cell in row):
        seen.setdefault(cell.column, _Column(cell.column, cell.letters, len(rows))).note(cell)
    columns = [column for _, column in sorted(seen.items()) if column.count >= _USUAL * len(rows)]
    return RowPattern(columns) if 0 < len(columns) <= _MOST_COLUMNS else None


class _Column:
    """How the cells of one column are written."""

    def __init__(self, place: int, letters: str, rows: int) -> None:
        self.place = place
        self.count = 0
        self.has_formulas = False
        self._letters = letters
        self._rows = rows
        self._has_blanks = False
        self._attributes: Counter[str] = Counter()

    def note(self, cell: WrittenCell) -> None:
        self.count += 1
        self._attributes[cell.attributes] += 1
        self.has_formulas = self.has_formulas or cell.has_formula
        self._has_blanks = self._has_blanks or not cell.has_value

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are not rare, the longest first, so that "" is tried last."""
        common = [each for each, count in self._attributes.items() if count >= _COMMON * self._rows]
        return tuple(sorted(common or self._attributes, key=len, reverse=True))

    def pattern(self) -> str:
        attributes = "|".join(map(re.escape, self.attributes))
        if len(self.attributes) > 1:
            attributes = f"({attributes})"
        value = VALUE.replace("*+", "++") if "inlineStr" in attributes else "<v>([^<]++)</v></c>"
        body = f">{FORMULA if self.has_formulas else ''}{value}"
        cell = f'<c r="{self._letters}[0-9]++"{attributes}{f"(?:/>|{body})" if self._has_blanks else body}'
        return cell if self.count == self._rows else f"(?:{cell})?+"
