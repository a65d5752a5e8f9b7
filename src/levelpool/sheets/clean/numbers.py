"""How numbers are written: the notations that texts may be in, told by their shapes, and the way there and back."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, lru_cache
from math import isinf

from levelpool.sheets.clean.shapes import TO_HALF_WIDTH, shape_of, shapes_of
from levelpool.sheets.table import Notation

MOST_DIGITS = 18  # a longer digit string is an identifier, not a number

_TO_FULL_WIDTH = str.maketrans("0123456789.,-()%", "０１２３４５６７８９．，－（）％")
_HALF_WIDTH_MARKS = frozenset("0123456789.,-()%")

OF_POINTS_BETWEEN_THOUSANDS = frozenset(
    [
        "₫",
        "đ",
        "VNĐ",
        "VND",
        "₩",
        "KRW",
        "원",
        "JPY",
        "円",
        "Rp",
        "IDR",
        "CLP",
        "ISK",
        "Ft",
        "HUF",
        "R$",
        "BRL",
        "kr",
        "SEK",
        "NOK",
        "DKK",
        "zł",
        "PLN",
        "Kč",
        "CZK",
        "lei",
        "RON",
        "₺",
        "TRY",
    ]
)
"""Currencies whose amounts have no decimals, or a comma before them where people write a point between thousands."""

_CURRENCIES = """
    $ € £ ¥ ￥ ₹ ₩ ₽ ₺ ₫ ₴ ₪ ฿ ₦ ₱ ₿ US$ HK$ NT$ A$ C$ S$ R$ RMB CN¥ 元 円 원 kr zł Kč Ft lei Rs USD EUR GBP CNY JPY CHF AUD CAD HKD
    TWD SGD KRW INR SEK NOK DKK PLN CZK HUF RON RUB TRY BRL MXN ZAR THB VND IDR MYR đ VNĐ Rp CLP ISK
"""
# The longest mark first, so that "US$" is not read as "U" and "S$".
_MARK = "|".join(map(re.escape, sorted(_CURRENCIES.split(), key=len, reverse=True)))
_WRITTEN = re.compile(
    rf"(?P<open>\()?(?P<before>-)?(?P<mark>(?:{_MARK})[ \u00a0]?)?(?P<inside>-)?"
    r"(?P<core>0(?:[0.,'’ \u00a0\u202f]*0)?)"
    rf"(?P<percent>[ \u00a0\u202f]?%)?(?P<tail>[ \u00a0]?(?:{_MARK}))?(?P<after>-)?(?P<close>\))?"
)
_FRACTION = re.compile(r"[.eE]")
_NUMBER_CELL = re.compile(r"-?0+(?:\.0+)?(?:[eE][+-]?0+)?")
_EXPONENT = re.compile(r"-?0(?:\.0+)?(?:e[+-]?|E[+-])0{1,3}|-?0\.0+E0{1,3}")

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
    return bool(_WRITTEN.fullmatch(shape.strip(" ").translate(TO_HALF_WIDTH)) or _EXPONENT.fullmatch(shape))


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
    padding = _padding(shapes) if shapes else None
    if padding is None:
        return ()
    stripped = [shape.strip(" ") for shape in shapes]
    plain = [shape.translate(TO_HALF_WIDTH) for shape in stripped]
    full_width = any("０" in shape for shape in shapes)
    # Digits and marks are all full-width, or none of them is: nothing else would be read back.
    if any(_HALF_WIDTH_MARKS & set(shape) for shape in shapes) if full_width else plain != stripped:
        return ()
    if not full_width and any(_EXPONENT.fullmatch(shape) for shape in plain):
        return _read_exponents(plain) if padding == Notation() else ()
    parts = [_WRITTEN.fullmatch(shape) for shape in plain]
    affixes = _affixes([part for part in parts if part]) if all(parts) else None
    if affixes is None:
        return ()
    if padding.sign_gap and (affixes.parentheses or (affixes.minus != "after" and "-" in "".join(plain))):
        return ()
    base = replace(affixes, full_width=full_width, width=padding.width, sign_gap=padding.sign_gap, blanks_after=padding.blanks_after)
    base = replace(base, minus="after") if padding.sign_gap else base
    cores = [part["core"] for part in parts if part]
    meanings: dict[tuple[int, ...], Reading] = {}
    for convention in _CONVENTIONS:
        if convention.thousands not in zero_before and all(map(_core_pattern(convention).fullmatch, cores)):
            notation = replace(base, decimal=convention.decimal, thousands=convention.thousands, lakhs=convention.lakhs)
            meanings.setdefault(*_read(cores, notation))
    alone = len(meanings) == 1
    return tuple(replace(reading, doubtful=alone and _is_doubtful(reading, cores, zero_before)) for reading in meanings.values())


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


def _read_exponents(shapes: list[str]) -> tuple[Reading, ...]:
    if not all(_NUMBER_CELL.fullmatch(shape) for shape in shapes):
        return ()
    digits = max(len(re.sub(r"[eE].*|\D", "", shape)) for shape in shapes)
    whole_digits = max((shape.count("0") for shape in shapes if not re.search(r"[.eE]", shape)), default=0)
    return (Reading(Notation(), whole=False, exponent=True, digits=digits, whole_digits=whole_digits, scale=0),)


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
    if not _EXPONENT.fullmatch(shape_of(text)):
        return True
    value = float(text)
    return not isinf(value) and Decimal(repr(value)) == Decimal(text)


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
    pattern = re.compile(_value_pattern(notation))
    percent, decimal, thousands = notation.percent, notation.decimal, notation.thousands

    def parse(text: str) -> Decimal:
        written = text.translate(TO_HALF_WIDTH) if notation.full_width and not _HALF_WIDTH_MARKS & set(text) else text
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
    core = rf"(?P<core>{_whole_pattern(notation)}(?:{re.escape(notation.decimal)}[0-9]+)?)"
    mark = re.escape(notation.currency)
    percent = re.escape(f"{notation.percent_gap}%") if notation.percent else ""
    before, after = ("", mark) if notation.currency_after else (mark, "")
    if notation.parentheses:
        return rf"(?P<minus>\()?{before}{core}{percent}{after}(?(minus)\))"
    minus = "(?P<minus>-)?"
    if notation.minus == "after":
        return f"{before}{core}{percent}{after}{minus}"
    return f"{before}{minus}{core}{percent}{after}" if notation.minus == "inside" else f"{minus}{before}{core}{percent}{after}"


def _whole_pattern(notation: Notation) -> str:
    mark = re.escape(notation.thousands)
    if not mark:
        return "(?:0|[1-9][0-9]*)"
    if notation.lakhs:
        return rf"(?:0|[1-9][0-9]?(?:{mark}[0-9]{{2}})*{mark}[0-9]{{3}}|[1-9][0-9]{{0,2}})"
    return rf"(?:0|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})*)"


_CURRENCY = re.compile(rf"(-?)(?:{_MARK})?[ \u00a0]?(.*?)[ \u00a0]?(?:{_MARK})?")


def without_currency(text: str) -> str:
    """The text without the mark of a currency before or behind it."""
    found = _CURRENCY.fullmatch(text)
    return f"{found[1]}{found[2]}" if found else text
