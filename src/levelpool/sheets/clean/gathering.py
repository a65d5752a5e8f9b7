"""The evidence of all columns of a table, where cells that come few at a time wait until a look at them is worth it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from levelpool.sheets.clean.evidence import Evidence
from levelpool.sheets.table import Batch, Cells, Kind

_FEW_ROWS = 64
_MOST_WAITING = 1 << 18  # cells of all columns


@dataclass(slots=True)
class _Waiting:
    """Cells of one column that nobody has looked at yet."""

    rows: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    kinds: list[Kind | None] = field(default_factory=list)

    def take(self, rows: Sequence[int], cells: Cells) -> None:
        for row, text, kind in zip(rows, cells.texts, cells.each_kind(), strict=True):
            if text is not None:
                self.rows.append(row)
                self.texts.append(text)
                self.kinds.append(kind)


class Gathering:
    """What the cells of each column have shown so far; a sheet may have 16,384 columns, and most of its rows a few cells."""

    def __init__(self, *, date1904: bool) -> None:
        self._date1904 = date1904
        self._columns: dict[int, Evidence] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._count = 0  # cells that may wait

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, column: int) -> bool:
        return column in self._columns

    def columns(self) -> Iterable[int]:
        """The columns that have a cell."""
        return self._columns.keys()

    def looks(self, column: int) -> str:
        """What the values of a column look like, see `Evidence.looks`; "" where there is none."""
        if column not in self._columns:
            return ""
        self._look_at(column)
        return self._columns[column].looks

    def evidence(self) -> dict[int, Evidence]:
        """All columns, with all their cells."""
        for column in list(self._waiting):
            self._look_at(column)
        self._count = 0
        return self._columns

    def add(self, batch: Batch) -> None:
        """Take in the cells of some rows."""
        few = len(batch.rows) < _FEW_ROWS
        for column, cells in enumerate(batch.columns):
            if cells.is_blank:
                continue
            if column not in self._columns:
                self._columns[column] = Evidence(date1904=self._date1904)
            if few:
                self._waiting.setdefault(column, _Waiting()).take(batch.rows, cells)
            else:
                self._look_at(column)
                self._columns[column].add(batch.rows, cells)
        if few:
            self._count += sum(cells.count() for cells in batch.columns)
            if self._count > _MOST_WAITING:
                self.evidence()

    def _look_at(self, column: int) -> None:
        waiting = self._waiting.pop(column, None)
        if waiting is not None:
            self._columns[column].add(waiting.rows, Cells.of(waiting.texts, waiting.kinds))
