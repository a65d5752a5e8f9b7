"""The shared texts of a workbook: each text once, in memory as long as the workbook is read, compact when they are many."""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import Feeder, create_parser, local, plain_text, resolve_entities, unescape
from levelpool.sheets.read.runs import Runs

PACKED_FROM = 400_000
"""So many texts as Python strings take some 30 MB; beyond it they are kept as one block of bytes."""


class PackedTexts(Sequence[str]):
    """Texts in one block of UTF-8 with their ends beside it: a quarter of the memory of a list, at a third of its speed."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def append(self, text: str) -> None:
        """One more text."""
        # A lone half of a character is no valid UTF-8, but it is what the file says.
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")


DIRECT = 1 << 16
"""So few texts can be looked up by their number as it is written, which saves turning it into a number."""


@dataclass(frozen=True, slots=True)
class SharedTexts:
    """The shared texts of one workbook."""

    by_number: Sequence[str] = ()
    by_word: dict[str, str] | None = None  # by the number as it is written; None when they are many


class TextCollector:
    """Takes texts one by one: a list at first, packed when they become many."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._list: list[str] = []
        self._packed: PackedTexts | None = None

    def add(self, text: str) -> None:
        """One more text."""
        self._meter.strings(len(text))
        if self._packed is None:
            self._list.append(text)
            if len(self._list) > PACKED_FROM:
                self._packed = PackedTexts()
                for each in self._list:
                    self._packed.append(each)
                self._list.clear()
        else:
            self._packed.append(text)

    def texts(self) -> SharedTexts:
        """All texts, in order."""
        if self._packed is not None:
            return SharedTexts(self._packed)
        few = len(self._list) <= DIRECT
        return SharedTexts(self._list, {str(number): text for number, text in enumerate(self._list)} if few else None)


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
            for text in texts:
                meter.text(len(text), "one shared text")
                collector.add(text)
    parser.feeder.close()
    return collector.texts()


def read_shared_texts_slowly(blocks: Iterable[bytes], meter: Meter) -> SharedTexts:
    """The same with expat alone: the reference."""
    collector = TextCollector(meter)
    parser = _TextParser(collector, meter)
    for block in blocks:
        parser.feeder.feed(block)
    parser.feeder.close()
    return collector.texts()


class _TextParser:
    """The handlers of the shared texts' part."""

    def __init__(self, collector: TextCollector, meter: Meter) -> None:
        self._collector = collector
        self._meter = meter
        self._pieces: list[str] = []
        self._length = 0
        self._phonetic = False
        self._parser = create_parser(meter, self._start, self._end)
        self.feeder = Feeder(self._parser, meter)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        tag = local(name)
        if tag == "t" and not self._phonetic:
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
        if tag == "t":
            self._parser.CharacterDataHandler = None
        elif tag == "si":
            self._collector.add(unescape("".join(self._pieces)))
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
