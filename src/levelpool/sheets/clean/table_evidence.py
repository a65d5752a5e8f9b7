"""The evidence of all columns of a table, where cells that come few at a time wait until a look at them is worth it."""

from collections.abc import Iterable, Sequence
from itertools import chain, compress

from levelpool.sheets.clean.evidence import ColumnEvidence
from levelpool.sheets.table import Batch, Cells, Kind

_FEW_ROWS = 64
_WIDE = 1000  # columns: of so many a batch never has more than a few rows
_ENOUGH_ROWS = 4096
_MOST_WAITING = 1 << 26  # bytes of all columns, about
_PIECE = 100  # bytes that a piece takes beside its text
_LONG = 64  # characters of a cell


class _Waiting:
    """Cells of one column that nobody has looked at yet, in pieces."""

    __slots__ = ("_kind", "_pieces", "_rows")

    def __init__(self) -> None:
        self._rows: list[Sequence[int]] = []
        # Most pieces are one text of the same kind. There may be a million of them: that many objects would keep the garbage collector busy.
        self._pieces: list[str | Cells] = []
        self._kind: Kind | None = None

    def take(self, rows: Sequence[int], cells: Cells) -> int:
        """Keep the cells of some rows; returns the bytes they take, about."""
        self._rows.append(rows)
        joined = cells.joined if cells.kinds is None else None
        if joined is None or len(joined) > _LONG * len(rows):  # a long text may be the same one over and over
            self._pieces.append(cells)
            return _PIECE + _LONG * len(rows)
        if cells.kind != self._kind:
            if self._pieces:
                self._pieces.append(Cells(joined=joined, kind=cells.kind))
                return _PIECE + len(joined)
            self._kind = cells.kind
        self._pieces.append(joined)
        return _PIECE + len(joined)

    def look(self) -> tuple[list[int], Cells]:
        """The rows and the cells of all pieces; blank ones are left out where that is easy."""
        rows = chain.from_iterable(self._rows)
        texts = [piece for piece in self._pieces if isinstance(piece, str)]
        if len(texts) < len(self._pieces):
            pieces = [Cells(joined=piece, kind=self._kind) if isinstance(piece, str) else piece for piece in self._pieces]
            return list(rows), Cells.together(pieces)
        lines = "\n".join(texts).split("\n")
        return list(compress(rows, lines)), Cells.plain(list(filter(None, lines)), self._kind)


class TableEvidence:
    """What the cells of each column have shown so far; a sheet may have 16,384 columns, and most of its rows a few cells."""

    def __init__(self, *, date1904: bool) -> None:
        self._date1904 = date1904
        self._columns: dict[int, ColumnEvidence] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._rows = 0  # that may wait, ...
        self._size = 0  # ... and the bytes they take, about

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, column: int) -> bool:
        return column in self._columns

    def columns(self) -> Iterable[int]:
        """The columns that have a cell."""
        return self._columns.keys()

    def looks(self, column: int) -> str:
        """What the values of a column look like, see `ColumnEvidence.looks`; "" where there is none."""
        if column not in self._columns:
            return ""
        self._look_at(column)
        return self._columns[column].looks

    def by_column(self) -> dict[int, ColumnEvidence]:
        """All columns, with all their cells."""
        for column in list(self._waiting):
            self._look_at(column)
        self._rows = self._size = 0
        return self._columns

    def add(self, batch: Batch) -> None:
        """Take in the cells of some rows."""
        if len(batch.rows) < _FEW_ROWS or len(batch.columns) > _WIDE:
            self._let_wait(batch)
            return
        for column, cells in enumerate(batch.columns):
            if not cells.is_blank:
                self._look_at(column)
                self._evidence_of(column).add(batch.rows, cells)

    def _let_wait(self, batch: Batch) -> None:
        for column, cells in enumerate(batch.columns):
            if cells.is_blank:
                continue
            waiting = self._waiting.get(column)
            if waiting is None:
                self._evidence_of(column)
                waiting = self._waiting[column] = _Waiting()
            self._size += waiting.take(batch.rows, cells)
        self._rows += len(batch.rows)
        if self._rows > _ENOUGH_ROWS or self._size > _MOST_WAITING:
            self.by_column()

    def _evidence_of(self, column: int) -> ColumnEvidence:
        if column not in self._columns:
            self._columns[column] = ColumnEvidence(date1904=self._date1904)
        return self._columns[column]

    def _look_at(self, column: int) -> None:
        waiting = self._waiting.pop(column, None)
        if waiting is not None:
            self._columns[column].add(*waiting.look())
