"""The compound file that .xls and encrypted workbooks are wrapped in: which streams it holds."""

import struct
from pathlib import Path

from levelpool.sheets.errors import DamagedFile

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_NO_SECTOR = 0xFFFFFFFA  # this number and those above it are no sectors
_ENTRY = struct.Struct("<64sHB61x")
_STREAM = 2


def stream_names(path: Path, name: str) -> set[str]:
    """
    The names of all streams of the compound file at *path*, in lower case ([MS-CFB]).

    A file whose sectors do not hang together gives the names that can be reached; `DamagedFile` when even its head is broken.
    """
    data = path.read_bytes()
    if len(data) < 512:
        raise DamagedFile(f"{name} is damaged: it was perhaps not sent to its end; export it again")
    (shift,) = struct.unpack_from("<H", data, 30)
    if shift not in {9, 12}:
        raise DamagedFile(f"{name} is damaged: its head is broken; export it again")
    size = 1 << shift
    table = _sector_table(data, size)
    (sector,) = struct.unpack_from("<I", data, 48)
    found: set[str] = set()
    for _ in range(len(data) // size + 1):
        if sector >= _NO_SECTOR:
            break
        found |= _streams_of(data[(sector + 1) * size : (sector + 2) * size])
        sector = table[sector] if sector < len(table) else _NO_SECTOR
    return found


def _streams_of(sector: bytes) -> set[str]:
    names = set()
    for offset in range(0, len(sector) - _ENTRY.size + 1, _ENTRY.size):
        raw, length, kind = _ENTRY.unpack_from(sector, offset)
        if kind == _STREAM:
            names.add(raw[: max(0, length - 2)].decode("utf-16-le", "replace").lower())
    return names


def _sector_table(data: bytes, size: int) -> tuple[int, ...]:
    """For each sector, the one that follows it."""
    numbers = list(struct.unpack_from("<109I", data, 76))
    (further,) = struct.unpack_from("<I", data, 68)
    for _ in range(len(data) // size + 1):
        block = data[(further + 1) * size : (further + 2) * size] if further < _NO_SECTOR else b""
        if len(block) < size:
            break
        words = struct.unpack(f"<{size // 4}I", block)
        numbers += words[:-1]
        further = words[-1]
    most = len(data) // size + 1
    table = b"".join(data[(number + 1) * size : (number + 2) * size] for number in numbers[:most] if number < _NO_SECTOR)
    return struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
