"""The correction record as a form: what stands in its fields, and what a form that was sent says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from levelpool.sheets.clean.form_words import as_written
from levelpool.sheets.clean.option_fields import COLUMN_FIELDS, FIELDS, OptionField
from levelpool.sheets.clean.options import ColumnOptions, TableOptions, letters_of
from levelpool.sheets.errors import OptionsRefused

Json = dict[str, Any]
Sent = Mapping[str, Sequence[str]]

MOST_COLUMNS = 200
"""A wider table shows so many columns, the corrected ones among them; the others can be corrected over the API."""

MOST_SHEETS = 10_000
"""So many sheets are named again when a form is sent."""
MOST_FIELDS = len(FIELDS) + MOST_COLUMNS * len(COLUMN_FIELDS) + MOST_SHEETS + 16
"""Fields that a whole form has, with those of the columns that it shows; no more are read."""

_ROWS = tuple(each.name for each in FIELDS if each.widget == "row")
_TEXTS = tuple(each.name for each in FIELDS if each.widget == "text")
_MARKS = {each.name: each for each in FIELDS if each.widget == "mark"}
_SWITCHES = {each.name: each.ticked for each in FIELDS if each.widget == "tick"}
"""What a ticked box says."""
_OF_COLUMN = tuple(each.name for each in COLUMN_FIELDS)


@dataclass(frozen=True, slots=True)
class Form:
    """The texts in the fields, as they are shown again; `columns` holds one record per column about which something is said."""

    fields: dict[str, str] = field(default_factory=dict)
    columns: tuple[dict[str, str], ...] = ()
    sheets: tuple[str, ...] = ()  # names that were seen: with one sheet chosen, the others are not read

    def text(self, name: str) -> str:
        """What stands in a field."""
        return self.fields.get(name, "")


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """One column of the form: what was found, and what is said."""

    key: str  # as the record calls it: by its header, or by its letter
    letter: str
    header: str
    type: str  # as found; "" when no column of that name was found
    name: str
    why: str
    said: dict[str, str]

    def text(self, name: str) -> str:
        """What stands in a field."""
        return self.said.get(name, "")


# ---------------------------------------------------------------- from and to the record


def form_of(options: TableOptions) -> Form:
    """The fields of a record."""
    said: Json = options.to_dict()
    fields = {name: str(said[name]) for name in _TEXTS if name in said}
    fields |= {name: "on" for name, ticked in _SWITCHES.items() if said.get(name, not ticked) is ticked}
    if options.sheet is not None:
        fields["sheet"] = f"at:{options.sheet}" if isinstance(options.sheet, int) else f"name:{options.sheet}"
    fields |= {name: str(said[name] + 1) for name in _ROWS if name in said}
    if options.day_first is not None:
        fields["first"] = "day" if options.day_first else "month"
    fields |= {name: each.told(said[name]) for name, each in _MARKS.items() if name in said}
    fields["blanks"] = "\n".join(sorted(options.blanks))
    return Form(fields, tuple(_column_texts(each) for each in options.columns))


def _column_texts(column: ColumnOptions) -> dict[str, str]:
    return {name: as_written(str(value)) if name == "date_form" else str(value) for name, value in column.to_dict().items()}


def read_form(sent: Sent) -> Form:
    """A form as it was sent."""
    fields = {name: values[0] for name, values in sent.items() if not name.startswith("column_")}
    texts = [sent.get(f"column_{name}", ()) for name in _OF_COLUMN]
    columns = [dict(zip(_OF_COLUMN, row, strict=True)) for row in zip(*texts, strict=False)]
    spoken = tuple({name: text for name, text in each.items() if text.strip() or name == "header"} for each in columns)
    return Form(fields, tuple(each for each in spoken if len(each) > 1), tuple(sent.get("known_sheet", ())))


def options_of(form: Form) -> TableOptions:
    """The record that a form says. Raises `OptionsRefused`, which names the field."""
    said: Json = {name: form.text(name).strip() for name in _TEXTS if form.text(name).strip()}
    said |= {name: ticked for name, ticked in _SWITCHES.items() if form.text(name)}
    said |= {name: _row(name, form.text(name)) for name in _ROWS if form.text(name).strip()}
    said |= _sheet(form.text("sheet"))
    if form.text("first"):
        said["day_first"] = form.text("first") == "day"
    said |= {name: _mark(each, form.text(name)) for name, each in _MARKS.items() if form.text(name)}
    said["blanks"] = [line for line in form.text("blanks").splitlines() if line]
    said["columns"] = [{name: text if name == "header" else text.strip() for name, text in column.items()} for column in form.columns]
    return TableOptions.from_dict(said)


def _sheet(text: str) -> Json:
    kind, _, value = text.partition(":")
    if not value:
        return {}
    return {"sheet": int(value) if kind == "at" and _is_number(value) else value}


def _row(name: str, text: str) -> int:
    if not _is_number(text.strip()) or int(text) < 1:
        raise OptionsRefused(
            f"the row of the header cannot be {text!r}: give its number as it stands at the left of the sheet, from 1 on",
            option=name,
            value=text,
            allowed="a row, counted from 1",
        )
    return int(text) - 1


def _mark(field: OptionField, text: str) -> str:
    word = text.strip().lower()
    said = field.heard(word)
    return said if said != word else text.strip() or text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


# ---------------------------------------------------------------- beside what was found


def column_rows(form: Form, found: Iterable[Json]) -> tuple[list[ColumnRow], int]:
    """The columns of all tables that were *found*, each once, with what is said of them; and how many there are no fields for."""
    said = {each["header"]: each for each in form.columns}
    rows: dict[str, ColumnRow] = {}
    for table in found:
        headers = [column["header"] for column in table["columns"]]
        for column in table["columns"]:
            letter = letters_of(column["position"])
            # Two columns of the same header are told apart by their letters.
            key = column["header"] if column["header"] and headers.count(column["header"]) == 1 else letter
            row = ColumnRow(key, letter, column["header"], column["type"], column["name"], column["why"], said.get(key, {}))
            rows.setdefault(key, row)
    rows |= {key: ColumnRow(key, "", key, "", "", "", each) for key, each in said.items() if key not in rows}
    first = sorted(rows.values(), key=lambda row: not row.said)[:MOST_COLUMNS] if len(rows) > MOST_COLUMNS else list(rows.values())
    return first, len(rows) - len(first)


def sheet_names(form: Form, found: Iterable[Json]) -> list[str]:
    """All sheets that were seen so far, each once."""
    said = [form.text("sheet").removeprefix("name:")] if form.text("sheet").startswith("name:") else []
    return list(dict.fromkeys([*form.sheets, *(str(table["name"]) for table in found), *said]))
