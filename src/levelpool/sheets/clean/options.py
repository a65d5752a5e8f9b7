"""What a person may say about a table; all that is left unsaid is found out."""

from dataclasses import dataclass

from levelpool.sheets.table import ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOptions:
    """What a person says about one column."""

    header: str  # which column: its header, as the plan shows it
    name: str | None = None  # its name in the database
    type: ColumnType | None = None  # its type; a value that does not fit goes to quarantine
    date_form: str | None = None  # how its dates are written, such as "%d/%m/%Y"
    decimal: str | None = None  # "." or ",": which mark parts the decimals


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """Corrections to what would be found out; frozen, so that a template can carry them."""

    header: int | None = None  # 0-based row of the (last) header row
    no_header: bool = False  # the first row is data
    first_row: int | None = None  # 1-based: rows above are left out
    last_row: int | None = None  # 1-based: rows below are left out
    one_table: bool = False  # blank rows part nothing: all that follows the header is one table
    keep_totals: bool = False  # rows of totals are data
    blanks: frozenset[str] = frozenset()  # texts that mean "no value", such as "NA" or "-"
    columns: tuple[ColumnOptions, ...] = ()

    def column(self, header: str) -> ColumnOptions | None:
        """What is said about the column with this header."""
        return next((each for each in self.columns if each.header == header), None)
