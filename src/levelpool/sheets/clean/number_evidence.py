"""What the number cells of a column have shown."""

import re
from math import isinf

from levelpool.sheets.clean.cell_group import LONGEST, CellGroup, Seen
from levelpool.sheets.clean.numbers import MOST_DIGITS, has_few_whole_digits, is_number_cell, is_whole_double, plain_number, shorten
from levelpool.sheets.clean.refutations import Refutations
from levelpool.sheets.clean.shapes import Shapes, shape_of

_KEPT_DIGITS = 16
_EXPONENT = re.compile("[eE]")
_FRACTION = re.compile("[.eE]")
_MAY_BE_LONG_DOUBLE = re.compile(r"[eE]|0{16}\.|0{19}")
_SURELY_SHORTEST = 16  # characters: of fewer digits the shortest decimal of a fraction is the file's own text


class NumberEvidence:
    """The shapes of number cells."""

    __slots__ = ("_refutations", "_shapes", "_wholes", "exponent", "rounded")

    def __init__(self, refutations: Refutations) -> None:
        self._refutations = refutations
        self._shapes: dict[str, Seen] = {}
        self._wholes: dict[str, Seen] = {}  # of long whole doubles, as the digits that they are
        self.exponent = False  # a number has one that is no long whole double
        self.rounded: Seen | None = None  # the first long whole double with fewer digits written than it has

    @property
    def shapes(self) -> dict[str, Seen]:
        """The first number of each shape; beside other exponents all are doubles, and long whole doubles tell nothing more."""
        return self._shapes if self.exponent or not self._wholes else {**self._shapes, **self._wholes}

    def add(self, group: CellGroup) -> None:
        """Take in number cells."""
        shapes = group.shapes
        if len(shapes.longest) > LONGEST:
            self._refutations.add(f"{group.seen(max(group.values, key=len))} has more digits than any number needs")
            return
        if not all(map(is_number_cell, shapes.distinct)):
            shapes = Shapes([plain_number(shape) for shape in shapes.each])
        doubles = {shape for shape in shapes.distinct if _MAY_BE_LONG_DOUBLE.search(shape)}
        if doubles:
            shapes = self._without_doubles(group, shapes, doubles)
        long = {shape for shape in shapes.distinct if len(shape) > _SURELY_SHORTEST and not self._is_known(shape)}
        note_shapes(self._shapes, group, _shortened(group, shapes, long) if long else shapes)

    def _without_doubles(self, group: CellGroup, shapes: Shapes, doubles: set[str]) -> Shapes:
        """The other shapes, when the numbers of these that can only be doubles are taken in: each by itself, as no shape tells how large it is."""
        others = list(shapes.each)
        for place, (text, shape) in enumerate(zip(group.texts, shapes.each, strict=True)):
            if text and shape in doubles and self._take_double(text, group.rows[place]):
                others[place] = ""
        return Shapes(others)

    def _take_double(self, text: str, row: int) -> bool:
        """Whether a number is a double however it is written: it has an exponent, or is too long for a BIGINT and loses nothing as a double."""
        plain = plain_number(text)
        try:
            value = float(plain)
        except ValueError:
            return True  # no number at all: left to quarantine
        if isinf(value):
            return True
        if is_whole_double(value):
            if not _FRACTION.search(plain):
                return False
            digits = str(int(value))
            self._wholes.setdefault("0" * len(digits.lstrip("-")), Seen(row, text))
            if self.rounded is None and len(digits.lstrip("-")) > _KEPT_DIGITS >= _written_digits(plain):
                self.rounded = Seen(row, text)
            return True
        if not _EXPONENT.search(plain) and (abs(value) < 10**MOST_DIGITS or (_FRACTION.search(plain) is None and int(plain) != value)):
            return False
        self.exponent = True
        self._shapes.setdefault("0.0E+00", Seen(row, text))
        return True

    def _is_known(self, shape: str) -> bool:
        """Whether a text of this shape was the shortest itself."""
        return shape in self._shapes and has_few_whole_digits(shape)


def _written_digits(text: str) -> int:
    """How many significant digits of a number are written."""
    mantissa = _EXPONENT.split(text)[0].lstrip("-").replace(".", "")
    return len(mantissa.strip("0"))


def _shortened(group: CellGroup, shapes: Shapes, long: set[str]) -> Shapes:
    """
    The shapes, of the shortest decimals that are the same doubles where they are *long*.

    Beyond 15 digits that may be another text than the file's. It is never longer, so it tells nothing new where a text of the same
    shape was the shortest itself.
    """
    pairs = zip(group.texts, shapes.each, strict=True)
    return Shapes([shape_of(shorten(text)) if text and shape in long else shape for text, shape in pairs])


def note_shapes(known: dict[str, Seen], group: CellGroup, shapes: Shapes) -> bool:
    """
    Remember the first value of each new shape of number cells; returns whether one of them has an exponent.

    What is no number is left to quarantine.
    """
    found = False
    for shape, place in shapes.new(known.keys()):
        if is_number_cell(shape):
            value = group.texts[place] or ""
            has_exponent = "e" in shape.lower()
            if has_exponent and isinf(float(value)):
                continue
            found |= has_exponent
            known[shape] = group.seen(value)
    return found
