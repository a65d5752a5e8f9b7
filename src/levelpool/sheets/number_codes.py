"""
What the number format of a cell says: whether it shows a day, a time, elapsed hours, zeros in front, or a unit.

A code has up to four sections: for positive numbers, negative ones, zero, and text; a condition such as [<1] in front of a section says for
which numbers it is ([ECMA-376] 18.8.31).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

# A bracket that is never closed ends at the next one: else each of many would be looked for to the end.
_PIECE = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[([^\[\]]*)\]|(;)|([^"\\_*\[;]+|.)', re.DOTALL)
_CONDITION = re.compile(r"(<>|<=|>=|<|>|=)\s*(-?[0-9.]+)")
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_USUAL = 46_000.0
"""A number that stands for the days of our time, and for most others: it tells which section of a code with conditions is meant."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a code: what is left of it without quotations, brackets and fillers, and what these said."""

    bare: str = ""  # quotations and the like are blanks here; elapsed hours are "[h]"
    condition: tuple[str, float] | None = None
    words: tuple[str, ...] = ()  # quoted and escaped text, and marks of currencies


@lru_cache(maxsize=4096)
def section(code: str) -> Section:
    """The section by which a usual number is shown."""
    sections = _sections(code)
    for place, each in enumerate(sections):
        if each.condition is None:
            # Without conditions the first section is for positive numbers; behind one, what has none is for all others.
            return each if place == 0 or "@" not in each.bare else sections[0]
        if _holds(each.condition, _USUAL):
            return each
    return Section()


def _sections(code: str) -> list[Section]:
    found: list[Section] = []
    bare: list[str] = []
    words: list[str] = []
    condition: tuple[str, float] | None = None
    for piece in _PIECE.finditer(code):
        quoted, escaped, bracket, end, plain = piece.groups()
        if end:
            found.append(Section("".join(bare), condition, tuple(words)))
            bare, words, condition = [], [], None
        elif plain is not None:
            bare.append(plain)
        elif bracket is not None and _ELAPSED.fullmatch(bracket):
            bare.append(f"[{bracket.lower()}]")
        elif bracket is not None:
            said = _CONDITION.fullmatch(bracket.strip())
            condition = (said[1], _number(said[2])) if said else condition
            if bracket.startswith("$"):
                words.append(bracket[1:].partition("-")[0])
        else:
            bare.append(" ")
            words.append(quoted if quoted is not None else escaped if escaped is not None else " ")
    found.append(Section("".join(bare), condition, tuple(words)))
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _holds(condition: tuple[str, float], number: float) -> bool:
    sign, bound = condition
    return {
        "<": number < bound,
        ">": number > bound,
        "=": number == bound,
        "<=": number <= bound,
        ">=": number >= bound,
        "<>": number != bound,
    }[sign]


# ---------------------------------------------------------------- days and times

_CYRILLIC = str.maketrans("дмгчс", "dmyhs")
_CYRILLIC_LETTERS = re.compile("(?<![а-яё])[дмгчс]+(?![а-яё])")
_DAYS = frozenset("ydean")
_HAN_DAYS = frozenset("年月日")
_WORD = re.compile(r"[a-zà-öø-ÿœšžăąćčďęěğīłńňőřśşťůűżα-ωά-ώа-яё]+")
_DATE_LETTERS = re.compile(r"(?:[ymdhsegb]|a{3,4}+|n{2,4}+|t(?=h)|z$)++")
_LOCAL_DAY = r"(\w)\1?([-/. ])\s*(\w)\3{0,3}\2\s*(\w)\4(?:\4\4)?"
_LOCAL_DAY_FROM_YEAR = r"(\w)\1(?:\1\1)?([-/. ])\s*(\w)\3{0,3}\2\s*(\w)\4?"
_LOCAL_TIME = r"(\w)\1?:(\w)\2(?::(\w)\3)?"
_LOCAL_DAYS = tuple(re.compile(each) for each in (_LOCAL_DAY, _LOCAL_DAY_FROM_YEAR))
_LOCAL_TIMES = re.compile(_LOCAL_TIME)


@lru_cache(maxsize=4096)
def family(code: str) -> str:
    """What a number under this code shows: "date", "time", "timestamp", or "" for a number (elapsed hours are a number)."""
    shown = section(code).bare.lower()
    if is_elapsed(code) or "general" in shown or "0" in re.sub(r"[.,]0+", "", shown) or "#" in shown or "?" in shown:
        return ""
    words = _WORD.findall(_in_latin(re.sub(r"am/pm|a/p", " h ", shown)))
    is_local = any(len(set(word)) == 1 and not _DATE_LETTERS.fullmatch(word) for word in words)
    # A word that no letters of dates make up, such as "Standard", which is General in other languages, is shown as it stands.
    return (is_local and _family_of_local(shown.strip(" ."))) or _family_of_letters("".join(filter(_DATE_LETTERS.fullmatch, words)), shown)


def _in_latin(shown: str) -> str:
    """The letters of dates in Cyrillic as those in Latin; a word in Cyrillic stays."""
    return _CYRILLIC_LETTERS.sub(lambda word: word[0].translate(_CYRILLIC), shown)


def _family_of_letters(letters: str, shown: str) -> str:
    """The same for the letters of dates in a code."""
    has_time = "h" in letters or "s" in letters
    # "m" is minutes beside hours or seconds, months otherwise; "e" and "b" are years of East Asian calendars, "年月日" stand in Chinese
    # ones; "aaa" and "nnn" are days of the week.
    has_day = not _DAYS.isdisjoint(letters) or ("m" in letters and not has_time) or (bool(letters) and not _HAN_DAYS.isdisjoint(shown))
    if has_day:
        return "timestamp" if has_time else "date"
    return "time" if has_time else ""


def _family_of_local(shown: str) -> str:
    """The same for codes in another language, such as TT.MM.JJJJ and uu:mm, which some programs write: by their form."""
    day, _, clock = shown.rpartition(" ") if ":" in shown else (shown, "", "")
    has_time = bool(_LOCAL_TIMES.fullmatch(clock))
    has_day = any(pattern.fullmatch(day.strip()) for pattern in _LOCAL_DAYS)
    if clock and not has_time:
        return ""
    if has_day:
        return "timestamp" if has_time else "date"
    return "time" if has_time and not day.strip() else ""


@lru_cache(maxsize=4096)
def is_elapsed(code: str) -> bool:
    """Whether a number under this code shows a span of time, such as [h]:mm."""
    return "[" in code and re.search(r"\[(?:h+|m+|s+)\]", section(code).bare) is not None


# ---------------------------------------------------------------- zeros and units

_UNIT = re.compile(r"[^\W\d_]{2,}")
_MARKS = "$€£¥￥₹₩₽₺₫₴₪฿₦₱₿"


@lru_cache(maxsize=4096)
def width_of_zeros(code: str) -> int:
    """How many digits a number under this code shows before the point at least, as of postal codes; 0 where it makes no zeros of its own."""
    if family(code) or is_elapsed(code):
        return 0
    whole = section(code).bare.partition(".")[0].partition("E")[0]
    zeros = whole.count("0")
    return zeros if zeros > 1 and "/" not in whole else 0


def with_zeros(digits: str, code: str) -> str:
    """Digits as this code shows them, with the zeros before and the marks between."""
    waiting = list(digits.zfill(width_of_zeros(code)))
    shown: list[str] = []
    for piece in reversed(list(_PIECE.finditer(code.partition(";")[0]))):
        quoted, escaped, bracket, _, plain = piece.groups()
        for mark in reversed(plain or ""):
            if mark not in "0#?":
                shown.append(mark)
            elif waiting:
                shown.append(waiting.pop())
        if plain is None and bracket is None:
            shown.append((quoted or escaped or "")[::-1])
    return ("".join(waiting) + "".join(shown)[::-1]).strip()


@lru_cache(maxsize=4096)
def unit(code: str) -> str:
    """The currency or unit that this code alone puts beside a number, such as "€" or "kg"; "" where there is none."""
    if family(code) or is_elapsed(code):
        return ""
    found = section(code)
    is_scaled = re.search(r"[0#?],+(?![0#?])", found.bare) is not None  # 0,"k": the same number, shown in thousands
    words = "".join(found.words).strip(" \u00a0-()")
    marks = "".join(mark for mark in found.bare if mark in _MARKS)
    words += "".join(word for word in _UNIT.findall(found.bare) if word.lower() != "general")
    said = f"{marks}{words}"
    has_place = any(mark in found.bare for mark in "0#?") or "general" in found.bare.lower()
    return said if has_place and not is_scaled and any(map(_is_unit_character, said)) else ""


def _is_unit_character(character: str) -> bool:
    return character.isalpha() or character in _MARKS or character in "%‰°"
