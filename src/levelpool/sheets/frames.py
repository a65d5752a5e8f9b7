"""The finished table in a program's hands: rows, Arrow, pandas, polars; the only door to these libraries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from levelpool.extras import needed_for
from levelpool.sheets.table import ColumnType, Quarantined, TablePlan, Value

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a `Table`: its name in a database, its header in the file, and its type."""

    name: str
    header: str
    type: ColumnType


class Table:
    """
    A table that was read: its columns, and values that are bool, int, Decimal, float, date, datetime, time, str or None.

    It can be pickled, and offers the Arrow stream interface, so that `pyarrow.table(t)`, `polars.DataFrame(t)` and
    `duckdb.from_arrow(t)` take it as it is.
    """

    def __init__(
        self,
        columns: Sequence[TableColumn],
        values: Sequence[Sequence[Value]],
        *,
        quarantined: Sequence[Quarantined] = (),
        sheet: str | None = None,
        header_row: int | None = None,
    ) -> None:
        """
        *values* holds one sequence per column, all of the same length; *quarantined* are the cells that are None because they did not fit.

        *sheet* is where the table stood, and *header_row* the 0-based row of its (last) header row, None without one.
        """
        if len(columns) != len(values) or len({len(each) for each in values}) > 1:
            raise ValueError(
                f"a table of {len(columns)} columns needs as many sequences of equal length, not {[len(each) for each in values]}"
            )
        self.columns = tuple(columns)
        self.quarantined = tuple(quarantined)
        self.sheet = sheet
        self.header_row = header_row
        self._values = tuple(list(each) for each in values)

    @classmethod
    def of(cls, plan: TablePlan, values: Sequence[Sequence[Value]], *, quarantined: Sequence[Quarantined] = ()) -> "Table":
        """The table of a plan, with its values."""
        columns = [TableColumn(column.name, column.header, column.type) for column in plan.columns]
        return cls(columns, values, quarantined=quarantined, sheet=plan.sheet, header_row=plan.header_row)

    def __len__(self) -> int:
        return len(self._values[0]) if self._values else 0

    def __repr__(self) -> str:
        return f"<Table of {len(self)} rows: {', '.join(f'{column.name} {column.type}' for column in self.columns)}>"

    def __getitem__(self, column: str) -> list[Value]:
        """The values of one column, by its name or its header. Raises `KeyError`, which names the columns that there are."""
        return list(self._values[self._place(column)])

    def rows(self) -> Iterator[tuple[Value, ...]]:
        """The rows, as tuples in the order of the columns."""
        return zip(*self._values, strict=True)

    def records(self) -> Iterator[dict[str, Value]]:
        """The rows, as dictionaries by the names of the columns."""
        names = [column.name for column in self.columns]
        return (dict(zip(names, row, strict=True)) for row in self.rows())

    def select(self, *columns: str) -> "Table":
        """The table with these columns only, by name or header, in this order; raises `KeyError` as above."""
        places = [self._place(column) for column in columns]
        kept = [self.columns[place] for place in places]
        names = {column.name for column in kept}
        return Table(
            kept,
            [self._values[place] for place in places],
            quarantined=[each for each in self.quarantined if each.column in names],
            sheet=self.sheet,
            header_row=self.header_row,
        )

    def _place(self, column: str) -> int:
        """Where a column stands: a name is unique, a header may not be."""
        for said in ([each.name for each in self.columns], [each.header for each in self.columns]):
            if said.count(column) == 1:
                return said.index(column)
        raise KeyError(f"no single column is called {column!r}: there are {', '.join(each.name for each in self.columns)}")

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule stream interface; needs pyarrow."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> "pa.Table":
        """A pyarrow Table; NUMERIC becomes decimal where 76 digits are enough for the column, else text."""
        with needed_for("to_arrow()"):
            import pyarrow as pa  # noqa: PLC0415  # an optional library is imported behind its door

        arrays = [_arrow_array(pa, column.type, values) for column, values in zip(self.columns, self._values, strict=True)]
        return pa.table(dict(zip([column.name for column in self.columns], arrays, strict=True)))

    def to_pandas(self) -> "pd.DataFrame":
        """
        A pandas DataFrame that loses nothing: integers are Int64 and booleans "boolean" (both with a missing value of their own),
        timestamps datetime64, NUMERIC, dates, times and texts Python objects.
        """
        with needed_for("to_pandas()"):
            import pandas as pd  # noqa: PLC0415

        series = {
            column.name: pd.Series(values, dtype=_PANDAS[column.type]) for column, values in zip(self.columns, self._values, strict=True)
        }
        return pd.DataFrame(series)

    def to_polars(self) -> "pl.DataFrame":
        """A polars DataFrame; NUMERIC becomes Decimal where 38 digits are enough for the column, else text."""
        with needed_for("to_polars()"):
            import polars as pl  # noqa: PLC0415

        return pl.DataFrame([_polars_series(pl, column, values) for column, values in zip(self.columns, self._values, strict=True)])


_PANDAS: dict[ColumnType, Any] = {
    ColumnType.BOOLEAN: "boolean",
    ColumnType.BIGINT: "Int64",
    ColumnType.NUMERIC: object,
    ColumnType.DOUBLE: "float64",
    ColumnType.DATE: object,
    # Microseconds reach from the year 1 to 9999; nanoseconds, the old default, only from 1677 to 2262.
    ColumnType.TIMESTAMP: "datetime64[us]",
    ColumnType.TIME: object,
    ColumnType.TEXT: object,
}


class FrameColumn:
    """One column of a frame, as the key of its values in a row: another may have the same name."""

    def __init__(self, name: object) -> None:
        self._name = name

    def __str__(self) -> str:
        return str(self._name)


class FineText(str):
    """A moment, or a time of day, that Python's own would cut: ISO 8601 with all its digits."""

    __slots__ = ("is_zoned",)
    is_zoned: bool

    def __new__(cls, text: str, *, is_zoned: bool = False) -> Self:
        """*is_zoned*: it had a time zone, and *text* tells it in UTC."""
        fine = super().__new__(cls, text)
        fine.is_zoned = is_zoned
        return fine


def arrow_rows(stream: object) -> Iterator[dict[FrameColumn, Value]]:
    """The rows of anything with the Arrow stream interface, one mapping each; needs pyarrow."""
    with needed_for("what has the Arrow stream interface"):
        import pyarrow as pa  # noqa: PLC0415

    reader = pa.RecordBatchReader.from_stream(stream)
    columns = [FrameColumn(name) for name in reader.schema.names]
    for batch in reader:
        for row in zip(*(_arrow_values(pa, column) for column in batch.columns), strict=True):
            yield dict(zip(columns, row, strict=True))


def _arrow_values(pa: Any, array: Any) -> list[Any]:
    """The values of one column of a batch; nanoseconds, which Python's moments do not have, as text where there are any."""
    kind = array.type
    is_moment = pa.types.is_timestamp(kind)
    if not (is_moment or pa.types.is_time64(kind)) or kind.unit != "ns":
        values: list[Any] = array.to_pylist()
        return values
    zone = kind.tz if is_moment else None
    try:
        coarse = array.cast(pa.timestamp("us", zone) if is_moment else pa.time64("us"))
    except pa.ArrowInvalid:
        # What is told in UTC is the same number without a zone.
        texts = array.cast(pa.timestamp("ns")).cast(pa.string()) if is_moment else array.cast(pa.string())
        return [None if text is None else FineText(text.replace(" ", "T"), is_zoned=zone is not None) for text in texts.to_pylist()]
    return list(coarse.to_pylist())


def polars_rows(frame: Any) -> Iterator[dict[str, Value]]:
    """The rows of a polars DataFrame, one mapping each; as `arrow_rows` does with nanoseconds."""
    fine: dict[str, bool] = {}
    for series in frame.get_columns():
        kind = str(series.dtype)
        if kind.startswith("Datetime(time_unit='ns'") or kind == "Time":
            if not ((series.dt.nanosecond() % 1000) != 0).any():
                continue
            zone = getattr(series.dtype, "time_zone", None)
            moments = series.dt.convert_time_zone("UTC") if zone else series
            form = "%H:%M:%S%.9f" if kind == "Time" else "%Y-%m-%dT%H:%M:%S%.9f"
            frame = frame.with_columns(moments.dt.strftime(form))
            fine[series.name] = zone is not None
    for row in frame.iter_rows(named=True):
        for name, is_zoned in fine.items():
            row[name] = None if row[name] is None else FineText(row[name], is_zoned=is_zoned)
        yield row


def _decimal_places(values: Sequence[Value]) -> tuple[int, int]:
    """Digits in all and digits behind the point that hold every decimal of a column."""
    before = after = 0
    for value in values:
        if isinstance(value, Decimal):
            _, digits, exponent = value.as_tuple()
            places = max(0, -int(exponent))
            after = max(after, places)
            before = max(before, len(digits) + int(exponent), 0)
    return max(1, before + after), after


def _arrow_array(pa: Any, kind: ColumnType, values: list[Value]) -> Any:
    if kind is ColumnType.NUMERIC:
        precision, scale = _decimal_places(values)
        if precision > 76:
            return pa.array([None if value is None else str(value) for value in values], pa.string())
        decimal = pa.decimal128 if precision <= 38 else pa.decimal256
        return pa.array(values, decimal(precision, scale))
    types = {
        ColumnType.BOOLEAN: pa.bool_(),
        ColumnType.BIGINT: pa.int64(),
        ColumnType.DOUBLE: pa.float64(),
        ColumnType.DATE: pa.date32(),
        ColumnType.TIMESTAMP: pa.timestamp("us"),
        ColumnType.TIME: pa.time64("us"),
        ColumnType.TEXT: pa.string(),
    }
    return pa.array(values, types[kind])


def _polars_series(pl: Any, column: TableColumn, values: list[Value]) -> Any:
    if column.type is ColumnType.NUMERIC:
        precision, scale = _decimal_places(values)
        if precision > 38:
            return pl.Series(column.name, [None if value is None else str(value) for value in values], dtype=pl.String)
        return pl.Series(column.name, values, dtype=pl.Decimal(38, scale))
    types = {
        ColumnType.BOOLEAN: pl.Boolean,
        ColumnType.BIGINT: pl.Int64,
        ColumnType.DOUBLE: pl.Float64,
        ColumnType.DATE: pl.Date,
        ColumnType.TIMESTAMP: pl.Datetime("us"),
        ColumnType.TIME: pl.Time,
        ColumnType.TEXT: pl.String,
    }
    return pl.Series(column.name, values, dtype=types[column.type])
