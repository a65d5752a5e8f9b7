"""
What differs between one table of a file and its dataset.

Which columns there are, and their types, are held against the dataset; how values are written, their units and the order of columns against the file
before, so that a change is told once and not every month.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from levelpool.ingest.drift.renames import Named, Shares, find_renames
from levelpool.sheets.clean.dates import form_in_letters
from levelpool.sheets.table import Column, ColumnType, Json, Notation
from levelpool.sheets.wording import counted

Kind = Literal["renamed", "new", "missing", "moved", "type", "notation", "unit", "collision", "volume"]

MOST_EARLIER = 6
"""So many files before this one say how many rows are usual."""
FEWEST, MOST = 0.5, 2.0
"""How many times the usual number of rows a file may have before that is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One column of the dataset, and how the file before this one had it."""

    name: str
    header: str = ""
    type: ColumnType | None = None  # of the dataset; None: no file had a value
    last_type: ColumnType | None = None  # of the file before; None: it had no value, or no such column
    notation: Notation = field(default_factory=Notation)  # of the file before
    scale: int = 0
    place: int | None = None  # where it stood there, from 1 on among its columns


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise than in the dataset."""

    kind: Kind
    column: str | None  # as this file has it; None: of the whole table
    was: str | int | None = None
    now: str | int | None = None
    rows: int | None = None  # of this file; None until they are counted

    @property
    def text(self) -> str:
        """One sentence without a full stop."""
        return _SENTENCES[self.kind].format(column=self.column, was=self.was, now=self.now)

    def to_dict(self) -> dict[str, Json]:
        """As the record of a file shows it, but for the sheet and the dataset."""
        shown: dict[str, Json] = {"column": self.column, "kind": self.kind, "was": self.was, "now": self.now, "rows": self.rows}
        params: dict[str, Json] = {"column": self.column, "was": self.was, "now": self.now}
        return shown | {"text": self.text, "reason_code": f"drift_{self.kind}", "params": params}


_SENTENCES: Mapping[Kind, str] = {
    "renamed": "the column {now} is probably {was} under another name; it is a column of its own until somebody names it {was}",
    "new": "the column {column} is new",
    "missing": "the column {column} is missing",
    "moved": "the column {column} stands at place {now}; it stood at place {was}",
    "type": "the values of {column} are {now}; they were {was}",
    "notation": "the values of {column} are written like {now}; they were written like {was}",
    "unit": "the unit of {column} is {now}; it was {was}",
    "collision": "the column {column} has the name of another one, which is loaded as {now}",
    "volume": "the file has {now} rows; {was} are usual",
}


def differences(known: Sequence[Known], columns: Sequence[Column], shares: Shares) -> tuple[Difference, ...]:
    """What differs in the *columns* of a table from those that the dataset has; nothing where the dataset has none yet."""
    if not known:
        return ()
    before = {each.name: each for each in known}
    shared = [column for column in columns if column.name in before]
    of_values = (each for column in shared if column.samples for each in _of_values(before[column.name], column))
    return (*_unshared(known, columns, shares), *_moved(before, columns), *of_values)


def _unshared(known: Sequence[Known], columns: Sequence[Column], shares: Shares) -> Iterator[Difference]:
    """What is told of the columns that only one of the two has, each once: another unit, another name, new, missing."""
    before, now = {each.name: each for each in known}, {each.name: each for each in columns}
    new = [each for each in columns if each.name not in before]
    missing = [each for each in known if each.name not in now]
    units = dict(_other_units(missing, new))
    renames = _renames(missing, new, units, shares)
    for name, was in renames.items():
        yield Difference("renamed", name, was, name)
    for name, was in units.items():
        yield Difference("unit", name, unit_of(before[was].header), unit_of(now[name].header))
    found = renames | units
    yield from (Difference("new", each.name) for each in new if each.name not in found)
    yield from (Difference("missing", each.name) for each in missing if each.name not in found.values())


def _renames(missing: Sequence[Known], new: Sequence[Column], but: Mapping[str, str], shares: Shares) -> dict[str, str]:
    """New columns with the name of the missing one that each probably is; *but* holds pairs that are something else."""
    before = [Named(each.name, each.type) for each in missing if each.name not in but.values()]
    now = [Named(each.name, each.type if each.samples else None) for each in new if each.name not in but]
    return find_renames(before, now, shares)


def of_volume(rows: int, earlier: Sequence[int]) -> Difference | None:
    """Whether a file has less than half or more than twice the usual rows; *earlier* are those of the files before it, the newest first."""
    usual = median(earlier[:MOST_EARLIER]) if earlier else 0
    if not usual or FEWEST * usual <= rows <= MOST * usual:
        return None
    return Difference("volume", None, int(usual), rows, rows)


# ---------------------------------------------------------------- columns

_UNIT = re.compile(r"^(?P<base>.*\S)\s*(?:\((?P<round>[^()]{1,12})\)|\[(?P<square>[^\[\]]{1,12})\])\s*$", re.DOTALL)


def unit_of(header: str) -> str | None:
    """What stands in brackets at the end of a header, as units do: Weight (kg)."""
    found = _UNIT.match(header)
    return (found["round"] or found["square"]).strip() if found else None


def _base_of(header: str) -> str | None:
    found = _UNIT.match(header)
    return found["base"].strip().casefold() if found else None


def _other_units(missing: Sequence[Known], new: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """New columns whose header is that of a missing one but for its unit: kilograms are not pounds under another name."""
    before = {base: each.name for each in missing if (base := _base_of(each.header))}
    for column in new:
        base = _base_of(column.header)
        if base in before:
            yield column.name, before.pop(base)


def _moved(before: Mapping[str, Known], columns: Sequence[Column]) -> list[Difference]:
    """The fewest columns that must have moved for the others to stand in the order of the file before."""
    shared = [(place, each.name) for each in columns if (known := before.get(each.name)) and (place := known.place) is not None]
    stay = _longest_rising([place for place, _ in shared])
    places = {each.name: place for place, each in enumerate(columns, start=1)}
    return [Difference("moved", name, was, places[name]) for index, (was, name) in enumerate(shared) if index not in stay]


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """The indices of one longest rising part."""
    ends: list[int] = []  # the least number that a rising part of each length ends with
    at: list[int] = []  # and its index
    previous: list[int | None] = []
    for index, number in enumerate(numbers):
        length = bisect_left(ends, number)
        previous.append(at[length - 1] if length else None)
        ends[length : length + 1] = [number]
        at[length : length + 1] = [index]
    stay: set[int] = set()
    last = at[-1] if at else None
    while last is not None:
        stay.add(last)
        last = previous[last]
    return stay


# ---------------------------------------------------------------- values

_NUMBERS = (ColumnType.BIGINT, ColumnType.NUMERIC, ColumnType.DOUBLE)
_FITTING = {
    (ColumnType.BIGINT, ColumnType.NUMERIC),
    (ColumnType.BIGINT, ColumnType.DOUBLE),
    (ColumnType.NUMERIC, ColumnType.DOUBLE),
    (ColumnType.DATE, ColumnType.TIMESTAMP),
}
"""What loses nothing in a column of the other type."""


def _of_values(known: Known, column: Column) -> Iterator[Difference]:
    """What differs in the values of a column that both have; without values nothing does."""
    if not column.samples:
        return
    # A column that is text takes anything: there the file before says what is usual.
    usual = known.last_type if known.type is ColumnType.TEXT and known.last_type else known.type
    if usual and usual is not column.type and (column.type, usual) not in _FITTING and usual is not ColumnType.TEXT:
        yield Difference("type", column.name, usual.value, column.type.value)
    if known.last_type is None:
        return
    was, now = known.notation, column.notation
    if was.currency != now.currency and known.last_type in _NUMBERS and column.type in _NUMBERS:
        yield Difference("unit", column.name, was.currency or None, now.currency or None)
    written = _written(known, column)
    if written is not None:
        yield Difference("notation", column.name, *written)


def _written(known: Known, column: Column) -> tuple[str, str] | None:
    """How values were written and are now, where that differs for certain."""
    was, now = known.notation, column.notation
    if known.last_type in _NUMBERS and column.type in _NUMBERS:
        return (_number(was), _number(now)) if _numbers_differ(known, column) else None
    if known.last_type is column.type and column.type is ColumnType.BOOLEAN:
        return ("/".join(was.booleans), "/".join(now.booleans)) if was.booleans != now.booleans else None
    forms = _form(was), _form(now)
    return (form_in_letters(forms[0]), form_in_letters(forms[1])) if all(forms) and forms[0] != forms[1] else None


def _numbers_differ(known: Known, column: Column) -> bool:
    """Whether marks that both show differ: a month without decimals or thousands shows none."""
    was, now = known.notation, column.notation
    marks = known.scale > 0 and column.scale > 0 and was.decimal != now.decimal
    thousands = bool(was.thousands and now.thousands) and was.thousands != now.thousands
    return marks or thousands or was.percent != now.percent


def _number(notation: Notation) -> str:
    return f"1{notation.thousands}234{notation.decimal}5{'%' if notation.percent else ''}"


def _form(notation: Notation) -> str:
    """The form of dates without what changes from day to day; "" where cells are dates themselves."""
    return "" if notation.date_form == "serial" else re.sub(r"%[-_](?=[dmHIb])", "%", notation.date_form)


def sentence(dataset: str, texts: Sequence[str]) -> str:
    """What differs from a dataset in one line, as the log tells it."""
    return f"{counted(len(texts), 'difference')} from {dataset}: {'; '.join(texts)}"


def lines(drift: Sequence[Mapping[str, object]]) -> list[str]:
    """The same for each dataset, of the drift in a file's record."""
    texts: dict[str, list[str]] = {}
    for each in drift:
        texts.setdefault(str(each["dataset"]), []).append(str(each["text"]))
    return [sentence(dataset, found) for dataset, found in texts.items()]
