"""What the binary workbook formats have in common: records, packed numbers, error codes, and how a sum looks in a compiled formula."""

import struct
from collections.abc import Iterable, Iterator

from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.number_formats import number_text

ERRORS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
    0x2C: "#SPILL!",
    0x2D: "#CONNECT!",
    0x2E: "#BLOCKED!",
    0x2F: "#UNKNOWN!",
    0x30: "#FIELD!",
    0x31: "#CALC!",
}


def error_text(code: int) -> str:
    """The error as the program shows it; an unknown one by its number."""
    return ERRORS.get(code, f"#ERROR {code}")


def rk_text(packed: int) -> str:
    """The number of an RK value: 30 bits of an integer or of a double, perhaps to be divided by 100 ([MS-XLSB] 2.5.122)."""
    if packed & 2:
        whole = packed >> 2
        if whole & 0x20000000:
            whole -= 0x40000000
        return number_text(whole / 100) if packed & 1 else str(whole)
    (double,) = struct.unpack("<d", struct.pack("<Q", (packed & 0xFFFFFFFC) << 32))
    return number_text(double / 100 if packed & 1 else double)


_SUM_ATTRIBUTE = b"\x19\x10"
_CALLS = frozenset(b"\x22\x42\x62")
_SUMS = {4, 344}  # SUM, SUBTOTAL


def is_compiled_sum(tokens: bytes) -> bool:
    """Whether the last token of a compiled formula, which is its outermost one, is SUM or SUBTOTAL."""
    last = tokens[-4:]
    if len(last) < 4:
        return False
    if last.startswith(_SUM_ATTRIBUTE):
        return True
    return last[0] in _CALLS and (last[2] | last[3] << 8) & 0x7FFF in _SUMS


def records12(blocks: Iterable[bytes], meter: Meter) -> Iterator[tuple[int, bytes]]:
    """
    The records of a part of an .xlsb workbook: number and content ([MS-XLSB] 2.1.4).

    Number and size are written seven bits to a byte, the lowest first; a record that is cut off at the end is left out.
    """
    waiting = b""
    for block in blocks:
        data = waiting + block if waiting else block
        position, end = 0, len(data)
        while True:
            head = _head12(data, position, end)
            if head is None:
                break
            number, start, size = head
            if size > meter.limits.max_cell_characters * 2:
                meter.text(size, "one record")
            if start + size > end:
                break
            yield number, data[start : start + size]
            position = start + size
        waiting = data[position:]


def _head12(data: bytes, position: int, end: int) -> tuple[int, int, int] | None:
    """Number, start of the content and its size; None when the head is not complete yet."""
    if position + 2 > end:
        return None
    number = data[position]
    position += 1
    if number & 0x80:
        number = (number & 0x7F) | (data[position] & 0x7F) << 7
        position += 1
    size = shift = 0
    for _ in range(4):
        if position >= end:
            return None
        byte = data[position]
        position += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number, position, size
