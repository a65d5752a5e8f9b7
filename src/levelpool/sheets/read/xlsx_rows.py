"""
The rows of one .xlsx sheet with expat: the reference that every faster way is held against.

It keeps, per cell, the kind, the exact text of the file and the number format, and the true row and column.
"""

import re
from collections.abc import Callable, Sequence

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.limits import Meter
from levelpool.sheets.read.markup import Feeder, create_parser, is_sum, local, unescape
from levelpool.sheets.read.rich_values import Rich, plain_error
from levelpool.sheets.read.shared_texts import SharedTexts
from levelpool.sheets.read.source import SheetBuilder
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Box, Kind
from levelpool.sheets.wording import counted

BOOLEANS = {"1": "true", "0": "false", "true": "true", "false": "false"}


class SheetParser:
    """
    The handlers of one sheet's part: feed `feeder`, and rows arrive at the builder as they end.

    Runs of whole rows may be left out of what is fed, when somebody else takes them and tells so with `row` and `note_formula`.
    """

    def __init__(
        self, builder: SheetBuilder, texts: SharedTexts, styles: Sequence[str], meter: Meter, rich: Callable[[str], Rich] = plain_error
    ) -> None:
        self._builder = builder
        self._rich = rich
        self._mark: str | None = None  # of what stands behind an error
        self._pictures: list[int] = []  # the rows of cells that are one
        self._texts = texts.by_number
        self._styles = styles
        self._meter = meter
        self._columns: dict[str, int] = {}
        self._shared_sums: set[str] = set()
        self._in_data = False
        self._aside = 0  # within a phonetic reading or an extension, whose texts are not the cell's
        self.row = 0  # the last one seen
        self._hidden = False
        self._column = -1
        self._cells: list[str | None] = []
        self._kinds: list[Kind | None] = []
        self._sums: list[int] = []
        self._type: str | None = None
        self._style: str | None = None
        self._value: list[str] = []  # of <v>
        self._inline: list[str] = []  # of <is>
        self._begin = 0  # where the pieces of the open <t> begin
        self._has_inline = False
        self._formula: list[str] = []
        self._formula_at: str | None = None  # the shared formula's number, "" for one of the cell's own
        self._length = 0
        self._parser = create_parser(meter, self._start, self._end)
        self.feeder = Feeder(self._parser, meter)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name if ":" not in name else local(name)
        if not self._in_data:
            self._start_around(tag, attributes)
        elif tag in {"rPh", "extLst"}:
            self._aside += 1
        elif self._aside:
            return
        elif tag == "c":
            self._start_cell(attributes)
        elif tag == "v":
            self._parser.CharacterDataHandler = self._take_value
        elif tag == "t":
            self._has_inline = True
            self._begin = len(self._inline)
            self._parser.CharacterDataHandler = self._take_inline
        elif tag == "row":
            self._start_row(attributes)
        elif tag == "f":
            self._formula_at = attributes.get("si", "") if attributes.get("t") == "shared" else ""
            self._parser.CharacterDataHandler = self._take_formula

    def _end(self, name: str) -> None:
        tag = name if ":" not in name else local(name)
        if not self._in_data:
            return
        if tag in {"rPh", "extLst"}:
            self._aside -= 1
        elif self._aside:
            return
        elif tag == "c":
            self._end_cell()
        elif tag in {"v", "f"}:
            self._parser.CharacterDataHandler = None
        elif tag == "t":
            self._parser.CharacterDataHandler = None
            if self._type in {"str", "inlineStr"}:
                # An escape stands within one run: what looks like one across two of them was typed so.
                self._inline[self._begin :] = [unescape("".join(self._inline[self._begin :]))]
        elif tag == "row":
            self._builder.add(self.row, self._cells, self._kinds, self._sums, hidden=self._hidden)
        elif tag == "sheetData":
            self._in_data = False

    def _start_around(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheetData":
            self._in_data = True
        elif tag == "col" and attributes.get("hidden") in {"1", "true"}:
            first, last = int(attributes["min"]), int(attributes["max"])
            self._builder.hide_columns(first - 1, last)
        elif tag == "mergeCell":
            box = parse_box(attributes.get("ref", ""))
            if box is not None:
                self._builder.merge(box)

    def _start_row(self, attributes: dict[str, str]) -> None:
        number = attributes.get("r")
        self.row = int(number) if number else self.row + 1
        self._column = -1
        self._cells, self._kinds, self._sums = [], [], []
        self._hidden = attributes.get("hidden") in {"1", "true"}

    def _start_cell(self, attributes: dict[str, str]) -> None:
        self._value.clear()
        self._inline.clear()
        self._has_inline = False
        self._formula.clear()
        self._formula_at = None
        self._length = 0
        letters = attributes.get("r", "").rstrip("0123456789")
        if letters:
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = parse_column(letters, self._meter)
            self._column = column
        else:
            self._column += 1
        self._type = attributes.get("t")
        self._style = attributes.get("s")
        self._mark = attributes.get("vm")

    def _take_value(self, data: str) -> None:
        self._length += len(data)
        self._meter.text(self._length)
        self._value.append(data)

    def _take_inline(self, data: str) -> None:
        self._length += len(data)
        self._meter.text(self._length)
        self._inline.append(data)

    def _take_formula(self, data: str) -> None:
        self._length += len(data)
        self._meter.text(self._length)
        self._formula.append(data)

    def _end_cell(self) -> None:
        text, kind = self._content()
        if self._formula_at is not None and self.note_formula("".join(self._formula), self._formula_at) and kind is not None:
            self._sums.append(self._column)
        if kind is not None:
            self._place(text, kind)

    def _content(self) -> tuple[str, Kind | None]:
        type_ = self._type
        # A cell may hold both; its type says which one is meant.
        pieces = (self._inline or self._value) if type_ == "inlineStr" else (self._value or self._inline)
        value = pieces[0] if len(pieces) == 1 else "".join(pieces)
        if type_ == "s":
            return (self._texts[self._text_number(value)], TEXT) if value else ("", None)
        if type_ in {"str", "inlineStr"}:
            # An empty text is a text when it is the result of a formula or written in place; without either the cell is only styled.
            value = value if pieces is self._inline else unescape(value)
            return (value, TEXT) if value or self._formula_at is not None or self._has_inline else ("", None)
        if not value:
            return ("=" + "".join(self._formula), NO_VALUE) if self._formula_at is not None else ("", None)
        if type_ is None or type_ == "n":
            return value, self.number_kind(self._style)
        if type_ == "b":
            return (BOOLEANS[value], BOOLEAN) if value in BOOLEANS else (value, ERROR)
        return (value, DATE) if type_ == "d" else self._behind(value)

    def _behind(self, error: str) -> tuple[str, Kind | None]:
        """An error, or what a person sees in its place where it has the mark of something else."""
        what, text = ("error", "") if self._mark is None or self._type != "e" else self._rich(self._mark)
        if what == "picture":
            self._pictures.append(self.row)
            return "", None
        return (text, TEXT) if what == "text" else (error, ERROR)

    def tell(self) -> None:
        """The sheet has ended: say what was left out of it."""
        if self._pictures:
            first = f"the first one in row {self._pictures[0]}"
            self._builder.remark(
                f"{counted(len(self._pictures), 'cell holds a picture', 'cells hold pictures')}, {first}: they are left out, and no value"
            )

    def _text_number(self, value: str) -> int:
        number = value.strip()
        if number.isdecimal() and int(number) < len(self._texts):
            return int(number)
        raise DamagedFile(
            f"{self._meter.name} is damaged: a cell in row {self.row} of sheet {self._builder.name!r} points to shared text {value!r}, "
            f"but the file holds only {len(self._texts)}; export it again"
        )

    def number_kind(self, style: str | None) -> Kind:
        """The kind of a number cell with this style number."""
        if style is None:
            return NUMBER
        try:
            return self._styles[int(style)]
        except (ValueError, IndexError):
            return NUMBER

    def note_formula(self, formula: str, shared: str) -> bool:
        """Whether *formula* is a sum; one that cells share (by the number *shared*, "" for none) is written once and then only named."""
        if not shared:
            return is_sum(formula)
        if formula:
            (self._shared_sums.add if is_sum(formula) else self._shared_sums.discard)(shared)
        return shared in self._shared_sums

    def _place(self, text: str, kind: Kind) -> None:
        gap = self._column - len(self._cells)
        if gap > 0:
            self._cells.extend([None] * gap)
            self._kinds.extend([None] * gap)
        if gap >= 0:
            self._cells.append(text)
            self._kinds.append(kind)
            return
        if self._kinds[self._column] is not None:
            self._builder.remark(f"a cell of row {self.row} stands twice, in column {self._column + 1}: the last one counts")
        self._cells[self._column] = text
        self._kinds[self._column] = kind


def parse_column(letters: str, meter: Meter) -> int:
    """The 0-based column of "A", "BC", ...; raises `LimitExceeded` beyond the limit."""
    number = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z" or number > 1 << 24:
            raise DamagedFile(f"{meter.name} is damaged: a cell claims to stand in column {letters[:20]!r}")
        number = number * 26 + ord(letter) - 64
    meter.columns(number)
    return number - 1


_BOX = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?", re.IGNORECASE)


def parse_box(reference: str) -> Box | None:
    """The rectangle of "A1:C3"; None for what is no such reference."""
    match = _BOX.fullmatch(reference)
    if match is None:
        return None
    first, top, last, bottom = match.groups()
    return Box(
        first_row=int(top),
        first_column=_column(first),
        last_row=int(bottom or top),
        last_column=_column(last or first),
    )


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1
