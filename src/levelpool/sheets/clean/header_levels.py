"""
Headers of several levels with a row below that names the columns on the left, as pandas writes what it has grouped or pivoted.

The levels stand over the values, and the columns on the left have no name in them, or the name of the level. Below stands a row that holds the
names of these columns and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from levelpool.sheets.clean.header_policy import POLICY
from levelpool.sheets.clean.row_features import RowFeatures

_FEWEST_LEVELS = 2
"""Below a single header row, a text alone is the first of the labels that part the records into groups."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The places of the first level and of the row that names the columns on the left."""

    first: int
    index: int


def find_levels(rows: Sequence[RowFeatures], place: int, start: int) -> Levels | None:
    """The levels around the header row at *place* of a block that begins at *start*; None where no row below names the columns on the left."""
    for index in range(place + 1, min(place + 1 + POLICY.header_rows_above, len(rows))):
        if rows[index].number - rows[index - 1].number != 1:
            return None
        width = _names_on_the_left(rows, index)
        if width:
            first = index
            while (
                first > start
                and rows[first].number - rows[first - 1].number == 1
                and _is_level(rows[first - 1], rows[index].filled[0], width)
            ):
                first -= 1
            are_levels = first <= place and index - first >= _FEWEST_LEVELS
            # Rows that all hold something on the left may be a header and records.
            left = rows[index].filled[0]
            begins = [row.filled[0] for row in rows[first:index]]
            return Levels(first, index) if are_levels and (max(begins) >= left + width or min(begins) > left) else None
    return None


def has_numbers_below(rows: Sequence[RowFeatures], levels: Levels) -> bool:
    """Whether each of the next rows holds numbers behind the columns on the left."""
    last_on_the_left = rows[levels.index].filled[-1]
    beneath = list(islice(rows, levels.index + 1, levels.index + 1 + POLICY.beneath))
    return all(any(column > last_on_the_left and row.looks(column) == "number" for column in row.filled) for row in beneath)


def _names_on_the_left(rows: Sequence[RowFeatures], index: int) -> int:
    """How many columns a row names that holds texts on the left and nothing else; 0 when a row beneath does as well, or when none goes further."""
    row, beneath = rows[index], list(islice(rows, index + 1, index + 1 + POLICY.beneath))
    if not row.is_all_text or row.is_comment or not beneath:
        return 0
    left, width = row.filled[0], len(row.filled)
    is_left = row.filled == list(range(left, left + width))
    goes_on = all(each.filled and each.filled[0] >= left and each.filled[-1] >= left + width for each in beneath)
    return width if is_left and goes_on and rows[index - 1].filled[-1] >= left + width else 0


def _is_level(row: RowFeatures, left: int, width: int) -> bool:
    """Whether a row names columns of values by texts or whole numbers, and on the left at most its level."""
    if not row.filled or row.has_key or row.filled[0] < left or row.filled[-1] < left + width:
        return False
    on_the_left = [column for column in row.filled if column < left + width]
    are_names = all(column in row.texts or (row.cells[column].isdecimal() and column not in on_the_left) for column in row.filled)
    return len(on_the_left) <= 1 and are_names
