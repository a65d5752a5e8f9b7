"""
What a program has put around every line or field of a delimited text, and a person does not see.

Two kinds: whole lines in quotation marks, as where a delimited text was opened in one column of a spreadsheet and saved again; and a mark
before every field, such as the grave accent of payment services, which keeps digits from becoming a number.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from levelpool.sheets.read.dialect import DELIMITERS, detect_delimiter

_LOOKED_AT = 1000
_LONGEST_LINE = 1 << 16
_FEWEST = 2
_MOSTLY = 0.9
_WHOLE = re.compile(r'"((?:[^"]|"")*+)"')
_WHOLE_LINES = re.compile(r'^"((?:[^"\r\n]|"")*+)"(?=\r?$)', re.MULTILINE)
_MARKS = {"`": "a grave accent", "'": "an apostrophe"}


@dataclass(frozen=True, slots=True)
class Dressing:
    """What stands around the fields; both ways of it know the delimiter that the fields have."""

    delimiter: str
    mark: str = ""  # before every field; "": whole lines stand in quotation marks

    @property
    def remark(self) -> str:
        """What a person should know."""
        if self.mark:
            return f"each field begins with {_MARKS[self.mark]}, which keeps digits from becoming a number: it is no part of the cells"
        return "whole lines stand in quotation marks, each with all its fields: the marks around a line are no part of them"

    def taken_off(self, block: str) -> str:
        """The text of some whole lines without it."""
        if self.mark:
            begun = f"{self.delimiter}{self.mark}"
            return (
                re.sub(f"^{re.escape(self.mark)}", "", block, flags=re.MULTILINE).replace(begun, self.delimiter)
                if self.mark in block
                else block
            )
        return _WHOLE_LINES.sub(self._opened, block) if '"' in block else block

    def _opened(self, line: re.Match[str]) -> str:
        return line[1].replace('""', '"') if self.delimiter in line[1] else line[0]


def detect_dressing(lines: Iterable[str]) -> Dressing | None:
    """What stands around the fields of *lines*, from the first thousand; None where nothing does."""
    some = [line for line in islice(lines, _LOOKED_AT) if len(line) <= _LONGEST_LINE]
    return _marked(some) or _quoted(some)


def _marked(lines: Sequence[str]) -> Dressing | None:
    """A mark before every field of most lines: a header, and a summary's, has none."""
    for mark in _MARKS:
        begun = [line for line in lines if line.startswith(mark)]
        if len(begun) < _FEWEST or len(begun) * 2 <= len(lines):
            continue
        for delimiter in DELIMITERS:
            are_marked = all(0 < line.count(delimiter) == line.count(f"{delimiter}{mark}") for line in begun)
            if are_marked and not any(f"{mark}{delimiter}" in line or line.endswith(mark) for line in begun):
                return Dressing(delimiter, mark)
    return None


def _quoted(lines: Sequence[str]) -> Dressing | None:
    """Lines that are one quoted field each, in which the delimiter parts as many fields as in the other lines."""
    inner, opened = list(lines), []
    for place, line in enumerate(lines):
        whole = _WHOLE.fullmatch(line) if line.startswith('"') else None
        if whole is not None:
            inner[place] = whole[1].replace('""', '"')
            opened.append(place)
    if not opened or len(lines) < _FEWEST:
        return None
    found = detect_delimiter(inner)
    if found.share < _MOSTLY or found.character not in inner[0] or _are_sentences(inner, found.character):
        return None
    widths = [len(record) for record in csv.reader(inner, delimiter=found.character)]
    usual = max(set(widths), key=widths.count)
    are_alike = len(widths) == len(inner) and widths.count(usual) >= _MOSTLY * len(widths) > 0
    return Dressing(found.character) if usual > 1 and are_alike and all(widths[place] == usual for place in opened) else None


def _are_sentences(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a blank follows every delimiter, as in "Rome, Italy"."""
    return all(line.count(delimiter) == line.count(f"{delimiter} ") for line in lines)
