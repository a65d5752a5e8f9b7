"""
The stem of a file's name: what is left without that which changes from one file of a report to the next.

Numbers, dates, quarters, weeks and versions always go. A word that may be part of the name (May, copy, final) goes where a year,
a number or a quarter stands beside it; without one it stays, and what would be left is told beside as *loose*: it counts only where it
leads to a dataset that is there and whose columns agree.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from levelpool.ingest.recognition.words import (
    BETWEEN,
    COPIES,
    FINALS,
    FROM,
    HALVES,
    MONTHS,
    MONTHS_OR_OTHERS,
    NAMELESS,
    OF,
    QUARTERS,
    VERSIONS,
    WEEKS,
    any_of,
)
from levelpool.sheets.clean.names import DATE, EXTENSION, split_words

_S = r"[\W_]"  # what parts two words
_B = r"(?<=[\W_])|\A"  # where a word may begin
_E = rf"(?={_S}|$)"  # where a word ends

_YEAR = r"(?:19|20)\d\d"
_MONTH = any_of(MONTHS)
_ANY_MONTH = any_of(MONTHS | MONTHS_OR_OTHERS)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"

_WITH_YEAR = "|".join((
    rf"(?:{_DAY}(?:{_S}|st|nd|rd|th)*)?{_ANY_MONTH}{_S}*(?:{_DAY}(?:st|nd|rd|th)?{_S}+)?(?:{_YEAR}|'\d\d)",
    rf"{_YEAR}{_S}*{_ANY_MONTH}(?:{_S}*{_DAY})?",
    rf"(?:fy|gj|wj|ay){_S}?(?:{_YEAR}|\d\d)(?:{_S}?\d\d)?",
    rf"[hst][1-4]{_S}?{_YEAR}|{_YEAR}{_S}?[hst][1-4]",
))  # fmt: skip
_SHORT_YEAR = rf"{_DAY}?{_ANY_MONTH}{_S}?\d\d"  # oct26, oct-26; at the start of a name it may be a day: September 11 victims
_PERIOD = "|".join((
    rf"q[1-4](?:{_S}?(?:{_YEAR}|\d\d))?|{_YEAR}{_S}?q[1-4]|[1-4]q(?:{_S}?(?:{_YEAR}|\d\d))?",
    rf"{any_of(QUARTERS)}{_S}*[1-4]|[1-4](?:{_S}|er|e|º|ª|°|st|nd|rd|th)*{any_of(QUARTERS)}",
    rf"{any_of(HALVES)}{_S}*[12]|[12](?:{_S}|er|e|º|ª|°|st|nd)*{any_of(HALVES)}",
    r"[wks](?:0[1-9]|[1-4]\d|5[0-3])",
    rf"{any_of(WEEKS)}{_S}*(?:0?[1-9]|[1-4]\d|5[0-3])",
    rf"v{_S}?\d{{1,4}}(?:[._]\d{{1,4}})*|{any_of(VERSIONS)}{_S}*\d{{1,4}}(?:[._]\d{{1,4}})*",
))  # fmt: skip
_NUMBER = rf"{_YEAR}|\d{{1,6}}|\(\d+\)"
_YEAR_AND_MONTH = rf"{_YEAR}(?:0[1-9]|1[0-2])"
_EASTERN = (
    r"(?:(?:19|20)?\d\d年度?)?(?:第[1-4一二三四]季度?|[1-4一二三四]季度|第?[1-4一二三四]四半期)",
    r"(?:(?:19|20)?\d\d年)?(?:1[0-2]|0?[1-9])月(?:份|度|分)?",
    r"(?:(?:19|20)?\d\d年)(?:十[一二]?|[一二三四五六七八九])月(?:份)?",
    r"(?:(?:19|20)?\d\d年)?第?(?:[1-4]?\d|5[0-3])(?:周|週目?|주차?)",
    r"(?:(?:19|20)?\d\d年度?)(?:[上下]半[年期])?|[上下]半[年期]",
    r"(?:(?:19|20)?\d\d년_?)?(?:(?:1[0-2]|0?[1-9])월|[1-4]분기|[상하]반기)(?:_?\d\d?일)?|(?:19|20)\d\d년",
    r"第\d{1,3}版|版本?\d{1,3}|バージョン\d{1,3}|버전_?\d{1,3}",
    r"\d{1,2}月\d{1,2}日|\d{1,2}日",
)  # fmt: skip
_EAST = "|".join(_EASTERN)
_PLAIN = rf"(?<!\d)(?:{DATE}|{_YEAR_AND_MONTH}|{_EAST})(?!\d)"

_EASTERN_WEAK = r"最终版?|最終版?|終版|终版|定稿|최종본?|副本|拷贝|复件|複本|コピー|복사본|사본|(?:十[一二]?|[一二三四五六七八九])月份?"
_COPY_OF = rf"{any_of(COPIES)}(?:{_S}+{any_of(OF)})?"
_ALWAYS = rf"(?:{_B})copy(?:{_S}+of)?{_E}"  # as in the name of a dataset
_BESIDE_NUMBER = rf"(?:{_B})(?:{_COPY_OF}|{any_of(FINALS)}){_E}|{_EASTERN_WEAK}"
_BESIDE_NUMBER_AT_END = rf"(?:{_B}){_MONTH}{_E}|{_BESIDE_NUMBER}"
_BESIDE_YEAR = rf"(?:{_B}){any_of(MONTHS_OR_OTHERS)}{_E}"
_BESIDE_YEAR_AT_START = rf"(?:{_B}){_ANY_MONTH}{_E}"
_YEARLY = rf"(?:{_B})(?:{_YEAR}|q[1-4]|[1-4]q){_E}"

_END, _START = rf"{_S}*$", rf"^{_S}*"
_STRONG_AT_END = re.compile(rf"(?:(?:{_B})(?:{_WITH_YEAR}|{_SHORT_YEAR}|{_PERIOD}|{_NUMBER}){_E}|{_PLAIN}){_END}")
_STRONG_AT_START = re.compile(rf"{_START}(?:(?:{_B})(?:{_WITH_YEAR}|{_PERIOD}|{_NUMBER}){_E}|{_PLAIN})")
_ALWAYS_AT_END, _ALWAYS_AT_START = re.compile(rf"(?:{_ALWAYS}){_END}"), re.compile(rf"{_START}(?:{_ALWAYS})")
_YEAR_AT_END, _YEAR_AT_START = re.compile(rf"(?:{_YEARLY}){_END}"), re.compile(rf"{_START}(?:{_YEARLY})")
_WORD_AT_END, _WORD_AT_START = re.compile(rf"(?:{_BESIDE_NUMBER_AT_END}){_END}"), re.compile(rf"{_START}(?:{_BESIDE_NUMBER})")
_OTHER_AT_END, _OTHER_AT_START = re.compile(rf"(?:{_BESIDE_YEAR}){_END}"), re.compile(rf"{_START}(?:{_BESIDE_YEAR_AT_START})")
_OF_AT_END = re.compile(rf"(?:{_B}){any_of(OF)}{_END}")
_BETWEEN_AT_END = re.compile(rf"(?:(?:{_B}){any_of(BETWEEN)}|至|到|から|부터|~|〜){_S}*$")
_FROM_AT_END = re.compile(rf"(?:{_B}){any_of(FROM)}{_S}*$")
_NOT_ALNUM = re.compile(r"[\W_]+")

_LONGEST = 300
"""Characters of a name that are looked at: a name is at most so long anyway, and patterns take time with the length."""


@dataclass(frozen=True, slots=True)
class Stem:
    """What a file's name says about its report."""

    sure: str  # "" when nothing is left
    loose: tuple[str, ...] = ()  # what is left without words that may be part of the name, the longest first

    @property
    def is_nameless(self) -> bool:
        """Whether it says nothing: data, export, report."""
        return not self.sure or self.sure in NAMELESS


@lru_cache(maxsize=4096)
def stem_of(file_name: str) -> Stem:
    """The stem of a file's name, and what else it might be."""
    name = EXTENSION.sub("", re.split(r"[/\\]", file_name)[-1][-_LONGEST:])
    words = _strip(split_words(name))
    loose: list[str] = []
    shorter = words
    while (next_ := _without_word(shorter)) != shorter:
        shorter = _strip(next_)
        loose.append(_clean(shorter))
    sure = _clean(words)
    return Stem(sure, tuple(each for each in dict.fromkeys(loose) if each and each != sure))


def _clean(words: str) -> str:
    return _NOT_ALNUM.sub("_", words).strip("_")


def _strip(words: str) -> str:
    """Without all that surely changes, at the end and at the start."""
    return _strip_side(_strip_side(words, _AT_END), _AT_START)


@dataclass(frozen=True, slots=True)
class _Side:
    """The patterns of one end of a name."""

    always: re.Pattern[str]
    strong: re.Pattern[str]
    year: re.Pattern[str]
    word: re.Pattern[str]  # goes beside a number
    other: re.Pattern[str]  # goes beside a year or a quarter


_AT_END = _Side(_ALWAYS_AT_END, _STRONG_AT_END, _YEAR_AT_END, _WORD_AT_END, _OTHER_AT_END)
_AT_START = _Side(_ALWAYS_AT_START, _STRONG_AT_START, _YEAR_AT_START, _WORD_AT_START, _OTHER_AT_START)


def _strip_side(words: str, side: _Side) -> str:
    number = year = False  # whether what went last was one
    while True:
        words = side.always.sub("", words, count=1)
        if found := side.strong.search(words):
            number, year = True, bool(side.year.search(words))
            words = words[: found.start()] + words[found.end() :]
            if side is _AT_END:
                words = _without_first_of_range(words, of_month=any(map(str.isalpha, found[0])))
            continue
        rest = side.word.sub("", words, count=1)
        if rest != words and (number or side.strong.search(rest)):
            words = _without_of(rest, side)
            continue
        rest = side.other.sub("", words, count=1)
        if rest != words and (year or side.year.search(rest)):
            words = _without_of(rest, side)
            continue
        return words


def _without_first_of_range(words: str, *, of_month: bool) -> str:
    """Without the first day of a range whose last day is gone, and what stands between and before; and without "of" before a month."""
    before = _BETWEEN_AT_END.sub("", words)
    if before == words or not _STRONG_AT_END.search(before):
        return _OF_AT_END.sub("", words) if of_month else words
    return _FROM_AT_END.sub("", _STRONG_AT_END.sub("", before, count=1))


def _without_of(words: str, side: _Side) -> str:
    return _OF_AT_END.sub("", words) if side is _AT_END else words


def _without_word(words: str) -> str:
    """Without one word at the end or the start that may be part of the name."""
    for pattern in (_WORD_AT_END, _OTHER_AT_END, _WORD_AT_START, _OTHER_AT_START):
        shorter = pattern.sub("", words, count=1)
        if shorter != words:
            return shorter
    return words
