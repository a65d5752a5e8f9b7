"""The merged areas of a sheet."""

from collections.abc import Iterable

from levelpool.sheets.clean.header_policy import POLICY
from levelpool.sheets.table import Box


class Merges:
    """The merged areas of a sheet, by their first row."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._by_row: dict[int, list[Box]] = {}
        for box in boxes:
            self._by_row.setdefault(box.first_row, []).append(box)

    def at(self, row: int) -> list[Box]:
        """The areas that begin in this row."""
        return self._by_row.get(row, [])

    def groups(self, row: int) -> list[Box]:
        """Those of them that span several columns."""
        return [box for box in self.at(row) if box.last_column > box.first_column]

    def join(self, row: int, last: int) -> bool:
        """Whether an area that begins in *row*, or little above it, reaches down to the row *last*."""
        return any(box.last_row >= last for first in range(row - POLICY.header_rows_above, row + 1) for box in self.at(first))
