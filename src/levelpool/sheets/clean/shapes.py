"""
Shapes: how a text looks whatever its digits are.

A *shape* is a text with every digit replaced by 0: "1,234.50" has the shape "0,000.00". A column of a million numbers has
a few dozen shapes, so what holds for its shapes is proved for all its rows.
"""

from collections.abc import Container, Iterable

_TO_SHAPE = str.maketrans("123456789１２３４５６７８９", "000000000０００００００００")
TO_HALF_WIDTH = str.maketrans("０１２３４５６７８９．，－（）％", "0123456789.,-()%")

MINUSES = "\u2010\u2011\u2012\u2013\u2212\ufe63"
"""Characters that are printed for a minus beside "-" and the full-width one: hyphens, a dash as wide as a digit, U+2212 itself."""


def shapes_of(joined: str) -> list[str]:
    """The shapes of texts that were joined by line feeds; texts that hold a line feed themselves must not be among them."""
    return joined.translate(_TO_SHAPE).split("\n")


def shape_of(text: str) -> str:
    """The shape of one text, whatever it holds."""
    return text.translate(_TO_SHAPE)


class Shapes:
    """The shapes of many texts; those that are blank do not count."""

    def __init__(self, each: list[str]) -> None:
        """*each* is the shape of every text, in their order."""
        self.each = each
        self.distinct = frozenset(each) - {""}
        self.longest = max(self.distinct, key=len, default="")

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> "Shapes":
        """The shapes of these texts, whatever they hold."""
        return cls([shape_of(text) if text else "" for text in texts])

    def new(self, known: Container[str]) -> list[tuple[str, int]]:
        """Each shape that is not known yet, with the place of the first text that has it, in their order."""
        places = sorted(self.each.index(shape) for shape in self.distinct if shape not in known)
        return [(self.each[place], place) for place in places]
