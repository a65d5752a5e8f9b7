"""
What a person can say about a file, told once: the fields of the correction record with their types, flags, widgets and readers.

The checks of the record, what the readers are asked for, the options of the command line, the form of the page and the schema of the API follow
from `FIELDS`; tests hold the record itself and the reference against it. To add a field, give the record its attribute and this table its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Widget = Literal["text", "row", "tick", "mark", "own"]
"""In the form: a text as it is, a row counted from 1, a box that says `ticked`, a character or a word for it, or fields of its own."""

Group = Literal["where", "ticks", "text", "values"]
"""The groups of the form, in their order: where the table is, with its boxes to tick; how a text is read; what values mean."""

NULL = type(None)
Policy = Literal["row", "cell", "error"]
"""What a cell that cannot be loaded keeps out: its whole row, or itself alone; "error": itself alone if it is an error of the spreadsheet."""
POLICIES: tuple[Policy, ...] = ("row", "cell", "error")
MARKS = (".", ",")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """An option of the command line."""

    spelled: tuple[str, ...]
    help: str
    shown: Mapping[str, Any]  # further arguments of the option, such as its metavar


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionField:
    """One field of the record."""

    name: str
    types: tuple[type, ...]
    means: str
    flag: Flag | None = None
    widget: Widget = "own"
    ticked: bool = True  # what a ticked box says
    is_for_reader: bool = False  # how a file is read, before anybody looks for tables
    choices: tuple[str, ...] = ()
    place: tuple[Group, int] | None = None  # in the form: the group, and how far down
    spoken: tuple[tuple[str, str], ...] = ()  # words for what is hard to type, and what they say

    def heard(self, text: str) -> str:
        """What a person means by *text*."""
        return dict(self.spoken).get(text, text)

    def told(self, value: str) -> str:
        """What *value* is called; the first of its words."""
        return next((word for word, said in self.spoken if said == value), value)


def _flag(*spelled: str, help: str, **shown: Any) -> Flag:  # noqa: A002  # as click calls it
    return Flag(spelled=spelled, help=help, shown=shown)


_VISIBLE = _flag("--visible-only", help="Leave hidden sheets and rows out.", is_flag=True)

FIELDS = (
    OptionField(
        name="sheet",
        types=(str, int, NULL),
        means="Only this sheet, by its name or its 0-based position.",
        flag=_flag("--sheet", metavar="NAME", help="Only this sheet."),
        is_for_reader=True,
        place=("where", 0),
    ),
    OptionField(
        name="hidden_sheets",
        types=(bool,),
        means="False: hidden sheets are left out.",
        flag=_VISIBLE,
        widget="tick",
        ticked=False,
        place=("ticks", 4),
    ),
    OptionField(
        name="hidden_rows",
        types=(bool,),
        means="False: hidden rows are left out.",
        flag=_VISIBLE,
        widget="tick",
        ticked=False,
        place=("ticks", 5),
    ),
    OptionField(
        name="box",
        types=(str, NULL),
        means="Where the table is, its header included, such as B4:F900.",
        flag=_flag("--box", metavar="B4:F900", help="Where the table is, its header included; B:F and 4: are open ones."),
        widget="text",
        place=("where", 3),
    ),
    OptionField(
        name="header",
        types=(int, NULL),
        means="The 0-based row of the (last) header row.",
        flag=_flag("--header-row", help="The (last) row of the header, as the report shows it."),
        widget="row",
        place=("where", 1),
    ),
    OptionField(
        name="header_from",
        types=(int, NULL),
        means="The 0-based row of the first header row, where several name the columns.",
        flag=_flag("--first-header-row", help="The first one, where several rows name the columns."),
        widget="row",
        place=("where", 2),
    ),
    OptionField(
        name="no_header",
        types=(bool,),
        means="The first row is data.",
        flag=_flag("--no-header", is_flag=True, help="The first row is data."),
        widget="tick",
        place=("ticks", 0),
    ),
    OptionField(
        name="one_table",
        types=(bool,),
        means="Blank rows part nothing.",
        flag=_flag("--one-table", is_flag=True, help="Blank rows and columns part nothing."),
        widget="tick",
        place=("ticks", 1),
    ),
    OptionField(
        name="side_by_side",
        types=(bool,),
        means="False: blank columns part nothing.",
        flag=_flag("--one-table", is_flag=True, help="Blank rows and columns part nothing."),
        widget="tick",
        ticked=False,
        place=("ticks", 2),
    ),
    OptionField(
        name="keep_totals",
        types=(bool,),
        means="Rows of totals are data.",
        flag=_flag("--keep-totals", is_flag=True, help="Rows of totals are data."),
        widget="tick",
        place=("ticks", 3),
    ),
    OptionField(
        name="blanks",
        types=(list, tuple, set, frozenset),
        means='Texts that mean "no value".',
        flag=_flag("--blank", multiple=True, metavar="TEXT", help='A text that means "no value", such as NA; may be given again.'),
        place=("values", 3),
    ),
    OptionField(
        name="policy",
        types=(str, NULL),
        means="What a cell that cannot be loaded keeps out.",
        flag=_flag("--policy", help="What a cell that cannot be loaded keeps out."),
        widget="text",
        choices=POLICIES,
        place=("values", 2),
    ),
    OptionField(
        name="decimal",
        types=(str, NULL),
        means="Which mark parts the decimals, where no row decides.",
        flag=_flag("--decimal", help="Which mark parts decimals, where no row decides."),
        widget="text",
        choices=MARKS,
        place=("values", 1),
    ),
    OptionField(
        name="day_first",
        types=(bool, NULL),
        means="Whether the day or the month comes first, where no row decides.",
        flag=_flag("--day-first/--month-first", default=None, help="Which of the two comes first, where no row decides."),
        place=("values", 0),
    ),
    OptionField(name="columns", types=(list, tuple), means="What is said about single columns."),
    OptionField(
        name="encoding",
        types=(str, NULL),
        means="The encoding of a text file, by its Python name.",
        flag=_flag("--encoding", metavar="NAME", help="Of a text file, such as gb18030."),
        widget="text",
        is_for_reader=True,
        place=("text", 0),
    ),
    OptionField(
        name="delimiter",
        types=(str, NULL),
        means="The delimiter of a text file.",
        flag=_flag("--delimiter", metavar="CHARACTER", help='Of a text file; "tab" is one, too.'),
        is_for_reader=True,
        place=("text", 1),
        widget="mark",
        spoken=(("tab", "\t"), ("\\t", "\t")),
    ),
    OptionField(
        name="quote",
        types=(str, NULL),
        means='The quotation mark of a text file; "": all are ordinary characters.',
        flag=_flag("--quote", metavar="CHARACTER", help='Quotation mark of a text file; "none": all are ordinary characters.'),
        is_for_reader=True,
        place=("text", 2),
        widget="mark",
        spoken=(("none", ""),),
    ),
    OptionField(
        name="password",
        types=(str, NULL),
        means="Opens an encrypted workbook; it stands in no JSON.",
        flag=_flag("--password", is_flag=True, help="Ask for the password of an encrypted workbook; or set LEVELPOOL_FILE_PASSWORD."),
        is_for_reader=True,
    ),
)
"""The fields of `TableOptions`, in their order."""

COLUMN_FIELDS = (
    OptionField(name="header", types=(str,), means="Which column: its header, or its letter in the sheet."),
    OptionField(
        name="name",
        types=(str, NULL),
        means="Its name in the database.",
        flag=_flag("--name", multiple=True, metavar="HEADER=NAME", help="What a column is called; may be given again."),
    ),
    OptionField(
        name="type",
        types=(str, NULL),
        means="Its type; a value that does not fit goes to quarantine.",
        flag=_flag("--type", multiple=True, metavar="HEADER=TYPE", help="The type of a column, such as TEXT; may be given again."),
    ),
    OptionField(
        name="date_form",
        types=(str, NULL),
        means="How its dates are written, such as DD/MM/YYYY or %d/%m/%Y.",
        flag=_flag("--date-form", multiple=True, metavar="HEADER=FORM", help="How a column's dates are written, such as DD/MM/YYYY."),
    ),
    OptionField(name="decimal", types=(str, NULL), means="Which mark parts its decimals.", choices=MARKS),
)
"""The fields of `ColumnOptions`, in their order."""


def form_fields(group: Group) -> tuple[OptionField, ...]:
    """Those of a group of the form, from its top to its bottom."""
    placed = [(each.place[1], each) for each in FIELDS if each.place is not None and each.place[0] == group]
    return tuple(each for _, each in sorted(placed, key=lambda pair: pair[0]))


def flags() -> list[tuple[Flag, OptionField]]:
    """The options of the command line, each once, with the first field that it is for."""
    found: dict[tuple[str, ...], tuple[Flag, OptionField]] = {}
    for field in (*FIELDS, *COLUMN_FIELDS):
        if field.flag is not None:
            found.setdefault(field.flag.spelled, (field.flag, field))
    return list(found.values())


_JSON = {str: "string", int: "integer", bool: "boolean", NULL: "null"}


def schema() -> dict[str, Any]:
    """The JSON schema of the record, without the password, which is given by itself."""
    columns = {"type": "array", "items": _object(COLUMN_FIELDS) | {"required": ["header"]}}
    texts = {"type": "array", "items": {"type": "string"}}
    said = _object(field for field in FIELDS if field.name != "password")
    for name, form in {"columns": columns, "blanks": texts}.items():
        said["properties"][name] = {"description": said["properties"][name]["description"]} | form
    return said


def _object(fields: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {field.name: _property(field) for field in fields}}


def _property(field: OptionField) -> dict[str, Any]:
    kinds = [_JSON[each] for each in field.types if each in _JSON]
    found: dict[str, Any] = {"description": field.means, "type": kinds[0] if len(kinds) == 1 else kinds}
    return found | ({"enum": [*field.choices, None]} if field.choices else {})
