"""
The correction record: what a person says about a file; all that is left unsaid is found out.

It is frozen and goes to JSON and back, so that it can be kept beside a file, sent with a request, and carried by a template.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from levelpool.sheets.clean import option_fields
from levelpool.sheets.clean.form_words import ALLOWED_FORMS, form_of
from levelpool.sheets.clean.option_fields import COLUMN_FIELDS, FIELDS, NULL
from levelpool.sheets.clean.subsheets import Span
from levelpool.sheets.errors import OptionsRefused
from levelpool.sheets.table import ColumnType, Json

Policy = option_fields.Policy
POLICIES = option_fields.POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOptions:
    """What a person says about one column."""

    header: str  # which column: its header, as the plan shows it; or its letter in the sheet, such as "C"
    name: str | None = None  # its name in the database
    type: ColumnType | None = None  # its type, or the name of it; a value that does not fit goes to quarantine
    date_form: str | None = None  # how its dates are written: "DD/MM/YYYY" or "%d/%m/%Y", which it becomes
    decimal: str | None = None  # "." or ",": which mark parts the decimals

    def __post_init__(self) -> None:
        _check_types(self, _COLUMN_TYPES)
        _check(self.decimal in {None, ".", ","}, "decimal", self.decimal, "'.' or ','")
        if self.date_form is not None:
            form = form_of(self.date_form)
            if form is None:
                raise _refused("date_form", self.date_form, ALLOWED_FORMS)
            object.__setattr__(self, "date_form", form)
        if self.type is not None:
            _check(self.type in _KINDS, "type", self.type, ", ".join(_KINDS))
            object.__setattr__(self, "type", _KINDS[self.type])

    def to_dict(self) -> dict[str, Json]:
        """What is said, ready for JSON; what is left unsaid is left out."""
        return _said(self)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Self:
        """The record that `to_dict` wrote; raises `OptionsRefused` for anything else."""
        values = dict(_known(cls, said))
        _check(isinstance(values.get("header"), str), "header", values.get("header"), "the header of a column")
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """Corrections to what would be found out; what is said holds for each sheet that is read, so name the sheet where they differ."""

    sheet: str | int | None = None  # only this sheet, by name or 0-based position
    hidden_sheets: bool = True  # False: hidden sheets are left out
    hidden_rows: bool = True  # False: hidden rows are left out
    box: str | None = None  # where the table is, header included: "B4:F900", "B:F", "4:900", "B4:"; all else is left out
    header: int | None = None  # 0-based row of the (last) header row
    header_from: int | None = None  # 0-based row of the first one, where several name the columns
    no_header: bool = False  # the first row is data
    one_table: bool = False  # blank rows part nothing: all that follows the header is one table
    side_by_side: bool = True  # False: blank columns part nothing
    keep_totals: bool = False  # rows of totals are data
    blanks: frozenset[str] = frozenset()  # texts that mean "no value", such as "NA" or "-"
    policy: Policy | None = None  # what a cell that cannot be loaded keeps out; None: as the dataset has it, "row" at first
    decimal: str | None = None  # "." or ",": which mark parts the decimals where no row decides
    day_first: bool | None = None  # whether the day or the month comes first where no row decides
    columns: tuple[ColumnOptions, ...] = ()
    encoding: str | None = None  # of a text file, by its Python name
    delimiter: str | None = None  # of a text file
    quote: str | None = None  # of a text file: the quotation mark, or "" when all of them are ordinary characters
    password: str | None = field(default=None, repr=False)  # opens an encrypted workbook; never shown, stored or written to JSON

    def __post_init__(self) -> None:
        _check_types(self, _TYPES)
        _check(_is_texts(self.blanks), "blanks", self.blanks, "a list of texts")
        object.__setattr__(self, "blanks", frozenset(self.blanks))
        _check(all(isinstance(each, ColumnOptions) for each in self.columns), "columns", self.columns, "a ColumnOptions for each")
        object.__setattr__(self, "columns", tuple(self.columns))
        if self.box is not None:
            parse_box(self.box)
        _check(self.decimal in {None, ".", ","}, "decimal", self.decimal, "'.' or ','")
        _check(self.policy is None or self.policy in POLICIES, "policy", self.policy, ", ".join(POLICIES))
        _check(self.delimiter is None or _is_mark(self.delimiter), "delimiter", self.delimiter, "one character that ends no line")
        _check(self.quote in {None, ""} or _is_mark(self.quote), "quote", self.quote, "one character, or '' for none")
        for name in ("header", "header_from"):
            value = getattr(self, name)
            _check(value is None or value >= 0, name, value, "a row, counted from 0")
        if self.header_from is not None:
            _check(
                self.header is not None and self.header_from <= self.header,
                "header_from",
                self.header_from,
                "a row at or above `header`, which must be said, too",
            )
        if self.encoding is not None:
            _check(_is_encoding(self.encoding), "encoding", self.encoding, "an encoding that Python knows, such as gb18030")

    def column(self, header: str, letter: str = "") -> ColumnOptions | None:
        """What is said about the column with this header, or with this letter."""
        said = next((each for each in self.columns if each.header == header), None)
        return said or next((each for each in self.columns if letter and each.header == letter), None)

    def to_dict(self) -> dict[str, Json]:
        """What is said, ready for JSON; what is left unsaid is left out, and so is the password."""
        return {name: value for name, value in _said(self).items() if name != "password"}

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Self:
        """The record that `to_dict` wrote; raises `OptionsRefused`, which names the field, for anything else."""
        values = dict(_known(cls, said))
        _check("password" not in values, "password", "…", "nothing: a password is given by itself, never in a file")
        if "columns" in values:
            _check(isinstance(values["columns"], list | tuple), "columns", values["columns"], "a list of objects")
            values["columns"] = tuple(_column_options(place, each) for place, each in enumerate(values["columns"]))
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The record of a JSON text; raises `OptionsRefused`."""
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionsRefused(f"the options are no JSON ({error})", allowed="a JSON object") from error
        return cls.from_dict(said)


# ---------------------------------------------------------------- the box

_BOX = re.compile(r"([A-Z]{0,3})([0-9]{0,10}):([A-Z]{0,3})([0-9]{0,10})", re.IGNORECASE)
_LAST = 1 << 40


def parse_box(text: str) -> Span:
    """The rectangle of "B4:F900", "B:F", "4:900" or "B4:"; raises `OptionsRefused`."""
    found = _BOX.fullmatch(text.strip().replace("$", ""))
    if found is None or not any(found.groups()):
        raise _refused("box", text, "the first and the last cell, such as B4:F900, B:F, 4:900 or B4:")
    left, top, right, bottom = found.groups()
    span = Span(int(top or 1), column_of(left) if left else 0, int(bottom or _LAST), column_of(right) if right else _LAST)
    _check(1 <= span.first_row <= span.last_row and span.first_column <= span.last_column, "box", text, "the first cell, then the last one")
    return span


def column_of(letters: str) -> int:
    """The 0-based column of "A", "BC", ..."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def letters_of(column: int) -> str:
    """ "A", "BC", ... of a 0-based column."""
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


# ---------------------------------------------------------------- JSON


def _said(record: ColumnOptions | TableOptions) -> dict[str, Json]:
    return {each.name: _plain(value) for each in fields(record) if (value := getattr(record, each.name)) != each.default}


def _plain(value: Any) -> Json:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [each.to_dict() for each in value]
    plain: Json = value.value if isinstance(value, ColumnType) else value
    return plain


_KINDS = {kind.value: kind for kind in ColumnType}
_CHECKED_APART = {"blanks", "columns", "password"}
_TYPES = {each.name: each.types for each in FIELDS if each.name not in _CHECKED_APART}
_COLUMN_TYPES = {each.name: each.types for each in COLUMN_FIELDS}


def _known(record: type[ColumnOptions | TableOptions], said: Mapping[str, Any]) -> Mapping[str, Any]:
    """*said*, of which every field is one of the record's, and of a fitting type."""
    if not isinstance(said, Mapping):
        raise OptionsRefused(f"options are a JSON object, not {type(said).__name__}", value=said, allowed="a JSON object")
    names = [each.name for each in fields(record)]
    for name in said:
        if name not in names:
            known = ", ".join(names)
            # Its value is not repeated: it may be a password under a wrong name.
            raise OptionsRefused(f"there is no option {name!r}: the options are {known}", option=name, allowed=known)
    return said


def _check_types(record: ColumnOptions | TableOptions, types: Mapping[str, tuple[type, ...]]) -> None:
    for name, allowed in types.items():
        value = getattr(record, name)
        fits = isinstance(value, allowed) and not (isinstance(value, bool) and bool not in allowed)
        _check(fits, name, value, " or ".join("null" if each is NULL else each.__name__ for each in allowed))


def _is_texts(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(each, str) for each in value)


def _is_mark(text: str | None) -> bool:
    return text is not None and len(text) == 1 and text not in "\r\n\0"


def _is_encoding(name: str) -> bool:
    try:
        return isinstance("".encode(name), bytes)
    except (LookupError, ValueError):
        return False


def _column_options(place: int, said: Mapping[str, Any]) -> ColumnOptions:
    """The record of one column; a refusal says which column's it is."""
    try:
        return ColumnOptions.from_dict(said)
    except OptionsRefused as error:
        where = f"columns[{place}].{error.option}"
        raise OptionsRefused(f"column {place + 1}: {error}", option=where, value=error.value, allowed=error.allowed) from None


def _check(fits: bool, name: str, value: object, allowed: str) -> None:
    if not fits:
        raise _refused(name, value, allowed)


def _refused(name: str, value: object, allowed: str) -> OptionsRefused:
    return OptionsRefused(f"the option {name} cannot be {value!r}: give {allowed}", option=name, value=value, allowed=allowed)
