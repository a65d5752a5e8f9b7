"""
How likely the bytes of a text are in each single-byte encoding: as letters of the languages that are written in it.

Bytes beyond ASCII are looked at with their neighbours, as pairs: in "Niño" the byte of ñ stands between i and o, which is common
in Spanish, while no Polish word has ń there. A letter of another language, a sign within a word and a capital behind a small letter
are unlikely; they tell wrong encodings more surely than letters tell right ones.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from levelpool.sheets.read.languages import Language, languages

_WEST = {"de": 0.0, "fr": -0.3, "es": -0.3, "it": -0.7, "pt": -0.7, "nl": -1.0, "sv": -1.2, "da": -1.4, "nb": -1.4, "fi": -1.4, "ca": -2.5}
_NORTH = {**_WEST, "is": -3.0, "sq": -3.0}
_CENTRAL = {"pl": -0.5, "cs": -0.7, "hu": -0.9, "sk": -1.2, "ro": -1.2, "hr": -1.4, "sl": -1.6, "de": -4.0}
_CYRILLIC = {"ru": 0.0, "uk": -1.0, "bg": -1.2, "sr": -1.5, "mk": -2.0}
_BALTIC = {"lt": -1.4, "lv": -1.6, "et": -1.6}

_ISO, _DOS, _MAC = -3.0, -3.5, -4.5


@dataclass(frozen=True, slots=True)
class _Written:
    """An encoding, how usual it is, and the languages written in it."""

    encoding: str
    usual: float
    languages: dict[str, float]


_ENCODINGS = (
    _Written("cp1252", 0.0, _NORTH),
    _Written("cp1250", -0.7, _CENTRAL),
    _Written("cp1251", 0.0, _CYRILLIC),
    _Written("cp1253", -0.5, {"el": 0.0}),
    _Written("cp1254", -1.2, {"tr": 0.0, "de": -4.0}),
    _Written("cp1255", -0.5, {"he": 0.0}),
    _Written("cp1256", -1.0, {"ar": 0.0, "fa": -1.5}),
    _Written("cp1257", -1.5, _BALTIC),
    _Written("cp1258", -2.5, {"vi": 0.0}),
    _Written("cp874", -0.5, {"th": 0.0}),
    _Written("iso-8859-2", _ISO - 0.7, _CENTRAL),
    _Written("iso-8859-4", _ISO - 4.0, _BALTIC),
    _Written("iso-8859-5", _ISO - 2.0, _CYRILLIC),
    _Written("iso-8859-6", _ISO, {"ar": 0.0}),
    _Written("iso-8859-7", _ISO, {"el": 0.0}),
    _Written("iso-8859-8", _ISO, {"he": 0.0}),
    _Written("iso-8859-13", _ISO - 1.0, _BALTIC),
    _Written("iso-8859-15", _ISO, {**_WEST, "et": -1.4}),
    _Written("koi8_r", _ISO, {"ru": 0.0}),
    _Written("koi8_u", _ISO - 1.0, {"uk": 0.0}),
    _Written("cp437", _DOS - 1.5, {"de": 0.0, "fr": -0.3, "es": -0.3, "it": -0.7, "nl": -1.0, "sv": -1.2}),
    _Written("cp850", _DOS, _NORTH),
    _Written("cp852", _DOS - 0.7, _CENTRAL),
    _Written("cp857", _DOS - 1.0, {"tr": 0.0}),
    _Written("cp737", _DOS - 1.0, {"el": 0.0}),
    _Written("cp862", _DOS - 1.0, {"he": 0.0}),
    _Written("cp720", _DOS - 2.0, {"ar": 0.0}),
    _Written("cp866", _DOS, {"ru": 0.0, "bg": -1.2}),
    _Written("cp1125", _DOS - 1.5, {"uk": 0.0}),
    _Written("mac_roman", _MAC, _NORTH),
    _Written("mac_latin2", _MAC - 1.0, _CENTRAL),
    _Written("mac_cyrillic", _MAC - 0.5, {"ru": 0.0, "bg": -1.2}),
    _Written("mac_greek", _MAC - 0.5, {"el": 0.0}),
    _Written("mac_turkish", _MAC - 1.0, {"tr": 0.0}),
)

_BETWEEN_LETTERS = frozenset("’·´‘ºª")
_AT_WORDS = frozenset("„“”«»‘¿¡…©®™‚°€£№")
_SIGNS = dict.fromkeys("\u00a0€£§°–—’‘“”„«»…·©®™½²³µ×±№‚•ºª¿¡¼¾´¨‰", -6.0)
_SIGNS |= dict.fromkeys("€°–’\u00a0№", -5.0)
_RARE_SIGN = -9.0
_NO_CHARACTER = -20.0
_SIGN_IN_WORD = -3.5  # for each letter beside it
_SIGN_AT_WORD = -1.5  # likewise, of a sign that stands at words, such as a quotation mark
_SCRIPTS_IN_WORD = -6.0
_LETTER_AT_DIGIT = -1.0
_CAPITAL_WITHIN = -4.0
_CAPITALS = -0.7  # a capital behind a capital
_MIXTURE, _MIXED = -2.0, -2.0  # that a text is in several languages, and for each of its pairs that it may be in any


@dataclass(frozen=True, slots=True)
class _Sound:
    """What a byte is in an encoding."""

    letter: str  # in lower case; a blank when it is none
    likelihood: float | None  # of a sign; None: a letter, or ASCII
    capital: bool
    cased: bool
    digit: bool
    joins: bool  # a sign that stands between letters
    attaches: bool  # a sign that stands before or behind a word
    is_latin: bool | None  # None: no letter


def single_byte_likelihoods(sample: bytes) -> dict[str, float]:
    """The likelihood of *sample* in each single-byte encoding, comparable to that of other encodings by their bytes."""
    pairs = Counter(pairwise(b"\n" + sample + b"\n"))
    foreign = {pair: count for pair, count in pairs.items() if pair[0] > 0x7F or pair[1] > 0x7F}
    plain = _plain(pairs)
    found = {}
    for written in _ENCODINGS:
        sounds = _sounds(written.encoding)
        heard = [(sounds[first], sounds[second], count) for (first, second), count in foreign.items()]
        found[written.encoding] = written.usual + _likelihood(heard, plain, written.languages)
    return found


def text_likelihood(text: str) -> float:
    """The likelihood of a text that has its characters already, comparable to that of bytes."""
    pairs = Counter(pairwise(f"\n{text}\n"))
    plain = _plain({(ord(first), ord(second)): count for (first, second), count in pairs.items()})
    heard = [(_sound(first), _sound(second), count) for (first, second), count in pairs.items() if max(first, second) > "\x7f"]
    return _likelihood(heard, plain, dict.fromkeys(_ALL, 0.0))


_ALL = tuple(dict.fromkeys(language for written in _ENCODINGS for language in written.languages))


def plain_likelihood(sample: bytes) -> float:
    """The likelihood of the ASCII letters in *sample* where nothing is known of their language."""
    return _spoken(_plain(Counter(pairwise(b"\n" + sample + b"\n"))), languages()[_UNKNOWN_LANGUAGE])


_UNKNOWN_LANGUAGE = "en"


def _plain(pairs: Mapping[tuple[int, int], int]) -> Counter[tuple[str, str]]:
    """The pairs of ASCII letters, in lower case, a blank for all else."""
    sounds = _sounds("ascii")
    found: Counter[tuple[str, str]] = Counter()
    for (first, second), count in pairs.items():
        if first <= 0x7F and second <= 0x7F:
            before, here = sounds[first].letter, sounds[second].letter
            if before != " " or here != " ":
                found[before, here] += count
    return found


def _spoken(plain: Counter[tuple[str, str]], language: Language) -> float:
    return sum(count * language.follows(before, here) for (before, here), count in plain.items())


def _likelihood(heard: list[tuple[_Sound, _Sound, int]], plain: Counter[tuple[str, str]], priors: dict[str, float]) -> float:
    """The likelihood in the best of the languages alone, or in all of them mixed."""
    spoken = [languages()[name] for name in priors]
    unknown = _spoken(plain, languages()[_UNKNOWN_LANGUAGE])
    alone = [
        (_spoken(plain, language) if language.is_latin else unknown) + prior
        for language, prior in zip(spoken, priors.values(), strict=True)
    ]
    mixed = max(unknown, *alone) + _MIXTURE
    fixed = 0.0
    for before, here, count in heard:
        fixed += count * _apart_from_language(before, here)
        if here.likelihood is not None:
            fixed += count * here.likelihood
            continue
        likelihoods = [language.follows(before.letter, here.letter) for language in spoken]
        alone = [sofar + count * likelihood for sofar, likelihood in zip(alone, likelihoods, strict=True)]
        mixed += count * (max(likelihoods) + _MIXED)
    return fixed + max(*alone, mixed)


def _apart_from_language(before: _Sound, here: _Sound) -> float:
    """What is unlikely in any language."""
    found = 0.0
    for one, other in ((before, here), (here, before)):
        if one.likelihood is not None and other.letter != " " and not one.joins:
            found += _SIGN_AT_WORD if one.attaches else _SIGN_IN_WORD
        if one.letter > "\x7f" and other.digit:
            found += _LETTER_AT_DIGIT
        if one.is_latin is False and other.is_latin:
            found += _SCRIPTS_IN_WORD
    if here.capital and before.letter != " ":
        found += _CAPITALS if before.capital else _CAPITAL_WITHIN if before.cased else 0.0
    return found


@cache
def _sounds(encoding: str) -> tuple[_Sound, ...]:
    return tuple(_sound(bytes([byte]).decode(encoding, errors="replace")) for byte in range(256))


@cache
def _sound(character: str) -> _Sound:
    kind = unicodedata.category(character)
    lower = character.lower()
    likelihood = None
    if kind[0] in "LM" and character not in _BETWEEN_LETTERS and len(lower) == 1:
        is_latin = unicodedata.name(character, "").startswith(("LATIN", "COMBINING"))
    else:
        lower, is_latin = " ", None
        if character > "\x7f":
            likelihood = _NO_CHARACTER if character == "\ufffd" or kind in {"Cc", "Co"} else _SIGNS.get(character, _RARE_SIGN)
    return _Sound(
        letter=lower,
        likelihood=likelihood,
        capital=kind == "Lu",
        cased=kind in {"Lu", "Ll"},
        digit=character.isascii() and character.isdigit(),
        joins=character in _BETWEEN_LETTERS,
        attaches=character in _AT_WORDS,
        is_latin=is_latin,
    )
