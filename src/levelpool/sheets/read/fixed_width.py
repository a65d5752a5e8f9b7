"""Text in columns of a fixed width, filled up with blanks: where its columns are, and its lines cut there."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain, islice

_WIDEST = 4096
_FEWEST_LINES = 3
_GAP = 2
"""So many blanks stand between two columns in every line: one blank stands between words, too."""

_LEAST_REACHING = 0.5
"""The part of the lines that reaches the second column: where fewer do, a title with two blanks in it stands above lines of another kind."""
_ENOUGH_LINES = 1000

_INK = bytes(0 if byte == 0x20 else 1 for byte in range(256))


def detect_columns(lines: Iterable[str]) -> tuple[int, ...]:
    """Where each column of *lines* begins, counted in characters; () when the lines are no columns. Stops at the first line that says so."""
    following = iter(lines)
    first = list(islice(following, _FEWEST_LINES))
    if len(first) < _FEWEST_LINES:
        return ()
    rule = next(filter(_RULE.fullmatch, first), "")
    inked = 0
    lengths = [0] * (_WIDEST + 1)
    for number, line in enumerate(chain(first, following)):
        if len(line) > _WIDEST or "\t" in line:
            return ()
        lengths[len(line.rstrip(" "))] += 1
        # One bit of a number for each place: together they show the places that are blank in all lines.
        inked |= int.from_bytes(line.encode("latin-1", errors="replace").translate(_INK), "little")
        if number >= _FEWEST_LINES and not _starts(inked, rule):
            return ()
        if number == _ENOUGH_LINES and not _reach(lengths, _starts(inked, rule)):
            return ()
    starts = _starts(inked, rule)
    return starts if _reach(lengths, starts) else ()


def _reach(lengths: Sequence[int], starts: tuple[int, ...]) -> bool:
    """Whether enough lines, of which so many have each length, reach the second column."""
    return len(starts) > 1 and sum(lengths[starts[1] + 1 :]) >= _LEAST_REACHING * sum(lengths)


_RULE = re.compile("([-=])\\1*(?: +\\1+)+ *")


def _starts(inked: int, rule: str) -> tuple[int, ...]:
    """The beginnings of columns by the places that have ink, or by the line drawn below the header where no line has ink in its gaps."""
    places = inked.to_bytes((inked.bit_length() + 7) // 8, "little")
    gap = _GAP if not rule else 1
    starts, blank = [], gap
    for place, ink in enumerate(places):
        if ink and blank >= gap:
            starts.append(place)
        blank = 0 if ink else blank + 1
    drawn = len(rule.split())
    return tuple(starts) if len(starts) > 1 and (not rule or len(starts) == drawn) else ()


def cut(line: str, starts: Sequence[int]) -> list[str]:
    """The fields of a line, without the blanks that fill them up."""
    return [line[start:end].strip(" ") for start, end in zip((0, *starts[1:]), (*starts[1:], None), strict=True)]
