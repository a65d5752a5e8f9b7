"""
Which rows are totals. The rule is strict, because a wrong guess would drop a record: the row begins with a label of the list,
and each number in it is a SUM or SUBTOTAL formula, or equals the sum of its column or of its block.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from levelpool.sheets.clean.numbers import without_currency
from levelpool.sheets.clean.row import Row
from levelpool.sheets.clean.subsheets import batches_between
from levelpool.sheets.clean.values import Misfit, converter
from levelpool.sheets.table import Batch, Column, ColumnType, Kind, Sheet

_NUMERIC = {ColumnType.BIGINT, ColumnType.NUMERIC, ColumnType.DOUBLE}
# Sums of doubles differ from the sum of their decimals in the last digits.
_TOLERANCE = Decimal("1e-9")
_MOST_WITHIN = 100  # subtotals within one group
_ROUNDS = 5  # records, subtotals, totals, and no change


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known about the rows of a table that may be totals."""

    rows: tuple[Row, ...]  # the rows in question, from the top
    columns: Mapping[int, Column]  # the columns in which they hold something, by place
    first_row: int  # of the data
    last_row: int
    apart: frozenset[int]  # rows within that are no data
    gaps: frozenset[int]  # rows that follow a blank row
    grouped: frozenset[int] = frozenset()  # rows in question that name a group: they may add up the rows since any row above


def find_totals(sheet: Sheet, question: Totals) -> frozenset[int]:
    """The numbers of the rows that are totals; walks the sheet once more only when formulas alone do not settle it."""
    candidates: dict[int, dict[int, Decimal]] = {}
    for row in question.rows:
        numbers = _numbers(row, question.columns)
        if numbers is not None:
            candidates[row.number] = numbers
    open_columns = {column for row in question.rows for column in candidates.get(row.number, {}) if column not in row.sums}
    if not open_columns:
        return frozenset(candidates)
    sums = {column: _Sums(question.columns[column], sheet.date1904) for column in open_columns}
    _add_up(sheet, question, sums)
    return _choose(question, candidates, sums)


def _numbers(row: Row, columns: Mapping[int, Column]) -> dict[int, Decimal] | None:
    """The numbers of a row by column, SUM formulas included; None when it has none, or one that cannot be a sum."""
    numbers: dict[int, Decimal] = {}
    for column in row.filled()[1:]:
        looks = row.looks(column)
        if looks == "text":
            continue
        if looks == "number" and column in columns:
            value = _number(row.cells[column], row.kinds[column], columns[column])
            if value is not None:
                numbers[column] = value
                continue
        if column in row.sums:
            numbers[column] = Decimal(0)
            continue
        return None
    return numbers or None


def _number(text: str, kind: Kind, column: Column) -> Decimal | None:
    if column.type not in _NUMERIC and kind == "s":
        return None
    numeric = Column(column.name, column.header, column.position, ColumnType.NUMERIC, column.notation)
    convert = converter(numeric, kind)
    try:
        value = convert(text)
    except Misfit:
        # Reports set the mark of the currency before the total alone.
        bare = without_currency(text)
        return None if kind != "s" or bare == text else _number(bare, kind, column)
    return value if isinstance(value, Decimal) else None


@dataclass(slots=True)
class _Sums:
    """The running sum of one column, and what it was at certain rows."""

    column: Column
    date1904: bool
    total: Decimal = Decimal(0)
    at: dict[int, Decimal] = field(default_factory=dict)
    records: dict[int, Decimal] = field(default_factory=dict)  # what rows in question have added as records

    def add(self, text: str | None, kind: Kind | None) -> None:
        if text and kind is not None:
            value = _number(text, kind, self.column)
            if value is not None and value.is_finite():
                self.total += value


def _add_up(sheet: Sheet, question: Totals, sums: dict[int, _Sums]) -> None:
    wanted = {row.number for row in question.rows}
    first, last = min([question.first_row, *wanted]), max([question.last_row, *wanted])
    for batch in batches_between(sheet, first, last):
        if not batch.rows or (max(batch.rows) < question.first_row and wanted.isdisjoint(batch.rows)):
            continue
        _add_batch(batch, question, sums, wanted)


def _add_batch(batch: Batch, question: Totals, sums: dict[int, _Sums], wanted: set[int]) -> None:
    for place, number in enumerate(batch.rows):
        if number in wanted or number in question.gaps:
            for each in sums.values():
                each.at.setdefault(number, each.total)
        if number in wanted or number in question.apart or not question.first_row <= number <= question.last_row:
            continue
        for column, each in sums.items():
            if column < len(batch.columns):
                cells = batch.columns[column]
                each.add(cells.texts[place], cells.kind_at(place))


def _choose(question: Totals, candidates: dict[int, dict[int, Decimal]], sums: dict[int, _Sums]) -> frozenset[int]:
    """
    The candidates that add up. One that does not is a record, and counts in the sums below it: so the others are looked at again.
    """
    stops = sorted({row.number for row in question.rows} | question.gaps)
    totals: frozenset[int] = frozenset()
    for turn in range(_ROUNDS):
        records = [row for row in question.rows if row.number not in totals]
        counted = {column: _with_records(each, column, records, stops) for column, each in sums.items()} if turn else sums
        found = frozenset(
            row.number
            for row in question.rows
            if row.number in candidates
            and all(
                column in row.sums or _is_sum(value, row.number, counted[column], stops, is_grouped=row.number in question.grouped)
                for column, value in candidates[row.number].items()
            )
        )
        if found == totals and turn:
            break
        totals = found
    return totals


def _with_records(sums: _Sums, place: int, records: list[Row], stops: list[int]) -> _Sums:
    """The sums with rows that turned out to be records."""
    more: dict[int, Decimal] = {}
    for row in records:
        if row.looks(place) == "number":
            value = _number(row.cells[place], row.kinds[place], sums.column)
            if value is not None:
                more[row.number] = value
    at: dict[int, Decimal] = {}
    extra = Decimal(0)
    for stop in stops:
        if stop in sums.at:
            at[stop] = sums.at[stop] + extra
        extra += more.get(stop, Decimal(0))
    return _Sums(sums.column, sums.date1904, sums.total + extra, at, more)


def _is_sum(value: Decimal, row: int, sums: _Sums, stops: list[int], *, is_grouped: bool) -> bool:
    own = sums.records.get(row, Decimal(0))  # never counts for the row itself
    total = sums.total - own
    above = sums.at.get(row, total)
    place = bisect_left(stops, row)
    before = [sums.at[stop] for stop in stops[max(0, place - (_MOST_WITHIN if is_grouped else 2)) : place] if stop in sums.at]
    after = [sums.at[stop] - own for stop in stops[place + 1 : place + 2] if stop in sums.at]
    expected = [above, total, *(above - start for start in before), *(end - above for end in after), total - above]
    return any(abs(value - each) <= _TOLERANCE * max(Decimal(1), abs(each)) for each in expected)
