"""
Which encoding a text file is written in: decided over the whole file, block by block.

A byte order mark decides; then UTF-16 and UTF-32 without one, and ISO-2022-JP, by their zero bytes and escape sequences; then UTF-8,
which nothing else looks like by chance. A text that is UTF-8 but for a few broken bytes is UTF-8. All else is a matter of likelihood:
how usual an encoding is, and how usual its letters and characters are in the languages that are written in it (`letters`, `east_asia`).
Where another encoding is nearly as likely, and the text another one in it, the question is put to the person who sent the file.
"""

import codecs
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from levelpool.sheets.read.east_asia import east_asian_likelihoods
from levelpool.sheets.read.letters import plain_likelihood, single_byte_likelihoods, text_likelihood

BLOCK = 1 << 18
SAMPLE = 1 << 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_CONTROLS = frozenset(range(32)) - {0x01, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F}


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding by its Python name, and whether it was proved or is only the likeliest."""

    name: str
    certain: bool
    fault: "Fault | None" = None  # the first bytes that are no character of it
    rival: "Rival | None" = None  # another that is nearly as likely


@dataclass(frozen=True, slots=True)
class Rival:
    """An encoding that is nearly as likely as the one that was taken, and a field of the file in either."""

    name: str
    taken: str
    other: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no character of an encoding."""

    data: bytes
    offset: int  # in bytes, from the beginning of the file
    line: int  # from 1

    @property
    def shown(self) -> str:
        """The bytes as a person looks them up."""
        return " ".join(f"0x{byte:02X}" for byte in self.data)


def detect_encoding(path: Path, tick: Callable[[], None] = lambda: None) -> Encoding | None:
    """The encoding of the text file at *path*, read to its end; None when its bytes are no text. *tick* is called with every block."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    marked = _marked(head)
    if marked:
        return Encoding(marked, certain=True) if _decodes(path, marked, tick) else None
    wide = _wide_encoding(head)
    if wide and _decodes(path, wide, tick):
        return Encoding(wide, certain=True)
    if _looks_binary(head):
        return None
    for name in _SWITCHING:
        if _switches(head) and _decodes(path, name, tick):
            return Encoding(name, certain=True)
    is_utf8 = _decodes(path, "utf-8", tick)
    sample = _foreign_sample(path)
    if is_utf8:
        return _unless_by_chance(path, sample, tick)
    if _is_mostly_utf8(sample):
        return Encoding("utf-8", certain=False, fault=first_fault(path, "utf-8", tick))
    return _likeliest(path, _ranked(sample), sample, tick)


def _marked(head: bytes) -> str | None:
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def _is_mostly_utf8(sample: bytes) -> bool:
    """Whether most of the bytes beyond ASCII are whole characters of UTF-8: in other encodings that is rare."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken >= max(1, broken)


def decode(path: Path, encoding: str) -> Iterator[str]:
    """The text of the file, block by block; a byte that is no character becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for block in _blocks(path):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _decodes(path: Path, encoding: str, tick: Callable[[], None]) -> bool:
    return _fault_at(path, encoding, tick) is None


def first_fault(path: Path, encoding: str, tick: Callable[[], None] = lambda: None) -> Fault | None:
    """The first bytes of the file at *path* that are no character of *encoding*; None when all of it decodes."""
    found = _fault_at(path, encoding, tick)
    if found is None:
        return None
    offset, data = found
    return Fault(data, offset, _line_at(path, offset, encoding))


def _line_at(path: Path, offset: int, encoding: str) -> int:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(errors="ignore"), translate=True)
    line = 1
    with path.open("rb") as file:
        while block := file.read(min(BLOCK, offset)):
            offset -= len(block)
            line += decoder.decode(block).count("\n")
    return line + decoder.decode(b"", final=True).count("\n")


def _fault_at(path: Path, encoding: str, tick: Callable[[], None]) -> tuple[int, bytes] | None:
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    seen = 0
    try:
        for block in _blocks(path):
            seen += len(block)
            decoder.decode(block)
            tick()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # What the decoder held back from the block before stands before this one.
        return seen - len(error.object) + error.start, error.object[error.start : error.end]
    except UnicodeError:
        # A byte order mark is missing, which has no place.
        with path.open("rb") as file:
            return 0, file.read(2)
    return None


def as_marked(path: Path, name: str) -> str:
    """The encoding *name*, as Python calls it where the file begins with a byte order mark, or where one that it needs is not there."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    plain = codecs.lookup(name).name
    if plain == "utf-8" and head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    wide = _wide_encoding(head)
    return wide if wide and plain in {"utf-16", "utf-32"} and wide.startswith(plain) and not _marked(head) else name


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: only zero bytes stand where ASCII characters have theirs, and what comes out is text."""
    if 0 not in head or _is_narrow_with_zeros(head):
        return None
    for name, unit in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        whole = head[: len(head) // unit * unit]
        try:
            text = whole.decode(name)
        except UnicodeDecodeError as error:
            # The head may end within a character that takes two units.
            if len(whole) - error.start >= 4:
                continue
            text = whole[: error.start].decode(name)
        if text and _reads_as_text(text) and _has_its_marks(head, text):
            return name
    return None


_MOST_STRAY_ZEROS = 0.2
"""Of the bytes: UTF-16 has more, or bytes of another kind between them."""


def _is_narrow_with_zeros(head: bytes) -> bool:
    """Whether a text of one byte for a letter has a few zero bytes: what is left without them is UTF-8, which UTF-16 is not by chance."""
    if head.count(0) > _MOST_STRAY_ZEROS * len(head):
        return False
    rest = head.replace(b"\0", b"")
    try:
        rest.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return False
    return not _looks_binary(rest)


_MARKS_OF_TABLES = ' ,;\t"\r\n'
_FEWEST_MARKS = 0.2


def _has_its_marks(head: bytes, text: str) -> bool:
    """Whether blanks, delimiters and line ends are there when two bytes, or four, are a character: else they stand in the bytes alone."""
    seen = sum(head.count(mark) for mark in map(str.encode, _MARKS_OF_TABLES))
    return sum(map(text.count, _MARKS_OF_TABLES)) >= _FEWEST_MARKS * seen


def _reads_as_text(text: str) -> bool:
    """Whether the characters are such as texts have; taken the wrong way round, line ends and digits become strange ones."""
    strange = sum(not _is_usual(character) for character in text)
    return strange <= len(text) * 0.005 and any(character <= "\x7f" for character in text)


def _is_usual(character: str) -> bool:
    return character in "\t\n\r\ufeff\x1a" or unicodedata.category(character) not in {"Cc", "Cn", "Co", "Cs"}


_SWITCHING = ("iso2022_jp", "iso2022_jp_ext")


def _switches(head: bytes) -> bool:
    """Whether escape sequences switch to Japanese characters, as ISO-2022-JP does in seven bits."""
    return head.isascii() and (b"\x1b$B" in head or b"\x1b$@" in head)


def _looks_binary(head: bytes) -> bool:
    text = _FILLING_ZEROS.sub(b"", head) if 0 in head else head
    controls = sum(byte in _CONTROLS for byte in text)
    return controls > len(text) * 0.005 + 1


# A run is looked at from its first byte alone, so that the time grows with its length and not with its square.
_FILLING_ZEROS = re.compile(rb"(?<!\0)\0++(?=[,;\t|\r\n\"']|\Z)")
"""Zero bytes that fill up a field, a line or the file, as programs with places of a fixed length write them."""


# ---------------------------------------------------------------- by likelihood


_CLEAR = 4.0
"""An encoding that is likelier by so much leaves no question (natural logarithm: 55 to 1)."""

_UTF8_IS_USUAL = 4.0
_FEW = 8
"""So many characters may be UTF-8 by chance, beyond it nothing is."""


def _likeliest(path: Path, ranked: list[tuple[str, float]], sample: bytes, tick: Callable[[], None]) -> Encoding:
    """The likeliest encoding; of some that are nearly as likely, one in which the whole file decodes."""
    near = [name for name, likelihood in ranked if likelihood > ranked[0][1] - _CLEAR]
    best = next((name for name in near if _decodes(path, name, tick)), near[0])
    return Encoding(best, certain=False, fault=first_fault(path, best, tick), rival=_rival(best, near, sample))


def _rival(best: str, near: list[str], sample: bytes) -> "Rival | None":
    """The first of the encodings *near* in which the text is another one, and where."""
    fields = [field for field in _FIELD.findall(sample) if not field.isascii()]
    for name in near:
        for field in fields:
            shown, other = (field.decode(each, errors="replace").strip() for each in (best, name))
            if shown != other:
                return Rival(name, shown[:_SHOWN], other[:_SHOWN])
    return None


_SHOWN = 40


def _unless_by_chance(path: Path, sample: bytes, tick: Callable[[], None]) -> Encoding:
    """UTF-8, unless it is so by chance: one Chinese character in GB18030 may be a letter of UTF-8 that no language has alone."""
    foreign = [character for character in sample.decode("utf-8", errors="ignore") if character > "\x7f"]
    if len(foreign) <= _FEW and foreign and max(foreign) < "\u0800":
        ours = text_likelihood("\n".join(field.decode("utf-8") for field in _FIELD.findall(sample) if not field.isascii())) + _UTF8_IS_USUAL
        ranked = _ranked(sample)
        if ranked[0][1] > ours:
            return _likeliest(path, [*ranked[:1], ("utf-8", max(ours, ranked[0][1] - 1)), *ranked[1:]], sample, tick)
    return Encoding("utf-8", certain=True)


def _ranked(sample: bytes) -> list[tuple[str, float]]:
    """The encodings in which *sample*, lines with bytes beyond ASCII, may be written, the likeliest first, each with its likelihood."""
    fields = b"\n".join(field for field in _FIELD.findall(sample) if not field.isascii())
    plain = plain_likelihood(fields)
    found = single_byte_likelihoods(fields)
    found |= {name: likelihood + plain for name, likelihood in east_asian_likelihoods(sample).items()}
    return sorted(found.items(), key=lambda each: -each[1])


_FIELD = re.compile(rb'[^,;|\t\r\n"]+')


def _foreign_sample(path: Path) -> bytes:
    """The lines with bytes beyond ASCII, up to a sample's size, from anywhere in the file."""
    found: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        while size < SAMPLE and (line := file.readline(SAMPLE)):
            if not line.isascii():
                found.append(line)
                size += len(line)
    return b"".join(found)
