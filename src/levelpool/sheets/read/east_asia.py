"""
How likely the bytes of a text are in each encoding of East Asia: by how usual its characters are in the language.

Characters that were not met when `languages.txt` was made are told apart by the order that the standards themselves put them in:
the everyday ones first.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from levelpool.sheets.read.languages import languages

_LEARNED, _STRANGE = -13.0, -15.0
_NO_CHARACTER = -25.0
_KANA, _HALF_WIDTH, _FULL_WIDTH, _SIGN = -6.0, -4.5, -4.5, -8.0
_HALF_WIDTH_BEGINS = -2.5
_ASCII_LETTER_BESIDE, _DIGIT_BESIDE, _ELSE_BESIDE = -6.0, -1.5, -0.7


@dataclass(frozen=True, slots=True)
class _Written:
    encoding: str
    usual: float
    language: str
    standard: str  # whose rows part everyday characters from others
    everyday: range  # the first bytes of everyday characters
    unmet: float  # the likelihood of an everyday character that was not met


_ENCODINGS = (
    _Written("gb18030", 0.0, "zh_CN", "gb2312", range(0xB0, 0xD8), -11.0),
    _Written("big5hkscs", -0.7, "zh_TW", "big5", range(0xA4, 0xC7), -11.0),
    _Written("cp932", 0.0, "ja", "shift_jis", range(0x88, 0x98), -9.5),
    _Written("euc_jp", -1.5, "ja", "euc_jp", range(0xB0, 0xD0), -9.5),
    _Written("cp949", -0.5, "ko", "euc_kr", range(0xB0, 0xC9), -10.3),
)


def east_asian_likelihoods(sample: bytes) -> dict[str, float]:
    """The likelihood of *sample* in each encoding of East Asia, comparable to that of single-byte encodings."""
    return {written.encoding: written.usual + _likelihood(sample, written) for written in _ENCODINGS}


def _likelihood(sample: bytes, written: _Written) -> float:
    text = sample.decode(written.encoding, errors="replace")
    found = 0.0
    for character, count in Counter(text).items():
        if character > "\x7f":
            found += count * _of(character, written)
    for (before, here), count in Counter(pairwise(f"\n{text}\n")).items():
        if (before > "\x7f") != (here > "\x7f"):
            found += count * _beside(min(before, here))
        if _is_half_width(here) and not _is_half_width(before):
            found += count * _HALF_WIDTH_BEGINS
    return found


def _is_half_width(character: str) -> bool:
    return "\uff61" <= character <= "\uff9f"


def _beside(plain: str) -> float:
    """An ASCII character beside one that is not."""
    return _ASCII_LETTER_BESIDE if plain.isalpha() else _DIGIT_BESIDE if plain.isdigit() else _ELSE_BESIDE


@cache
def _of(character: str, written: _Written) -> float:
    language = languages()[written.language]
    known = language.letters.get(character)
    if known is not None:
        # Seen once in a few short texts, it is no rarer than what was not seen.
        return max(known - 0.3, _by_standard(character, written))
    if character == "\ufffd":
        return _NO_CHARACTER
    if _is_half_width(character):
        return _HALF_WIDTH if written.language == "ja" else _STRANGE
    if "\uff01" <= character <= "\uff5e":
        return _FULL_WIDTH
    if "\u3041" <= character <= "\u30fe":
        return _KANA if written.language == "ja" else _LEARNED
    if not character.isalpha():
        return _SIGN if "\u2010" <= character <= "\u33ff" else _LEARNED
    return _by_standard(character, written)


def _by_standard(character: str, written: _Written) -> float:
    try:
        data = character.encode(written.standard)
    except UnicodeError:
        return _STRANGE
    return written.unmet if data[0] in written.everyday else _LEARNED
