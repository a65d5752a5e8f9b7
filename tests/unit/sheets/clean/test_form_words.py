"""Forms of dates as people write them: letters of many languages, words, directives; and what is none."""

import io

import pytest
import xlsxwriter

from levelpool.sheets import ColumnOptions, TableOptions, inspect_file
from levelpool.sheets.clean.dates import date_parser, form_in_letters, forms_for
from levelpool.sheets.clean.form_words import as_written, form_of
from levelpool.sheets.clean.month_names import month_of
from levelpool.sheets.errors import OptionsRefused


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("MM/DD/YYYY", "%m/%d/%Y"),
        ("dd.mm.yy", "%d.%m.%y"),
        ("TT.MM.JJJJ", "%d.%m.%Y"),
        ("T.M.JJJJ hh:mm", "%-d.%-m.%Y %H:%M"),
        ("JJ/MM/AAAA", "%d/%m/%Y"),
        ("GG.AA.YYYY", "%d.%m.%Y"),
        ("DD-MM-JJJJ", "%d-%m-%Y"),
        ("ДД.ММ.ГГГГ чч:мм:сс", "%d.%m.%Y %H:%M:%S"),
        ("DD-MON-YY", "%d-%b-%y"),
        ("DDMONYYYY", "%d%b%Y"),
        ("yyyy年MM月dd日", "%Y年%m月%d日"),
        ("YYYY-MM-DD'T'HH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%3f"),
        ("MM/DD/YYYY h:mm tt", "%m/%d/%Y %-I:%M %p"),
        ("DD.MM.YYYY HH24:MI:SS", "%d.%m.%Y %H:%M:%S"),
        ("Month D, YYYY", "%B %-d, %Y"),
        ("day/month/year", "%d/%m/%Y"),
        ("Tag.Monat.Jahr", "%d.%m.%Y"),
        ("%F %T", "%Y-%m-%d %H:%M:%S"),
        ("%e %b %Y", "%-d %b %Y"),
        ("%m/%d/%Y", "%m/%d/%Y"),
    ],
)
def test_a_form_is_taken_as_it_is_written(written, form):
    """And kept in directives, whoever wrote it."""
    assert ColumnOptions(header="day", date_form=written).date_form == form


@pytest.mark.parametrize("written", ["today", "Datum", "MM/YYYY", "DD/DD/YYYY", "DD/MM/YYYYY", "12/31/2026", "mm:ss", "year", "YYYY-QQ"])
def test_what_says_no_day_and_no_time_is_no_form(written):
    """It is not guessed at."""
    assert form_of(written) is None


@pytest.mark.parametrize(
    "shape", ["0000-00-00", "00.00.0000", "0/0/0000", "00 Mar 0000", "0000-00-00T00:00:00.000Z", "00.00.0000 0:00 PM", "00:00:00"]
)
def test_a_form_that_is_shown_can_be_given(shape):
    """Copied from a reason into the field, it says the same."""
    forms = forms_for(shape)

    assert forms
    assert [form_of(form_in_letters(form)) for form in forms] == list(forms)


def test_a_form_that_letters_cannot_say_is_shown_in_directives():
    """A word between would be taken for letters."""
    assert (as_written("%d.%m.%Y"), as_written("%d de %m de %Y")) == ("DD.MM.YYYY", "%d de %m de %Y")


@pytest.mark.parametrize(
    ("word", "month"),
    [("März", 3), ("mrt", 3), ("AUG", 8), ("août", 8), ("aout", 8), ("janv.", 1), ("листопад", 0), ("сен", 9), ("jui", 0), ("Dez", 12)],
)
def test_names_of_months_are_known_in_full_and_shortened(word, month):
    """Where the letters lead to one month only."""
    if month:
        assert month_of(word) == month
    else:
        with pytest.raises(ValueError, match=word):
            month_of(word)


def test_marks_between_stand_for_themselves():
    """A bracket opens no group of a pattern, and a bar is no choice."""
    assert date_parser("(%d|%m|%Y)")("(05|03|2026)").isoformat() == "2026-03-05"


# ---------------------------------------------------------------- what becomes of the values


def days(values, form):
    content = "id;day\n" + "".join(f"{n};{value}\n" for n, value in enumerate(values))
    return read(content.encode(), "a.csv", form)


def read(content, name, form):
    options = TableOptions(columns=[ColumnOptions(header="day", date_form=form)])
    [sheet] = inspect_file(content, name=name, options=options).preview()["sheets"]
    return sheet["columns"][1], [row["day"] for row in sheet["rows"]]


@pytest.mark.parametrize(
    ("form", "values", "loaded"),
    [
        ("MM/DD/YYYY", ["1/5/2026", "12/31/2026"], ["2026-01-05", "2026-12-31"]),
        ("M/D/YYYY", ["01/05/2026", "12/31/2026"], ["2026-01-05", "2026-12-31"]),
        ("%m/%d/%Y", ["1/5/2026", "01/13/2026"], ["2026-01-05", "2026-01-13"]),
        ("D. Month YYYY", ["5. März 2026", "12. Dez. 2026"], ["2026-03-05", "2026-12-12"]),
        ("DD-MON-YY", ["05-JAN-26", "07-MAY-26"], ["2026-01-05", "2026-05-07"]),
    ],
)
def test_zeros_and_names_of_months_are_as_the_values_have_them(form, values, loaded):
    """Nobody counts zeros before saying which comes first."""
    column, found = days(values, form)

    assert (column["type"], found) == ("DATE", loaded)


def workbook(*values, **formats):
    kept = io.BytesIO()
    with xlsxwriter.Workbook(kept, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "day"])
        for row, value in enumerate(values, start=1):
            sheet.write(row, 0, row)
            sheet.write(row, 1, value, book.add_format(formats))
    return kept.getvalue()


def test_number_cells_of_eight_digits_have_a_form_of_digits():
    """A workbook holds 20260105 as a number."""
    column, found = read(workbook(20260105, 20261231), "a.xlsx", "YYYYMMDD")

    assert (column["type"], found) == ("DATE", ["2026-01-05", "2026-12-31"])


def test_cells_that_are_dates_need_no_form_and_numbers_have_none():
    """The one is said, the other refused."""
    column, _ = read(workbook(46000, 46001, num_format="yyyy-mm-dd"), "a.xlsx", "MM/DD/YYYY")

    assert column["type"] == "DATE"
    assert "they need no form" in column["why"]
    with pytest.raises(OptionsRefused, match=r"no value of the column 'day' is in the form MM/DD/YYYY .* its cells are no texts"):
        read(workbook(1.5, 2), "a.xlsx", "MM/DD/YYYY")
