"""From the text of a cell to the value of a column: each conversion gives a value that renders back, or a reason."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache, partial
from math import isinf

from levelpool.sheets.clean.dates import date_parser, has_only_digits, iso_value, serial_family, serial_text, serial_time, serial_value
from levelpool.sheets.clean.numbers import MOST_DIGITS, cell_decimal, is_double, is_number_cell, number_parser, number_text, plain_number
from levelpool.sheets.clean.reasons import Reason
from levelpool.sheets.clean.shapes import shapes_of
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Column, ColumnType, Kind, Notation, Value

Convert = Callable[[str], Value]

_EXPONENT_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DATE_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y年%-m月%-d日")
_STAMP_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_TIME_FORMS = ("%H:%M:%S", "%H:%M")


class Misfit(ValueError):
    """A cell that does not fit its column; it carries the reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def converter(column: Column, kind: Kind, *, date1904: bool = False) -> Convert:
    """
    A function from the text of a cell of this kind to the value for this column.

    It raises `Misfit` for a cell that cannot be loaded, and gives None for an empty text where the column is not TEXT.
    """
    return _converter(column.type, column.notation, kind, date1904)


@lru_cache(maxsize=1024)
def _converter(wanted: ColumnType, notation: Notation, kind: Kind, date1904: bool) -> Convert:
    if kind == ERROR:
        return _refuse(Reason.ERROR)
    if kind == NO_VALUE:
        return _refuse(Reason.NO_VALUE)
    if kind == TEXT:
        return _from_text(wanted, notation)
    if kind == BOOLEAN:
        return _from_boolean(wanted)
    if kind == DATE:
        return _from_date(wanted)
    return _from_number(wanted, notation, kind, date1904)


def _refuse(reason: Reason) -> Convert:
    def convert(_text: str) -> Value:
        raise Misfit(reason)

    return convert


_WRONG = {
    ColumnType.BIGINT: Reason.NOT_WHOLE,
    ColumnType.NUMERIC: Reason.NOT_NUMBER,
    ColumnType.DOUBLE: Reason.NOT_NUMBER,
    ColumnType.BOOLEAN: Reason.NOT_BOOLEAN,
    ColumnType.DATE: Reason.NOT_DATE,
    ColumnType.TIMESTAMP: Reason.NOT_TIMESTAMP,
    ColumnType.TIME: Reason.NOT_TIME,
}

_INSTANTS = {ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIME}

# ---------------------------------------------------------------- texts


def is_unstorable(text: str) -> bool:
    """Whether no database can hold this text: it has a NUL character, or half of a character."""
    if "\x00" in text:
        return True
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def storable(text: str) -> str:
    """The text itself; raises `Misfit` when no database can hold it."""
    if is_unstorable(text):
        raise Misfit(Reason.UNSTORABLE)
    return text


def _from_text(wanted: ColumnType, notation: Notation) -> Convert:
    if wanted is ColumnType.TEXT:
        return storable
    parse = _text_parser(wanted, notation)

    def convert(text: str) -> Value:
        try:
            return parse(text)
        except Misfit:
            raise
        except (ValueError, OverflowError):
            if not text.strip():
                return None
            storable(text)
            raise Misfit(_WRONG[wanted]) from None

    return convert


def _text_parser(wanted: ColumnType, notation: Notation) -> Convert:
    if wanted is ColumnType.BOOLEAN:
        words = {notation.booleans[0]: True, notation.booleans[1]: False}
        return lambda text: words[text] if text in words else _no_value(text)
    if wanted is ColumnType.BIGINT:
        number = number_parser(notation)
        return lambda text: _whole(number(text))
    if wanted is ColumnType.NUMERIC:
        return number_parser(notation)
    if wanted is ColumnType.DOUBLE:
        return partial(_double, notation.decimal)
    forms = _forms(wanted, notation)
    if len(forms) == 1:
        return _fitting(wanted, date_parser(forms[0]))
    return lambda text: _any_form(wanted, forms, text)


def _no_value(text: str) -> Value:
    raise ValueError(text)


def _forms(wanted: ColumnType, notation: Notation) -> tuple[str, ...]:
    if notation.date_form and notation.date_form != "serial":
        return (notation.date_form,)
    return {ColumnType.DATE: _DATE_FORMS, ColumnType.TIMESTAMP: _STAMP_FORMS + _DATE_FORMS}.get(wanted, _TIME_FORMS)


def _any_form(wanted: ColumnType, forms: tuple[str, ...], text: str) -> Value:
    for form in forms:
        try:
            return _fit(wanted, date_parser(form)(text))
        except ValueError:
            continue
    raise ValueError(text)


def _fitting(wanted: ColumnType, parse: Callable[[str], date | datetime | time]) -> Convert:
    return lambda text: _fit(wanted, parse(text))


def _fit(wanted: ColumnType, value: Value) -> Value:
    """A day fits a column of instants, as its midnight; nothing else changes its kind."""
    if wanted is ColumnType.TIMESTAMP and isinstance(value, date):
        return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001  # cells have no zone
    if wanted is ColumnType.DATE and isinstance(value, date) and not isinstance(value, datetime):
        return value
    if wanted is ColumnType.TIME and isinstance(value, time):
        return value
    raise ValueError(f"{value!r} is no {wanted}")


def _whole(number: Decimal) -> int:
    value = int(number)
    if value != number:
        raise Misfit(Reason.NOT_WHOLE)
    if abs(value) >= 10**MOST_DIGITS:
        raise Misfit(Reason.TOO_LONG)
    return value


def _double(decimal: str, text: str) -> float:
    if not _EXPONENT_TEXT.fullmatch(text) or ("," if decimal == "." else ".") in text:
        raise ValueError(text)
    value = float(text.replace(decimal, "."))
    if isinf(value):
        raise ValueError(text)
    if not is_double(text):
        raise Misfit(Reason.TOO_LONG)
    return value


# ---------------------------------------------------------------- cells that are no text


def _from_boolean(wanted: ColumnType) -> Convert:
    if wanted is ColumnType.TEXT:
        return storable
    if wanted is ColumnType.BOOLEAN:
        return lambda text: text.lower() == "true"
    return _refuse(_WRONG[wanted])


def _from_date(wanted: ColumnType) -> Convert:
    if wanted is ColumnType.TEXT:
        return storable
    wrong = _WRONG[wanted]

    def convert(text: str) -> Value:
        try:
            value = iso_value(text)
        except ValueError:
            raise Misfit(Reason.IMPOSSIBLE_DATE) from None
        try:
            return _fit(wanted, value)
        except ValueError:
            raise Misfit(wrong) from None

    return convert


def _from_number(wanted: ColumnType, notation: Notation, kind: Kind, date1904: bool) -> Convert:
    family = serial_family(kind)
    if wanted in _INSTANTS and kind == NUMBER and has_only_digits(notation.date_form):
        from_text = _from_text(wanted, notation)
        return lambda text: from_text(number_text_or_raw(text))
    if wanted is ColumnType.TEXT:
        return (
            (lambda text: storable(serial_text(text, kind, date1904=date1904)))
            if family
            else lambda text: storable(number_text_or_raw(text))
        )
    if wanted in _INSTANTS:
        return _from_serial(wanted, date1904) if family else _refuse(_WRONG[wanted])
    if wanted is ColumnType.BOOLEAN:
        return _refuse(Reason.NOT_BOOLEAN)
    return _CELL_NUMBERS[wanted]


def number_text_or_raw(text: str) -> str:
    """The text of a number cell; what is no number stays as it is."""
    plain = plain_number(text)
    return number_text(plain) if is_number_cell(shapes_of(plain)[0]) else text


def _from_serial(wanted: ColumnType, date1904: bool) -> Convert:
    def convert(text: str) -> Value:
        try:
            if wanted is ColumnType.TIME:
                return serial_time(text)
            value = serial_value(text, date1904=date1904)
        except (ValueError, OverflowError):
            raise Misfit(Reason.NOT_TIME if wanted is ColumnType.TIME else Reason.IMPOSSIBLE_DATE) from None
        if wanted is ColumnType.TIMESTAMP:
            return value
        if value.time() != time():
            raise Misfit(Reason.NOT_DATE)
        return value.date()

    return convert


def _cell_number(text: str) -> Decimal:
    text = plain_number(text)
    if not is_number_cell(shapes_of(text)[0]) or (not text.isdigit() and isinf(float(text))):
        raise Misfit(Reason.NOT_NUMBER)
    return cell_decimal(text)


def _cell_double(text: str) -> float:
    number = _cell_number(text)
    value = float(number)
    if isinf(value):
        raise Misfit(Reason.NOT_NUMBER)
    if Decimal(repr(value)) != number and Decimal(value) != number:
        raise Misfit(Reason.TOO_LONG)
    return value


_CELL_NUMBERS: dict[ColumnType, Convert] = {
    ColumnType.BIGINT: lambda text: _whole(_cell_number(text)),
    ColumnType.NUMERIC: _cell_number,
    ColumnType.DOUBLE: _cell_double,
}
