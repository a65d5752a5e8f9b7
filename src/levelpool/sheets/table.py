"""
What flows through `sheets` and `ingest`: cells with their kind, batches of rows, columns, plans, and the finished table.

    read  ->  Sheet (batches of cells as they stand in the file)
    clean ->  TablePlan (where a table is, what its columns are), then CleanBatch (values, and what was set aside)
    load  <-  TablePlan, CleanBatch

Reading, cleaning and loading know each other only through these records.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from itertools import zip_longest

# ---------------------------------------------------------------- cells, as they stand in the file

# The kind of a cell is a short string, because a sheet has millions of them and strings compare and hash in no time.
# A number carries its number format behind the letter: "n" is General, "n0.00%" a percentage, "nyyyy-mm-dd" a date serial.
TEXT = "s"
NUMBER = "n"
BOOLEAN = "b"
ERROR = "e"
DATE = "d"
NO_VALUE = "f"

Kind = str
"""
TEXT      the exact text
NUMBER    the exact digits of the file, such as "1.1000000000000001" or "1E+400"; text after "n" is the number format
BOOLEAN   "true" or "false"
ERROR     "#N/A", "#SPILL!", ...
DATE      ISO 8601 text: "2026-11-02", "2026-11-02T08:30:00", "08:30:00"
NO_VALUE  a formula whose result the file does not hold; its text is the formula
A blank cell has neither text nor kind (None, None). An empty text cell is ("", TEXT).
"""


class Cells:
    """
    The cells of one column of a batch, from the top.

    Mostly all of them have one kind, and are looked at as a whole: so they may come as one text with a line for each cell,
    which is taken apart only when somebody asks for the cells one by one.
    """

    __slots__ = ("_count", "_full", "_joined", "_texts", "kind", "kinds")

    def __init__(
        self,
        texts: Sequence[str | None] | None = None,
        *,
        joined: str | None = None,
        kind: Kind | None = None,
        kinds: Sequence[Kind | None] | None = None,
    ) -> None:
        """
        Either *texts*, or all of them as one text *joined*, see `joined`.

        *kind* is what all cells have that are not blank (None: all are), *kinds* has one for each cell when they differ.
        """
        self._texts = texts
        self._joined = joined
        self._full: bool | None = None
        self._count: int | None = None
        self.kind = kind
        self.kinds = kinds

    @classmethod
    def of(cls, texts: Sequence[str | None], kinds: Sequence[Kind | None]) -> "Cells":
        """The cells with these texts and kinds."""
        present = set(kinds) - {None}
        return cls(texts, kinds=kinds) if len(present) > 1 else cls(texts, kind=next(iter(present), None))

    @classmethod
    def alike(cls, texts: Sequence[str | None], kind: Kind | None) -> "Cells":
        """The cells with these texts, all of one kind where they are not blank."""
        return cls(texts, kind=kind if any(text is not None for text in texts) else None)

    @classmethod
    def plain(cls, texts: Sequence[str | None], kind: Kind | None) -> "Cells":
        """The same for texts of which it is known that none is empty, of several lines, or long."""
        try:
            lines: list[str] = texts  # type: ignore[assignment]
            cells = cls(joined="\n".join(lines), kind=kind)
            cells._count = len(texts)
        except TypeError:
            present = len(list(filter(None, texts)))
            cells = cls(joined="\n".join([text or "" for text in texts]), kind=kind if present else None)
            cells._count = present
        cells._full = cells._count == len(texts)
        return cells

    @classmethod
    def blank(cls, count: int) -> "Cells":
        """So many blank cells."""
        return cls([None] * count)

    @property
    def is_blank(self) -> bool:
        """Whether every cell is blank."""
        return self.kind is None and self.kinds is None

    @property
    def texts(self) -> Sequence[str | None]:
        """The text of each cell, None for a blank one."""
        if self._texts is None:
            lines: list[str] = (self._joined or "").split("\n")
            self._texts = lines if self.is_full else [line or None for line in lines]
        return self._texts

    @property
    def joined(self) -> str | None:
        """
        The texts as one, a line for each cell, empty for a blank one.

        None when that would not tell them apart, because a text is empty or has a line feed, and when it would be very long.
        """
        if self._joined is None and self._texts is not None:
            self._joined = join_texts(self._texts)
        return self._joined

    @property
    def is_full(self) -> bool:
        """Whether it is plain at a glance that no cell is blank and no text empty."""
        if self._full is None:
            joined = self.joined
            self._full = joined is not None and not self.is_blank and _is_full(joined)
        return self._full

    def kind_at(self, place: int) -> Kind | None:
        """The kind of one cell."""
        if self.kinds is not None:
            return self.kinds[place]
        return None if self.texts[place] is None else self.kind

    def each_kind(self) -> Sequence[Kind | None]:
        """The kind of each cell."""
        return self.kinds if self.kinds is not None else [None if text is None else self.kind for text in self.texts]

    def count(self) -> int:
        """How many cells are not blank."""
        if self._count is None:
            self._count = self._counted()
        return self._count

    def _counted(self) -> int:
        if self.is_blank:
            return 0
        if self.kinds is not None:
            return len(self.kinds) - self.kinds.count(None)
        if self._joined is not None:
            return self._joined.count("\n") + 1 if self.is_full else len(list(filter(None, self.texts)))
        return len(self.texts) - self.texts.count(None)

    @classmethod
    def together(cls, parts: Sequence["Cells"]) -> "Cells":
        """The cells of all parts, one under the other."""
        kinds = {part.kind for part in parts} - {None}
        if len(kinds) > 1 or any(part.kinds is not None for part in parts):
            return cls([text for part in parts for text in part.texts], kinds=[kind for part in parts for kind in part.each_kind()])
        kind = next(iter(kinds), None)
        lines = [part.joined for part in parts]
        if kind is None or None in lines or sum(len(line or "") for line in lines) > LONGEST_JOINED:
            return cls([text for part in parts for text in part.texts], kind=kind)
        return cls(joined="\n".join(line or "" for line in lines), kind=kind)

    def pick(self, places: Sequence[int]) -> "Cells":
        """Only the cells at these places."""
        texts = list(map(self.texts.__getitem__, places))
        if self.kinds is not None:
            return Cells.of(texts, [self.kinds[place] for place in places])
        return Cells.alike(texts, self.kind)


SHORT = 1000
"""So few characters of each cell cannot make a column too long."""

LONGEST_JOINED = 1 << 22
"""One giant text may stand in every cell of a column: joined, it would be as large as all of them."""


def join_texts(texts: Sequence[str | None]) -> str | None:
    """The texts as `Cells.joined` has them; None when that would not tell them apart."""
    try:
        lines: list[str] = texts  # type: ignore[assignment]
        size = sum(map(len, lines))
    except TypeError:
        lines = [text or "" for text in texts]
        size = sum(map(len, lines))
    if size > LONGEST_JOINED:
        return None
    joined = "\n".join(lines)
    if joined.count("\n") != len(lines) - 1 or (not _is_full(joined) and "" in texts):
        return None
    return joined


def _is_full(joined: str) -> bool:
    return not (joined == "" or joined[0] == "\n" or joined[-1] == "\n" or "\n\n" in joined)


Record = tuple[int, Mapping[int, str], Mapping[int, Kind]]
"""One row: its number, and the texts and kinds of its cells by their 0-based columns, from the left."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one sheet, nothing converted yet; the rows of a sheet come in the order of the file."""

    rows: list[int]  # 1-based row numbers of the sheet
    columns: list[Cells]  # from column A on, each as long as `rows`
    sums: dict[int, frozenset[int]] = field(default_factory=dict)
    # row number -> 0-based columns whose formula is a SUM or SUBTOTAL

    @classmethod
    def of_rows(
        cls,
        rows: list[int],
        cells: Sequence[Sequence[str | None]],
        kinds: Sequence[Sequence[Kind | None]],
        sums: dict[int, frozenset[int]] | None = None,
    ) -> "Batch":
        """The batch with these rows, each from column A on; they may differ in length, and rows that look alike may share a list of kinds."""
        layouts = list({id(layout): layout for layout in kinds}.values())
        # A lone cell in the last column must not cost as much as a full row.
        filled = {place for layout in layouts for place, kind in enumerate(layout) if kind is not None}
        columns = [Cells([None] * len(rows))] * max(map(len, cells), default=0)
        for place, texts in enumerate(zip_longest(*cells)):
            if place in filled:
                columns[place] = _column(place, texts, kinds, layouts)
        return cls(rows, columns, sums or {})

    @classmethod
    def together(cls, parts: Sequence["Batch"]) -> "Batch":
        """The rows of all parts, one under the other."""
        if len(parts) == 1:
            return parts[0]
        columns = []
        for place in range(max(len(part.columns) for part in parts)):
            present = [part.columns[place] if place < len(part.columns) else Cells.blank(len(part.rows)) for part in parts]
            columns.append(Cells.together(present))
        return cls(
            [row for part in parts for row in part.rows],
            columns,
            {row: sums for part in parts for row, sums in part.sums.items()},
        )

    @classmethod
    def of_records(cls, records: "Sequence[Record]", sums: dict[int, frozenset[int]] | None = None) -> "Batch":
        """The batch with these rows."""
        width = max((max(texts, default=-1) for _, texts, _ in records), default=-1) + 1
        texts: dict[int, list[str | None]] = {}
        kinds: dict[int, list[Kind | None]] = {}
        for place, (_, of_row, kinds_of_row) in enumerate(records):
            for column, text in of_row.items():
                if column not in texts:
                    texts[column], kinds[column] = [None] * len(records), [None] * len(records)
                texts[column][place], kinds[column][place] = text, kinds_of_row[column]
        columns = [Cells.blank(len(records))] * width
        for column, of_column in texts.items():
            columns[column] = Cells.of(of_column, kinds[column])
        return cls([number for number, _, _ in records], columns, sums or {})

    def records(self, places: Sequence[int] | None = None) -> "list[Record]":
        """The rows at these places, or all: a sheet may be wide and its rows short, so each has only what is there."""
        chosen = range(len(self.rows)) if places is None else places
        texts: list[dict[int, str]] = [{} for _ in chosen]
        kinds: list[dict[int, Kind]] = [{} for _ in chosen]
        for column, cells in enumerate(self.columns):
            if cells.is_blank:
                continue
            of_column = cells.texts
            for place, of_row, kinds_of_row in zip(chosen, texts, kinds, strict=True):
                text = of_column[place]
                if text is not None:
                    of_row[column] = text
                    kinds_of_row[column] = (cells.kind if cells.kinds is None else cells.kinds[place]) or TEXT
        return list(zip([self.rows[place] for place in chosen], texts, kinds, strict=True))

    def pick(self, places: Sequence[int]) -> "Batch":
        """Only the rows at these places."""
        blank = Cells.blank(len(places))
        columns = [blank if column.is_blank else column.pick(places) for column in self.columns]
        return Batch([self.rows[place] for place in places], columns, self.sums)


def _column(
    place: int, texts: Sequence[str | None], kinds: Sequence[Sequence[Kind | None]], layouts: Sequence[Sequence[Kind | None]]
) -> Cells:
    present = {layout[place] for layout in layouts if place < len(layout)} - {None}
    if len(present) > 1:
        return Cells(texts, kinds=[layout[place] if place < len(layout) else None for layout in kinds])
    return Cells(texts, kind=next(iter(present), None))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of cells, ends included; rows 1-based, columns 0-based."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


@dataclass(frozen=True, slots=True)
class NamedTable:
    """What a workbook itself calls a table."""

    name: str
    box: Box  # header and totals included
    names: tuple[str, ...]  # of its columns
    header_rows: int
    total_rows: int


@dataclass(frozen=True, slots=True)
class Declared:
    """What the file itself says about a column: nothing has to be found out."""

    header: str
    type: "ColumnType"
    why: str  # the file's own name of the type
    digits: int = 0  # most significant digits of any value; NUMERIC only
    scale: int = 0  # digits behind the point; NUMERIC only


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet, read to its end: its cells wait in a spool and can be walked through as often as one likes."""

    name: str
    position: int  # 0-based place in the workbook
    batches: Callable[[], Iterator[Batch]]
    hidden: bool = False
    date1904: bool = False  # date serials count from 1904-01-01
    delimiter: str = ""  # of a delimited text
    row_count: int = 0  # rows delivered
    cell_count: int = 0  # non-blank cells delivered: the `read` of every account
    complete: bool = True  # False: reading stopped early, because only the first rows were asked for
    merges: tuple[Box, ...] = ()
    hidden_rows: frozenset[int] = frozenset()  # 1-based
    hidden_columns: frozenset[int] = frozenset()  # 0-based
    declared: tuple[Declared, ...] = ()  # the columns, in a format that has types: all rows are data then
    tables: tuple[NamedTable, ...] = ()  # by the workbook's own word
    remarks: tuple[str, ...] = ()  # what the reader noticed: "row 7 stands twice", "error cells read as blank by this route", ...


@dataclass(frozen=True, slots=True)
class Workbook:
    """One file, read to its end."""

    format: str  # "xlsx", "xls", "xlsb", "ods", "csv", "html", "mht", "xml2003", "parquet", "arrow"
    sheets: tuple[Sheet, ...]
    reader: str  # which route read it, for the report
    encoding: str | None = None  # text formats only
    delimiter: str | None = None  # text formats only
    remarks: tuple[str, ...] = ()


# ---------------------------------------------------------------- tables, as they are understood


class ColumnType(StrEnum):
    """The types of a column, by their SQL names."""

    BOOLEAN = "BOOLEAN"
    BIGINT = "BIGINT"
    NUMERIC = "NUMERIC"
    DOUBLE = "DOUBLE PRECISION"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    TIME = "TIME"
    TEXT = "TEXT"


Value = bool | int | Decimal | float | date | datetime | time | str | None

Json = bool | int | float | str | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Notation:
    """How the values of a typed column are written in this file; with it every value renders back to the text of its cell."""

    decimal: str = "."  # "." or ","
    thousands: str = ""  # "", ",", ".", "'", " ", or a no-break space
    lakhs: bool = False  # the mark stands before the last three digits and then before every two: "12,34,567"
    percent: bool = False  # "12.5%" is 0.125
    percent_gap: str = ""  # what stands before the percent sign: "" or a blank
    currency: str = ""  # the mark, as it stands before or behind the number
    currency_after: bool = False
    parentheses: bool = False  # "(12.00)" is -12.00
    minus: str = "before"  # where a minus stands: "before" everything, "inside" ("$-5"), or "after" ("5-")
    minus_sign: str = "-"  # or another character that is printed for it, such as U+2212
    accounting: tuple[str, str, str] = (
        "",
        "",
        "",
    )  # positive, negative and zero as an accounting format writes them, "0" for the digits: " $0 "
    full_width: bool = False  # "１２３"
    sign_gap: bool = False  # a blank stands behind where a minus would: "5 " beside "3-"
    width: int = 0  # characters that blanks fill up; 0: none
    blanks_after: bool = False  # the blanks that fill up stand behind the number
    date_form: str = ""  # strptime-like: "%Y-%m-%d", "%-d.%-m.%Y %H:%M", "%Y年%m月%d日"; "serial" for workbook serials; "%3f": milliseconds
    date1904: bool = False
    booleans: tuple[str, str] = ("true", "false")  # how true and false are written


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, and why it has its type."""

    name: str  # as in the database
    header: str  # as in the file; "" without one
    position: int  # 0-based column of the sheet
    type: ColumnType
    notation: Notation = Notation()
    why: str = ""  # one sentence: the evidence over all rows, or the first values that made it TEXT
    samples: tuple[str, ...] = ()  # the first few texts, as in the file (a date serial as ISO 8601)
    digits: int = 0  # most significant digits of any value; NUMERIC only
    scale: int = 0  # most digits behind the point; NUMERIC only


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column of a dataset, as its database table has it."""

    name: str
    header: str  # as in the file that brought the column
    position: int  # 0-based, in order of arrival
    type: ColumnType
    storage: str  # the type as declared in the database
    scale: int = 0  # NUMERIC only: most digits behind the point
    even_scale: bool = True  # NUMERIC only: every value has exactly `scale` of them
    filled: bool = False  # some file had a value for it


@dataclass(frozen=True, slots=True)
class Outside:
    """A row that is not data: a title, a header, a unit row, a total, a footer."""

    row: int  # 1-based
    reason: str  # "title", "header", "repeated header", "units", "total", "footer", "note"
    cells: tuple[str, ...]  # its non-blank texts, as in the file
    shown: tuple[str, ...]  # the same as a person sees them: a date is no serial


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One cell that cannot be loaded; its whole row stays out (or, by policy `cell`, the cell is NULL)."""

    row: int  # 1-based
    column: str  # the column's name
    value: str  # as in the file
    reason: str


@dataclass(frozen=True, slots=True)
class CellCounts:
    """What became of every non-blank cell: `read == loaded + quarantined + outside`, always."""

    read: int = 0
    loaded: int = 0
    quarantined: int = 0
    outside: int = 0

    def __add__(self, other: "CellCounts") -> "CellCounts":
        return CellCounts(
            self.read + other.read,
            self.loaded + other.loaded,
            self.quarantined + other.quarantined,
            self.outside + other.outside,
        )


@dataclass(frozen=True, slots=True)
class HeaderStep:
    """What one rule made of one row while the header of a table was looked for."""

    row: int  # 1-based
    rule: str  # its name, as docs/explanation/tables.md lists it
    verdict: str  # "header", "no header", "record", "above the table"


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Where one table stands in a sheet and what its columns are, decided over all rows."""

    sheet: str
    position: int  # 0-based number of the table within its sheet, from the top
    box: Box  # header rows and data
    header_rows: tuple[int, ...]  # 1-based, from the top; () without a header
    columns: tuple[Column, ...]
    outside: tuple[Outside, ...] = ()  # in or around this table
    hidden: bool = False
    reasons: tuple[str, ...] = ()  # why the table is here, for people
    trace: tuple[HeaderStep, ...] = ()  # how its header was looked for, in order; () where nobody had to look

    @property
    def header_row(self) -> int | None:
        """The 0-based index of the (last) header row, as `header` takes it; None without one."""
        return self.header_rows[-1] - 1 if self.header_rows else None


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """Rows ready to load, and what was set aside among them."""

    rows: list[int]  # 1-based row numbers
    columns: list[list[Value]]  # one value per row in each, in the order of the columns
    quarantined: list[Quarantined]
    quarantined_rows: dict[int, tuple[str, ...]]  # the non-blank cells of each row that stays out
    cells: CellCounts

    @property
    def values(self) -> list[tuple[Value, ...]]:
        """One tuple per row; made when it is asked for, because a table may be wide."""
        return self.first_values(len(self.rows))

    def first_values(self, count: int) -> list[tuple[Value, ...]]:
        """The same for the first rows."""
        count = min(count, len(self.rows))
        return list(zip(*(column[:count] for column in self.columns), strict=True)) if self.columns else [()] * count
