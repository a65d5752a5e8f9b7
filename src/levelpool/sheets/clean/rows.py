"""Rows ready to load: the typed values of a planned table, with quarantine and an account of every cell."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal

from levelpool.sheets.clean.cell_group import SERIAL, kind_class
from levelpool.sheets.clean.dates import iso_values, serial_days, serial_values
from levelpool.sheets.clean.numbers import MOST_DIGITS, cell_decimals, cell_doubles, is_number_cell, text_doubles
from levelpool.sheets.clean.options import Policy
from levelpool.sheets.clean.reasons import Reason
from levelpool.sheets.clean.shapes import shapes_of
from levelpool.sheets.clean.subsheets import batches_between
from levelpool.sheets.clean.values import Misfit, converter, is_unstorable
from levelpool.sheets.clean.verdicts import is_plain
from levelpool.sheets.clean.zeros import are_plain, starts_with_zero
from levelpool.sheets.table import (
    NUMBER,
    TEXT,
    Batch,
    CellCounts,
    CleanBatch,
    Column,
    ColumnType,
    Kind,
    Quarantined,
    Sheet,
    TablePlan,
    Value,
)

_SPARED: dict[Policy, frozenset[Reason]] = {
    "row": frozenset(),
    "cell": frozenset(Reason),
    "error": frozenset({Reason.ERROR, Reason.NO_VALUE}),
}
"""The reasons for which a cell goes to quarantine alone."""

_MOST_VALUES = 1 << 20  # of one batch, blank ones included
_LONG = 1000  # characters of a text that is looked at alone


def clean_rows(
    sheet: Sheet,
    plan: TablePlan,
    columns: Sequence[Column],
    *,
    policy: Policy = "row",
    blanks: frozenset[str] = frozenset(),
) -> Iterator[CleanBatch]:
    """
    The rows of one planned table, batch by batch, as values for *columns*.

    *columns* are the target's: at the places and with the names of the plan's, in the types that the database has.
    A cell that does not fit goes to quarantine; with it goes its whole row, or, by the policy "cell", the cell alone, which is NULL then;
    by the policy "error" so do errors of the spreadsheet, and any other misfit takes its row along.
    *blanks* are texts that mean "no value". In every batch `cells.read == loaded + quarantined + outside`; rows that belong to other
    tables of the sheet are in none.
    """
    cleaner = RowCleaner(sheet, plan, columns, policy=policy, blanks=blanks)
    for batch in batches_between(sheet, *rows_of(plan)):
        yield from cleaner.clean(batch)


def rows_of(plan: TablePlan) -> tuple[int, int]:
    """The first and the last row that the plan accounts for, in the table or outside of it."""
    outside = [each.row for each in plan.outside]
    return min([plan.box.first_row, *outside]), max([plan.box.last_row, *outside])


def _within(batch: Batch, first: int, last: int) -> Batch:
    """The batch without rows before *first* and behind *last*, where its rows stand in order: a sheet may have a table in every few rows."""
    if batch.rows != sorted(batch.rows):
        return batch
    begin, end = bisect_left(batch.rows, first), bisect_right(batch.rows, last)
    return batch if (begin, end) == (0, len(batch.rows)) else batch.pick(range(begin, end))


def _bounded(batch: Batch, width: int) -> Iterator[Batch]:
    """The batch in pieces whose records are no more than a piece of memory: a table may be wide although these rows are short."""
    most = max(1, _MOST_VALUES // max(1, width))
    if len(batch.rows) <= most:
        yield batch
        return
    for start in range(0, len(batch.rows), most):
        yield batch.pick(range(start, min(start + most, len(batch.rows))))


class RowCleaner:
    """Cleans the batches of one planned table as `clean_rows` says, each by itself: in any order, and anywhere."""

    def __init__(
        self, sheet: Sheet, plan: TablePlan, columns: Sequence[Column], *, policy: Policy = "row", blanks: frozenset[str] = frozenset()
    ) -> None:
        self.sheet = sheet
        self.columns = tuple(columns)
        self.policy = policy
        self.blanks = blanks
        self.outside: dict[int, set[tuple[str, ...]]] = {}
        for outside in plan.outside:
            self.outside.setdefault(outside.row, set()).add(outside.cells)
        self.first = plan.box.first_row
        self.last = plan.box.last_row
        self.rows = rows_of(plan)
        self.places = frozenset(column.position for column in columns)

    def clean(self, batch: Batch) -> Iterator[CleanBatch]:
        """What becomes of one batch of the sheet; nothing comes of one without a row of the table."""
        own = _within(batch, *self.rows)
        for some in _bounded(own, len(self.columns)) if own.rows else ():
            cleaned = _clean_batch(self, some)
            if cleaned is not None:
                yield cleaned


def _clean_batch(work: RowCleaner, batch: Batch) -> CleanBatch | None:
    aside = 0
    data = batch
    if not work.outside.keys().isdisjoint(batch.rows) or min(batch.rows) < work.first or max(batch.rows) > work.last:
        chosen = []
        for place, row in enumerate(batch.rows):
            # A damaged sheet may hold another row with the number of one that was set aside.
            texts = _texts(batch, place) if row in work.outside else None
            if texts is not None and texts in work.outside[row]:
                aside += len(texts)
            elif work.first <= row <= work.last:
                chosen.append(place)
        if not chosen and not aside:
            return None
        data = batch.pick(chosen)
    values, misfits = _convert(work, data)
    return _account(work, data, values, misfits, aside)


def _account(
    work: RowCleaner, data: Batch, values: list[list[Value]], misfits: dict[int, list[tuple[Column, Reason]]], aside: int
) -> CleanBatch:
    read = sum(cells.count() for cells in data.columns)
    quarantined = [
        Quarantined(data.rows[place], column.name, data.columns[column.position].texts[place] or "", reason.value)
        for place in sorted(misfits)
        for column, reason in misfits[place]
    ]
    spared = _SPARED[work.policy]
    gone = {place for place, found in misfits.items() if not all(reason in spared for _, reason in found)}
    out: dict[int, tuple[str, ...]] = {}
    for place in sorted(gone):
        out[data.rows[place]] = out.get(data.rows[place], ()) + _texts(data, place)
    bad = sum(map(len, out.values())) + sum(len(found) for place, found in misfits.items() if place not in gone)
    kept = [place for place in range(len(data.rows)) if place not in gone]
    return CleanBatch(
        [data.rows[place] for place in kept] if gone else list(data.rows),
        [list(map(column.__getitem__, kept)) for column in values] if gone else values,
        quarantined,
        out,
        CellCounts(read + aside, read - bad, bad, aside),
    )


def _texts(batch: Batch, place: int) -> tuple[str, ...]:
    """The cells of a row that are not blank."""
    return tuple(text for cells in batch.columns if (text := cells.texts[place]) is not None)


# ---------------------------------------------------------------- columns of values


def _convert(work: RowCleaner, data: Batch) -> tuple[list[list[Value]], dict[int, list[tuple[Column, Reason]]]]:
    """The values of each column, and by place in the batch the cells that do not fit."""
    _refuse_strays(work, data)
    values: list[list[Value]] = []
    misfits: dict[int, list[tuple[Column, Reason]]] = {}
    nothing: list[Value] = [None] * len(data.rows)
    for column in work.columns:
        cells = data.columns[column.position] if column.position < len(data.columns) else None
        if cells is None or cells.is_blank:
            values.append(nothing)
            continue
        texts = cells.texts
        if work.blanks:
            texts = [None if text in work.blanks else text for text in texts]
        if cells.kinds is None:
            converted, bad = _convert_of_one_kind(column, texts, cells.kind, work.sheet.date1904)
        else:
            converted, bad = _convert_mixed(column, texts, cells.kinds, work.sheet.date1904)
        values.append(converted)
        for index, reason in bad:
            misfits.setdefault(index, []).append((column, reason))
    return values, misfits


def _refuse_strays(work: RowCleaner, data: Batch) -> None:
    """A cell beside the columns of the plan would be lost without a word: that must not be."""
    stray = {place for place, cells in enumerate(data.columns) if not cells.is_blank} - work.places
    if stray:
        raise RuntimeError(f"sheet {work.sheet.name!r} has cells in column {min(stray) + 1}, which the plan of the table does not know")


def _convert_of_one_kind(
    column: Column, texts: Sequence[str | None], kind: Kind | None, date1904: bool
) -> tuple[list[Value], list[tuple[int, Reason]]]:
    """The values of cells that all have the same kind, where they are not blank."""
    if kind is None:
        return [None] * len(texts), []
    quick = _quickly(column, texts, kind, date1904=date1904)
    if quick is not None:
        return quick, []
    convert = converter(column, kind, date1904=date1904)
    known: dict[str | None, Value] = {}
    refused: dict[str, Reason] = {}
    for text in set(texts):
        if text is None:
            known[None] = None
            continue
        try:
            known[text] = convert(text)
        except Misfit as misfit:
            known[text] = None
            refused[text] = misfit.reason
    values = list(map(known.__getitem__, texts))
    return values, [(place, refused[text]) for place, text in enumerate(texts) if text is not None and text in refused] if refused else []


def _convert_mixed(
    column: Column, texts: Sequence[str | None], kinds: Sequence[Kind | None], date1904: bool
) -> tuple[list[Value], list[tuple[int, Reason]]]:
    """The values of cells of several kinds."""
    known: dict[tuple[str | None, Kind | None], Value] = {}
    refused: dict[tuple[str | None, Kind | None], Reason] = {}
    pairs = list(zip(texts, kinds, strict=True))
    for pair in set(pairs):
        text, kind = pair
        known[pair] = None
        if text is None or kind is None:
            continue
        try:
            known[pair] = converter(column, kind, date1904=date1904)(text)
        except Misfit as misfit:
            refused[pair] = misfit.reason
    values = list(map(known.__getitem__, pairs))
    return values, [(place, refused[pair]) for place, pair in enumerate(pairs) if pair in refused] if refused else []


def _quickly(column: Column, texts: Sequence[str | None], kind: Kind, *, date1904: bool) -> list[Value] | None:
    """The values of a column in bulk, where one look at all its characters shows that every cell fits; None: cell by cell, please."""
    wanted = column.type
    if wanted is ColumnType.TEXT:
        return list(texts) if kind == TEXT and _are_storable(texts) else None
    present = [text for text in texts if text is not None]
    values = _typed(column, present, kind_class(kind), date1904=date1904)
    return None if values is None else _spread(texts, values)


def _typed(column: Column, texts: list[str], shown: Kind | None, *, date1904: bool) -> Sequence[Value] | None:
    """The values of many numbers or dates at once; None when one of them needs a closer look."""
    wanted = column.type
    if wanted in {ColumnType.DATE, ColumnType.TIMESTAMP}:
        return _instants(column, texts, shown, date1904=date1904)
    if wanted is ColumnType.DOUBLE and shown in {NUMBER, TEXT}:
        return cell_doubles(texts) if shown == NUMBER else _text_doubles(texts, column.notation.decimal)
    if shown != NUMBER and not (shown == TEXT and is_plain(column.notation)):
        return None
    if wanted is ColumnType.BIGINT and are_plain(texts, most=MOST_DIGITS, whole=True):
        return list(map(int, texts))
    if wanted is ColumnType.NUMERIC and are_plain(texts):
        return cell_decimals(texts) if shown == NUMBER else list(map(Decimal, texts))
    return None


def _text_doubles(texts: list[str], decimal: str) -> list[float] | None:
    joined = "\n".join(texts)
    if (decimal != "." and "." in joined) or starts_with_zero(joined) is not None:
        return None
    are_plain_numbers = all(is_number_cell(shape.replace(decimal, ".")) for shape in set(shapes_of(joined)))
    return text_doubles(texts, decimal) if are_plain_numbers else None


def _instants(column: Column, texts: list[str], shown: Kind | None, *, date1904: bool) -> Sequence[Value] | None:
    days = column.type is ColumnType.DATE
    if shown == SERIAL:
        return serial_days(texts, date1904=date1904) if days else serial_values(texts, date1904=date1904)
    form = column.notation.date_form
    # A day in a column of instants is its midnight: that is not for here.
    return iso_values(form, texts) if shown == TEXT and days == ("%H" not in form) else None


def _spread(texts: Sequence[str | None], values: Sequence[Value]) -> list[Value]:
    """The values at the places of the texts that are not blank."""
    if len(values) == len(texts):
        return list(values)
    following = iter(values)
    return [None if text is None else next(following) for text in texts]


def _are_storable(texts: Sequence[str | None]) -> bool:
    present = set(filter(None, texts))
    # One giant text may stand in every cell: joined, it would be as large as all of them.
    parts = present if max(map(len, present), default=0) > _LONG else ["".join(present)]
    return not any(map(is_unstorable, parts))
