"""What a column turns out to be, and the words that say why."""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from levelpool.sheets.clean.cell_group import Seen
from levelpool.sheets.clean.numbers import MOST_DIGITS, Reading
from levelpool.sheets.table import ColumnType, Notation
from levelpool.sheets.wording import all_of, counted

_DOUBLE_DIGITS = 15  # a double keeps this many digits of any number
_PLAIN = Notation()
_MOST_DAYS = 2_958_465  # to the end of the year 9999, which is as far as a workbook goes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The type of a column, why it has it, and how its values are written."""

    type: ColumnType
    why: str
    notation: Notation = _PLAIN
    digits: int = 0
    scale: int = 0


def text_verdict(why: str) -> Verdict:
    """The column is TEXT."""
    return Verdict(ColumnType.TEXT, why)


def number_verdict(
    found: tuple[Reading, ...], seen: Iterable[Seen], count: int, *, exponent: bool, beyond_double: Callable[[], Seen | None] = lambda: None
) -> Verdict:
    """
    What a column of numbers is that can be read as *found* says: its values are the cells *seen* first, and those alike.

    *exponent* says that a number cell has one, *beyond_double* looks for a text with more digits than a double keeps.
    """
    reading = found[0]
    exponent = exponent or reading.exponent
    if reading.whole_digits > MOST_DIGITS:
        return text_verdict(f"{_longest(seen)} has more than {MOST_DIGITS} digits: it names something and counts nothing")
    lost = _longest(seen) if exponent and reading.whole_digits > _DOUBLE_DIGITS else beyond_double() if exponent else None
    if lost is not None:
        return text_verdict(f"{lost} has more digits than a number with an exponent can keep")
    notation = _in_words(reading.notation)
    if exponent:
        cut = cut_short(seen)
        comma = " and a decimal comma" if reading.notation.decimal == "," else ""
        return Verdict(
            ColumnType.DOUBLE,
            f"{all_of(count, 'a number', 'numbers')}, written with an exponent{'' if count == 1 else ' at least once'}{comma}{cut}",
            reading.notation,
        )
    if reading.whole and not reading.notation.percent:
        return Verdict(
            ColumnType.BIGINT,
            f"{all_of(count, 'a whole number of', 'whole numbers of at most')} {counted(reading.whole_digits, 'digit')}{notation}",
            reading.notation,
        )
    scale = reading.scale + (2 if reading.notation.percent else 0)
    return Verdict(
        ColumnType.NUMERIC,
        f"{all_of(count, 'a number with', 'numbers with at most')} {counted(reading.scale, 'decimal')}{notation}",
        reading.notation,
        digits=max(reading.digits, scale),
        scale=scale,
    )


def _longest(seen: Iterable[Seen]) -> Seen:
    return max(seen, key=lambda each: len(each.text))


_CUT_SHORT = re.compile(r"[1-9][.,][0-9]{2,}E\+(0[6-9]|[1-9][0-9])")
_SHORT_YEAR = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2}", re.ASCII)


def not_one_way(first: Seen, other: Seen) -> str:
    """Why two values, or one alone, have no notation."""
    if _SHORT_YEAR.fullmatch(first.text):
        return f"{first} gives a year of two digits: the century is not said; say the form of the dates, with %y for the year, and 69 to 99 are 1969 to 1999"
    if first == other:
        return no_type(first)
    return f"{first} and {other} are not written in one and the same way"


_NO_VALUES = re.compile(r"n\.?/?a\.?|#n/a|nan|<na>|null|none|nil|\\n|-+|–|—|\.+|\?+", re.IGNORECASE)


def no_type(seen: Seen) -> str:
    """Why one value fits no type; a word that many programs write where there is no value is told with the option for it."""
    word = seen.text.strip()
    hint = f"; if it stands for no value, say so: --blank {shlex.quote(word)}" if _NO_VALUES.fullmatch(word) else ""
    return f"{seen} is no number, no date, and not true or false{hint}"


def cut_short(seen: Iterable[Seen]) -> str:
    """What spreadsheets do to long codes in text files: 4006381333931 is shown, and then saved, as 4.00638E+12."""
    found = next((each for each in seen if (match := _CUT_SHORT.fullmatch(each.text)) and int(match[1]) > len(each.text) - 6), None)
    if found is None:
        return ""
    return f"; {found} is rounded: if it is a code, its last digits are lost in the file, and the column must be text where it is exported"


def lost_digits(seen: Seen) -> str:
    """That a long whole number of a workbook was rounded by the program that wrote it."""
    return f"{seen} is written with 16 significant digits at most: if it is a code, its last digits are lost in the file"


def in_days(elapsed: Seen) -> str:
    """What a span of time is in a workbook."""
    said = "they are spans of time in days, as the workbook keeps them"
    days = float(elapsed.text)
    # NaN, which a damaged file may hold for a number, is neither more nor less.
    if not abs(days) <= _MOST_DAYS:
        return said
    hours, seconds = divmod(round(days * 86_400), 3600)
    return f"{said}: {elapsed} shows as {hours}:{seconds // 60:02d}:{seconds % 60:02d}"


_MOST_SHOWN = 5


def different_units(units: Mapping[str, Seen]) -> str:
    """That the numbers of one column are of several units, which their formats alone tell apart; *units* has the first number of each."""
    shown = ", ".join(f"{unit!r} (row {seen.row})" for unit, seen in sorted(units.items(), key=lambda each: each[1].row)[:_MOST_SHOWN])
    more = f" and {counted(len(units) - _MOST_SHOWN, 'more unit')}" if len(units) > _MOST_SHOWN else ""
    return f"the number formats show different units, {shown}{more}, which the numbers do not keep: give each row its unit in a column of its own"


def _in_words(notation: Notation) -> str:
    _, negative, zero = notation.accounting
    is_money = notation.currency or zero or "(" in negative
    words = (
        (notation.decimal != ".", "a decimal comma"),
        (notation.thousands, f"{notation.thousands!r} between thousands{' and lakhs' if notation.lakhs else ''}"),
        (notation.currency, f"the mark {notation.currency.strip()}"),
        (notation.percent, "a percent sign"),
        (notation.parentheses, "parentheses for negatives"),
        (notation.minus == "after", "the minus, or a blank in its place, behind" if notation.sign_gap else "the minus behind"),
        (notation.minus_sign != "-", f"{notation.minus_sign!r} (U+{ord(notation.minus_sign):04X}) for the minus"),
        (any(notation.accounting), "the blanks and signs of an accounting format" if is_money else "the same blanks around"),
        (zero, f"{zero!r} for zero"),
        (notation.full_width, "full-width digits"),
        (notation.width, f"blanks {'behind' if notation.blanks_after else 'before'} that make it {notation.width} characters"),
    )
    said = ", ".join(word for holds, word in words if holds)
    return f", written with {said}" if said else ""


def is_plain(notation: Notation) -> bool:
    """Whether numbers stand without any mark but a minus and a decimal point."""
    return notation == _PLAIN
