"""The correction record: frozen, and the same after JSON."""

import json

import pytest

from levelpool.sheets import ColumnOptions, ColumnType, TableOptions
from levelpool.sheets.clean.options import letters_of, parse_box
from levelpool.sheets.errors import OptionsRefused

ALL_SAID = TableOptions(
    sheet="May",
    hidden_sheets=False,
    hidden_rows=False,
    box="B4:F900",
    header=4,
    header_from=3,
    one_table=True,
    side_by_side=False,
    keep_totals=True,
    blanks=frozenset({"NA", "-"}),
    policy="error",
    decimal=",",
    day_first=False,
    columns=(ColumnOptions(header="Date", name="day", type=ColumnType.DATE, date_form="%d/%m/%Y", decimal=","),),
    encoding="gb18030",
    delimiter=";",
    quote="",
)


@pytest.mark.parametrize("options", [TableOptions(), ALL_SAID])
def test_the_record_is_the_same_after_json(options):
    """A template, a request and the ledger carry it as JSON."""
    assert TableOptions.from_json(options.to_json()) == options


def test_what_is_not_said_is_not_written():
    """So that a later version may have more to say."""
    assert TableOptions(header=0).to_dict() == {"header": 0}


def test_the_password_is_shown_nowhere():
    """Not in JSON, not in what a log would print, and no JSON may bring one."""
    options = TableOptions(password="open sesame", header=1)

    assert "sesame" not in options.to_json() + repr(options) + str(options)
    with pytest.raises(OptionsRefused, match="password") as refused:
        TableOptions.from_dict({"password": "open sesame"})
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"haeder": 1}, "no option 'haeder': the options are sheet, "),
        ({"header": "1"}, "header cannot be '1': give int or null"),
        ({"header": True}, "header cannot be True"),
        ({"header": -1}, "counted from 0"),
        ({"header_from": 2}, "at or above `header`"),
        ({"box": "B4-F9"}, "such as B4:F900"),
        ({"box": "F9:B4"}, "the first cell, then the last one"),
        ({"box": ":"}, "such as B4:F900"),
        ({"policy": "none"}, "give row, cell, error"),
        ({"decimal": ";"}, "give '.' or ','"),
        ({"delimiter": ";;"}, "one character"),
        ({"encoding": "klingon"}, "such as gb18030"),
        ({"blanks": "NA"}, "a list of texts"),
        ({"columns": [{"name": "x"}]}, "the header of a column"),
        ({"columns": [{"header": "x", "type": "INT"}]}, "BIGINT"),
        ({"columns": {"header": "x"}}, "a list of objects"),
        (["header"], "a JSON object, not list"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(said, told):
    """One sentence: the option, its value, and what is allowed."""
    with pytest.raises(OptionsRefused) as refused:
        TableOptions.from_json(json.dumps(said))

    assert told in str(refused.value)


def test_no_json_is_told():
    """A file that is something else."""
    with pytest.raises(OptionsRefused, match="no JSON"):
        TableOptions.from_json("header=1")


def test_boxes_may_be_open_on_any_side():
    """Rows alone, columns alone, or no end."""
    assert (parse_box("$B$4:F900").first_row, parse_box("b4:f900").last_column) == (4, 5)
    assert (parse_box("B:F").first_row, parse_box("B:F").last_row) == (1, 1 << 40)
    assert (parse_box("4:900").first_column, parse_box("4:").first_row) == (0, 4)
    assert [letters_of(column) for column in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ({"blanks": "NA"}, "blanks"),
        ({"header": "3"}, "header"),
        ({"header": True}, "header"),
        ({"sheet": ["May"]}, "sheet"),
        ({"columns": [{"header": "SKU"}]}, "columns"),
    ],
)
def test_a_program_that_says_the_wrong_kind_of_thing_is_told(said, option):
    """A text of blanks would be taken for its letters, and a list of sheets for none: both are refused where they are said."""
    with pytest.raises(OptionsRefused) as refused:
        TableOptions(**said)

    assert refused.value.option == option


def test_lists_sets_and_names_of_types_are_taken_as_they_are_meant():
    """What is written in the ordinary way is the same record."""
    plain = TableOptions(blanks=["NA"], columns=[ColumnOptions(header="SKU", type="TEXT")])

    assert plain == TableOptions(blanks=frozenset({"NA"}), columns=(ColumnOptions(header="SKU", type=ColumnType.TEXT),))
