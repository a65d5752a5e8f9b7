"""A workbook that is whole, only not alone: web programs write a line feed, a notice or a page before it or behind it."""

import mmap
import shutil
from pathlib import Path

from levelpool.sheets.read.formats import FOREIGN
from levelpool.sheets.read.ole import SIGNATURE as OLE_SIGNATURE
from levelpool.sheets.wording import counted

_ENTRY = b"PK\x03\x04"  # before each part of a zip container
_END = b"PK\x05\x06"  # of the directory of a zip container, which is its last record
_ENTRY_SIZE, _END_SIZE = 30, 22
_MOST_BEFORE = 1 << 20
"""Bytes before a workbook, as far as it is looked for."""
_MOST_NAME = 512
_METHODS = {0, 8}  # stored, deflated
_SHOWN = 40


def find_workbook(path: Path) -> tuple[int, int] | None:
    """Where a workbook begins and ends in the file, when something stands before it or behind it; None for any other file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MOST_BEFORE)
        if head.startswith(FOREIGN):
            return None
        ole, entry = head.find(OLE_SIGNATURE), _first_entry(head)
        if entry < 0 or 0 <= ole < entry:
            return (ole, size) if ole > 0 else None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            span = _container(mapped, entry)
    return None if span == (0, size) else span


def _first_entry(head: bytes) -> int:
    """Where the first part of a container begins, -1 where none does: its name is plain, and it is packed as workbooks are."""
    place = head.find(_ENTRY)
    while place >= 0:
        method, length = (int.from_bytes(head[place + at : place + at + 2], "little") for at in (8, 26))
        name = head[place + _ENTRY_SIZE : place + _ENTRY_SIZE + length]
        if method in _METHODS and 0 < length <= _MOST_NAME and min(name, default=0) >= ord(" "):
            return place
        place = head.find(_ENTRY, place + 1)
    return -1


def _container(mapped: mmap.mmap, entry: int) -> tuple[int, int]:
    """The container whose directory is the last one; *entry* is where a part begins. One without an end ends with the file."""
    place = mapped.rfind(_END)
    while place > entry:
        record = mapped[place : place + _END_SIZE]
        length, offset, comment = (int.from_bytes(record[at : at + size], "little") for at, size in ((12, 4), (16, 4), (20, 2)))
        end = place + _END_SIZE + comment
        begin = place - length - offset
        if len(record) == _END_SIZE and end <= len(mapped):
            if begin > 0 and mapped[begin : begin + len(_ENTRY)] == _ENTRY:
                return begin, end
            if begin == 0 or offset == _IN_ZIP64:  # counted from the beginning of the file, or told elsewhere
                return entry, end
        place = mapped.rfind(_END, 0, place)
    return entry, len(mapped)


_IN_ZIP64 = 0xFFFFFFFF


def cut_out(path: Path, span: tuple[int, int], to: Path) -> tuple[str, ...]:
    """Copy the workbook at *span* to the file *to*; returns what was left off, a sentence for each side."""
    start, end = span
    with path.open("rb") as file, to.open("wb") as copy:
        before = file.read(start)
        shutil.copyfileobj(file, copy)
        copy.truncate(end - start)
        file.seek(end)
        behind = file.read(_SHOWN)
    sides = (("before", start, before), ("behind", path.stat().st_size - end, behind))
    return tuple(
        f"left off: {counted(count, 'byte')} {side} the workbook, which some program wrote there ({_shown(some)})"
        for side, count, some in sides
        if count
    )


def _shown(some: bytes) -> str:
    text = some[:_SHOWN].decode("utf-8", "backslashreplace")
    return repr(text) + ("…" if len(some) >= _SHOWN else "")
