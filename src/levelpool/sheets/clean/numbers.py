"""How numbers are written: the notations that texts may be in, told by their shapes, and the way there and back."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, lru_cache
from math import isfinite, isinf

from levelpool.sheets.clean.accounting import framed, framed_pattern, frames_of
from levelpool.sheets.clean.currencies import MARK
from levelpool.sheets.clean.shapes import MINUSES, TO_HALF_WIDTH, shape_of, shapes_of
from levelpool.sheets.table import Notation

MOST_DIGITS = 18  # a longer digit string is an identifier, not a number

_TO_FULL_WIDTH = str.maketrans("0123456789.,-()%", "０１２３４５６７８９．，－（）％")
_HALF_WIDTH_MARKS = frozenset("0123456789.,-()%")
_TO_HYPHEN = str.maketrans(dict.fromkeys(MINUSES, "-"))

_WRITTEN = re.compile(
    rf"(?P<open>\()?(?P<before>-)?(?P<mark>(?:{MARK})[ \u00a0]?)?(?P<inside>-)?"
    r"(?P<core>0(?:[0.,'’ \u00a0\u202f]*0)?)"
    rf"(?P<percent>[ \u00a0\u202f]?%)?(?P<tail>[ \u00a0]?(?:{MARK}))?(?P<after>-)?(?P<close>\))?"
)
_FRACTION = re.compile(r"[.eE]")
_NUMBER_CELL = re.compile(r"-?0+(?:\.0+)?(?:[eE][+-]?0+)?")
_EXPONENT = re.compile(r"-?0(?:[.,]0+)?(?:e[+-]?|E[+-])0{1,3}|-?0[.,]0+E0{1,3}")

# The order is the order of preference where two mean the same.
_CONVENTIONS = (
    Notation(decimal="."),
    Notation(decimal=","),
    Notation(decimal=".", thousands=","),
    Notation(decimal=",", thousands="."),
    *(Notation(decimal=".", thousands=mark) for mark in "'’"),
    *(Notation(decimal=decimal, thousands=blank) for blank in " \u00a0\u202f" for decimal in ",."),
    *(Notation(decimal=",", thousands=mark) for mark in "'’"),
    Notation(decimal=".", thousands=",", lakhs=True),
)


def is_number_shape(shape: str) -> bool:
    """Whether a text of this shape can be a number in any notation."""
    plain = shape if shape.isascii() else shape.translate(TO_HALF_WIDTH).translate(_TO_HYPHEN)
    return bool(_WRITTEN.fullmatch(plain.strip(" ")) or _EXPONENT.fullmatch(shape) or framed(plain))


def is_number_cell(shape: str) -> bool:
    """Whether a number cell of this shape holds a number at all."""
    return bool(_NUMBER_CELL.fullmatch(shape))


_LOOSE_CELL = re.compile(r"\s*(?:(-)|\+)?(?=\.?[0-9])([0-9]*)(?:(\.[0-9]+)|\.)?([eE][+-]?[0-9]+)?\s*")


def plain_number(text: str) -> str:
    """The text or shape of a number cell as most programs write it: "+5", ".5", "5." and blanks around are numbers in XML, too."""
    found = _LOOSE_CELL.fullmatch(text)
    if found is None:
        return text
    minus, whole, fraction, exponent = found.groups(default="")
    return f"{minus}{whole or '0'}{fraction}{exponent}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read all shapes of a column."""

    notation: Notation
    whole: bool  # no value has a decimal mark
    exponent: bool
    digits: int  # most digits of any value
    whole_digits: int  # most digits of a value without decimal mark
    scale: int  # most digits behind the decimal mark
    doubtful: bool = False  # nothing but numbers without a mark ("1234") tells that the mark of the others ("1,234") parts no thousands


def readings(shapes: Iterable[str], *, zero_before: frozenset[str] = frozenset()) -> tuple[Reading, ...]:
    """
    Every way to read numbers of these shapes in one notation throughout; two readings mean that nothing decides between them.

    *zero_before* holds the marks that stand behind a lone zero somewhere ("0,5"): such a mark parts no thousands.
    """
    return _readings(tuple(sorted(shapes)), zero_before)


@lru_cache(maxsize=4096)
def _readings(shapes: tuple[str, ...], zero_before: frozenset[str]) -> tuple[Reading, ...]:
    signs = set("".join(shapes)) & {"-", *MINUSES}
    if len(signs) > 1:
        return ()  # not all are written with the same
    if signs <= {"-"}:
        return _plain_readings(shapes, zero_before) or _accounting_readings(shapes, zero_before)
    sign = signs.pop()
    found = _readings(tuple(shape.replace(sign, "-") for shape in shapes), zero_before)
    return tuple(replace(reading, notation=replace(reading.notation, minus_sign=sign)) for reading in found if not reading.exponent)


def _plain_readings(shapes: tuple[str, ...], zero_before: frozenset[str]) -> tuple[Reading, ...]:
    padding = _padding(shapes) if shapes else None
    plain = _half_width([shape.strip(" ") for shape in shapes])
    if padding is None or plain is None:
        return ()
    full_width = any("０" in shape for shape in shapes)
    if not full_width and any(map(_EXPONENT.fullmatch, plain)):
        return _read_exponents(plain) if padding == Notation() else ()
    parts = [part for shape in plain if (part := _WRITTEN.fullmatch(shape))]
    base = _base(parts, padding, has_minus="-" in "".join(plain)) if len(parts) == len(plain) else None
    return () if base is None else _in_conventions([part["core"] for part in parts], replace(base, full_width=full_width), zero_before)


def _half_width(shapes: list[str]) -> list[str] | None:
    """The shapes in half-width characters; None when some digits and marks are full-width and others are not: nothing else would be read back."""
    plain = [shape.translate(TO_HALF_WIDTH) for shape in shapes]
    if any("０" in shape for shape in shapes):
        return None if any(_HALF_WIDTH_MARKS & set(shape) for shape in shapes) else plain
    return plain if plain == shapes else None


def _base(parts: list[re.Match[str]], padding: Notation, *, has_minus: bool) -> Notation | None:
    """What stands around all numbers alike; None when it differs, or when the blanks around leave no place for a sign."""
    affixes = _affixes(parts)
    if affixes is None or (padding.sign_gap and (affixes.parentheses or (affixes.minus != "after" and has_minus))):
        return None
    base = replace(affixes, width=padding.width, sign_gap=padding.sign_gap, blanks_after=padding.blanks_after)
    return replace(base, minus="after") if padding.sign_gap else base


def _in_conventions(cores: list[str], base: Notation, zero_before: frozenset[str]) -> tuple[Reading, ...]:
    """The readings of what stands between the marks around numbers, one for each meaning."""
    meanings: dict[tuple[int, ...], Reading] = {}
    for convention in _CONVENTIONS:
        if convention.thousands not in zero_before and all(map(_core_pattern(convention).fullmatch, cores)):
            notation = replace(base, decimal=convention.decimal, thousands=convention.thousands, lakhs=convention.lakhs)
            meanings.setdefault(*_read(cores, notation))
    alone = len(meanings) == 1
    return tuple(replace(reading, doubtful=alone and _is_doubtful(reading, cores, zero_before)) for reading in meanings.values())


def _accounting_readings(shapes: tuple[str, ...], zero_before: frozenset[str]) -> tuple[Reading, ...]:
    frames = frames_of(shapes)
    if frames is None:
        return ()
    return _in_conventions(list(frames.cores), Notation(accounting=frames.templates, currency=frames.mark), zero_before)


def _is_doubtful(reading: Reading, cores: list[str], zero_before: frozenset[str]) -> bool:
    """Whether each decimal mark could part thousands if it stood alone."""
    mark = reading.notation.decimal
    if reading.whole or reading.notation.thousands or mark in zero_before:
        return False
    parts_thousands = _core_pattern(Notation(decimal="", thousands=mark))
    return all(parts_thousands.fullmatch(core) for core in cores if mark in core)


def _padding(shapes: tuple[str, ...]) -> Notation | None:
    """The blanks around numbers, as lists of fixed columns have them, if they read back: one width, one place for the sign. None: they do not."""
    if not any(" " in {shape[0], shape[-1]} for shape in shapes):
        return Notation()
    lengths = set(map(len, shapes))
    trailing = {len(shape) - len(shape.rstrip(" ")) for shape in shapes}
    if len(trailing) > 1 and len(lengths) == 1 and not any(shape.startswith(" ") for shape in shapes):
        return Notation(width=len(shapes[0]), blanks_after=True)
    gap = any(shape.endswith(" ") for shape in shapes)
    if gap and not all(shape[-1] in " -" and not shape.endswith("  ") for shape in shapes):
        return None
    before = {len(shape) - len(shape.lstrip(" ")) for shape in shapes}
    if before == {0}:
        return Notation(sign_gap=gap)
    # Blanks that are as many everywhere fill nothing up.
    fills = len(before) > 1 and len(lengths) == 1
    return Notation(sign_gap=gap, width=len(shapes[0])) if fills else None


def _read_exponents(written: list[str]) -> tuple[Reading, ...]:
    decimal = "," if any("," in shape for shape in written) else "."
    if decimal == "," and any("." in shape for shape in written):
        return ()
    shapes = [shape.replace(decimal, ".") for shape in written]
    if not all(_NUMBER_CELL.fullmatch(shape) for shape in shapes):
        return ()
    digits = max(len(re.sub(r"[eE].*|\D", "", shape)) for shape in shapes)
    whole_digits = max((shape.count("0") for shape in shapes if not re.search(r"[.eE]", shape)), default=0)
    return (Reading(Notation(decimal=decimal), whole=False, exponent=True, digits=digits, whole_digits=whole_digits, scale=0),)


def _affixes(parts: list[re.Match[str]]) -> Notation | None:
    """What stands around the digits, when it is the same throughout."""
    marks = {(part["mark"] or "", part["percent"] or "", part["tail"] or "") for part in parts}
    if len(marks) > 1:
        return None
    mark, percent, tail = marks.pop()
    if mark and tail:
        return None
    styles: set[str] = set()
    for part in parts:
        found = [name for name in ("open", "before", "inside", "after") if part[name]]
        if len(found) > 1 or bool(part["open"]) != bool(part["close"]) or (part["inside"] and not mark):
            return None
        styles.update(found)
    if len(styles) > 1:
        return None
    style = styles.pop() if styles else "before"
    return Notation(
        percent=bool(percent),
        percent_gap=percent[:-1],
        currency=mark or tail,
        currency_after=bool(tail),
        parentheses=style == "open",
        minus=style if style in {"inside", "after"} else "before",
    )


def _read(cores: list[str], notation: Notation) -> tuple[tuple[int, ...], Reading]:
    """How the convention of *notation* reads the cores: the digits behind the decimal mark of each, which is its meaning."""
    fractions = [core.partition(notation.decimal)[2] for core in cores]
    meaning = tuple(map(len, fractions))
    whole = not any(fractions)
    return meaning, Reading(
        # A decimal mark that no value uses is the usual one.
        notation=replace(notation, decimal=".") if whole and notation.thousands != "." else notation,
        whole=whole,
        exponent=False,
        digits=max(core.count("0") for core in cores),
        whole_digits=max((core.count("0") for core, fraction in zip(cores, fractions, strict=True) if not fraction), default=0),
        scale=max(meaning),
    )


@cache
def _core_pattern(convention: Notation) -> re.Pattern[str]:
    mark = re.escape(convention.thousands)
    whole = rf"0{{1,3}}(?:{mark}000)*" if mark else "0+"
    if convention.lakhs:
        whole = rf"(?:0{{1,2}}(?:{mark}00)*{mark}000|0{{1,3}})"
    return re.compile(rf"{whole}(?:{re.escape(convention.decimal)}0+)?")


_LEAST_WHOLE_DOUBLE = 10**15
"""From here on programs write whole doubles with an exponent; below it they are as they are written."""


def is_whole_double(value: float) -> bool:
    """Whether a double is a whole number of sixteen digits or more that a BIGINT keeps: it is one however it is written."""
    return _LEAST_WHOLE_DOUBLE <= abs(value) < 10**MOST_DIGITS and value.is_integer()


def number_text(text: str) -> str:
    """The text of a number cell: an integer keeps every digit, a fraction is the shortest decimal that reads back as the same double."""
    if "." not in text and not _FRACTION.search(text):
        return text
    value = float(text)
    if isinf(value):
        return text
    if is_whole_double(value):
        return str(int(value))
    if "." not in text and value.is_integer():
        return text
    shortest = repr(value)
    return format(Decimal(shortest), "f") if "e" in shortest else shortest


def has_few_whole_digits(shape: str) -> bool:
    """Whether a number of this shape is a plain decimal whose shortest form has no more digits, before the point or behind it."""
    return bool(_FEW_WHOLE_DIGITS.fullmatch(shape))


_FEW_WHOLE_DIGITS = re.compile(r"-?0{1,15}\.0+")


def shorten(text: str) -> str:
    """The text of a number cell, see `number_text`; what is no number stays as it is."""
    try:
        if "." in text:
            short = repr(float(text))
            if "e" not in short and "n" not in short:
                return short
        return number_text(text)
    except ValueError:
        return text


def has_long_exponent(shape: str) -> bool:
    """Whether a number of this shape may be beyond what a double holds, such as 1e400."""
    return re.search("[eE][+-]?000", shape) is not None


def is_kept_by_double(text: str) -> bool:
    """Whether a text with an exponent, such as 1e5, is a number that a double holds; any other text is for others to judge."""
    return not _EXPONENT.fullmatch(shape_of(text)) or is_double(text)


SURELY_DOUBLE = 16
"""Characters of a plain number with a decimal mark that a double surely keeps: they have 15 digits at most."""


def is_double(text: str) -> bool:
    """
    Whether a plain number of any length, such as 0.30000000000000004 or 3.3333333333333331e-01, says no more than its double.

    So it is when it is the shortest number of its double, or the one that printing the double with so many digits gives.
    """
    plain = text.replace(",", ".")
    try:
        value = float(plain)
    except ValueError:
        return False
    if isinf(value):
        return False
    number = Decimal(plain)
    return repr(value) == plain or Decimal(repr(value)) == number or Decimal(f"{value:.{len(number.as_tuple().digits) - 1}e}") == number


def are_shortest(texts: Sequence[str | None]) -> bool:
    """Whether each of many texts is the shortest number of a double, as far as a quick look tells: False may still mean that it is."""
    try:
        return list(map(repr, map(float, texts))) == texts  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def text_doubles(texts: list[str], decimal: str = ".") -> list[float] | None:
    """The values of many texts that are numbers a double keeps, see `is_double`; None when one of them is not, or needs a closer look."""
    try:
        values = list(map(float, texts if decimal == "." else [text.replace(decimal, ".") for text in texts]))
    except ValueError:
        return None
    others = [text for text, shortest in zip(texts, map(repr, values), strict=True) if text != shortest]
    return values if all(map(isfinite, values)) and all(map(is_double, others)) else None


def cell_decimals(texts: list[str]) -> list[Decimal]:
    """The values of many plain number cells at once, see `cell_decimal`."""
    if max(map(len, texts), default=0) <= 16:
        return list(map(Decimal, texts))
    return [Decimal(text) if len(text) <= 16 or "." not in text else _decimal(float(text)) for text in texts]


def cell_doubles(texts: list[str]) -> list[float] | None:
    """The values of many number cells at once as doubles; None when one of them needs a closer look."""
    if not all(map(is_number_cell, set(shapes_of("\n".join(texts))))):
        return None
    if any(len(text) > 15 and not _FRACTION.search(text) for text in texts):
        return None  # a whole number that a double may not keep
    values = list(map(float, texts))
    return None if any(map(isinf, values)) else values


def cell_decimal(text: str) -> Decimal:
    """The value of a number cell; see `number_text`."""
    # Up to 15 digits are their own shortest decimal.
    if not _FRACTION.search(text) or (len(text) <= 16 and "." in text and "e" not in text.lower()):
        return Decimal(text)
    return _decimal(float(text))


def _decimal(value: float) -> Decimal:
    """The shortest decimal that reads back as the same double; a long whole number is itself."""
    return Decimal(int(value)) if is_whole_double(value) else Decimal(repr(value))


@lru_cache(maxsize=1024)
def number_parser(notation: Notation) -> Callable[[str], Decimal]:
    """A function from a text in this notation to its value; it raises `ValueError` for any other text."""
    pattern = re.compile(framed_pattern(notation.accounting, _core_of(notation)) if any(notation.accounting) else _value_pattern(notation))
    percent, decimal, thousands, sign, zero = (
        notation.percent,
        notation.decimal,
        notation.thousands,
        notation.minus_sign,
        notation.accounting[2],
    )

    def parse(text: str) -> Decimal:
        written = text.translate(TO_HALF_WIDTH) if notation.full_width and not _HALF_WIDTH_MARKS & set(text) else text
        if sign != "-":
            written = written.replace("-", sign + sign).replace(sign, "-")  # a hyphen is none here
        if zero and written == zero:
            return Decimal(0)
        found = pattern.fullmatch(written)
        if found is None or (notation.width and len(text) != notation.width):
            raise ValueError(text)
        core = found["core"].replace(thousands, "") if thousands else found["core"]
        core = core.replace(decimal, ".") if decimal != "." else core
        if found["minus"] and not core.strip("0."):
            raise ValueError(text)  # no number brings the sign of a zero back
        # Built from its text, because arithmetic on a Decimal rounds to the precision of the context.
        return Decimal(f"{'-' if found['minus'] else ''}{core}{'E-2' if percent else ''}")

    return parse


def _value_pattern(notation: Notation) -> str:
    pattern = f"{_bare_pattern(notation)}{'(?(minus)| )' if notation.sign_gap else ''}"
    if not notation.width:
        return pattern
    return f"{pattern} *" if notation.blanks_after else f" *{pattern}"


def _bare_pattern(notation: Notation) -> str:
    core = _core_of(notation)
    mark = re.escape(notation.currency)
    percent = re.escape(f"{notation.percent_gap}%") if notation.percent else ""
    before, after = ("", mark) if notation.currency_after else (mark, "")
    if notation.parentheses:
        return rf"(?P<minus>\()?{before}{core}{percent}{after}(?(minus)\))"
    minus = "(?P<minus>-)?"
    if notation.minus == "after":
        return f"{before}{core}{percent}{after}{minus}"
    return f"{before}{minus}{core}{percent}{after}" if notation.minus == "inside" else f"{minus}{before}{core}{percent}{after}"


def _core_of(notation: Notation) -> str:
    return rf"(?P<core>{_whole_pattern(notation)}(?:{re.escape(notation.decimal)}[0-9]+)?)"


def _whole_pattern(notation: Notation) -> str:
    mark = re.escape(notation.thousands)
    if not mark:
        return "(?:0|[1-9][0-9]*)"
    if notation.lakhs:
        return rf"(?:0|[1-9][0-9]?(?:{mark}[0-9]{{2}})*{mark}[0-9]{{3}}|[1-9][0-9]{{0,2}})"
    return rf"(?:0|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})*)"


_CURRENCY = re.compile(rf"(-?)(?:{MARK})?[ \u00a0]?(.*?)[ \u00a0]?(?:{MARK})?")


def without_currency(text: str) -> str:
    """The text without the mark of a currency before or behind it."""
    found = _CURRENCY.fullmatch(text)
    return f"{found[1]}{found[2]}" if found else text
