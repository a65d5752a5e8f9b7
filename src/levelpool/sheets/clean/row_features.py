"""What the rules of a header ask of a row and of the rows beneath it; each answer is worked out once, however many rules ask."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice

from levelpool.sheets.clean.header_policy import HeaderPolicy
from levelpool.sheets.clean.labels import is_comment, is_header_word, is_identifier, is_unit
from levelpool.sheets.clean.row import Row, is_ruler

_WITH_POINT = re.compile(r"(?<=[0-9])\.0+$")
_BLANK_UNITS = {"-", "/"}


class RowFeatures:
    """One row, and what it looks like; a row may have 16,384 cells, so each is looked at when somebody asks for it."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.number = row.number
        self.cells: Mapping[int, str] = row.cells
        self.filled = row.filled()
        self._looks: dict[int, str] = {}

    def looks(self, column: int) -> str:
        """What the cell looks like, see `Row.looks`."""
        found = self._looks.get(column)
        if found is None:
            found = self._looks[column] = self.row.looks(column)
        return found

    @cached_property
    def texts(self) -> dict[int, str]:
        """The cells that look like text, by column."""
        return {column: self.cells[column] for column in self.filled if self.looks(column) == "text"}

    @cached_property
    def is_all_text(self) -> bool:
        """Whether there is a cell, and all of them look like text."""
        return bool(self.filled) and len(self.texts) == len(self.filled)

    @cached_property
    def is_one_text(self) -> bool:
        """Whether a single cell is filled, and looks like text."""
        return len(self.filled) == 1 and self.looks(self.filled[0]) == "text"

    @cached_property
    def names(self) -> list[str]:
        """The filled cells, from the left."""
        return [self.cells[column] for column in self.filled]

    @cached_property
    def has_double(self) -> bool:
        """Whether two cells hold the same."""
        return len(set(self.names)) < len(self.names)

    @cached_property
    def has_key(self) -> bool:
        """Whether a cell asks for a value beside it ("Customer:") or brings it along ("Unit: EUR")."""
        return any(map(is_key, self.names))

    @cached_property
    def is_words(self) -> bool:
        """Whether every cell reads like the name of a column."""
        return all(map(is_header_word, self.names))

    @cached_property
    def is_names(self) -> bool:
        """Whether every cell is the name of a column as programs give them, or reads like one, and no two are alike."""
        return not self.has_double and all(is_header_word(name) or is_identifier(name) for name in self.names)

    @cached_property
    def is_comment(self) -> bool:
        """Whether the row begins as comments do."""
        return bool(self.names) and is_comment(self.names[0])

    @cached_property
    def is_ruler(self) -> bool:
        """Whether the row is a line drawn of characters."""
        return is_ruler(self.row)

    @cached_property
    def is_all_units(self) -> bool:
        """Whether every cell is a unit of measurement."""
        return all(map(is_unit, self.names))

    @cached_property
    def numbers(self) -> int:
        """How many cells look like numbers."""
        return [self.looks(column) for column in self.filled].count("number")

    @cached_property
    def is_years(self) -> bool:
        """Whether the cells that are no text are years or dates that rise or fall from left to right, as over the columns of a report."""
        others = [column for column in self.filled if column not in self.texts]
        looks = {self.looks(column) for column in others}
        if len(others) < 2 or not self.texts or looks - {"number", "date"}:
            return False
        values = [without_point(self.cells[column]) for column in others]
        return (looks == {"date"} or all(map(_is_year, values))) and _rise_or_fall(values)


class Beneath:
    """What the columns look like under a row; each is looked at when it is asked for, because a sheet may be wide."""

    def __init__(self, rows: Iterable[RowFeatures], policy: HeaderPolicy) -> None:
        self._policy = policy
        self.rows: list[RowFeatures] = []
        self.columns: set[int] = set()
        self._data: list[RowFeatures] = []
        self._solid: dict[int, bool] = {}
        cells = 0
        for row in islice(rows, policy.beneath):
            if not row.is_ruler and (self.rows or not row.is_all_units):
                self._data.append(row)
                self.columns.update(row.filled)
            self.rows.append(row)
            cells += len(row.cells)
            if cells > policy.cells_beneath and len(self.rows) >= policy.fewest_beneath:
                break

    def solid(self, column: int) -> bool:
        """Whether what stands in this column is mostly numbers, dates or booleans."""
        if column not in self._solid:
            self._solid[column] = self._is_solid(column)
        return self._solid[column]

    def _is_solid(self, column: int) -> bool:
        seen = Counter(row.looks(column) for row in self._data if not (row.cells.get(column) or " ").isspace())
        solid = seen["number"] + seen["date"] + seen["boolean"]
        both = solid + seen["text"]
        return solid * 2 > both if both >= self._policy.cells_for_majority else solid >= self._policy.mostly * both and solid > 0

    def texts(self, column: int) -> list[str]:
        """The cells of this column that are not blank."""
        return [text for row in self.rows if (text := row.cells.get(column))]

    def are_words(self, column: int) -> bool:
        """Whether most of them read like names of columns."""
        texts = self.texts(column)
        return sum(map(is_header_word, texts)) * 2 > len(texts) > 0


def is_units(row: RowFeatures, following: Sequence[RowFeatures], policy: HeaderPolicy) -> bool:
    """Whether a row under the header holds units of measurement and nothing else, above numbers."""
    units = [column for column in row.filled if is_unit(row.cells[column])]
    if not units or not all(column in units or row.cells[column].strip() in _BLANK_UNITS for column in row.filled):
        return False
    return all(map(Beneath(following, policy).solid, units))


def is_key(text: str) -> bool:
    """Whether a text asks for a value beside it ("Customer:") or brings it along ("Unit: EUR")."""
    return ":" in text or "：" in text


def without_point(text: str) -> str:
    """A whole number as most programs write it: some write the year 2024 as 2024.0."""
    return _WITH_POINT.sub("", text)


def _is_year(text: str) -> bool:
    return text.isdecimal() and 1900 <= int(text) <= 2100


def _rise_or_fall(values: list[str]) -> bool:
    if len(set(values)) < len(values):
        return False
    return sorted(values) in (values, values[::-1])
