"""
What flows through the halls of the sheets wing: cells with their kind, batches of rows, columns, plans, and the finished table.

    read  ->  Sheet (batches of cells as they stand in the file)
    clean ->  TablePlan (where a table is, what its columns are), then CleanBatch (values, and what was set aside)
    load  <-  TablePlan, CleanBatch

The rooms know each other only through these records.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one sheet, nothing converted yet; the rows of a sheet come in the order of the file."""

    rows: list[int]  # 1-based row numbers of the sheet
    cells: list[list[str | None]]  # one list per row, from column A on; rows may differ in length
    kinds: list[list[Kind | None]]  # as `cells`
    sums: dict[int, frozenset[int]] = field(default_factory=dict)
    # row number -> 0-based columns whose formula is a SUM or SUBTOTAL


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of cells, ends included; rows 1-based, columns 0-based."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


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
    row_count: int = 0  # rows delivered
    cell_count: int = 0  # non-blank cells delivered: the `read` of every account
    complete: bool = True  # False: reading stopped early, because only the first rows were asked for
    merges: tuple[Box, ...] = ()
    hidden_rows: frozenset[int] = frozenset()  # 1-based
    hidden_columns: frozenset[int] = frozenset()  # 0-based
    declared: tuple[Declared, ...] = ()  # the columns, in a format that has types: all rows are data then
    remarks: tuple[str, ...] = ()  # what the reader noticed: "row 7 stands twice", "error cells read as blank by this route", ...


@dataclass(frozen=True, slots=True)
class Workbook:
    """One file, read to its end."""

    format: str  # "xlsx", "xls", "xlsb", "ods", "csv", "html", "xml2003", "parquet", "arrow"
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
    percent: bool = False  # "12.5%" is 0.125
    currency: str = ""  # the mark, as it stands before or behind the number
    currency_after: bool = False
    parentheses: bool = False  # "(12.00)" is -12.00
    minus: str = "before"  # where a minus stands: "before" everything, "inside" ("$-5"), or "after" ("5-")
    full_width: bool = False  # "１２３"
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
    cells: tuple[str, ...]  # its non-blank texts


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

    @property
    def header_row(self) -> int | None:
        """The 0-based index of the (last) header row, as `header` takes it; None without one."""
        return self.header_rows[-1] - 1 if self.header_rows else None


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """Rows ready to load, and what was set aside among them."""

    rows: list[int]  # 1-based row numbers of `values`
    values: list[tuple[Value, ...]]  # one tuple per row, in the order of the columns
    quarantined: list[Quarantined]
    quarantined_rows: dict[int, tuple[str, ...]]  # the non-blank cells of each row that stays out
    cells: CellCounts
