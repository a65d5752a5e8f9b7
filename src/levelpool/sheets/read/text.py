"""
A text file as a reader takes it: its encoding, asked for or found, where its text ends, and its lines in pieces.

What is no text is told in a remark: the end mark of DOS, NULs that fill something up, and bytes that are no characters.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from levelpool.sheets.errors import NotASpreadsheet, UnreadableFile
from levelpool.sheets.read.dialect import DELIMITERS, RARE_DELIMITERS
from levelpool.sheets.read.dressed_lines import Dressing
from levelpool.sheets.read.encoding import Encoding, Fault, as_marked, detect_encoding, first_fault
from levelpool.sheets.read.source import Source
from levelpool.sheets.wording import counted

_BLOCK = 1 << 18
_LONGEST_END = 1 << 16
_END_MARK = re.compile(rb"\x1a[\x1a\r\n]*\Z")
_NUL = "\0"
_ENDS_OF_FIELDS = "".join((*DELIMITERS, *RARE_DELIMITERS, "\r\n\"'"))


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one file; it can be walked through again and again."""

    source: Source
    encoding: Encoding
    end: int  # in bytes; behind it there are only the end mark of DOS and NULs
    zeros: int = 0  # NULs behind the end
    dressing: Dressing | None = None  # what stands around every line or field

    def blocks(self, note: Callable[[int], None] = lambda _count: None) -> Iterator[str]:
        """
        The text in pieces of whole lines, without the NULs that fill up its fields and lines; only CR, LF and CR LF end a line.

        *note* is told how many NULs were left off, piece by piece.
        """
        for block in self._whole_lines():
            plain = self._without_filling(block, note) if _NUL in block else block
            yield plain if self.dressing is None else self.dressing.taken_off(plain)

    def _without_filling(self, block: str, note: Callable[[int], None]) -> str:
        ends = re.escape(f"{_ENDS_OF_FIELDS}{self.source.options.delimiter or ''}")
        # A run is looked at from its first NUL alone, so that the time grows with its length and not with its square.
        kept = re.sub(f"(?<!\0)\0++(?=[{ends}]|\\Z)", "", block)
        note(len(block) - len(kept))
        return kept

    def _whole_lines(self) -> Iterator[str]:
        source = self.source
        limit = source.meter.limits.max_cell_characters
        decoder = codecs.getincrementaldecoder(self.encoding.name)(errors="replace")
        waiting, left = "", self.end
        with source.path.open("rb") as raw:
            while data := raw.read(min(_BLOCK, max(limit, 4096), left)):
                left -= len(data)
                waiting += decoder.decode(data)
                # A CR at the very end may be half of a line's end.
                cut = waiting.rfind("\n") + 1 or waiting.rfind("\r", 0, -1) + 1
                if cut:
                    yield waiting[:cut]
                    waiting = waiting[cut:]
                elif len(waiting) >= 4 * limit:
                    source.meter.text(len(waiting), "one line")
                source.meter.tick()
                source.progress(1.0 - left / max(1, self.end))
        waiting += decoder.decode(b"", final=True)
        if waiting:
            yield waiting

    def remarks(self) -> tuple[str, ...]:
        """What a person should know about the encoding and the end."""
        has_end_mark = self.end + self.zeros < self.source.path.stat().st_size
        end = ("the file ends with the end mark of DOS (0x1A), which is no cell",) if has_end_mark else ()
        dressing = () if self.dressing is None else (self.dressing.remark,)
        return (*encoding_remarks(self.encoding), *end, *dressing)


def open_text(source: Source) -> Text:
    """The text of the file; raises `NotASpreadsheet` for what is none, and `UnreadableFile` where it is not in the encoding asked for."""
    encoding = text_encoding(source)
    size = source.path.stat().st_size
    if encoding.name.startswith(("utf-16", "utf-32")):
        return Text(source, encoding, size)
    end = _end_of_text(source.path, size)
    return Text(source, encoding, _before_end_mark(source.path, end), zeros=size - end)


def text_encoding(source: Source) -> Encoding:
    """The encoding asked for, or the one found; raises as `open_text` does."""
    asked = source.options.encoding
    encoding = source.encoding or detect_encoding(source.path, source.meter.tick)
    if asked:
        return _asked(source, asked, encoding)
    if encoding is None:
        raise NotASpreadsheet(f"{source.name} is not a spreadsheet: its content is neither a workbook nor readable text")
    return encoding


def encoding_remarks(encoding: Encoding) -> tuple[str, ...]:
    """What a person should know about the encoding."""
    fits = () if encoding.certain else (_fits_best(encoding),)
    return (*fits, *(() if encoding.fault is None else (_some_are_none(encoding.name, encoding.fault),)))


def _fits_best(encoding: Encoding) -> str:
    best, rival = f"the file does not say its encoding; {encoding.name} fits its text best", encoding.rival
    if rival is None:
        return best
    return f"{best}, and {rival.name} nearly as well: is it {rival.taken!r} or {rival.other!r}? if it is the second, ask for {rival.name}"


def _some_are_none(name: str, fault: Fault) -> str:
    return f"some bytes are no characters of {name}, the first of them {fault.shown} in line {fault.line}: they are shown as \ufffd"


def _asked(source: Source, asked: str, found: Encoding | None) -> Encoding:
    """The encoding that a person asked for, who is told when the file is in another."""
    name = as_marked(source.path, asked)
    fault = first_fault(source.path, name, source.meter.tick)
    if fault is None:
        return Encoding(name, certain=True)
    if found is not None and found.fault is not None and codecs.lookup(found.name) == codecs.lookup(name):
        # Nothing fits better: the bytes are broken, and the encoding is right.
        return Encoding(name, certain=True, fault=fault)
    other = f"{found.name} fits its text best: ask for that" if found else "ask for another"
    raise UnreadableFile(
        f"{source.name} is not written in {asked}, which was asked for: {fault.shown} in line {fault.line}, "
        f"{counted(fault.offset, 'byte')} from the beginning, is no character of it; {other}, or for none, and it is found out"
    )


def _end_of_text(path: Path, size: int) -> int:
    """Where the last byte stands that is no NUL, and what is before ends; a file may be filled up to any size."""
    end = size
    with path.open("rb") as file:
        while end:
            start = max(0, end - _LONGEST_END)
            file.seek(start)
            piece = file.read(end - start).rstrip(b"\0")
            if piece:
                return start + len(piece)
            end = start
    return end


def _before_end_mark(path: Path, end: int) -> int:
    """Where the text ends, in bytes: before the end mark that DOS programs write, or behind its last byte."""
    start = max(0, end - _LONGEST_END)
    with path.open("rb") as file:
        file.seek(start)
        mark = _END_MARK.search(file.read(end - start))
    return start + mark.start() if mark else end
