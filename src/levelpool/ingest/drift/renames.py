"""
Which new column is probably a missing one under another name.

The one outside library here says how alike two names are. Equal types are asked for; names that are alike are enough where they are very much so,
else values must be shared, too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from levelpool.sheets.table import ColumnType

SURE = 0.85
"""So alike must two names be, from 0 to 1, to be taken for one without a look at the values: a letter more, words in another order."""
LIKELY = 0.5
"""So alike must they be where values decide: quantity and qty, but not city and customer."""
SHARED = 0.3
"""So many of the distinct values of the new column must stand in the other one: a report has many of last month's customers again."""
MOST_PAIRS = 10_000
"""Of more pairs nothing is proposed: that is another report, not one with columns renamed."""

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
    first, second = one.replace("_", " "), other.replace("_", " ")
    return max(fuzz.ratio(first, second), fuzz.token_sort_ratio(first, second)) / 100


def find_renames(missing: Sequence[Named], new: Sequence[Named], shares: Shares) -> dict[str, str]:
    """New columns that are probably a missing one, each with its name: the surest pairs first, and each column once."""
    if len(missing) * len(new) > MOST_PAIRS:
        return {}
    found: dict[str, str] = {}
    for _, before, now in sorted(_pairs(missing, new, shares), key=lambda pair: (-pair[0], pair[1:])):
        if now not in found and before not in found.values():
            found[now] = before
    return found


def _pairs(missing: Sequence[Named], new: Sequence[Named], shares: Shares) -> Iterator[tuple[float, str, str]]:
    for before in missing:
        for now in new:
            alike = similarity(before.name, now.name)
            if alike < LIKELY or (before.type and now.type and before.type is not now.type):
                continue
            if alike >= SURE and not _count_apart(before.name, now.name):
                yield 1 + alike, before.name, now.name
            elif (share := shares(before.name, now.name)) >= SHARED:
                yield (alike + share) / 2, before.name, now.name


def _count_apart(one: str, other: str) -> bool:
    """Whether the names differ in their numbers, which tell columns of one kind apart: address_1 and address_2, sales_2025 and sales_2026."""
    return _DIGITS.findall(one) != _DIGITS.findall(other)
