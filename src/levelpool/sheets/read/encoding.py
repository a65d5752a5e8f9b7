"""
Which encoding a text file is written in: decided over the whole file, block by block.

A byte order mark decides; then UTF-8, which nothing else looks like by chance; then the encodings of East Asia, each of which must
decode the whole file without a fault, and of those the one whose characters are the usual ones of its language; then the
single-byte encodings by the letters of their languages (see `letters`), where `charset-normalizer`, when it is installed, decides
between those that fit alike. A text that is UTF-8 but for a few broken bytes is UTF-8.
"""

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from levelpool.sheets.read.letters import encodings_by_letters

BLOCK = 1 << 18
SAMPLE = 1 << 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_CONTROLS = frozenset(range(32)) - {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F}


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding by its Python name, and whether it was proved or is only the likeliest."""

    name: str
    certain: bool
    fault: "Fault | None" = None  # the first bytes that are no character of it


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
    if _decodes(path, "utf-8", tick):
        return Encoding("utf-8", certain=True)
    sample = _foreign_sample(path)
    if _is_mostly_utf8(sample):
        return Encoding("utf-8", certain=False, fault=first_fault(path, "utf-8", tick))
    return Encoding(_likeliest(path, sample, tick), certain=False)


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
    """UTF-16 without a mark: in most texts every second byte is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(1, len(head) // 2)
    if odd > 0.3 * half and even < 0.02 * half:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.02 * half:
        return "utf-16-be"
    return None


def _looks_binary(head: bytes) -> bool:
    controls = sum(byte in _CONTROLS for byte in head)
    return controls > len(head) * 0.005 + 1


# ---------------------------------------------------------------- East Asia


def _gb18030_usual(character: str) -> bool:
    # The first level of GB 2312: the 3,755 characters of everyday Chinese, in rows 16 to 55.
    return _row(character, "gb2312") in range(0xB0, 0xD8)


def _big5_usual(character: str) -> bool:
    return _row(character, "big5") in range(0xA4, 0xC7)


def _shift_jis_usual(character: str) -> bool:
    # Japanese text always has kana; half-width kana count too, but hardly ever stand alone.
    return "\u3041" <= character <= "\u30fe" or _row(character, "shift_jis") in range(0x88, 0x98)


def _cp949_usual(character: str) -> bool:
    return "가" <= character <= "힣" and _row(character, "euc_kr") in range(0xB0, 0xC9)


def _row(character: str, encoding: str) -> int:
    try:
        data = character.encode(encoding)
    except UnicodeError:
        return -1
    return data[0] if len(data) > 1 else -1


def _euc_jp_usual(character: str) -> bool:
    return "\u3041" <= character <= "\u30fe" or _row(character, "euc_jp") in range(0xB0, 0xD0)


def _is_korean(sample: bytes) -> bool:
    """Whether all is Hangul. Its bytes are Chinese characters, too, but a Chinese text does not keep to so few of them for long."""
    foreign = [character for character in sample.decode("cp949", errors="replace") if character > "\x7f" and character.isalpha()]
    return len(foreign) >= _MOST_BY_CHANCE and all(map(_cp949_usual, foreign))


_MOST_BY_CHANCE = 8

_EAST_ASIA: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("gb18030", _gb18030_usual),
    ("euc_jp", _euc_jp_usual),
    ("big5hkscs", _big5_usual),
    ("cp932", _shift_jis_usual),
    ("cp949", _cp949_usual),
)

_USUAL_SHARE = 0.6
"""At least this share of the foreign characters must be usual ones, or the text is hardly in that language."""


def _likeliest(path: Path, sample: bytes, tick: Callable[[], None]) -> str:
    if _is_korean(sample) and _decodes(path, "cp949", tick):
        return "cp949"
    best, best_share = "", 0.0
    for name, is_usual in _EAST_ASIA:
        share = _usual_share(sample, name, is_usual)
        if share > best_share and _decodes(path, name, tick):
            best, best_share = name, share
    if best_share >= _USUAL_SHARE:
        return best
    return _single_byte(sample)


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


def _usual_share(sample: bytes, encoding: str, is_usual: Callable[[str], bool]) -> float:
    text = sample.decode(encoding, errors="ignore")
    # Full-width punctuation and signs say nothing about the language.
    foreign = [character for character in text if character >= "\u0080" and character.isalpha()]
    if not foreign:
        return 0.0
    # The characters of a wrong guess are many: what decodes to fewer characters, most of them usual, is right.
    return sum(map(is_usual, foreign)) / len(foreign)


def _single_byte(sample: bytes) -> str:
    found = encodings_by_letters(sample)
    if len(found) == 1:
        return found[0]
    candidates = [*found] or _SINGLE_BYTE
    if find_spec("charset_normalizer") is None:
        return candidates[0]
    from charset_normalizer import from_bytes  # noqa: PLC0415  (an optional library, behind its door)

    match = from_bytes(sample[:8192], cp_isolation=candidates).best()
    if match is None or str(match) == sample[:8192].decode(candidates[0], errors="ignore"):
        return candidates[0]
    return match.encoding


_SINGLE_BYTE = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "koi8_r"]
