"""Results of formulas that were never calculated: a program that cannot calculate writes 0, and asks for a calculation on opening."""

import re
from collections.abc import Iterable, Iterator

from levelpool.sheets.read.markup import Element
from levelpool.sheets.wording import counted

_ZERO = b"</f><v>0</v>"
_RESULT = re.compile(rb'<c r="([A-Z]{1,3})[0-9]{1,7}"[^<>]*><f[^<>]*>[^<]*</f><v>([^<]*)</v>')
_LONGEST = 10_000
"""Bytes of a cell with a formula, at most: Excel allows 8,192 characters."""


def wants_calculation(workbook: Element) -> bool:
    """Whether a workbook asks to be calculated when it is opened."""
    asked = workbook.find("calcPr")
    return asked is not None and asked.attributes.get("fullCalcOnLoad") in {"1", "true", "on"}


class ZeroResults:
    """Whether a sheet has formulas whose result is 0: one count of each piece that is read."""

    def __init__(self) -> None:
        self.has_some = False

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, as they are."""
        end = b""
        for block in blocks:
            if not self.has_some and (_ZERO in block or _ZERO in end + block[: len(_ZERO)]):
                self.has_some = True
            end = block[-len(_ZERO) :]
            yield block


def uncalculated(blocks: Iterable[bytes]) -> str:
    """One sentence about the columns of a sheet in which all results of formulas are 0; "" when there is none."""
    results: dict[str, int] = {}
    others: set[str] = set()
    for column, value in _results(blocks):
        if value == b"0":
            results[column] = results.get(column, 0) + 1
        else:
            others.add(column)
    never = {column: count for column, count in results.items() if column not in others}
    if not never:
        return ""
    formulas = counted(sum(never.values()), "formula", "formulas")
    return (
        f"the workbook asks to be calculated when it is opened, and the results of all {formulas} in "
        f"{'column' if len(never) == 1 else 'the columns'} {', '.join(never)} are 0: a program wrote it that does not calculate; "
        "open it in a spreadsheet program, save it, and send it again"
    )


def _results(blocks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    rest = b""
    for block in blocks:
        rest += block
        done = 0
        for found in _RESULT.finditer(rest):
            yield found[1].decode(), found[2]
            done = found.end()
        # What begins at the end of this block may go on in the next one.
        rest = rest[max(done, len(rest) - _LONGEST) :]
