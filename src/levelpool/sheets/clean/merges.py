"""The merged areas of a sheet."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from levelpool.sheets.clean.header_policy import POLICY
from levelpool.sheets.table import Box


class Merges:
    """The merged areas of a sheet, by their first row."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._by_row: dict[int, list[Box]] = {}
        self._groups: dict[int, list[Box]] = {}
        self._reach: dict[int, int] = {}  # the last row of those that begin in a row
        for box in boxes:
            self._by_row.setdefault(box.first_row, []).append(box)
            if box.last_column > box.first_column:
                self._groups.setdefault(box.first_row, []).append(box)
            self._reach[box.first_row] = max(box.last_row, self._reach.get(box.first_row, 0))

    def at(self, row: int) -> list[Box]:
        """The areas that begin in this row."""
        return self._by_row.get(row, [])

    def groups(self, row: int) -> list[Box]:
        """Those of them that span several columns."""
        return self._groups.get(row, [])

    def reach(self, row: int) -> int:
        """The last row of the areas that begin in this row; 0 when none does."""
        return self._reach.get(row, 0)

    def across(self, row: int, columns: Iterable[int]) -> dict[int, int]:
        """Which of these columns the areas that begin in this row cover, each with the first column of its area: the last one counts."""
        found: dict[int, int] = {}
        waiting = sorted(columns)
        for box in reversed(self.at(row)):
            if not waiting:
                break
            begin, end = bisect_left(waiting, box.first_column), bisect_right(waiting, box.last_column)
            found.update(dict.fromkeys(waiting[begin:end], box.first_column))
            del waiting[begin:end]
        return found

    def join(self, row: int, last: int) -> bool:
        """Whether an area that begins in *row*, or little above it, reaches down to the row *last*."""
        return any(self.reach(first) >= last for first in range(row - POLICY.header_rows_above, row + 1))
