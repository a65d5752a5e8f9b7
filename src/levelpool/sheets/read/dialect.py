"""Which character separates the fields of a text file, and how fields are quoted: counted over its lines."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

DELIMITERS = (",", ";", "\t", "|")
RARE_DELIMITERS = ("^", "~", "§", "¦", "\x01", "\x1f")
"""Taken only where they part more lines than the usual ones do, and no usual one parts nearly all."""

_QUOTED = re.compile('"[^"]*"')
_NUMBER_COMMA = re.compile(r"(?<=\d),(?=\d)")
_PROSE_COMMA = re.compile(r",(?= [^\W\d])")
_AMOUNT = re.compile(r"-?\d{1,3}(?:\.?\d{3})*,\d{2}")
_SAMPLED_FROM = 10_000
_SAMPLED_EVERY = 16
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Delimiter:
    """The likeliest delimiter, and the share (0 to 1) of lines that hold it as often as most lines do; 0.0 when no line has any."""

    character: str
    share: float
    declined: str = ""  # what stands in some lines and does not part them: each line is one cell


class _Counts:
    """What was counted over the lines of one file."""

    def __init__(self) -> None:
        self.delimiters: dict[str, Counter[int]] = {delimiter: Counter() for delimiter in (*DELIMITERS, *RARE_DELIMITERS)}
        self.first = ""
        self.lines = 0
        self.looked_at = 0  # closely
        self.commas = self.number_commas = self.prose_commas = self.amounts = 0

    def add(self, some: list[str]) -> None:
        """Lines with text, not more than `_AT_ONCE`."""
        self.first = self.first or some[0]
        # A quoted line costs ten times as much to look at: far into the file one in sixteen tells enough.
        every = _SAMPLED_EVERY if self.lines > _SAMPLED_FROM else 1
        plain = [line for line in some if '"' not in line]
        plain += [_QUOTED.sub("", line) for line in [line for line in some if '"' in line][::every]] if len(plain) < len(some) else []
        together = "\n".join(plain)
        # What nearly all lines have shows early: far into the file the rare ones are not looked for.
        for delimiter in DELIMITERS if self.lines > _SAMPLED_FROM else self.delimiters:
            counter = self.delimiters[delimiter]
            if delimiter in together:
                counter.update([line.count(delimiter) for line in plain])
            else:
                counter[0] += len(plain)
        if self.lines <= _SAMPLED_FROM:
            self.looked_at += len(some)
            self.commas += together.count(",")
            self.number_commas += len(_NUMBER_COMMA.findall(together))
            self.prose_commas += len(_PROSE_COMMA.findall(together))
            self.amounts += sum(_AMOUNT.fullmatch(line) is not None for line in some)
        self.lines += len(some)

    def having(self, delimiter: str) -> float:
        """The share of lines with the delimiter, however often."""
        counter = self.delimiters[delimiter]
        return 1 - counter[0] / counter.total()

    @property
    def has_prose_commas(self) -> bool:
        """Whether commas stand as in a sentence."""
        return self.prose_commas > 0.9 * self.commas > 0


def detect_delimiter(lines: Iterable[str]) -> Delimiter:
    """The delimiter of *lines*; a comma when there is none at all. Characters between quotation marks do not count."""
    counts = _Counts()
    following = iter(lines)
    while some := list(islice(following, _AT_ONCE)):
        counts.add(some)
    judged = {delimiter: _judge(counter) for delimiter, counter in counts.delimiters.items()}
    found = {delimiter: judged[delimiter] for delimiter in DELIMITERS}
    if counts.commas and _are_text(counts, judged):
        del found[","]
    best = max(found, key=lambda delimiter: found[delimiter])
    share, _ = found[best]
    rare = max(RARE_DELIMITERS, key=lambda delimiter: judged[delimiter])
    if counts.lines > 1 and share < _NEARLY_ALL and judged[rare][0] > max(0.3, share, 0.6 * counts.having(rare)):
        return Delimiter(rare, judged[rare][0])
    if share and _is_one_column(counts, best, share):
        return Delimiter(_absent(counts), 0.0, declined=best)
    return Delimiter(best if share else ",", share)


_NEARLY_ALL = 0.9


def _judge(counter: Counter[int]) -> tuple[float, int]:
    """The share of lines with the usual number of delimiters, and that number; lines without text do not come here."""
    usual = {count: lines for count, lines in counter.items() if count}
    if not usual:
        return 0.0, 0
    count = max(usual, key=lambda key: (usual[key], key))
    return round(usual[count] / counter.total(), 2), count


def _are_text(counts: _Counts, judged: dict[str, tuple[float, int]]) -> bool:
    """Whether commas stand within texts and numbers, as in "1,5;2,75", and something else separates."""
    others = max(share for delimiter, (share, _) in judged.items() if delimiter != ",")
    if counts.has_prose_commas:
        return others >= max(0.3, judged[","][0])
    return counts.number_commas > 0 and counts.number_commas + counts.prose_commas > 0.9 * counts.commas and others >= 0.5


def _is_one_column(counts: _Counts, best: str, share: float) -> bool:
    """Whether *best* stands within texts: the header has none, and the other lines have it now and then, as in a sentence, or as decimals."""
    if best in counts.first:
        return False
    if best == "," and counts.amounts and counts.amounts == counts.looked_at - 1:
        return True
    if best == "," and counts.has_prose_commas and share < _NEARLY_ALL:
        return True
    return share < 0.1 or (share < 0.5 and share < 0.8 * counts.having(best))


def _absent(counts: _Counts) -> str:
    """A delimiter that no line has."""
    return next((delimiter for delimiter in DELIMITERS if not any(counts.delimiters[delimiter])), "\x1e")


# ---------------------------------------------------------------- quotation marks


@dataclass(frozen=True, slots=True)
class Quoting:
    """How fields are quoted where it is not the usual way."""

    mark: str = '"'
    is_escaped: bool = False  # a quotation mark within a field is written \\", not ""
    is_spaced: bool = False  # blanks stand between a delimiter and a quotation mark


_LOOKED_AT = 5000
_LONGEST_LINE = 1 << 16


def detect_quoting(lines: Iterable[str], delimiter: str) -> Quoting:
    """How the fields of *lines* are quoted, from the first five thousand."""
    some = [line for line in islice(lines, _LOOKED_AT) if len(line) <= _LONGEST_LINE]
    quoted = [line for line in some if '"' in line]
    if not quoted:
        return Quoting("'" if _is_enclosed([line for line in some if "'" in line], delimiter) else '"')
    between = re.escape(delimiter)
    begins = re.compile(f'(?:^|{between}) *"')
    escapes = re.compile(f'\\\\"(?!\\s*(?:{between}|$)|")')
    return Quoting(
        is_escaped=any(escapes.search(line) and begins.search(line) for line in quoted),
        is_spaced=delimiter != " "
        and _are_whole(quoted, re.compile(f'{between} {{1,8}}"'), re.compile(f'{between} {{1,8}}"(?:[^"]|"")*+"\\s*(?={between}|$)')),
    )


def _are_whole(lines: list[str], begins: re.Pattern[str], whole: re.Pattern[str]) -> bool:
    """Whether there are fields of that kind, and each that begins so is one."""
    begun = sum(len(begins.findall(line)) for line in lines)
    return begun > 0 and begun == sum(len(whole.findall(line)) for line in lines)


def _is_enclosed(lines: list[str], delimiter: str) -> bool:
    """Whether single quotation marks enclose fields, of which some hold the delimiter."""
    between = re.escape(delimiter)
    begins, whole = re.compile(f"(?:^|{between})'"), re.compile(f"(?:^|{between})'((?:[^']|'')*+)'(?={between}|$)")
    return _are_whole(lines, begins, whole) and any(delimiter in field for line in lines for field in whole.findall(line))
