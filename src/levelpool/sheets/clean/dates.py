"""
How dates and times are written: forms of texts, serials of workbooks, and the number formats that make a number a date.

A form is strptime-like. Beside the usual directives, "%-d" is a day without a leading zero, "%_d" one with it or without, "%3f" are three digits
of a second's fraction, "%-f" is its point with as many digits as there are, or nothing, and "%_b" is the name of a month in any language we know.
"""

import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from math import ulp

from levelpool.sheets.clean.month_names import month_of
from levelpool.sheets.number_codes import family
from levelpool.sheets.table import NUMBER, ColumnType, Value

LAST_SERIAL = 2958466  # the day after 9999-12-31, counted from 1900
_EPOCH_1900 = datetime(1899, 12, 30)  # noqa: DTZ001  # a cell's date has no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_DAYS_1904 = 1462
_MICROSECONDS = 86_400_000_000

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_LONG_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]

_DIRECTIVES = {
    "%Y": r"(?P<Y>[1-9][0-9]{3})",
    "%y": r"(?P<y>[0-9]{2})",
    "%m": r"(?P<m>0[1-9]|1[0-2])",
    "%-m": r"(?P<m>[1-9]|1[0-2])",
    "%d": r"(?P<d>0[1-9]|[12][0-9]|3[01])",
    "%-d": r"(?P<d>[1-9]|[12][0-9]|3[01])",
    "%b": f"(?P<b>{'|'.join(_MONTHS)})",
    "%B": f"(?P<B>{'|'.join(_LONG_MONTHS)})",
    "%H": r"(?P<H>[01][0-9]|2[0-3])",
    "%-H": r"(?P<H>[0-9]|1[0-9]|2[0-3])",
    "%I": r"(?P<I>0[1-9]|1[0-2])",
    "%-I": r"(?P<I>[1-9]|1[0-2])",
    "%_m": r"(?P<m>0?[1-9]|1[0-2])",
    "%_d": r"(?P<d>0?[1-9]|[12][0-9]|3[01])",
    "%_H": r"(?P<H>[01]?[0-9]|2[0-3])",
    "%_I": r"(?P<I>0?[1-9]|1[0-2])",
    "%_b": r"(?P<b>[^\W\d_]+\.?)",
    "%M": r"(?P<M>[0-5][0-9])",
    "%S": r"(?P<S>[0-5][0-9])",
    "%p": r"(?P<p>AM|PM)",
    "%-f": r"(?:\.(?P<f>[0-9]{1,6})0{0,3})?",
    **{f"%{digits}f": rf"(?P<f>[0-9]{{{digits}}})" for digits in range(1, 7)},
    # A TIMESTAMP keeps six digits; what stands behind them must be nothing.
    **{f"%{digits}f": rf"(?P<f>[0-9]{{6}})0{{{digits - 6}}}" for digits in range(7, 10)},
}
_DIRECTIVE = re.compile(r"%(?:[-_]?[A-Za-z]|\df)")

_DATE_FORMS = tuple(
    form
    for padded in (
        *(
            f"{first}{mark}{second}{mark}{third}"
            for mark in "-/."
            for first, second, third in (("%Y", "%m", "%d"), ("%d", "%m", "%Y"), ("%m", "%d", "%Y"))
        ),
        "%Y年%m月%d日",
        "%d-%b-%Y",
        "%d %b %Y",
        "%b %d, %Y",
        "%d %B %Y",
        "%B %d, %Y",
    )
    for form in (padded, padded.replace("%m", "%-m").replace("%d", "%-d"))
)
_TIME_FORMS = tuple(
    form
    for padded in (
        "%H:%M",
        "%H:%M:%S",
        *(f"%H:%M:%S{mark}%{digits}f" for mark in ".," for digits in range(1, 10)),
        "%I:%M %p",
        "%I:%M:%S %p",
    )
    for form in (padded, padded.replace("%H", "%-H").replace("%I", "%-I"))
)


_FRACTION = re.compile(r"(?<=%S)(?:\.%\df)?(?!%-f)")


def common_forms(known: set[str], more: set[str]) -> set[str]:
    """
    The forms that fit two groups of texts, each by its own forms.

    Where the two differ in the digits of a second's fraction alone, as programs write it that leave zeros at its end away, the form takes any.
    """
    return known & more or {_FRACTION.sub("%-f", form) for form in known} & {_FRACTION.sub("%-f", form) for form in more}


@lru_cache(maxsize=4096)
def forms_for(shape: str) -> tuple[str, ...]:
    """The forms that a text of this shape may be in (digits are 0 in a shape); () when it is no date and no time."""
    if "0" not in shape or len(shape) > 40:
        return ()
    bare = shape.strip(" ")
    if bare != shape:
        # Lists pad their columns: blanks that are as many everywhere are part of the form.
        before, _, after = shape.partition(bare)
        return tuple(f"{before}{form}{after}" for form in forms_for(bare))
    found = list(_clock_forms(shape))
    for form, pattern in _patterns(_DATE_FORMS):
        start = pattern.match(shape)
        if start is None:
            continue
        mark, rest = shape[start.end() :][:1], shape[start.end() + 1 :]
        if not mark:
            found.append(form)
        elif mark in " T":
            zone = "Z" if rest.endswith("Z") else ""
            found.extend(f"{form}{mark}{clock}{zone}" for clock in _clock_forms(rest.removesuffix("Z")))
    return tuple(found)


def _clock_forms(shape: str) -> tuple[str, ...]:
    return tuple(form for form, pattern in _patterns(_TIME_FORMS) if pattern.fullmatch(shape))


@cache
def _patterns(forms: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((form, re.compile(_shape_pattern(form))) for form in forms)


def _shape_pattern(form: str) -> str:
    def directive(found: re.Match[str]) -> str:
        name = found[0]
        if name in {"%b", "%B", "%p"}:
            return re.sub(r"\(\?P<\w>", "(?:", _DIRECTIVES[name])
        if name == "%Y":
            return "0000"
        if name.endswith("f"):
            return "0" * int(name[1])
        return "00?" if name.startswith("%-") else "00"

    return _DIRECTIVE.sub(directive, re.sub(r"[.]", r"\\.", form))


@cache
def date_parser(form: str) -> Callable[[str], date | datetime | time]:
    """A function from a text in this form to its value; it raises `ValueError` for any other text, and for a day that does not exist."""
    pattern = re.compile(_pattern(form))
    has_day, has_time = has_year(form), "%M" in form

    def parse(text: str) -> date | datetime | time:
        found = pattern.fullmatch(text)
        if found is None:
            raise ValueError(text)
        parts = found.groupdict()
        if not has_day:
            return time(*_clock(parts))
        day = _year(parts), _month(parts), int(parts["d"])
        return datetime(*day, *_clock(parts)) if has_time else date(*day)  # noqa: DTZ001

    return parse


def _pattern(form: str) -> str:
    found, end = [], 0
    for directive in _DIRECTIVE.finditer(form):
        found += [re.escape(form[end : directive.start()]), _DIRECTIVES[directive[0]]]
        end = directive.end()
    return "".join(found) + re.escape(form[end:])


def has_year(form: str) -> bool:
    """Whether texts of this form say a day; else they say a time of day."""
    return "%Y" in form or "%y" in form


def has_only_digits(form: str) -> bool:
    """Whether texts of this form are digits throughout, which a workbook may hold as a number: 20260423."""
    return re.fullmatch(r"(?:%[YymdHMS])+", form) is not None


def type_of_form(form: str) -> ColumnType:
    """What texts of this form are."""
    if not has_year(form):
        return ColumnType.TIME
    return ColumnType.TIMESTAMP if "%M" in form else ColumnType.DATE


def is_form(text: str) -> bool:
    """Whether a text is a form that `date_parser` takes: it says a day, a time, or both, each part of them once."""
    found = _DIRECTIVE.findall(text)
    parts = sorted(_PART.get(name[-1], name[-1]) for name in found)
    if "%" in _DIRECTIVE.sub("", text) or any(name not in _DIRECTIVES for name in found) or len(set(parts)) < len(parts):
        return False
    day, time_ = set(parts) & set("Ymd"), set(parts) & set("HMSfp")
    is_day = day == set("Ymd") or not day
    is_time = time_ >= set("HM") and ("f" not in time_ or "S" in time_) and ("p" in time_) == any(name[-1] == "I" for name in found)
    return is_day and (is_time or not time_) and bool(found)


_PART = {"y": "Y", "b": "m", "B": "m", "I": "H"}
"""Directives that say the same part of a moment."""


def are_in_form(form: str, texts: Collection[str]) -> bool:
    """Whether `date_parser` takes all these texts, as far as a quick look tells: False may still mean that it does."""
    joined = "\n".join(texts)
    if _lines_pattern(form).fullmatch(joined) is None or joined.count("\n") != len(texts) - 1:
        return False
    return not has_year(form) or all(_is_in_form(form, text) for text in texts)


_ISO: dict[str, Callable[[str], date]] = {
    "%Y-%m-%d": date.fromisoformat,
    "%Y-%m-%d %H:%M:%S": datetime.fromisoformat,
    "%Y-%m-%dT%H:%M:%S": datetime.fromisoformat,
}


def iso_values(form: str, texts: list[str]) -> Sequence[date] | None:
    """What `date_parser` makes of many texts in an ISO 8601 form, many times as fast; None for another form, and when one text is not in it."""
    parse = _ISO.get(form)
    joined = "\n".join(texts)
    if parse is None or joined.count("\n") != len(texts) - 1 or _lines_pattern(form).fullmatch(joined) is None:
        return None
    try:
        return list(map(parse, texts))
    except ValueError:
        return None


@cache
def _lines_pattern(form: str) -> re.Pattern[str]:
    plain = re.sub(r"\(\?P<\w>", "(?:", _pattern(form))
    return re.compile(rf"(?:{plain}\n)*+{plain}")


@lru_cache(maxsize=1 << 16)
def _is_in_form(form: str, text: str) -> bool:
    """Whether a day exists; days come again and again."""
    try:
        date_parser(form)(text)
    except ValueError:
        return False
    return True


_LAST_OF_THIS_CENTURY = 68


def _year(parts: dict[str, str]) -> int:
    """Of two digits, 69 to 99 are of the last century, as POSIX has it."""
    if "Y" in parts:
        return int(parts["Y"])
    year = int(parts["y"])
    return year + (2000 if year <= _LAST_OF_THIS_CENTURY else 1900)


def _month(parts: dict[str, str]) -> int:
    if "m" in parts:
        return int(parts["m"])
    return month_of(parts["b"] if "b" in parts else parts["B"])


def _clock(parts: dict[str, str]) -> tuple[int, int, int, int]:
    half_day = "I" in parts
    hour = int(parts["I"]) % 12 + (12 if parts["p"] == "PM" else 0) if half_day else int(parts["H"])
    return hour, int(parts["M"]), int(parts.get("S", 0)), int((parts.get("f") or "").ljust(6, "0"))


_LETTERS = {"Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "b": "Mon", "B": "Month", "H": "hh", "I": "hh", "M": "mm", "S": "ss", "p": "AM"}


def is_unpadded(form: str) -> bool:
    """Whether numbers below ten have no zero before them."""
    return "%-" in form.replace("%-f", "")


def spellings(form: str) -> tuple[str, ...]:
    """The form itself, the same with and without leading zeros, and last the one that takes either, and a month's name in any language."""
    padded = re.sub(r"%-([dmHI])", r"%\1", form)
    unpadded = re.sub(r"%([dmHI])", r"%-\1", padded)
    either = re.sub(r"%B", "%_b", re.sub(r"%([dmHIb])", r"%_\1", padded))
    return tuple(dict.fromkeys((form, padded, unpadded, either)))


def form_in_letters(form: str) -> str:
    """The form as people write it: DD.MM.YYYY, or D.M.YYYY without leading zeros."""

    def letters(directive: re.Match[str]) -> str:
        name = directive[0]
        if name == "%-f":
            return "[.f]"
        if name[-1] == "f":
            return "f" * int(name[1])
        return _LETTERS[name[-1]][:1] if name.startswith("%-") else _LETTERS[name[-1]]  # a padded one where both are taken

    return _DIRECTIVE.sub(letters, form)


# ---------------------------------------------------------------- cells that are dates themselves


@lru_cache(maxsize=4096)
def serial_family(kind: str) -> str:
    """What a number cell of this kind shows: "date", "time", "timestamp", or "" for a number (elapsed hours are a number)."""
    return "" if kind == NUMBER or not kind.startswith(NUMBER) else family(kind[1:])


def serial_value(text: str, *, date1904: bool = False) -> datetime:
    """
    The instant of a date serial, to the microsecond: of those that the serial cannot tell apart the roundest (see `_microseconds`).

    Raises `ValueError`, with the reason, for what is no day: the 29 February 1900 that Excel counts by mistake,
    0 and below, and what lies behind the year 9999.
    """
    serial = float(text)
    first, end = (0, LAST_SERIAL - _DAYS_1904) if date1904 else (1, LAST_SERIAL)
    if not first <= serial < end - 1e-9:
        raise ValueError(f"the serial {text} is outside the calendar")
    days = int(serial)
    if not date1904 and days == 60:
        raise ValueError("1900-02-29 did not exist")
    # Excel's day 60 did not exist: the days before it stand one further from the epoch.
    epoch = _EPOCH_1904 if date1904 else _EPOCH_1900 + timedelta(days=1 if days < 60 else 0)
    return epoch + timedelta(days=days, microseconds=_microseconds(text, serial - days))


def _microseconds(text: str, fraction: float) -> int:
    """
    The microseconds of a serial's fraction of a day.

    A double leaves a third of a microsecond open, one whose last bit differs a whole one, and the fifteen digits that some programs write
    of it up to ten; a zero at their end is not written. Others write eight decimals, which leave half a millisecond open. So a whole second
    within what is open is meant, or a whole millisecond, as spreadsheets show no less.
    """
    exact = fraction * _MICROSECONDS
    micros = round(exact)
    if micros % 1_000_000 == 0:
        return micros
    decimals = len(text.partition(".")[2])
    if decimals < _FEWEST_ROUNDED or "e" in text.lower():
        return micros
    open_ = (1.5 * ulp(float(text)) + 0.5 * 10.0**-decimals) * _MICROSECONDS
    return next((near for step in (1_000_000, 1000) if abs((near := round(exact / step) * step) - exact) <= open_), micros)


_FEWEST_ROUNDED = 6
"""Decimals of a serial; with fewer it is as it stands."""


_DAY_DIGITS = 5
"""Serials of so many digits are days in both calendars, from 1900 or 1904 on; those up to 61 are told apart."""


def serial_values(texts: list[str], *, date1904: bool = False) -> list[datetime] | None:
    """The instants of many date serials at once; None when one of them needs a closer look."""
    try:
        serials = list(map(float, texts))
    except ValueError:
        return None
    if not serials or not (min(serials) > 61 and max(serials) < LAST_SERIAL - _DAYS_1904 - 1):
        return None
    epoch = _EPOCH_1904 if date1904 else _EPOCH_1900
    return [
        epoch + timedelta(days=days, microseconds=_microseconds(text, serial - days))
        for text, serial, days in zip(texts, serials, map(int, serials), strict=True)
    ]


def serial_days(texts: list[str], *, date1904: bool = False) -> list[date] | None:
    """The days of many date serials at once; None when one of them needs a closer look."""
    first = (_EPOCH_1904 if date1904 else _EPOCH_1900).toordinal()
    distinct = set(texts)
    if not all(text.isascii() and text.isdecimal() and len(text) == _DAY_DIGITS and text > "00061" for text in distinct):
        return None
    days = {text: date.fromordinal(first + int(text)) for text in distinct}
    return list(map(days.__getitem__, texts))


def serial_time(text: str) -> time:
    """The time of day of a serial below one; raises `ValueError` for any other."""
    serial = float(text)
    microseconds = _microseconds(text, serial)
    if not 0 <= serial < 1 or microseconds >= _MICROSECONDS:
        raise ValueError(f"the serial {text} is no time of day")
    return (_EPOCH_1904 + timedelta(microseconds=microseconds)).time()


def serial_text(text: str, kind: str, *, date1904: bool = False) -> str:
    """A date serial as text, ISO 8601; what is no day keeps its digits."""
    try:
        if serial_family(kind) == "time" and 0 <= float(text) < 1:
            return serial_time(text).isoformat()
        value = serial_value(text, date1904=date1904)
    except ValueError:
        return text
    if serial_family(kind) == "date" and value.time() == time():
        return value.date().isoformat()
    return value.isoformat()


def shown_text(text: str, kind: str, *, date1904: bool) -> str:
    """A cell as a person sees it, but for the format of numbers: nobody knows a day by its serial."""
    return serial_text(text, kind, date1904=date1904) if serial_family(kind) else text


_ZONE = re.compile(r"[0-9](?:[+-][0-9]{2}(?::?[0-9]{2})?)$")
_UTC = re.compile(r"(?<=[0-9])(?:Z|z|[+-]00(?::?00)?)$")


def has_zone(text: str) -> bool:
    """Whether an ISO date has a distance from UTC other than none, which a TIMESTAMP does not keep."""
    return ":" in text and _ZONE.search(text) is not None and _UTC.search(text) is None


def iso_value(text: str) -> Value:
    """
    The date, timestamp or time of a date cell; raises `ValueError` when it is none, or has a zone of its own.

    A Z at its end, which some programs write behind every moment, is part of the form, as in texts.
    """
    if ":" in text:
        text = _UTC.sub("", text)
    if "T" in text or " " in text:
        value = datetime.fromisoformat(text)
        if value.tzinfo is not None:
            raise ValueError(f"{text} has a zone")
        return value
    return time.fromisoformat(text) if ":" in text else date.fromisoformat(text)


def first_not_in(form: str, values: Sequence[str]) -> str | None:
    """The first value that is not in this form, if there is one; days and times are checked apart, because they repeat."""
    mark = next((mark for mark in ("T", " ") if f"{mark}%H" in form or f"{mark}%-H" in form), None)
    if mark is None or "%b" in form or "%B" in form:
        return _refused(form, {value: value for value in values})
    day, clock = form.split(mark, 1)
    parts = [value.partition(mark) for value in values]
    if are_in_form(clock, {part[2] for part in parts}) and are_in_form(day, {part[0] for part in parts}):
        return None
    firsts: tuple[dict[str, str], dict[str, str]] = {}, {}
    for value, part in zip(values, parts, strict=True):
        firsts[0].setdefault(part[0], value)
        firsts[1].setdefault(part[2], value)
    found = _refused(day, firsts[0])
    return found if found is not None else _refused(clock, firsts[1])


def _refused(form: str, parts: dict[str, str]) -> str | None:
    if are_in_form(form, parts):
        return None
    parse = date_parser(form)
    for part, value in parts.items():
        try:
            parse(part)
        except ValueError:
            return value
    return None
