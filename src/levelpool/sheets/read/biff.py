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


_FORMULA, _SHARED, _END = 0x0006, 0x04BC, 0x000A
_BEGINNINGS = {0x0009, 0x0209, 0x0409, 0x0809}  # of a sheet, and of a chart within one
_RECORD = struct.Struct("<HH")
_CELL = struct.Struct("<HH")
_NAMES_SHARED = 0x01


def sums_of_sheet(data: bytes, start: int) -> dict[int, set[int]]:
    """
    The cells of one sheet of a BIFF5 or BIFF8 stream whose formula is a sum, by 0-based row; *start* is where the sheet begins ([MS-XLS] 2.4.127).

    Cells that share a formula only name the cell where it stands. What is cut off or nonsense ends the walk: it only tells sums, not values.
    """
    sums: dict[int, set[int]] = {}
    shared: set[tuple[int, int]] = set()  # where a shared sum stands
    naming: list[tuple[tuple[int, int], tuple[int, int]]] = []
    cell = (0, 0)
    depth = 0
    position, end = start, len(data)
    while position + 4 <= end:
        kind, size = _RECORD.unpack_from(data, position)
        position += 4
        if kind == _FORMULA and size > 22:
            cell = _CELL.unpack_from(data, position)
            tokens = _tokens(data, position, 20, size)
            if tokens[:1] == bytes([_NAMES_SHARED]) and len(tokens) >= 5:
                naming.append((cell, _CELL.unpack_from(tokens, 1)))
            elif is_compiled_sum(tokens):
                sums.setdefault(cell[0], set()).add(cell[1])
        elif kind == _SHARED and size > 10:
            if is_compiled_sum(_tokens(data, position, 8, size)):
                shared.add(cell)
        elif kind in _BEGINNINGS:
            depth += 1
        elif kind == _END:
            depth -= 1
            if depth <= 0:
                break
        position += size
    for (row, column), base in naming:
        if base in shared:
            sums.setdefault(row, set()).add(column)
    return sums


def _tokens(data: bytes, position: int, offset: int, size: int) -> bytes:
    """The compiled formula of a record: two bytes of length at *offset*, then the tokens."""
    (length,) = struct.unpack_from("<H", data, position + offset)
    first = position + offset + 2
    return bytes(data[first : min(first + length, position + size)])


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
