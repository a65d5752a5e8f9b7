"""Zeros that a number would lose: in front, as in 000123, or with a sign; and the marks behind a lone zero, which part no thousands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from levelpool.sheets.clean.shapes import MINUSES, TO_HALF_WIDTH, shapes_of

_AFFIX = re.compile(r"[^0-9.,\n]")
_PLAIN_SHAPE = re.compile(r"-?0+(?:\.0+)?")
_PLAIN_CHARACTERS = str.maketrans("", "", "0123456789.-\n")


def are_plain(texts: list[str], *, most: int = 10**6, whole: bool = False) -> bool:
    """Whether all these texts are plain decimals of at most *most* characters, without a leading zero, such as -12.50; *whole*: integers."""
    joined = "\n".join(texts)
    if joined.translate(_PLAIN_CHARACTERS) or (whole and "." in joined) or max(map(len, texts), default=0) > most:
        return False
    return all(map(_PLAIN_SHAPE.fullmatch, set(shapes_of(joined)))) and _zeros_of_plain(joined).lost is None


_LEADING_ZERO = re.compile(r"^([^0-9０-９\n]*[0０][0-9０-９][^\n]*)$", re.MULTILINE)
_SIGNED_ZERO = re.compile(
    rf"^(?=[^\n]*[0０])([^1-9１-９\n]*[-－(（{MINUSES}][^1-9１-９\n]*|[^1-9１-９\n]*[0０][^1-9１-９\n]*[-－{MINUSES}])$", re.MULTILINE
)
_ZERO_MARK = re.compile(r"^[^0-9０-９\n]*[0０]([.,，．'’ \u00a0\u202f])", re.MULTILINE)


def starts_with_zero(joined: str) -> str | None:
    """The first of the texts (joined by line feeds) whose digits begin with a zero that a number would lose, such as 000123."""
    # A digit string that begins with no zero is told apart without a regular expression.
    if "\n0" not in f"\n{joined}" and joined.isascii() and not _AFFIX.search(joined):
        return None
    found = _LEADING_ZERO.search(joined)
    return found[1] if found else None


def signed_zero(joined: str) -> str | None:
    """The first of the texts (joined by line feeds) that is a zero with a sign: no number brings the sign back."""
    if "-" not in joined and "(" not in joined and joined.isascii():
        return None
    found = _SIGNED_ZERO.search(joined)
    return found[1] if found else None


_LEADING_ZERO_OF_PLAIN = re.compile(r"\n0([0-9][^\n]*)")
_SIGNED_ZERO_OF_PLAIN = re.compile(r"\n(-0(?:\.0+)?)(?=\n|\Z)")


@dataclass(frozen=True, slots=True)
class Zeros:
    """What the zeros of some texts say: the first that a number would lose, with the reason, and the marks that part no thousands."""

    lost: str | None
    why: str
    marks: frozenset[str]


def zeros_of(joined: str, shapes: Iterable[str]) -> Zeros:
    """The zeros of texts that were joined by line feeds and have these shapes."""
    if all(map(_PLAIN_SHAPE.fullmatch, shapes)):
        return _zeros_of_plain(joined)
    found = starts_with_zero(joined)
    if found is not None:
        return Zeros(found, _STARTS, frozenset())
    found = signed_zero(joined)
    return Zeros(found, _SIGNED, frozenset()) if found is not None else Zeros(None, "", zero_before(joined))


_STARTS = "starts with a zero, which a number would lose"
_SIGNED = "is a signed zero, which a number would lose"


def _zeros_of_plain(joined: str) -> Zeros:
    """The same for plain decimals, such as -12.50, in a fifth of the time."""
    text = f"\n{joined}"
    unsigned = text.replace("\n-", "\n") if "-" in text else text
    if "\n0" not in unsigned:
        return Zeros(None, "", frozenset())
    if _LEADING_ZERO_OF_PLAIN.search(unsigned):
        return Zeros(starts_with_zero(joined), _STARTS, frozenset())
    signed = _SIGNED_ZERO_OF_PLAIN.search(text)
    if signed is not None:
        return Zeros(signed[1], _SIGNED, frozenset())
    return Zeros(None, "", frozenset(".") if "\n0." in unsigned else frozenset())


def zero_before(joined: str) -> frozenset[str]:
    """The marks that stand behind a lone zero at the start of a text (joined by line feeds): they part no thousands."""
    if "0" not in joined and "０" not in joined:
        return frozenset()
    return frozenset(mark.translate(TO_HALF_WIDTH) for mark in _ZERO_MARK.findall(joined))
