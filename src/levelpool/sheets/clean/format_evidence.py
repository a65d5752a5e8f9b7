"""What the number formats of a column's cells say beside their values: spans of time, zeros in front, and units."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from levelpool.sheets.clean.cell_group import Seen, kind_class
from levelpool.sheets.number_codes import is_elapsed, unit, width_of_zeros, with_zeros
from levelpool.sheets.table import NUMBER, Cells, Kind

_MOST_UNITS = 20


@dataclass(frozen=True, slots=True)
class _Says:
    """What one number format says."""

    elapsed: bool
    width: int  # digits that it shows at least
    unit: str


@lru_cache(maxsize=4096)
def _says(kind: Kind | None) -> _Says | None:
    """What the format of a number cell says; None for cells that are no numbers, or dates by their format."""
    if kind is None or kind_class(kind) != NUMBER:
        return None
    code = kind[1:]
    return _Says(is_elapsed(code), width_of_zeros(code), unit(code)) if code else _Says(elapsed=False, width=0, unit="")


class FormatEvidence:
    """The first number that shows a span of time, the first that shows with zeros before it, and the first of each unit."""

    __slots__ = ("elapsed", "plain", "units", "zeros")

    def __init__(self) -> None:
        self.elapsed: Seen | None = None
        self.plain = False  # a number that is no span of time is there, too
        self.zeros: Seen | None = None  # as it shows
        self.units: dict[str, Seen] = {}

    @property
    def are_spans(self) -> bool:
        """Whether every number shows a span of time."""
        return self.elapsed is not None and not self.plain

    def add(self, rows: Sequence[int], cells: Cells) -> None:
        """Take in the cells of some rows."""
        for kind in (cells.kind,) if cells.kinds is None else sorted({kind for kind in cells.kinds if kind}):
            said = _says(kind)
            if said is not None:
                self._note(said, kind or "", rows, cells)

    def _note(self, said: _Says, kind: Kind, rows: Sequence[int], cells: Cells) -> None:
        if said.elapsed:
            self.elapsed = self.elapsed or next(_of_kind(kind, rows, cells), None)
        else:
            self.plain = True
        if said.unit and said.unit not in self.units and len(self.units) < _MOST_UNITS:
            first = next(_of_kind(kind, rows, cells), None)
            if first is not None:
                self.units[said.unit] = first
        if said.width and self.zeros is None:
            few = (seen for seen in _of_kind(kind, rows, cells) if seen.text.isdigit() and len(seen.text) < said.width)
            found = next(few, None)
            self.zeros = found and Seen(found.row, with_zeros(found.text, kind[1:]))


def _of_kind(kind: Kind, rows: Sequence[int], cells: Cells) -> Iterator[Seen]:
    """The cells of this kind with their rows."""
    texts = cells.texts
    if cells.kinds is None:
        return (Seen(row, text) for row, text in zip(rows, texts, strict=True) if text)
    return (Seen(row, text) for row, text, each in zip(rows, texts, cells.kinds, strict=True) if text and each == kind)
