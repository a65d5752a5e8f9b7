"""The compound file that .xls and encrypted workbooks are wrapped in: which streams it holds, and their bytes."""

import struct
from dataclasses import dataclass
from pathlib import Path

from levelpool.sheets.errors import DamagedFile

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_FREE = 0xFFFFFFFA  # this number and those above it are no sectors
_ENTRY = struct.Struct("<64sHBBIII16sIQQIQ")
_MINI_STREAM_BELOW = 4096


@dataclass(frozen=True, slots=True)
class OleStream:
    """One stream of a compound file."""

    name: str  # "Workbook", "EncryptedPackage"; as written, without the storages around it
    start: int
    size: int


class OleFile:
    """A compound file that is held in memory (it is not compressed, so its size is the limit). Raises `DamagedFile`."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._data = path.read_bytes()
        if len(self._data) < 512 or not self._data.startswith(SIGNATURE):
            raise self._damaged("its head is incomplete")
        sector_shift, mini_shift = struct.unpack_from("<HH", self._data, 30)
        if sector_shift not in {9, 12} or not 4 <= mini_shift <= sector_shift:
            raise self._damaged("its head is broken")
        self._sector = 1 << sector_shift
        self._mini_sector = 1 << mini_shift
        (directory,) = struct.unpack_from("<I", self._data, 48)
        (mini_table,) = struct.unpack_from("<I", self._data, 60)
        self._table = self._read_table()
        entries = self._read_directory(directory)
        root = entries[0] if entries else None
        self._mini = self._chain(root.start) if root else b""
        mini_bytes = self._chain(mini_table) if mini_table < _FREE else b""
        self._mini_table = struct.unpack(f"<{len(mini_bytes) // 4}I", mini_bytes[: len(mini_bytes) // 4 * 4])
        self.streams = {entry.name: entry for entry in entries[1:]}

    def read(self, stream: OleStream) -> bytes:
        """All bytes of *stream*."""
        if stream.size >= _MINI_STREAM_BELOW:
            return self._chain(stream.start)[: stream.size]
        return self._chain_mini(stream.start, stream.size)

    def _damaged(self, what: str) -> DamagedFile:
        return DamagedFile(f"{self._name} is damaged: {what}; export it again")

    def _sector_bytes(self, number: int) -> bytes:
        start = (number + 1) * self._sector
        return self._data[start : start + self._sector]

    def _read_table(self) -> tuple[int, ...]:
        numbers = list(struct.unpack_from("<109I", self._data, 76))
        (next_list,) = struct.unpack_from("<I", self._data, 68)
        seen = set()
        while next_list < _FREE and next_list not in seen:
            seen.add(next_list)
            block = self._sector_bytes(next_list)
            words = struct.unpack(f"<{len(block) // 4}I", block[: len(block) // 4 * 4])
            if not words:
                break
            numbers += words[:-1]
            next_list = words[-1]
        most = len(self._data) // self._sector + 1
        table = b"".join(self._sector_bytes(number) for number in numbers[:most] if number < _FREE)
        return struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])

    def _chain(self, start: int) -> bytes:
        sectors: list[bytes] = []
        number = start
        most = len(self._data) // self._sector + 1
        while number < _FREE:
            if number >= len(self._table) or len(sectors) > most:
                raise self._damaged("its parts do not hang together, perhaps it was not sent to its end")
            sectors.append(self._sector_bytes(number))
            number = self._table[number]
        return b"".join(sectors)

    def _chain_mini(self, start: int, size: int) -> bytes:
        pieces: list[bytes] = []
        number = start
        while number < _FREE and len(pieces) * self._mini_sector < size:
            if number >= len(self._mini_table):
                raise self._damaged("its small parts do not hang together")
            pieces.append(self._mini[number * self._mini_sector : (number + 1) * self._mini_sector])
            number = self._mini_table[number]
        return b"".join(pieces)[:size]

    def _read_directory(self, start: int) -> list[OleStream]:
        data = self._chain(start)
        found: list[OleStream] = []
        for offset in range(0, len(data) - 127, 128):
            name, length, kind, *_rest = _ENTRY.unpack_from(data, offset)
            first, size = _rest[-2], _rest[-1] & 0xFFFFFFFF
            if kind in {2, 5}:
                found.append(OleStream(name[: max(0, length - 2)].decode("utf-16-le", "replace"), first, size))
        return found
