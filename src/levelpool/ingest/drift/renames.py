"""
Which new column is probably a missing one under another name.

The one outside library here says how alike two names are. Equal types are asked for; names that are alike are enough where they are very much so,
else values must be shared, too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from levelpool.sheets.table import ColumnType

SURE = 0.85
"""So alike must two names be, from 0 to 1, to be taken for one without a look at the values: a letter more, words in another order."""
LIKELY = 0.5
"""So alike must they be where values decide: quantity and qty, but not city and customer."""
SHARED = 0.3
"""So many of the distinct values of the new column must stand in the other one: a report has many of last month's customers again."""
MOST_PAIRS = 10_000
"""Of more pairs nothing is proposed: that is another report, not one with columns renamed."""

MOST_LIKE = 5
"""So many of the new columns are candidates for a missing one, those with the likeliest names."""
MOST_LOOKS = 20
"""So many pairs have their values compared, those with the likeliest names first: each is a query."""

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Named:
    """What is compared of a column."""

    name: str
    type: ColumnType | None  # None: it has no values, and may have any type


Shares = Callable[[str, str], float]
"""How many of the distinct values of a column of the file, the second one, stand in that of the dataset, from 0 to 1."""


def similarity(one: str, other: str) -> float:
    """How alike two cleaned names are, 0 to 1: by their letters, or by their words in any order."""
    return max(fuzz.ratio(left, right) for left, right in zip(_spellings(one), _spellings(other), strict=True)) / 100


def _spellings(name: str) -> tuple[str, str]:
    """The words of a name, and the same in the order of the alphabet."""
    words = name.split("_")
    return " ".join(words), " ".join(sorted(words))


def find_renames(missing: Sequence[Named], new: Sequence[Named], shares: Shares) -> dict[str, str]:
    """New columns that are probably a missing one, each with its name: the surest pairs first, and each column once."""
    if len(missing) * len(new) > MOST_PAIRS:
        return {}
    pairs = sorted(_alike(missing, new), key=lambda pair: (-pair[0], pair[1:]))
    found: dict[str, str] = {}
    for alike, before, now in pairs:
        if alike >= SURE and not _count_apart(before, now):
            _match(found, before, now)
    taken = set(found.values())
    open_ = [(alike, before, now) for alike, before, now in pairs if now not in found and before not in taken]
    looks = ((shares(before, now), alike, before, now) for alike, before, now in open_[:MOST_LOOKS])
    shared = [((alike + share) / 2, before, now) for share, alike, before, now in looks if share >= SHARED]
    for _, before, now in sorted(shared, key=lambda pair: (-pair[0], pair[1:])):
        _match(found, before, now)
    return found


def _match(found: dict[str, str], before: str, now: str) -> None:
    if now not in found and before not in found.values():
        found[now] = before


def _alike(missing: Sequence[Named], new: Sequence[Named]) -> Iterator[tuple[float, str, str]]:
    """The pairs of one type whose names are at all alike."""
    spelled = list(zip(*(_spellings(each.name) for each in new), strict=True))
    for before in missing:
        alike: dict[int, float] = {}
        for spelling, names in zip(_spellings(before.name), spelled, strict=False):
            for _, score, place in process.extract(spelling, names, scorer=fuzz.ratio, score_cutoff=100 * LIKELY, limit=MOST_LIKE):
                alike[place] = max(alike.get(place, 0.0), score)
        for place, score in alike.items():
            now = new[place]
            if before.type is now.type or not (before.type and now.type):
                yield score / 100, before.name, now.name


def _count_apart(one: str, other: str) -> bool:
    """Whether the names differ in their numbers, which tell columns of one kind apart: address_1 and address_2, sales_2025 and sales_2026."""
    return _DIGITS.findall(one) != _DIGITS.findall(other)
