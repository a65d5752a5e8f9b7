"""A zipped workbook: its parts, found whatever the case of their names, streamed under the limits, and their relations."""

import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import Element, parse_small
from levelpool.sheets.read.source import Source

BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Relation:
    """Where a part points to: the last word of the relation's type, and the part's name (None: not in the package)."""

    id: str
    type: str
    target: str | None


class Package:
    """An open zip container; a context manager."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._packed = source.path.stat().st_size
        self._open = ExitStack()
        self._zip = self._open.enter_context(open_zip(source.path, source.meter))
        self._names = {_plain(entry.filename): entry for entry in self._zip.infolist()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    def __contains__(self, part: str) -> bool:
        return _plain(part) in self._names

    def names(self) -> tuple[str, ...]:
        """All parts, in lower case and without a leading slash."""
        return tuple(self._names)

    def packed_size(self, part: str) -> int:
        """The bytes that *part* takes in the file."""
        return self._names[_plain(part)].compress_size

    def unpacked_size(self, part: str) -> int:
        """The bytes of *part* when it is unpacked, as the file declares them."""
        return self._names[_plain(part)].file_size

    def stream(self, part: str) -> Iterator[bytes]:
        """The bytes of *part*, unpacked block by block; raises `DamagedFile` when it is not there or broken."""
        entry = self._names.get(_plain(part))
        if entry is None:
            raise DamagedFile(f"{self._source.name} is damaged: its part {part!r} is missing; export it again")
        if entry.flag_bits & 1:
            raise DamagedFile(f"{self._source.name} is packed with a password: send it without one")
        with self._zip.open(entry) as file:
            while block := file.read(BLOCK):
                self._source.meter.inflated(len(block), self._packed)
                yield block

    def tree(self, part: str, *, texts: bool = False) -> Element:
        """The small XML part *part* as a tree, with its texts if they are asked for."""
        return parse_small(self.stream(part), self._source.meter, texts=texts)

    def relations(self, part: str) -> tuple[Relation, ...]:
        """What *part* points to; "" is the package itself. A part without relations has none."""
        folder, base = posixpath.split(part)
        name = f"{folder}/_rels/{base}.rels".lstrip("/")
        if name not in self:
            return ()
        return tuple(
            Relation(
                each.attributes.get("Id", ""),
                each.attributes.get("Type", "").rpartition("/")[2],
                self._resolve(folder, each.attributes.get("Target", "")),
            )
            for each in self.tree(name).children
        )

    def _resolve(self, folder: str, target: str) -> str | None:
        name = posixpath.normpath(posixpath.join("/" + folder, target.replace("\\", "/"))).lstrip("/")
        return _plain(name) if name in self else None


@contextmanager
def open_zip(path: Path, meter: Meter) -> Iterator[zipfile.ZipFile]:
    """
    Open a zip container whose directory is sane: not too many entries, none over another's bytes, packed the way office programs do.

    Raises `DamagedFile` for a container that is broken or cut off, and `LimitExceeded`.
    """
    # The file is ours, so that it is closed at the end even where an unfinished stream still holds the container.
    with path.open("rb") as file:
        try:
            meter.entries(_directory_size(path) // _MOST_PER_ENTRY)
            package = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DamagedFile(f"{meter.name} is damaged: it was perhaps not sent to its end; export it again") from error
        with package:
            entries = package.infolist()
            meter.entries(len(entries))
            _refuse_odd(entries, meter.name, path.stat().st_size)
            yield package


_MOST_PER_ENTRY = 512
"""Bytes that an entry with a long name takes in the directory."""


def _directory_size(path: Path) -> int:
    """The bytes of the directory, as the last record of the file tells them: a look before all of it is taken into memory."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16) - 22))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0


def _refuse_odd(entries: list[zipfile.ZipInfo], name: str, size: int) -> None:
    for entry in entries:
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise DamagedFile(f"{name} is damaged: its part {entry.filename!r} is packed in a way that no spreadsheet program uses")
        if not 0 <= entry.header_offset <= size - entry.compress_size:
            raise DamagedFile(f"{name} is damaged: its part {entry.filename!r} does not lie within the file; export it again")
    # Entries that share bytes are how a small file claims terabytes; no program writes them.
    placed = sorted(entries, key=lambda entry: entry.header_offset)
    for entry, follower in pairwise(placed):
        end = entry.header_offset + 30 + len(entry.orig_filename) + entry.compress_size
        if end > follower.header_offset:
            raise DamagedFile(f"{name} is damaged: its packed parts {entry.filename!r} and {follower.filename!r} overlap")


class SheetsProgress:
    """Tells the share of the sheets' packed bytes that was read."""

    def __init__(self, source: Source, package: Package, parts: list[str]) -> None:
        self._source = source
        self._package = package
        self._total = max(1, sum(package.packed_size(part) for part in parts))
        self._done = 0

    def watch(self, part: str) -> Iterator[bytes]:
        """The blocks of *part*, telling after each how far reading has come."""
        package = self._package
        packed = package.packed_size(part)
        whole = max(1, package.unpacked_size(part))
        seen = 0
        for block in package.stream(part):
            yield block
            seen += len(block)
            self._source.progress(min(1.0, (self._done + packed * min(1.0, seen / whole)) / self._total))
        self._done += packed


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
