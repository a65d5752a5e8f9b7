"""What every reader is handed (`Source`), and what it fills (`SheetBuilder`): rows go in, a finished `Sheet` comes out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.encoding import Encoding
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.spool import SpoolWriter
from levelpool.sheets.table import Batch, Box, Declared, Kind, NamedTable, Sheet
from levelpool.sheets.wording import counted

MAX_ROW = 1 << 31
"""No sheet of any program has this many rows; a number beyond it is nonsense or an attack."""

MAX_REMARKS = 20

_LAST_COLUMN = 16_384
"""Further to the right no program has a column: what is hidden there is nothing."""

BATCH_ROWS = 4096
BATCH_CELLS = 1 << 18
"""A batch ends at whichever comes first, so that its memory is bounded for wide rows too."""

_MOST_PADDING = 1 << 16


def is_thin(positions: int, filled: int) -> bool:
    """Whether rows that differ in length would mostly be blanks, side by side in one batch: a long row goes better alone."""
    return positions > _MOST_PADDING and positions > 4 * filled


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a caller may ask for; the defaults read everything and find out the rest."""

    sheet: str | int | None = None  # only this sheet, by name or 0-based position
    max_rows: int | None = None  # stop after so many rows of each sheet
    encoding: str | None = None  # text formats only; None: find out
    delimiter: str | None = None  # delimited text only; None: find out
    quote: str | None = None  # delimited text only; "": quotation marks are ordinary characters; None: find out
    password: str | None = field(default=None, repr=False)  # opens an encrypted workbook


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read, with all that a reader needs to know."""

    path: Path
    name: str  # as the sender named it: every message begins with it
    folder: Path  # private; the spool goes there
    meter: Meter
    options: ReadOptions
    progress: Callable[[float], None]  # takes a fraction, 0 to 1
    opened: ExitStack  # what was opened on the way; closed when the reading ends, however it ends
    encoding: Encoding | None = None  # of a text, when finding out the format has shown it
    passed: list[str] = field(default_factory=list)  # the names of the sheets that were not asked for

    def wants(self, name: str, position: int) -> bool:
        """Whether the sheet *name* at the 0-based *position* is asked for."""
        asked = self.options.sheet
        wanted = asked is None or asked in {name, position}
        if not wanted:
            self.passed.append(name)
        return wanted


def _filled(rows: Batch) -> Sequence[int]:
    """The places of rows that have a cell."""
    if any(cells.is_full for cells in rows.columns):
        return range(len(rows.rows))
    texts = zip(*(cells.texts for cells in rows.columns), strict=True)
    return [place for place, row in enumerate(texts) if any(text is not None for text in row)]


class SheetBuilder:
    """Takes the rows of one sheet in the order of the file, keeps the account and writes the spool."""

    def __init__(self, source: Source, name: str, position: int) -> None:
        self.name = name
        self.position = position
        self.merges: list[Box] = []
        self._hidden_rows: set[int] = set()
        # A workbook may hide the same columns in each of a million records: at each column, how many begin less how many end.
        self._hides: dict[int, int] = {}
        self._remarks: list[str] = []
        self.complete = True
        self._meter = source.meter
        self._max_rows = source.options.max_rows
        self._spool = source.opened.enter_context(SpoolWriter(source.folder / f"sheet-{position}.cells"))
        self._layouts: dict[tuple[Kind | None, ...], tuple[list[Kind | None], int]] = {}
        self._rows: list[int] = []
        self._cells: list[list[str | None]] = []
        self._kinds: list[list[Kind | None]] = []
        self._sums: dict[int, frozenset[int]] = {}
        self._pieces: list[Batch] = []  # what comes before these rows in the batch
        self._piece_rows = 0
        self._width = 0
        self._filled = 0  # positions in this batch up to the last cell of each row
        self._row_count = 0
        self._cell_count = 0
        self._last_row = 0
        self._disorder: list[int] = []

    @property
    def full(self) -> bool:
        """Whether as many rows as were asked for are here; the reader stops then."""
        return self._max_rows is not None and self._row_count >= self._max_rows

    def add(self, row: int, cells: list[str | None], kinds: list[Kind | None], sums: Iterable[int] = (), *, hidden: bool = False) -> None:
        """One row, numbered from 1; both lists begin at column A. A row without a cell is not delivered."""
        while kinds and kinds[-1] is None:
            kinds.pop()
        if not kinds:
            return
        if self.full:
            self.complete = False
            return
        del cells[len(kinds) :]
        self._note_row(row)
        self._make_room(1, len(kinds))
        kinds, filled = self._layout(kinds)
        self._rows.append(row)
        self._cells.append(cells)
        self._kinds.append(kinds)
        if hidden:
            self._hidden_rows.add(row)
        if sums:
            self._sums[row] = frozenset(sums)
        self._row_count += 1
        self._cell_count += filled
        self._meter.cells(len(kinds))

    def add_columns(self, rows: Batch, hidden: Sequence[bool] = (), *, every_row: bool = False) -> None:
        """
        Many rows at once, column by column; *hidden* tells of each whether it is, () that none is.

        A row without a cell is not delivered, but with *every_row*, as in a format where each row is a record.
        """
        columns = rows.columns
        while columns and columns[-1].is_blank and not every_row:
            columns.pop()
        places = range(len(rows.rows)) if every_row else _filled(rows)
        if self._max_rows is not None and self._row_count + len(places) > self._max_rows:
            places = places[: self._max_rows - self._row_count]
            self.complete = False
        if not places:
            return
        if hidden:
            self._hidden_rows.update(rows.rows[place] for place in places if hidden[place])
        if len(places) < len(rows.rows):
            rows = rows.pick(places)
        for row in rows.rows:
            self._note_row(row)
        self._make_room(len(rows.rows), len(rows.columns))
        self._close_rows()
        self._pieces.append(rows)
        self._piece_rows += len(rows.rows)
        self._row_count += len(rows.rows)
        self._cell_count += sum(cells.count() for cells in rows.columns)
        self._meter.cells(len(rows.rows) * len(rows.columns))

    def remark(self, sentence: str) -> None:
        """Something the reader noticed; the first twenty are kept."""
        if len(self._remarks) < MAX_REMARKS:
            self._remarks.append(sentence)

    def merge(self, box: Box) -> None:
        """One merged area."""
        self._meter.merge()
        self.merges.append(box)

    def hide_columns(self, first: int, end: int) -> None:
        """The columns from *first*, 0-based, to before *end* are hidden."""
        first, end = max(first, 0), min(end, _LAST_COLUMN)
        if first < end:
            self._hides[first] = self._hides.get(first, 0) + 1
            self._hides[end] = self._hides.get(end, 0) - 1

    def _hidden_columns(self) -> Iterator[int]:
        depth, before = 0, 0
        for column in sorted(self._hides):
            if depth:
                yield from range(before, column)
            depth, before = depth + self._hides[column], column

    def finish(
        self,
        *,
        hidden: bool = False,
        date1904: bool = False,
        declared: tuple[Declared, ...] = (),
        delimiter: str = "",
        tables: tuple[NamedTable, ...] = (),
    ) -> Sheet:
        """The sheet, read to its end."""
        self._flush()
        return Sheet(
            name=self.name,
            position=self.position,
            batches=self._spool.close(),
            hidden=hidden,
            date1904=date1904,
            delimiter=delimiter,
            row_count=self._row_count,
            cell_count=self._cell_count,
            complete=self.complete,
            merges=tuple(self.merges),
            hidden_rows=frozenset(self._hidden_rows),
            hidden_columns=frozenset(self._hidden_columns()),
            declared=declared,
            tables=tables,
            remarks=(*self._remarks, *self._disorder_remark()),
        )

    def _note_row(self, row: int) -> None:
        if row <= self._last_row:
            self._disorder.append(row)
        elif row > MAX_ROW:
            raise DamagedFile(f"{self._meter.name} is damaged: sheet {self.name!r} has a row with the number {row}")
        else:
            self._last_row = row

    def _make_room(self, rows: int, width: int) -> None:
        """End the batch where these rows would make it too large: its memory is that of all its columns, blank or not."""
        self._meter.columns(width)
        more = len(self._rows) + self._piece_rows + rows
        positions = more * max(width, self._width)
        if more > BATCH_ROWS or positions > BATCH_CELLS or is_thin(positions, self._filled + rows * width):
            self._flush()
        self._width = max(width, self._width)
        self._filled += rows * width

    def _layout(self, kinds: list[Kind | None]) -> tuple[list[Kind | None], int]:
        # Most rows of a sheet look alike: they share one list of kinds, in memory and in the spool.
        key = tuple(kinds)
        known = self._layouts.get(key)
        if known is None:
            known = self._layouts[key] = kinds, len(kinds) - kinds.count(None)
        return known

    def _close_rows(self) -> None:
        """The rows that came one by one become a piece of the batch."""
        if self._rows:
            self._pieces.append(Batch.of_rows(self._rows, self._cells, self._kinds, self._sums))
            self._piece_rows += len(self._rows)
            self._rows, self._cells, self._kinds, self._sums = [], [], [], {}
        self._layouts.clear()

    def _flush(self) -> None:
        self._close_rows()
        if self._pieces:
            self._meter.spooled(self._spool.write(Batch.together(self._pieces)))
        self._pieces = []
        self._piece_rows = self._width = self._filled = 0

    def _disorder_remark(self) -> tuple[str, ...]:
        if not self._disorder:
            return ()
        stand = counted(len(self._disorder), "row stands", "rows stand")
        return (f"{stand} twice or out of order, first of all row {self._disorder[0]}",)
