"""What the number cells of a column have shown."""

from math import isinf

from levelpool.sheets.clean.cell_group import LONGEST, CellGroup, Seen
from levelpool.sheets.clean.dates import is_elapsed, width_of_zeros
from levelpool.sheets.clean.numbers import has_few_whole_digits, is_number_cell, plain_number, shorten
from levelpool.sheets.clean.refutations import Refutations
from levelpool.sheets.clean.shapes import Shapes, shape_of

_SURELY_SHORTEST = 16  # characters: of fewer digits the shortest decimal of a fraction is the file's own text


class NumberEvidence:
    """The shapes of number cells, and what their formats show."""

    __slots__ = ("_refutations", "elapsed", "exponent", "shapes", "zeros")

    def __init__(self, refutations: Refutations) -> None:
        self._refutations = refutations
        self.shapes: dict[str, Seen] = {}
        self.exponent = False
        self.elapsed: Seen | None = None  # the first number that shows a span of time
        self.zeros: Seen | None = None  # the first number that shows with zeros before it

    def add(self, group: CellGroup) -> None:
        """Take in number cells of one format."""
        self._look_at_format(group)
        shapes = group.shapes
        if len(shapes.longest) > LONGEST:
            self._refutations.add(f"{group.seen(max(group.values, key=len))} has more digits than any number needs")
            return
        if not all(map(is_number_cell, shapes.distinct)):
            shapes = Shapes([plain_number(shape) for shape in shapes.each])
        long = {shape for shape in shapes.distinct if len(shape) > _SURELY_SHORTEST and not self._is_known(shape)}
        has_exponent = note_shapes(self.shapes, group, _shortened(group, shapes, long) if long else shapes)
        self.exponent = self.exponent or has_exponent or any("e" in shape.lower() for shape in long)

    def _look_at_format(self, group: CellGroup) -> None:
        if self.elapsed is None and is_elapsed(group.kind):
            self.elapsed = group.first()
        if self.zeros is None and (width := width_of_zeros(group.kind)):
            self.zeros = next((Seen(row, text.zfill(width)) for row, text in group.pairs() if text.isdigit() and len(text) < width), None)

    def _is_known(self, shape: str) -> bool:
        """Whether a text of this shape was the shortest itself."""
        return shape in self.shapes and has_few_whole_digits(shape)


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
