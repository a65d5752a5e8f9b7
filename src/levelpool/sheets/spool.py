"""
The spool: the cells of one sheet on disk, written once batch by batch and read back as often as one likes.

A spool is private to the process that wrote it and lives as long as its folder. Most columns of a batch are one text each, with a line
for each cell, so that they come back in no time; the others are lists. Its form is marshal, the fastest way of the standard library.
A spool that was closed ends with a mark, so that another process can follow it while it is written.
marshal must never be fed a stranger's bytes: the folder must be private.
"""

import marshal
import os
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from levelpool.sheets.table import Batch, Cells, Kind

_LENGTH = struct.Struct("<Q")
_END = 0  # no batch is of this length
_FEW_ROWS = 16  # so few texts are not worth joining


@dataclass(frozen=True, slots=True)
class SpooledBatches:
    """The batches of one spool file; each call walks them from the start, and each can be had by its number, too."""

    path: Path
    starts: tuple[int, ...] = ()  # where each batch begins
    rows: tuple[tuple[int, int], ...] = ()  # the lowest and the highest number of a row in each

    def __call__(self) -> Iterator[Batch]:
        with self.path.open("rb") as file:
            while (batch := _read(file)) is not None:
                yield batch

    def __len__(self) -> int:
        return len(self.starts)

    def numbers(self, first: int, last: int) -> list[int]:
        """The numbers of the batches that may hold a row from *first* to *last*."""
        return [number for number, (lowest, highest) in enumerate(self.rows) if lowest <= last and highest >= first]

    def __getitem__(self, number: int) -> Batch:
        with self.path.open("rb") as file:
            file.seek(self.starts[number])
            batch = _read(file)
        if batch is None:
            raise IndexError(number)
        return batch


def _read(file: IO[bytes]) -> Batch | None:
    """The batch that begins here; None at the end of the file."""
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    return None if length == _END else _loaded(file.read(length))


def _loaded(blob: bytes) -> Batch:
    rows, columns, sums = marshal.loads(blob)  # noqa: S302  (written by SpoolWriter, in a private folder)
    rows = _unpack_rows(rows)
    blank = Cells.blank(len(rows))
    return Batch(rows, [blank if column is None else _unpack(column) for column in columns], sums)


def follow(path: Path, wait: Callable[[], None]) -> Iterator[Batch]:
    """
    The batches of a spool that another process is writing, as they come, to its end; *wait* is called while there is none.

    Raises `FileNotFoundError` when the spool was thrown away: its writer begins anew, or has given up.
    """
    with path.open("rb") as file:
        ours = os.fstat(file.fileno()).st_ino
        while True:
            start = file.tell()
            head = file.read(_LENGTH.size)
            if head == _LENGTH.pack(_END):
                return
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else -1
            blob = file.read(length) if length > 0 else b""
            if len(blob) == length:
                yield _loaded(blob)
                continue
            file.seek(start)
            wait()
            if path.stat().st_ino != ours:
                raise FileNotFoundError(path)


class SpoolWriter:
    """Writes batches to the file at *path*, anew; a context manager that closes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)  # whoever follows an earlier one must not take ours for it
        self._file = path.open("wb")
        self._starts = array("Q")
        self._rows: list[tuple[int, int]] = []
        self._end = 0

    def write(self, batch: Batch) -> int:
        """Append *batch*; returns the bytes it took."""
        blob = marshal.dumps((_pack_rows(batch.rows), [_pack(cells, len(batch.rows)) for cells in batch.columns], batch.sums))
        self._file.write(_LENGTH.pack(len(blob)))
        self._file.write(blob)
        self._starts.append(self._end)
        self._rows.append((min(batch.rows), max(batch.rows)))
        self._end += _LENGTH.size + len(blob)
        return len(blob)

    def close(self) -> SpooledBatches:
        """Close the file; returns what walks through it."""
        self._file.write(_LENGTH.pack(_END))
        self._file.close()
        return SpooledBatches(self._path, tuple(self._starts), tuple(self._rows))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


_PackedRows = list[int] | tuple[int, int]
_PackedCells = tuple[Kind | Sequence[Kind | None], str | Sequence[str | None]]


def _pack_rows(rows: list[int]) -> _PackedRows:
    """Rows that follow one another are the first and how many there are."""
    first, count = rows[0], len(rows)
    return (first, count) if rows[-1] - first == count - 1 and rows == list(range(first, first + count)) else rows


def _unpack_rows(packed: _PackedRows) -> list[int]:
    if isinstance(packed, list):
        return packed
    first, count = packed
    return list(range(first, first + count))


def _pack(cells: Cells, count: int) -> _PackedCells | None:
    if cells.kinds is not None:
        return cells.kinds, cells.texts
    if cells.kind is None:
        return None
    return cells.kind, cells.texts if count < _FEW_ROWS or cells.joined is None else cells.joined


def _unpack(packed: _PackedCells) -> Cells:
    kinds, texts = packed
    if isinstance(texts, str):
        return Cells(joined=texts, kind=kinds if isinstance(kinds, str) else None)
    return Cells(texts, kind=kinds) if isinstance(kinds, str) else Cells(texts, kinds=kinds)
