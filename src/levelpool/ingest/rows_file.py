"""
Rows that a program hands over, kept as a file like any other original, so that undo and replay stand on the same ground.

The file has one JSON list per row, and a last line with the names of the columns. A cell is null or a text whose first letter is its
type: "i12", "m1.50" (decimal), "f0.1", "btrue", "d2026-11-02", "t2026-11-02T08:30:00", "z2026-11-02T06:30:00" (had a zone, told in UTC), "h08:30:00", "stext";
"n2026-11-02T08:30:00.123456789" and "y…" (told in UTC) where a moment or a time of day is finer than TIMESTAMP, "k08:30:00+02:00" for a time of day with a zone.
Nothing has to be guessed: a column has the type of its values, and text stays text.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from levelpool.sheets.clean.names import column_names
from levelpool.sheets.errors import SheetError
from levelpool.sheets.frames import FineText
from levelpool.sheets.table import (
    BOOLEAN,
    DATE,
    NUMBER,
    TEXT,
    Batch,
    Box,
    Column,
    ColumnType,
    Kind,
    Sheet,
    TablePlan,
    Workbook,
)

FORMAT = "rows"
BATCH_ROWS = 2000
SAMPLES = 3
MOST_DIGITS = 18  # of a BIGINT
EXACT_DIGITS = 15  # of a decimal number that a double holds

_KINDS: dict[str, Kind] = {"i": NUMBER, "m": NUMBER, "f": NUMBER, "b": BOOLEAN, "d": DATE, "t": DATE, "z": DATE, "h": DATE, "s": TEXT}
_KINDS |= {"n": TEXT, "y": TEXT, "k": TEXT}


# ---------------------------------------------------------------- writing


def write_rows(rows: Iterable[Mapping[Any, object]], path: Path) -> int:
    """
    Write *rows* to a file; return how many there were. Columns are in the order of their first appearance.

    Two keys are two columns, even if they are called alike, such as 1 and "1"; `read_rows` tells them apart.

    Raises `SheetError` for a value that is no bool, int, Decimal, float, date, datetime, time, str or None.
    """
    places: dict[Any, int] = {}
    count = 0
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for count, row in enumerate(rows, 1):
            cells: list[str | None] = [None] * len(places)
            for name, value in row.items():
                place = places.setdefault(name, len(places))
                if place == len(cells):
                    cells.append(None)
                cells[place] = _packed(value, count, str(name))
            file.write(json.dumps(cells) + "\n")
        file.write(json.dumps([str(name) for name in places]) + "\n")
    return count


def _packed(value: object, row: int, name: str) -> str | None:
    plain = _as_python(value)
    if plain is None or type(plain).__name__ in {"NAType", "NaTType"}:
        return None
    pack: Callable[[Any], str | None] | None = next((pack for kind, pack in _PACKERS if isinstance(plain, kind)), None)
    if pack is None:
        raise SheetError(
            f"row {row}, column {name!r} holds a {type(value).__name__}: give bool, int, Decimal, float, date, datetime, time, str or None"
        )
    return pack(plain)


def _as_python(value: Any) -> object:
    """numpy's scalars are not Python's, but can say what they are."""
    if not hasattr(value, "item") or isinstance(value, Decimal):
        return value
    plain = value.item()
    if not isinstance(plain, int) or type(value).__name__ not in {"datetime64", "timedelta64"}:
        return plain
    # A count of what Python has no word for; a span of time is no value of ours.
    return _moment_of(str(value)) if type(value).__name__ == "datetime64" else value


def _moment_of(text: str) -> datetime | FineText:
    """What numpy writes of a moment: a datetime unless that would cut it."""
    whole, _, fraction = text.partition(".")
    if fraction[6:].strip("0") or len(whole) != len("2026-11-02T08:30:00"):
        return FineText(text)
    return datetime.fromisoformat(f"{whole}.{fraction[:6]}")


def _packed_float(value: float) -> str | None:
    return None if math.isnan(value) else f"f{value!r}"


def _packed_decimal(value: Decimal) -> str | None:
    return None if value.is_nan() else f"m{value:f}"


def _packed_datetime(value: datetime) -> str:
    # A column of the database has no zone: moments with one are told in UTC, and a remark says so.
    is_zoned = value.tzinfo is not None
    moment = value.astimezone(UTC).replace(tzinfo=None) if is_zoned else value
    if getattr(value, "nanosecond", 0):  # pandas' own moments have them
        return f"{'y' if is_zoned else 'n'}{moment.isoformat()}"
    return f"{'z' if is_zoned else 't'}{datetime.isoformat(moment)}"


def _packed_time(value: time) -> str:
    # Without a day nobody can tell it in UTC: it stays what it says.
    return f"h{value.isoformat()}" if value.tzinfo is None else f"k{value.isoformat()}"


# From the special to the general: a bool is an int, a datetime is a date.
_PACKERS: tuple[tuple[type, Any], ...] = (
    (FineText, lambda value: f"{'y' if value.is_zoned else 'n'}{value}"),
    (str, lambda value: f"s{value}"),
    (bool, lambda value: "btrue" if value else "bfalse"),
    (int, lambda value: f"i{value}"),
    (float, _packed_float),
    (Decimal, _packed_decimal),
    (datetime, _packed_datetime),
    (date, lambda value: f"d{value.isoformat()}"),
    (time, _packed_time),
)


# ---------------------------------------------------------------- reading


@dataclass(slots=True)
class _Seen:
    """What a column's values are."""

    letters: set[str] = field(default_factory=set)
    samples: list[str] = field(default_factory=list)
    digits: int = 0
    scale: int = 0
    is_endless: bool = False  # one of the numbers is infinite
    zoned: int = 0  # moments that had a zone
    naive: int = 0  # moments that had none
    fine: int = 0  # moments and times of day that TIMESTAMP and TIME would cut
    clocks: int = 0  # times of day with a zone
    exponents: int = 0  # doubles that are written with one

    def take(self, letter: str, text: str) -> None:
        self.letters.add(letter)
        if len(self.samples) < SAMPLES:
            self.samples.append(text)
        if letter in "imf":
            self._measure(text)
        self.zoned += letter in "zy"
        self.naive += letter in "tn"
        self.fine += letter in "ny"
        self.clocks += letter == "k"
        self.exponents += letter == "f" and "e+" in text

    def _measure(self, text: str) -> None:
        if "n" in text:
            self.is_endless = True
            return
        if "e" in text:
            text = f"{Decimal(text):f}"
        whole, _, fraction = text.lstrip("-").partition(".")
        self.digits = max(self.digits, len((whole + fraction).lstrip("0")) or 1)
        self.scale = max(self.scale, len(fraction))

    @property
    def type(self) -> ColumnType:
        if self.letters and self.letters <= {"i"}:
            return ColumnType.BIGINT if self.digits <= MOST_DIGITS else ColumnType.TEXT
        if "f" in self.letters and self.letters <= {"i", "m", "f"}:
            # A double holds so many digits exactly; beyond, and beside decimals, each number keeps the digits that it has.
            is_exact = "m" not in self.letters and self.digits <= EXACT_DIGITS
            return ColumnType.DOUBLE if self.letters == {"f"} or is_exact or self.is_endless else ColumnType.NUMERIC
        fits = (kind for letters, kind in _TYPES if self.letters and self.letters <= letters)
        return next(fits, ColumnType.TEXT)

    @property
    def why(self) -> str:
        """Why the column has its type, in words."""
        if self.fine:
            return "some moments or times are finer than a microsecond or beyond the calendar: text keeps all their digits"
        numbers = {"i": "whole numbers", "m": "decimals", "f": "doubles"}
        mixed = [numbers[letter] for letter in "imf" if letter in self.letters]
        if "f" in self.letters and len(mixed) > 1 and self.type is not ColumnType.TEXT:
            return f"{' and '.join(mixed)} were handed over: {'a double holds each of them' if self.type is ColumnType.DOUBLE else 'each keeps all its digits'}"
        return "the type of the values that were handed over"

    def remarks(self, header: str) -> Iterator[str]:
        """What was changed in the values on their way."""
        if self.zoned:
            others = f"; {self.naive} had no zone and are as they were" if self.naive else ""
            yield f"column {header!r}: {self.zoned} moments had a time zone and are told in UTC{others}"
        if self.fine:
            yield f"column {header!r}: {self.fine} moments or times are finer than a microsecond or beyond the calendar, so the column is TEXT"
        if self.clocks:
            yield f"column {header!r}: {self.clocks} times of day had a time zone, which TIME does not keep: they are text with it"
        if self.exponents and self.type is ColumnType.NUMERIC:
            yield (
                f"column {header!r}: {self.exponents} doubles of many digits stand among decimals and are written out: "
                "only their first 17 digits are more than zeros"
            )


_TYPES = (
    ({"b"}, ColumnType.BOOLEAN),
    ({"i", "m"}, ColumnType.NUMERIC),
    ({"d"}, ColumnType.DATE),
    ({"d", "t", "z"}, ColumnType.TIMESTAMP),
    ({"h"}, ColumnType.TIME),
)


def read_rows(path: Path, name: str) -> tuple[Workbook, TablePlan]:
    """The one table of a file that `write_rows` made, as a workbook with a plan."""
    seen: list[_Seen] = []
    rows = cells = 0
    for rows, line in enumerate(_lines(path), 1):  # noqa: B007
        seen.extend(_Seen() for _ in range(len(line) - len(seen)))
        for place, cell in enumerate(line):
            if cell is not None:
                seen[place].take(cell[0], cell[1:])
                cells += 1
    headers = _headers(path)
    columns = tuple(
        Column(
            name=column,
            header=header,
            position=place,
            type=of.type,
            why=of.why,
            samples=tuple(of.samples),
            digits=of.digits if of.type is ColumnType.NUMERIC else 0,
            scale=of.scale if of.type is ColumnType.NUMERIC else 0,
        )
        for place, (column, header, of) in enumerate(zip(column_names(headers), headers, seen, strict=True))
    )
    sheet = Sheet(name=name, position=0, batches=partial(_batches, path), row_count=rows, cell_count=cells)
    plan = TablePlan(name, 0, Box(1, 0, max(rows, 1), max(len(columns) - 1, 0)), (), columns)
    remarks = tuple(remark for header, of in zip(headers, seen, strict=True) for remark in of.remarks(header))
    return Workbook(format=FORMAT, sheets=(sheet,), reader=FORMAT, remarks=remarks), plan


def _lines(path: Path) -> Iterator[list[str | None]]:
    """All lines but the last, which holds the headers."""
    before: str | None = None
    with path.open(encoding="utf-8") as file:
        for line in file:
            if before is not None:
                yield json.loads(before)
            before = line


def _headers(path: Path) -> list[str]:
    last = "[]"
    with path.open(encoding="utf-8") as file:
        for line in file:
            last = line
    headers: list[str] = json.loads(last)
    return headers


def _batches(path: Path) -> Iterator[Batch]:
    lines = enumerate(_lines(path), 1)
    layouts: dict[tuple[Kind | None, ...], tuple[Kind | None, ...]] = {}
    while some := list(islice(lines, BATCH_ROWS)):
        cells = [[None if cell is None else cell[1:] for cell in line] for _, line in some]
        kinds = [tuple(None if cell is None else _KINDS[cell[0]] for cell in line) for _, line in some]
        # Rows of the same kinds share one list: whoever walks them need not look at each.
        yield Batch.of_rows([row for row, _ in some], cells, [layouts.setdefault(each, each) for each in kinds])
