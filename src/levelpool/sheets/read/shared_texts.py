"""The shared texts of a workbook: each text once, in memory as long as the workbook is read, compact when they are many."""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import overload

from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import Feeder, create_parser, local, plain_text, resolve_entities, unescape
from levelpool.sheets.read.runs import Runs
from levelpool.sheets.table import SHORT

PACKED_FROM = 400_000
"""So many texts as Python strings take some 30 MB; beyond it they are kept as one block of bytes."""


HEAD = 1 << 16
"""The first texts are kept as they are, too: the ones that come again and again are among them."""

AHEAD = 1024
BEHIND = 8192


class PackedTexts(Sequence[str]):
    """
    Texts in one block of UTF-8 with their ends beside it: a quarter of the memory of a list.

    Programs number texts in the order of their first appearance: rows that stand together point to texts that stand together. So a
    window moves over the texts with the rows, and each is unpacked once.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._head: list[str] = []
        self._window: list[str] = []
        self._start = 0  # the number of the window's first text

    def extend(self, texts: Sequence[str]) -> None:
        """More texts."""
        # A lone half of a character is no valid UTF-8, but it is what the file says.
        packed = [text.encode("utf-8", "surrogatepass") for text in texts]
        start = len(self._bytes)
        self._bytes += b"".join(packed)
        self._ends.extend([start + length for length in accumulate(map(len, packed))])
        self._head.extend(texts[: max(0, HEAD - len(self._head))])

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self._one(each) for each in range(*number.indices(len(self)))]
        return self._one(number)

    def _one(self, number: int) -> str:
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")

    def many(self, numbers: Sequence[int]) -> list[str]:
        """The texts with these numbers; raises `IndexError` when one of them is not there."""
        if not numbers:
            return []
        head, highest = self._head, max(numbers)
        if highest < len(head):
            return list(map(head.__getitem__, numbers))
        if highest >= len(self):
            raise IndexError(highest)
        # Texts from far behind are unpacked one by one, unless most of them stand together: then another sheet has begun.
        if highest >= self._start or 2 * sum(number > highest - BEHIND for number in numbers) > len(numbers):
            self._reach(highest)
        start, window, known = self._start, self._window, len(head)
        if min(numbers) >= start:
            return [window[number - start] for number in numbers]
        return [window[number - start] if number >= start else head[number] if number < known else self._one(number) for number in numbers]

    def _reach(self, number: int) -> None:
        """Move the window so that it holds this text."""
        end = self._start + len(self._window)
        if self._start <= number < end:
            return
        if not end <= number < end + BEHIND:
            self._window.clear()
            self._start = end = max(0, number - AHEAD)
        self._window += self._unpack(end, min(len(self), number + AHEAD))
        if len(self._window) > 2 * BEHIND:
            self._start += len(self._window) - BEHIND
            del self._window[:-BEHIND]

    def _unpack(self, first: int, end: int) -> list[str]:
        ends = self._ends[first : end + 1]
        packed = self._bytes[ends[0] : ends[-1]]
        if not packed.isascii():
            return [self._one(number) for number in range(first, end)]
        text, base = packed.decode(), ends[0]
        return [text[left - base : right - base] for left, right in pairwise(ends)]


DIRECT = 1 << 16
"""So few texts can be looked up by their number as it is written, which saves turning it into a number."""


@dataclass(frozen=True, slots=True)
class SharedTexts:
    """The shared texts of one workbook."""

    by_number: Sequence[str] = ()
    by_word: dict[str, str] | None = None  # by the number as it is written; None when they are many
    are_plain: bool = False  # none is empty, of several lines, or long

    def look_up(self, words: Sequence[str]) -> list[str]:
        """The texts with these numbers, as they are written; raises `LookupError` when one of them is no number of a text."""
        if self.by_word is not None:
            return list(map(self.by_word.__getitem__, words))
        joined = "".join(words)
        if words and not (joined.isascii() and joined.isdecimal()):
            raise LookupError("a number that is none")
        numbers = list(map(int, words))
        texts = self.by_number
        return texts.many(numbers) if isinstance(texts, PackedTexts) else list(map(texts.__getitem__, numbers))


class TextCollector:
    """Takes texts: a list at first, packed when they become many."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._list: list[str] = []
        self._packed: PackedTexts | None = None
        self._are_plain = True

    def extend(self, texts: Sequence[str]) -> None:
        """More texts."""
        longest = max(map(len, texts), default=0)
        self._meter.text(longest, "one shared text")
        self._are_plain = self._are_plain and longest <= SHORT and all(texts) and "\n" not in "".join(texts)
        self._meter.strings(sum(map(len, texts)))
        if self._packed is not None:
            self._packed.extend(texts)
            return
        self._list.extend(texts)
        if len(self._list) > PACKED_FROM:
            self._packed = PackedTexts()
            self._packed.extend(self._list)
            self._list.clear()

    def texts(self) -> SharedTexts:
        """All texts, in order."""
        if self._packed is not None:
            return SharedTexts(self._packed, are_plain=self._are_plain)
        few = len(self._list) <= DIRECT
        by_word = {str(number): text for number, text in enumerate(self._list)} if few else None
        return SharedTexts(self._list, by_word, are_plain=self._are_plain)


def read_shared_texts(blocks: Iterable[bytes], meter: Meter) -> SharedTexts:
    """The shared texts, in order; phonetic readings (rPh) are no part of a text."""
    collector = TextCollector(meter)
    parser = _TextParser(collector, meter)
    runs = Runs("sst", "si>")
    for is_run, piece in runs.split(blocks):
        texts = _plain_texts(piece, runs.prefix) if is_run else None
        if texts is None:
            if is_run and b"<!" in piece:
                runs.give_up()
            parser.feeder.feed(piece)
        else:
            collector.extend(texts)
    parser.feeder.close()
    return collector.texts()


class _TextParser:
    """The handlers of the shared texts' part."""

    def __init__(self, collector: TextCollector, meter: Meter) -> None:
        self._collector = collector
        self._meter = meter
        self._pieces: list[str] = []
        self._begin = 0  # where the pieces of the open <t> begin
        self._length = 0
        self._phonetic = False
        self._parser = create_parser(meter, self._start, self._end)
        self.feeder = Feeder(self._parser, meter)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        tag = local(name)
        if tag == "t" and not self._phonetic:
            self._begin = len(self._pieces)
            self._parser.CharacterDataHandler = self._take
        elif tag == "si":
            self._pieces.clear()
            self._length = 0
        elif tag == "rPh":
            self._phonetic = True

    def _take(self, data: str) -> None:
        self._length += len(data)
        self._meter.text(self._length, "one shared text")
        self._pieces.append(data)

    def _end(self, name: str) -> None:
        tag = local(name)
        if tag == "t" and not self._phonetic:
            self._parser.CharacterDataHandler = None
            # An escape stands within one run: what looks like one across two of them was typed so.
            self._pieces[self._begin :] = [unescape("".join(self._pieces[self._begin :]))]
        elif tag == "si":
            self._collector.extend(["".join(self._pieces)])
        elif tag == "rPh":
            self._phonetic = False


_PLAIN = re.compile('<si><t(?: xml:space="preserve")?>([^<]*)</t></si>')


def _plain_texts(run: bytes, prefix: bytes) -> list[str] | None:
    """The texts of *run*; None unless every tag in it belongs to a plain text, so that nothing can slip between."""
    text = plain_text(run, prefix)
    if text is None:
        return None
    found = _PLAIN.findall(text)
    if len(found) * 4 != text.count("<"):
        return None
    try:
        if "&" in text:
            found = [resolve_entities(each) for each in found]
    except (KeyError, ValueError):
        return None
    return [unescape(each) for each in found] if "_x" in text else found
