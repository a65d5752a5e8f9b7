"""
Makes `src/levelpool/sheets/read/languages.txt`: how the letters of each language follow each other.

    python -m benchmarks.languages

The texts are those that come with CLDR (by way of Babel: names of countries, languages, currencies, cities, months) and the
translations of Django: two to three thousand short ones in each language. Chinese characters are counted in jieba's dictionary, too. The benchmark of encodings takes its words from elsewhere.
"""

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import django
import jieba
from babel import Locale
from babel.messages.pofile import read_po
from opencc import OpenCC

TARGET = Path(__file__).parents[1] / "src/levelpool/sheets/read/languages.txt"

LANGUAGES = (
    "en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "is", "ca", "sq", "pl", "cs", "sk", "hu", "ro", "hr", "sl", "lt", "lv", "et", "tr", "el", "ru", "bg", "uk", "sr", "mk", "he", "ar", "fa", "th", "vi", "ja", "zh_CN", "zh_TW", "ko",
)  # fmt: skip
IDEOGRAPHIC = {"ja", "zh_CN", "zh_TW", "ko"}
CHINESE = {"zh_CN": None, "zh_TW": "s2tw"}
"""With the conversion from the characters of the dictionary, which are simplified."""

_TRANSLATED = {"zh_CN": "zh_Hans", "zh_TW": "zh_Hant", "pt": "pt_BR"}
_PLACEHOLDER = re.compile(r"%\(\w+\)\w|%\w|\{\w*\}|<[^>]*>")


def texts(language: str) -> Iterator[str]:
    """The short texts in *language*."""
    locale = Locale.parse(language)
    for names in (locale.territories, locale.languages, locale.currencies, locale.scripts, locale.time_zones, locale.meta_zones):
        yield from _leaves(names)
    for names in (locale.months, locale.days, locale.quarters):
        yield from _leaves(names)
    folder = Path(django.__file__).parent
    translated = _TRANSLATED.get(language, language)
    for catalog in sorted(folder.glob(f"**/locale/{translated}/LC_MESSAGES/django*.po")):
        with catalog.open(encoding="utf-8") as file:
            for message in read_po(file):
                said = message.string
                yield from (_PLACEHOLDER.sub("", text) for text in (said if isinstance(said, tuple | list) else [said]))


def _leaves(names: object) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif hasattr(names, "values"):
        for each in names.values():
            yield from _leaves(each)


def alphabetic(language: str) -> str:
    """A line: the language, its letters beyond ASCII with how rare each is, and its pairs of letters likewise."""
    letters: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for text in texts(language):
        spelled = [folded(character) for character in f" {written(text, language)} "]
        letters.update(spelled[1:])
        pairs.update(pairwise(spelled))
    firsts: Counter[str] = Counter()
    for (first, _), count in pairs.items():
        firsts[first] += count
    total = letters.total()
    alone = [f"{letter}{_rarity(count / total)}" for letter, count in sorted(letters.items()) if count > 1 and letter > "\x7f"]
    known = {entry[0] for entry in alone}
    latin = letters["e"] > 0.02 * total
    together = []
    for (first, second), count in sorted(pairs.items()):
        if all(letter <= "\x7f" or letter in known for letter in (first, second)) and (latin or first > "\x7f" or second > "\x7f"):
            chance = letters[second] / total
            share = (count + 4 * chance) / (firsts[first] + 4)
            together.append(f"{first}{second}{_rarity(share)}")
    ascii_letters = [f"{letter}{_rarity(count / total)}" for letter, count in sorted(letters.items()) if letter <= "\x7f"]
    return f"{language}\t{''.join(ascii_letters + alone)}\t{''.join(together)}"


def ideographic(language: str) -> str:
    """A line: the language, and its characters with how rare each is."""
    shares = _shares(Counter(character for text in texts(language) for character in text))
    if language in CHINESE:
        words = _shares(_of_chinese_words(CHINESE[language]))
        shares = {letter: (shares.get(letter, 0.0) + words.get(letter, 0.0)) / 2 for letter in {*shares, *words}}
    often = sorted((letter, share) for letter, share in shares.items() if -2 * math.log(share) < 24.5)
    return f"{language}\t{''.join(letter + _rarity(share) for letter, share in often)}\t"


def _shares(counts: Counter[str]) -> dict[str, float]:
    letters = {character: count for character, count in counts.items() if character > "\x7f" and character.isalpha()}
    total = sum(letters.values())
    return {letter: count / total for letter, count in letters.items()}


def _of_chinese_words(conversion: str | None) -> Counter[str]:
    """How often each character stands in the words of a dictionary, each word as often as it is used."""
    convert = OpenCC(conversion).convert if conversion else str
    found: Counter[str] = Counter()
    with jieba.get_dict_file() as file:
        for line in file:
            word, count, *_ = line.decode("utf-8").split(" ")
            for character in convert(word):
                found[character] += int(count)
    return found


def folded(character: str) -> str:
    """A letter in lower case; a blank for all else."""
    lower = character.lower()
    return lower if len(lower) == 1 and unicodedata.category(lower)[0] in "LM" else " "


def written(text: str, language: str) -> str:
    """The text as the encodings of its language can hold it."""
    if language == "ro":
        return text.translate(str.maketrans("șțȘȚ", "şţŞŢ"))
    return vietnamese(text) if language == "vi" else unicodedata.normalize("NFC", text)


_TONES = "\u0300\u0309\u0303\u0301\u0323"


def vietnamese(text: str) -> str:
    """As Windows-1258 holds it: letters with their marks, and the tone behind each unless they are one letter of it."""
    letters = []
    for character in unicodedata.normalize("NFC", text):
        parts = unicodedata.normalize("NFD", character)
        base = unicodedata.normalize("NFC", "".join(part for part in parts if part not in _TONES))
        tone = "".join(part for part in parts if part in _TONES)
        together = unicodedata.normalize("NFC", base + tone)
        letters.append(together if _is_one(together) else base + tone)
    return "".join(letters)


def _is_one(letter: str) -> bool:
    try:
        return len(letter.encode("cp1258")) == 1
    except UnicodeError:
        return False


def _rarity(share: float) -> str:
    """Half nats as a letter: A is always, Z is never."""
    return chr(ord("A") + min(25, round(-2 * math.log(share))))


def write() -> int:
    """Write the file anew."""
    lines = [ideographic(language) if language in IDEOGRAPHIC else alphabetic(language) for language in LANGUAGES]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(lines)} languages, {TARGET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(write())
