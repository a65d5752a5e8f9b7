"""
What a file may be at most: one page, each limit with the environment variable that sets it.

A spreadsheet of one kilobyte can stand for gigabytes: zip bombs, entity bombs, one cell far below on the right, one giant text.
Every reader counts what it takes on one `Meter`; the first count that passes its limit ends the reading with a sentence.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from levelpool.settings import Settings
from levelpool.sheets.errors import LimitExceeded

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one file may be; each field is set by the variable of the same field in `levelpool.settings`."""

    max_upload_bytes: int = 256 * MIB  # the file itself
    max_inflated_bytes: int = 4096 * MIB  # all parts of a zipped workbook, unpacked
    max_inflate_ratio: float = 400.0  # unpacked to packed; counts from 64 MiB on
    max_zip_entries: int = 10_000
    max_cell_characters: int = 1 * MIB  # one text, and one piece of markup
    max_string_bytes: int = 256 * MIB  # the shared texts of a workbook, which stay in memory while it is read
    max_cells: int = 50_000_000  # positions of all sheets, counting the blanks to the left of a cell
    max_columns: int = 16_384
    max_merges: int = 100_000  # merged areas of all sheets
    max_spool_bytes: int = 8192 * MIB  # the cells, and the rows made of them, on disk while a file is taken in
    max_key_rounds: int = 1_000_000  # of a hash, to make a key of a password; of Argon2id the passes times the KiB
    max_key_memory: int = 128 * MIB  # to make a key of a password
    max_read_seconds: float = 900.0

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits as the environment sets them."""
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls)})

    @staticmethod
    def variable(limit: str) -> str:
        """The environment variable that sets *limit*, a field's name."""
        return f"LEVELPOOL_{limit.upper()}"


RATIO_FLOOR = 64 * MIB
"""A ratio says nothing about a small file: a sheet of blanks is nearly nothing when packed."""


class Meter:
    """Counts what one file has taken so far; each method raises `LimitExceeded` when its count passes the limit."""

    def __init__(self, name: str, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.limits = limits
        self._clock = clock
        self._started = clock()
        self._inflated = 0
        self._strings = 0
        self._cells = 0
        self._merges = 0
        self._spooled = 0

    def file(self, size: int) -> None:
        """The file has *size* bytes."""
        if size > self.limits.max_upload_bytes:
            self.refuse("max_upload_bytes", size, "has {value} bytes, more than the {allowed} that are allowed")

    def entries(self, count: int) -> None:
        """The zip directory of the file lists *count* entries."""
        if count > self.limits.max_zip_entries:
            self.refuse("max_zip_entries", count, "holds {value} packed parts, more than the {allowed} that are allowed")

    def inflated(self, count: int, packed: int) -> None:
        """*count* more bytes were unpacked from a file of *packed* bytes."""
        self._inflated += count
        if self._inflated > self.limits.max_inflated_bytes:
            self.refuse("max_inflated_bytes", self._inflated, "unpacks to more than the {allowed} bytes that are allowed")
        ratio = self._inflated / max(packed, 1)
        if self._inflated > RATIO_FLOOR and ratio > self.limits.max_inflate_ratio:
            self.refuse("max_inflate_ratio", round(ratio), "unpacks to {value} times its size, more than the {allowed} that are allowed")
        self.tick()

    def strings(self, count: int) -> None:
        """*count* more characters of shared text stay in memory."""
        self._strings += count
        if self._strings > self.limits.max_string_bytes:
            self.refuse("max_string_bytes", self._strings, "holds more shared text than the {allowed} bytes that are allowed")

    def text(self, length: int, where: str = "a cell") -> None:
        """One text has at least *length* characters."""
        if length > self.limits.max_cell_characters:
            self.refuse(
                "max_cell_characters", length, f"has at least {{value}} characters in {where}, more than the {{allowed}} that are allowed"
            )

    def columns(self, count: int) -> None:
        """A row reaches to column number *count*."""
        if count > self.limits.max_columns:
            self.refuse("max_columns", count, "has a row of {value} columns, more than the {allowed} that are allowed")

    def cells(self, count: int) -> None:
        """*count* more positions of a sheet were delivered."""
        self._cells += count
        if self._cells > self.limits.max_cells:
            self.refuse("max_cells", self._cells, "has more cells than the {allowed} that are allowed, counting the blanks between them")

    def cells_ahead(self, count: int) -> None:
        """*count* more positions are about to be delivered: a repeat count is refused before it is carried out."""
        if self._cells + count > self.limits.max_cells:
            self.cells(count)

    def merge(self) -> None:
        """One more merged area was seen."""
        self._merges += 1
        if self._merges > self.limits.max_merges:
            self.refuse("max_merges", self._merges, "has more merged areas than the {allowed} that are allowed")

    def spooled(self, count: int) -> None:
        """*count* more bytes of cells were written to disk."""
        self._spooled += count
        if self._spooled > self.limits.max_spool_bytes:
            self.refuse(
                "max_spool_bytes", self._spooled, "needs more room on disk for its cells and rows than the {allowed} bytes that are allowed"
            )
        self.tick()

    def key(self, *, rounds: int, memory: int = 0) -> None:
        """A key is about to be made of a password, in so many *rounds* with so many bytes of *memory*."""
        if rounds > self.limits.max_key_rounds:
            asked = "asks for {value} rounds to make a key of its password, more than the {allowed} that are allowed"
            self.refuse("max_key_rounds", rounds, asked, advice="save it without a password")
        if memory > self.limits.max_key_memory:
            asked = "asks for {value} bytes of memory to make a key of its password, more than the {allowed} that are allowed"
            self.refuse("max_key_memory", memory, asked, advice="save it without a password")

    def tick(self) -> None:
        """Time has passed."""
        seconds = self._clock() - self._started
        if seconds > self.limits.max_read_seconds:
            self.refuse("max_read_seconds", round(seconds, 1), "took longer to read than the {allowed} seconds that are allowed")

    def refuse(self, limit: str, value: float, what: str, *, advice: str = "split the file") -> None:
        """Raise the error for *limit*, a field of `Limits`; *what* may name {value} and {allowed}."""
        allowed: float = getattr(self.limits, limit)
        variable = Limits.variable(limit)
        sentence = what.format(value=f"{value:,}", allowed=f"{allowed:,}")
        raise LimitExceeded(
            f"{self.name} {sentence}: {advice}, or raise {variable} (now {allowed})",
            limit=limit,
            value=value,
            allowed=allowed,
            variable=variable,
        )
