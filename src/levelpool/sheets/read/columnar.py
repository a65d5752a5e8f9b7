"""Parquet and Arrow files through pyarrow, its only door for reading: the types come from the file, batch by batch."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.source import BATCH_ROWS, SheetBuilder, Source
from levelpool.sheets.table import BOOLEAN, DATE, NUMBER, TEXT, Batch, Cells, ColumnType, Declared, Kind, Workbook
from levelpool.sheets.wording import counted

_MOST_WHOLE = 10**18  # a BIGINT has up to 18 digits
_SHEET = "table"


def read_parquet(source: Source) -> Workbook:
    """Read a Parquet file to its end; one batch of rows is in memory, and a row group as far as pyarrow needs it."""
    return _read(source, "parquet", _parquet)


def read_arrow(source: Source) -> Workbook:
    """Read an Arrow (IPC, Feather) file to its end, batch by batch."""
    return _read(source, "arrow", _arrow)


@dataclass(slots=True)
class _Opened:
    schema: Any
    batches: Iterator[Any]
    rows: int | None  # None: not known before the end


def _read(source: Source, format_: str, open_file: Callable[[Any, Source, ExitStack], _Opened]) -> Workbook:
    try:
        import pyarrow as pa  # noqa: PLC0415  (an optional library, behind its door)
    except ImportError:
        raise DamagedFile(
            f"{source.name} is a {format_.capitalize()} file, and the package pyarrow that reads it is not installed: pip install 'levelpool[arrow]'"
        ) from None
    try:
        opened = open_file(pa, source, source.opened)
        columns = [_column(pa, each) for each in opened.schema]
        source.meter.columns(len(columns))
        source.meter.cells_ahead((opened.rows or 0) * len(columns))
        builder = SheetBuilder(source, _SHEET, 0)
        for column in _of_bytes(pa, source, open_file, columns):
            builder.remark(f"{column.header!r} holds bytes that are no text: each value is written as 0x and its hexadecimal digits")
        _read_rows(pa, source, opened, columns, builder)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{source.name} is damaged ({str(error).splitlines()[0][:200]}): export it again") from error
    for column in columns:
        if column.nans:
            are = counted(column.nans, "value is", "values are")
            builder.remark(f"{are} NaN in {column.header!r}, which is no number: {'it is' if column.nans == 1 else 'they are'} blank")
    return Workbook(format=format_, sheets=(builder.finish(declared=tuple(map(_declared, columns))),), reader="pyarrow")


def _parquet(_pa: Any, source: Source, stack: ExitStack) -> _Opened:
    import pyarrow.parquet as pq  # noqa: PLC0415

    file = stack.enter_context(pq.ParquetFile(str(source.path)))
    return _Opened(file.schema_arrow, file.iter_batches(batch_size=BATCH_ROWS), file.metadata.num_rows)


def _arrow(pa: Any, source: Source, stack: ExitStack) -> _Opened:
    mapped = stack.enter_context(pa.memory_map(str(source.path)))
    reader = stack.enter_context(pa.ipc.open_file(mapped))
    return _Opened(reader.schema, (reader.get_batch(number) for number in range(reader.num_record_batches)), None)


def _read_rows(pa: Any, source: Source, opened: _Opened, columns: "list[_Column]", builder: SheetBuilder) -> None:
    row = 0
    for large in opened.batches:
        for start in range(0, large.num_rows, BATCH_ROWS):
            batch = large.slice(start, BATCH_ROWS)
            source.meter.tick()
            cells = [Cells.alike(column.texts(pa, batch.column(place)), column.kind) for place, column in enumerate(columns)]
            builder.add_columns(Batch(list(range(row + 1, row + 1 + batch.num_rows)), cells), every_row=True)
            row += batch.num_rows
            source.progress(min(1.0, row / opened.rows) if opened.rows else 0.0)
            if builder.full:
                builder.complete = False
                return


# ---------------------------------------------------------------- columns


@dataclass(slots=True)
class _Column:
    """One column: how its values become texts, and what was seen of them."""

    header: str
    type: ColumnType
    shown: str  # the type, as the file names it
    kind: Kind
    write: "_Write"
    scale: int = 0
    digits: int = 0
    nans: int = 0
    widened: str = ""  # why the type is wider than the file's
    has_bytes: bool = False  # in itself, or in lists and records
    in_digits: bool = False  # not all bytes are text: all are written as digits

    def texts(self, pa: Any, array: Any) -> list[str | None]:
        """The values of one batch, as the cells of any other format."""
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        return self.write(array, self)


_Write = Callable[[Any, _Column], list[str | None]]


def _declared(column: _Column) -> Declared:
    why = f"the file says {column.shown}{column.widened}"
    numeric = column.type is ColumnType.NUMERIC
    return Declared(column.header, column.type, why, column.digits if numeric else 0, column.scale if numeric else 0)


def _column(pa: Any, field_: Any) -> _Column:
    shown = str(field_.type)
    is_uuid, kind = _stored(pa, field_.type)
    types = pa.types

    def new(to: ColumnType, cell: Kind, write: _Write, *, scale: int = 0, digits: int = 0) -> _Column:
        return _Column(field_.name, to, shown, cell, write, scale, digits, has_bytes=_has_bytes(pa, kind))

    if is_uuid:
        return _Column(field_.name, ColumnType.TEXT, shown, TEXT, _uuids)
    if types.is_boolean(kind):
        return new(ColumnType.BOOLEAN, BOOLEAN, _booleans)
    if types.is_integer(kind):
        return new(ColumnType.BIGINT, NUMBER, _integers)
    if types.is_floating(kind):
        return new(ColumnType.DOUBLE, NUMBER, _floats)
    if types.is_decimal(kind):
        return new(ColumnType.NUMERIC, NUMBER, _decimals, scale=max(0, kind.scale), digits=kind.precision)
    if types.is_date(kind):
        return new(ColumnType.DATE, DATE, _dates)
    if types.is_timestamp(kind) and kind.tz is None:
        return new(ColumnType.TIMESTAMP, DATE, _moments)
    if types.is_timestamp(kind):
        zoned = new(ColumnType.TEXT, TEXT, _zoned)
        zoned.widened = ", and a TIMESTAMP has no zone: each moment is told with its distance from UTC"
        return zoned
    if types.is_time(kind):
        return new(ColumnType.TIME, DATE, _clocks)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return new(ColumnType.TEXT, TEXT, _strings)
    return new(ColumnType.TEXT, TEXT, _anything)


def _stored(pa: Any, kind: Any) -> tuple[bool, Any]:
    """Whether the values are UUIDs, and the type that they are stored in."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_uuid = getattr(kind, "extension_name", "") == "arrow.uuid"
    return is_uuid, kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _strings(array: Any, _column: _Column) -> list[str | None]:
    values: list[str | None] = array.to_pylist()
    return values


def _booleans(array: Any, _column: _Column) -> list[str | None]:
    return [None if value is None else ("true" if value else "false") for value in array.to_pylist()]


def _integers(array: Any, column: _Column) -> list[str | None]:
    values = array.to_pylist()
    largest = max((abs(value) for value in values if value is not None), default=0)
    column.digits = max(column.digits, len(str(largest)))
    if largest >= _MOST_WHOLE and column.type is ColumnType.BIGINT:
        column.type, column.widened = ColumnType.NUMERIC, ", and some values have more digits than BIGINT keeps"
    return [None if value is None else str(value) for value in values]


def _floats(array: Any, column: _Column) -> list[str | None]:
    texts: list[str | None] = []
    for value in array.to_pylist():
        if value is not None and value != value:  # noqa: PLR0124  (only NaN differs from itself)
            column.nans += 1
        texts.append(None if value is None or value != value else repr(float(value)).upper())  # noqa: PLR0124
    return texts


def _decimals(array: Any, _column: _Column) -> list[str | None]:
    return [None if value is None else format(value, "f") for value in array.to_pylist()]


def _dates(array: Any, column: _Column) -> list[str | None]:
    return _within_the_calendar(array, column, lambda value: value.isoformat()[:10])


def _moments(array: Any, column: _Column) -> list[str | None]:
    if array.type.unit == "ns":
        return _fine(array, column)
    return _within_the_calendar(array, column, lambda value: value.isoformat())


def _clocks(array: Any, column: _Column) -> list[str | None]:
    return _fine(array, column) if array.type.unit == "ns" else _within_the_calendar(array, column, lambda value: value.isoformat())


def _fine(array: Any, column: _Column) -> list[str | None]:
    """Nanoseconds: where all end in microseconds they are as good; else the column is text with all nine digits."""
    import pyarrow as pa  # noqa: PLC0415

    coarse = pa.timestamp("us") if pa.types.is_timestamp(array.type) else pa.time64("us")
    try:
        texts = [None if value is None else value.isoformat() for value in array.cast(coarse).to_pylist()]
    except pa.ArrowInvalid:
        column.type, column.widened = ColumnType.TEXT, ", and some values are finer than a microsecond"
        texts = [None if text is None else text.replace(" ", "T") for text in array.cast(pa.string()).to_pylist()]
    return texts


def _zoned(array: Any, column: _Column) -> list[str | None]:
    """ISO 8601 in the zone of the file, with its distance from UTC."""
    if array.type.unit == "ns":
        import pyarrow as pa  # noqa: PLC0415

        try:
            array = array.cast(pa.timestamp("us", array.type.tz))
        except pa.ArrowInvalid:
            return [None if text is None else text.replace(" ", "T") for text in array.cast(pa.string()).to_pylist()]
    return _within_the_calendar(array, column, lambda value: value.isoformat())


def _within_the_calendar(array: Any, column: _Column, write: Callable[[Any], str]) -> list[str | None]:
    """Days and moments by *write*; what Python's calendar does not reach makes the column text."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return [None if value is None else write(value) for value in array.to_pylist()]
    except (ValueError, OverflowError):
        column.type, column.widened = ColumnType.TEXT, ", and some values lie outside of the years 1 to 9999"
        return [None if text is None else text.replace(" ", "T") for text in array.cast(pa.string()).to_pylist()]


def _uuids(array: Any, _column: _Column) -> list[str | None]:
    return [None if value is None else str(UUID(bytes=value)) for value in array.to_pylist()]


def _anything(array: Any, column: _Column) -> list[str | None]:
    """Lists, records, bytes, spans of time: as JSON, or as their plain text."""
    plain = _plain_with_digits if column.in_digits else _plain
    return [None if value is None else _plain_or_json(value, plain) for value in array.to_pylist()]


def _plain_or_json(value: object, plain: Callable[[object], str]) -> str:
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=plain)
    return plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def _plain_with_digits(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else _plain(value)


# ---------------------------------------------------------------- bytes


def _has_bytes(pa: Any, kind: Any) -> bool:
    types = pa.types
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
        return True
    return any(_has_bytes(pa, kind.field(place).type) for place in range(kind.num_fields))


def _of_bytes(pa: Any, source: Source, open_file: Callable[[Any, Source, ExitStack], _Opened], columns: list[_Column]) -> list[_Column]:
    """
    The columns whose bytes are written as digits, marked so: those where any value is no text.

    Old programs write texts as bytes without a word, so all values have a say, and are looked at before the first one is written.
    """
    asked = {place: column for place, column in enumerate(columns) if column.has_bytes}
    if not asked:
        return []
    with ExitStack() as stack:
        for batch in open_file(pa, source, stack).batches:
            source.meter.tick()
            for place, column in asked.items():
                array = batch.column(place)
                for start in range(0, 0 if column.in_digits else len(array), BATCH_ROWS):
                    column.in_digits = column.in_digits or not all(map(_are_texts, array.slice(start, BATCH_ROWS).to_pylist()))
    return [column for column in asked.values() if column.in_digits]


def _are_texts(value: object) -> bool:
    """Whether all bytes in a value are readable text."""
    if isinstance(value, dict):
        return all(map(_are_texts, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_are_texts, value))
    if not isinstance(value, bytes):
        return True
    try:
        return all(letter >= " " or letter in "\t\n\r" for letter in value.decode())
    except UnicodeDecodeError:
        return False
