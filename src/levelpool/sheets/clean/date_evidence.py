"""What the cells of a column have shown that are dates by their kind: serials with a date format, and ISO dates."""

from dataclasses import replace

from levelpool.sheets.clean.cell_group import CellGroup, Seen, sure_days
from levelpool.sheets.clean.dates import has_zone, iso_value, serial_family, serial_value, shown_text
from levelpool.sheets.clean.number_evidence import note_shapes
from levelpool.sheets.table import Kind


class DateEvidence:
    """The first day, instant and time of day, and the shapes of serials, which may turn out to be numbers after all."""

    __slots__ = ("clocks", "date1904", "days", "exponent", "impossible", "impossible_count", "iso", "shapes", "stamps", "zoned")

    def __init__(self, *, date1904: bool) -> None:
        self.date1904 = date1904
        self.shapes: dict[str, Seen] = {}  # of serials
        self.exponent = False
        self.days: Seen | None = None  # the first cell that is a day, ...
        self.stamps: Seen | None = None  # ... an instant, ...
        self.clocks: Seen | None = None  # ... a time of day
        self.iso = False  # a cell holds an ISO date
        self.zoned: Seen | None = None  # the first of these with a zone that is not UTC
        self.impossible: Seen | None = None  # the first cell with a date format that is no date
        self.impossible_count = 0

    @property
    def is_there(self) -> bool:
        """Whether a cell is a date, or could be one by its format."""
        return bool(self.days or self.stamps or self.clocks or self.shapes)

    def add_serials(self, group: CellGroup) -> None:
        """Take in date serials of one format."""
        self.exponent |= note_shapes(self.shapes, group, group.shapes)
        family = serial_family(group.kind)
        surely = None if family == "time" else sure_days(group, family)
        if surely is None:
            self._look_at_each(group, family)
        else:
            self._note(surely, self._shown(group.first(), group.kind))

    def _look_at_each(self, group: CellGroup, family: str) -> None:
        impossible: dict[str, Seen] = {}
        for value in dict.fromkeys(group.values):  # in their order: the first of them is shown
            what = self._what(value, family)
            if what is None:
                impossible[value] = group.seen(value)
            else:
                self._note(what, self._shown(group.seen(value), group.kind))
        if impossible:
            self.impossible = self.impossible or min(impossible.values(), key=lambda seen: seen.row)
            self.impossible_count += sum(map(impossible.__contains__, group.values))

    def _what(self, value: str, family: str) -> str | None:
        """Whether a serial is a "time", a "date" or a "timestamp"; None when it is none of them."""
        try:
            serial = float(value)
            if family == "time" and 0 <= serial < 1:
                return "time"
            serial_value(value, date1904=self.date1904)
        except ValueError:
            return None
        return "date" if family == "date" and serial.is_integer() else "timestamp"

    def add_iso(self, group: CellGroup) -> None:
        """Take in cells that hold ISO dates; what is none is left to quarantine."""
        self.iso = True
        for shape, place in group.shapes.new(()):
            value = group.texts[place] or ""
            if self.zoned is None and has_zone(value):
                self.zoned = group.seen(value)
            try:
                iso_value(value)
            except ValueError:
                continue
            self._note("timestamp" if "T" in shape or " " in shape else "time" if ":" in shape else "date", group.seen(value))

    def _note(self, what: str, seen: Seen) -> None:
        if what == "date":
            self.days = self.days or seen
        elif what == "timestamp":
            self.stamps = self.stamps or seen
        else:
            self.clocks = self.clocks or seen

    def _shown(self, seen: Seen, kind: Kind) -> Seen:
        """As a person sees it: nobody knows a day by its serial."""
        return replace(seen, text=shown_text(seen.text, kind, date1904=self.date1904))
