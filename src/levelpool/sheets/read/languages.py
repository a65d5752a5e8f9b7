"""
How the letters of each language follow each other, from `languages.txt`, which `python -m benchmarks.languages` makes.

Likelihoods are natural logarithms. A line of the file is a language, its letters, and its pairs of letters of which at least one is
beyond ASCII; behind each stands how rare it is, in half nats, as a letter of the alphabet.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

UNSEEN_PAIR = -2.5
"""What it adds to a letter's own likelihood that it was never seen behind the one before it."""

UNKNOWN = -12.0
"""A letter that the language does not have."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language, as its short texts are."""

    name: str
    letters: dict[str, float]
    pairs: dict[str, float]
    is_latin: bool

    def follows(self, first: str, second: str) -> float:
        """The likelihood of *second* behind *first*: letters in lower case, or a blank for all else."""
        found = self.pairs.get(first + second)
        if found is not None:
            return found
        alone = self.letters.get(second)
        if alone is None:
            return UNKNOWN
        return max(UNKNOWN, alone + UNSEEN_PAIR) if first in self.letters else alone


@cache
def languages() -> dict[str, Language]:
    """All languages by their names."""
    lines = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8").splitlines()
    return dict(map(_language, lines))


def _language(line: str) -> tuple[str, Language]:
    name, letters, pairs = line.split("\t")
    rated = _rated(pairs, 2)
    return name, Language(name, _rated(letters, 1), rated, is_latin="er" in rated)


def _rated(entries: str, length: int) -> dict[str, float]:
    """The entries, each of *length* characters with its rarity behind."""
    step = length + 1
    return {entries[at : at + length]: (ord("A") - ord(entries[at + length])) / 2 for at in range(0, len(entries), step)}
