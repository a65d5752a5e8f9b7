"""
The spool: the cells of one sheet on disk, written once batch by batch and read back as often as one likes.

A spool is private to the process that wrote it and lives as long as its folder; its form is marshal, which reads cells
back several times faster than any other way of the standard library and writes a text that repeats within a batch only once.
marshal must never be fed a stranger's bytes: the folder must be private.
"""

import marshal
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from levelpool.sheets.table import Batch

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class SpooledBatches:
    """The batches of one spool file; each call walks them from the start."""

    path: Path

    def __call__(self) -> Iterator[Batch]:
        with self.path.open("rb") as file:
            while head := file.read(_LENGTH.size):
                blob = file.read(_LENGTH.unpack(head)[0])
                rows, cells, kinds, sums = marshal.loads(blob)  # noqa: S302  (written by SpoolWriter, in a private folder)
                yield Batch(rows, cells, kinds, sums)


class SpoolWriter:
    """Writes batches to the file at *path*, anew; a context manager that closes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")

    def write(self, batch: Batch) -> int:
        """Append *batch*; returns the bytes it took."""
        blob = marshal.dumps((batch.rows, batch.cells, batch.kinds, batch.sums))
        self._file.write(_LENGTH.pack(len(blob)))
        self._file.write(blob)
        return len(blob)

    def close(self) -> SpooledBatches:
        """Close the file; returns what walks through it."""
        self._file.close()
        return SpooledBatches(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
