"""Numbers as accounting formats write them into a text file: each sign in a frame of its own, and a dash for zero."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from levelpool.sheets.clean.currencies import MARK

_CORE = re.compile(r"([^0]*)(0(?:[0.,'’ \u00a0\u202f]*0)?)([^0]*)")
_FRAME = re.compile(rf"(?P<blank>[ \u00a0]*)(?P<sign>-?)[ \u00a0]*(?P<mark>(?:{MARK})?)[ \u00a0]*(?P<inner>[-(]?)[ \u00a0]*")
_FRAME_END = re.compile(rf"[ \u00a0]*(?P<close>\)?)[ \u00a0]*(?P<mark>(?:{MARK})?)[ \u00a0]*(?P<outer>\)?)[ \u00a0]*")
_DASH = re.compile(rf"[ \u00a0]+(?P<mark>(?:{MARK})?)[ \u00a0]*-[ \u00a0]*(?P<tail>(?:{MARK})?)[ \u00a0]*")


@dataclass(frozen=True, slots=True)
class Framed:
    """A number as an accounting format writes it."""

    kind: str  # "positive", "negative", or "zero", for which it writes a dash alone
    template: str  # the text, "0" for its digits
    core: str  # the digits with the marks between them
    mark: str  # of a currency


@lru_cache(maxsize=4096)
def framed(shape: str) -> Framed | None:
    """The shape as an accounting format may have written it; None for any other."""
    if dash := _DASH.fullmatch(shape):
        return None if dash["mark"] and dash["tail"] else Framed("zero", shape, "", dash["mark"] or dash["tail"])
    found = _CORE.fullmatch(shape)
    if found is None:
        return None
    before, after = _FRAME.fullmatch(found[1]), _FRAME_END.fullmatch(found[3])
    if before is None or after is None or (before["mark"] and after["mark"]):
        return None
    closes = len(after["close"] + after["outer"])
    signs = before["sign"] + before["inner"]
    if len(signs) > 1 or closes != signs.count("("):
        return None
    return Framed("negative" if signs else "positive", f"{found[1]}0{found[3]}", found[2], before["mark"] or after["mark"])


@dataclass(frozen=True, slots=True)
class Frames:
    """What stands around the numbers of a column."""

    templates: tuple[str, str, str]  # of positive numbers, of negative ones, and of zero; "" where there is none
    cores: tuple[str, ...]
    mark: str


def frames_of(shapes: Sequence[str]) -> Frames | None:
    """
    The frames that numbers of these shapes stand in; None when they are not one for each sign.

    A dash is a zero only among positive numbers that begin with a blank as it does: elsewhere it stands for no value.
    """
    parts = [part for shape in shapes if (part := framed(shape)) is not None]
    if len(parts) < len(shapes) or len({part.mark for part in parts}) != 1:
        return None
    found = {(part.kind, part.template) for part in parts}
    templates = dict(found)
    if len(found) > len(templates):
        return None
    positive, negative, zero = (templates.get(kind, "") for kind in ("positive", "negative", "zero"))
    if not (positive or negative) or (zero and positive[:1] not in {" ", "\u00a0"}):
        return None
    return Frames((positive, negative, zero), tuple(part.core for part in parts if part.core), parts[0].mark)


def framed_pattern(templates: tuple[str, str, str], core: str) -> str:
    """A pattern for numbers in these frames; *core* is one for what stands in them. A negative one has the group "minus"."""
    positive, negative, _ = templates
    (plus, _, after_plus), (minus, _, after_minus) = positive.partition("0"), negative.partition("0")
    opens = rf"(?:(?P<plus>{re.escape(plus) if positive else '(?!)'})|(?P<minus>{re.escape(minus) if negative else '(?!)'}))"
    return rf"{opens}{core}(?(minus){re.escape(after_minus)}|{re.escape(after_plus)})"
