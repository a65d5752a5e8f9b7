"""
Which single-byte encoding a text is written in: the one in which its bytes beyond ASCII are the letters of one language.

In Latin scripts such a byte stands alone among ASCII letters, in the others beside its like: that parts the candidates first.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўјљњћђџ"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"


@dataclass(frozen=True, slots=True)
class _Language:
    encoding: str
    letters: str  # beyond ASCII, in lower case
    often: str = ""  # those that make most of its texts; Latin scripts need none


_LATIN = (
    _Language("cp1252", "äöüß"),
    _Language("cp1252", "àâæçéèêëîïôœùûüÿ"),
    _Language("cp1252", "áéíñóúüªº"),
    _Language("cp1252", "áâãàçéêíóôõúªº"),
    _Language("cp1252", "àèéìíòóù"),
    _Language("cp1252", "åäöøæéü"),
    _Language("cp1252", "ëïéèêöü"),
    _Language("cp1250", "ąćęłńóśźż"),
    _Language("cp1250", "áčďéěíňóřšťúůýž"),
    _Language("cp1250", "áäčďéíĺľňóôŕšťúýž"),
    _Language("cp1250", "áéíóöőúüű"),
    _Language("cp1250", "ăâîşţșț"),
    _Language("cp1250", "čćđšž"),
    _Language("cp1254", "çğıöşüâîi̇"),
    _Language("cp1257", "ąčęėįšųūž"),
    _Language("cp1257", "āčēģīķļņšūž"),
    _Language("cp1257", "äöõüšž"),
    _Language("cp1252", "áðéíóúýþæö"),
)
_OTHERS = (
    _Language("cp1251", _CYRILLIC, "оеаинтсрвлкмдп"),
    _Language("koi8_r", _CYRILLIC, "оеаинтсрвлкмдп"),
    _Language("cp1253", _GREEK, "αοιετσνηυρπκμλ"),
    _Language("cp1255", "אבגדהוזחטיכלמנסעפצקרשתךםןףץ", "יהולאתמרבשנםחק"),
    _Language("cp1256", "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءأإآؤئپچژگ", "اليمونترهبدعسةقح"),
    _Language("cp874", "".join(map(chr, range(0x0E01, 0x0E4F))), "านรกอเงทมยลวด่้ั"),
)
_SIGNS = frozenset("\u00a0€£§°–—’‘“”„«»…·®©™½№\u200e\u200f")
_CLOSE = 0.03
"""Shares that differ by less decide nothing."""


def encodings_by_letters(sample: bytes) -> tuple[str, ...]:
    """The encodings that fit *sample* best, the likeliest first; several when letters alone do not decide, none when no language fits."""
    pairs = Counter(pairwise("f" if byte > 0x7F else "a" if chr(byte).isalpha() else " " for byte in sample))
    beside, mixed = pairs["f", "f"], pairs["a", "f"] + pairs["f", "a"]
    # Two of them may meet in a Latin script too, as in "Größe", but then ASCII letters are at both their sides.
    languages = _OTHERS if beside > 0.4 * sum(byte > 0x7F for byte in sample) and beside > mixed else _LATIN
    scores: dict[str, float] = {}
    for language in languages:
        scores[language.encoding] = max(scores.get(language.encoding, 0.0), _score(sample, language))
    best = max(scores.values())
    return tuple(sorted((name for name, score in scores.items() if score > best - _CLOSE), key=lambda name: -scores[name])) if best else ()


def _score(sample: bytes, language: _Language) -> float:
    """The share of the foreign characters that are letters of the language, with the frequent ones once more, less capitals within words."""
    text = sample.decode(language.encoding, errors="replace")
    letters = frozenset(language.letters)
    foreign = [character for character in text if character > "\x7f" and character not in _SIGNS]
    if not foreign:
        return 0.0
    known = _share(foreign, letters)
    often = _share(foreign, frozenset(language.often)) if language.often else known
    odd = sum(before.islower() and here.isupper() for before, here in pairwise(text)) / len(foreign)
    return (known + often) / 2 - odd


def _share(characters: list[str], letters: Iterable[str]) -> float:
    return sum(character.lower() in letters or character in letters for character in characters) / len(characters)
