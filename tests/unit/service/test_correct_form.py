"""The correction record as a form: whatever it says comes back from its fields, and what was found stands beside what is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levelpool.service.correct_form import MOST_COLUMNS, Form, column_rows, form_of, options_of, read_form, sheet_names
from levelpool.sheets import ColumnOptions, ColumnType, TableOptions
from levelpool.sheets.errors import OptionsRefused

words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
columns = st.builds(
    ColumnOptions,
    header=words,
    name=st.none() | words,
    type=st.none() | st.sampled_from(ColumnType),
    date_form=st.sampled_from([None, "%d/%m/%Y"]),
    decimal=st.sampled_from([None, ".", ","]),
).filter(lambda column: len(column.to_dict()) > 1)
records = st.builds(
    TableOptions,
    sheet=st.none() | words | st.integers(0, 9),
    hidden_sheets=st.booleans(),
    hidden_rows=st.booleans(),
    box=st.sampled_from([None, "B4:F900", "4:"]),
    header=st.integers(5, 900),
    header_from=st.none() | st.integers(0, 5),
    one_table=st.booleans(),
    side_by_side=st.booleans(),
    keep_totals=st.booleans(),
    no_header=st.booleans(),
    blanks=st.frozensets(words, max_size=3),
    policy=st.sampled_from([None, "row", "cell", "error"]),
    decimal=st.sampled_from([None, ".", ","]),
    day_first=st.sampled_from([None, True, False]),
    columns=st.lists(columns, max_size=3).map(tuple),
    encoding=st.sampled_from([None, "gb18030"]),
    delimiter=st.sampled_from([None, ";", "\t", " ", "|"]),
    quote=st.sampled_from([None, "", "'", '"']),
)


def as_sent(form: Form) -> dict[str, list[str]]:
    """What a browser sends for the fields of a form."""
    sent = {name: [text] for name, text in form.fields.items()}
    for name in ("header", "name", "type", "date_form", "decimal"):
        sent[f"column_{name}"] = [column.get(name, "") for column in form.columns]
    return sent


@given(records)
def test_record_survives_its_form(options):
    """Nothing that was said, by whatever door, is lost when a person opens the page and sends it as it is."""
    assert options_of(read_form(as_sent(form_of(options)))) == options


def test_empty_form_says_nothing():
    """All is found out."""
    assert (
        options_of(read_form({"asked": ["1"], "header": [" "], "blanks": ["\r\n"], "column_header": ["a"], "column_name": [""]}))
        == TableOptions()
    )


@pytest.mark.parametrize(
    ("field", "text", "option"),
    [
        ("header", "0", "header"),
        ("header", "four", "header"),
        ("header_from", "2", "header_from"),
        ("box", "B", "box"),
        ("delimiter", ";;", "delimiter"),
    ],
)
def test_field_that_cannot_be_is_named(field, text, option):
    """The page can point at it."""
    with pytest.raises(OptionsRefused) as refused:
        options_of(Form({field: text}))

    assert refused.value.option == option


def found(*headers: str, sheet: str = "S") -> dict[str, object]:
    return {
        "name": sheet,
        "columns": [
            {"header": header, "name": header.lower(), "type": "TEXT", "why": "…", "position": place}
            for place, header in enumerate(headers)
        ],
    }


def test_each_column_has_one_row_whatever_table_it_is_in():
    """What is said by header holds for all of them; two of the same header are told apart by their letters; what was not found stays."""
    form = Form(columns=({"header": "Qty", "type": "TEXT"}, {"header": "Gone", "name": "x"}))

    rows, more = column_rows(form, [found("SKU", "Qty"), found("Qty", "Note", "Note", "")])

    assert [row.key for row in rows] == ["SKU", "Qty", "B", "C", "D", "Gone"]
    assert [(row.type, row.text("type")) for row in rows if row.said] == [("TEXT", "TEXT"), ("", "")]
    assert more == 0


def test_wide_table_shows_its_corrected_columns_first():
    """A page with a thousand rows of fields is no help."""
    rows, more = column_rows(Form(columns=({"header": "c900", "type": "TEXT"},)), [found(*(f"c{number}" for number in range(1000)))])

    assert (rows[0].key, len(rows), more) == ("c900", MOST_COLUMNS, 800)


def test_sheets_that_were_seen_stay_in_the_list():
    """With one sheet chosen, the others are not read: they can still be chosen."""
    assert sheet_names(Form({"sheet": "name:May"}, sheets=("April", "May")), [found(sheet="May")]) == ["April", "May"]
