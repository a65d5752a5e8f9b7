"""
Two files of one dataset, row by row: by their keys, or without a key as whole rows, of which one file may have the same several times.

Of a row only its number, its key and a fingerprint of its values are held, so that two files of a hundred thousand rows take tens of megabytes.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import islice

Mark = tuple[int, Hashable, int]
"""A row: its number in its sheet, its key (None: a part of it is blank), and a fingerprint of its values."""

MOST_SHOWN = 100
"""So many rows of each kind are shown."""

_ROW_BITS = 40
_ROW = (1 << _ROW_BITS) - 1


@dataclass(frozen=True, slots=True)
class Tally:
    """What two files have in common, and what not; rows by their numbers, in the order of their files."""

    added: int
    removed: int
    first_added: tuple[int, ...]  # of the newer file
    first_removed: tuple[int, ...]  # of the older one
    changed: tuple[tuple[int, int], ...] = ()  # a row of the older file, and that of the newer one with the same key and other values
    unkeyed: int = 0  # rows of the newer file without a key


def by_key(was: Iterable[Mark], now: Iterable[Mark]) -> Tally:
    """Compare by keys; of several rows of a file with one key the last one counts. Rows without a key are compared with nothing."""
    before = {key: fingerprint << _ROW_BITS | row for row, key, fingerprint in was}
    before.pop(None, None)
    added: dict[Hashable, int] = {}
    changed: dict[Hashable, tuple[int, int]] = {}
    unkeyed = 0
    for row, key, fingerprint in now:
        there = before.get(key)
        if there is None:
            if key is None:
                unkeyed += 1
            else:
                added[key] = row
            continue
        if there >= 0:
            before[key] = ~there  # found again; what is left was removed
        else:
            there = ~there
        if there >> _ROW_BITS != fingerprint:
            changed[key] = there & _ROW, row
        elif key in changed:
            del changed[key]
    removed = [there & _ROW for there in before.values() if there >= 0]
    shown = tuple(sorted(added.values())[:MOST_SHOWN]), tuple(sorted(removed)[:MOST_SHOWN])
    return Tally(len(added), len(removed), *shown, tuple(changed.values()), unkeyed)


def as_wholes(was: Iterable[Mark], now: Iterable[Mark]) -> Tally:
    """Compare whole rows: one that a file has three times and the other once is added or removed twice."""
    left: dict[int, int] = {}  # by fingerprint: how many times more the older file has it, and the row of the last
    for row, _, fingerprint in was:
        left[fingerprint] = (left[fingerprint] & ~_ROW if fingerprint in left else 0) + (1 << _ROW_BITS) | row
    added, first_added = 0, []
    for row, _, fingerprint in now:
        there = left.get(fingerprint)
        if there is None:
            added += 1
            if added <= MOST_SHOWN:
                first_added.append(row)
        elif there >> _ROW_BITS == 1:
            del left[fingerprint]
        else:
            left[fingerprint] = there - (1 << _ROW_BITS)
    removed = sum(there >> _ROW_BITS for there in left.values())
    return Tally(added, removed, tuple(first_added), tuple(islice(sorted(there & _ROW for there in left.values()), MOST_SHOWN)))
