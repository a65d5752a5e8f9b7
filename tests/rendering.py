"""Values as the texts and serials that they came from: what the readers of numbers and dates read back."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from levelpool.sheets.clean.dates import _DIRECTIVE, _EPOCH_1900, _EPOCH_1904, _LONG_MONTHS, _MONTHS
from levelpool.sheets.clean.numbers import _TO_FULL_WIDTH
from levelpool.sheets.table import Notation


def _grouped(whole: str, notation: Notation) -> str:
    """The digits before the decimal mark, with the mark between thousands, or lakhs."""
    size = 2 if notation.lakhs else 3
    head, groups = whole[:-3], [whole[-3:]]
    while head:
        head, groups = head[:-size], [head[-size:], *groups]
    return notation.thousands.join(groups)


def render_number(value: Decimal | int, notation: Notation) -> str:
    """The text of *value* in this notation: what `number_parser` reads back."""
    sign, figures, exponent = Decimal(value).as_tuple()
    number = Decimal((0, figures, int(exponent) + (2 if notation.percent else 0)))
    whole, _, fraction = format(number, "f").partition(".")
    if notation.thousands:
        whole = _grouped(whole, notation)
    text = f"{whole}{notation.decimal}{fraction}" if fraction else whole
    if any(notation.accounting):
        positive, negative, zero = notation.accounting
        return zero if zero and not number else (negative if sign else positive).replace("0", text)
    text += f"{notation.percent_gap}%" if notation.percent else ""
    negative = bool(sign)
    if notation.minus == "inside" and negative:
        text = f"-{text}"
    text = f"{text}{notation.currency}" if notation.currency_after else f"{notation.currency}{text}"
    if negative and notation.parentheses:
        text = f"({text})"
    elif negative and notation.minus == "before":
        text = f"-{text}"
    elif notation.minus == "after":
        text += "-" if negative else " " * notation.sign_gap
    text = text.ljust(notation.width) if notation.blanks_after else text.rjust(notation.width)
    text = text.replace("-", notation.minus_sign)
    return text.translate(_TO_FULL_WIDTH) if notation.full_width else text


def render_date(value: date | datetime | time, form: str) -> str:
    """The text of *value* in this form: what `date_parser` reads back."""
    return _DIRECTIVE.sub(lambda found: _render_directive(found[0], value), form)


def _render_directive(directive: str, value: date | datetime | time) -> str:
    name = directive[-1]
    if (name == "f" and not isinstance(value, date)) or (isinstance(value, datetime) and name == "f"):
        if directive == "%-f":
            return f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        return f"{value.microsecond:06d}".ljust(9, "0")[: int(directive[1])]
    if name in "YmdbB" and isinstance(value, date):
        number = {"Y": value.year, "d": value.day}.get(name, value.month)
        words = {"b": _MONTHS[value.month - 1], "B": _LONG_MONTHS[value.month - 1]}
        return words.get(name) or (f"{number:04d}" if name == "Y" else _pad(number, directive))
    if name in "HIMSp" and isinstance(value, datetime | time):
        if name == "p":
            return "PM" if value.hour >= 12 else "AM"
        return _pad({"H": value.hour, "I": value.hour % 12 or 12, "M": value.minute, "S": value.second}[name], directive)
    raise ValueError(f"{value!r} has no {directive}")


def _pad(number: int, directive: str) -> str:
    return str(number) if directive.startswith("%-") else f"{number:02d}"


def serial_of(value: datetime | date | time, *, date1904: bool = False) -> float:
    """The serial that a workbook has for *value*: what `serial_value` and `serial_time` read back."""
    if isinstance(value, time):
        return (datetime.combine(_EPOCH_1904, value) - _EPOCH_1904) / timedelta(days=1)
    instant = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    days = (instant - (_EPOCH_1904 if date1904 else _EPOCH_1900)) / timedelta(days=1)
    return days - 1 if not date1904 and days < 61 else days
