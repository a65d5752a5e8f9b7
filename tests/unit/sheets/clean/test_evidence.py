"""How a column gets its type."""

import pytest

from handmade import make_sheet
from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, ColumnType, Notation


def column(*cells, **options):
    """The one column of a table with these cells under the header "h", beside a column that makes the header certain."""
    rows = [["h", "number"], *([cell, 1] for cell in cells)]
    (plan,) = find_tables(make_sheet(rows, date1904=options.pop("date1904", False)), TableOptions(**options))
    return plan.columns[0]


def number(*texts, kind=NUMBER):
    """Number cells with these texts."""
    return [(text, kind) for text in texts]


B, N, D, T = ColumnType.BIGINT, ColumnType.NUMERIC, ColumnType.DOUBLE, ColumnType.TEXT


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "20", "-3"], B),
        (["0", "5"], B),
        (["123456789012345678"], B),
        (["1234567890123456789"], T),
        (["000123", "123456"], T),
        (["1.5", "2"], N),
        (["12.50", "3.00"], N),
        (["007.5"], T),
        (["1.5e3", "2"], D),
        (["1e5", "2e-3"], D),
        (["1E5", "2E7"], T),
        (["0.1", "1.4285714285714286e-08", "0.30000000000000004"], D),  # Python and JavaScript
        (["0.142857142857143", "1e+05"], D),  # R
        (["1.4285714285714285e-01", "2.5000000000000000e+00"], D),  # numpy: seventeen digits of a double
        (["0,5", "1e-07", "0,142857142857143"], D),
        (["0,5", "1.5e-07"], T),
        (["0.1428571428571428571428571", "1e-07"], T),  # more than a double has
        (["\u22124.50", "3.25"], N),
        (["\u201312", "7"], B),
        (["9.75\u2212", "1.00"], N),
        (["\u22124", "-5", "6"], T),
        (["\u22120.00", "4.25"], T),
        ([" \u20ac910.00 ", " \u20ac(45.50)", " \u20ac-   "], N),
        ([" 1.234,50 \u20ac ", "-87,00 \u20ac ", " -   \u20ac "], N),
        ([" 1,234.50 ", " (87.00)", " -   "], N),
        (["12.50", " - "], T),  # a dash alone is no zero: no blank stands before the others
        ([" 12.50 ", " - ", " $3.00 "], T),
        (["2026-11-02 08:30:00.5", "2026-11-02 08:30:01", "2026-11-02 08:30:02.125"], ColumnType.TIMESTAMP),
        (["2026-11-02T08:30:00.0Z", "2026-11-02T08:30:01.123456Z"], ColumnType.TIMESTAMP),
        (["08:30:00.5", "08:30:01.25"], ColumnType.TIME),
        (["2026-11-02 08:30:00,125", "2026-11-03 08:30:00,250"], ColumnType.TIMESTAMP),
        (["2026-11-02 08:30:00.1234560", "2026-11-03 08:30:00.5000000"], ColumnType.TIMESTAMP),
        (["2026-11-02 08:30:00.1234567", "2026-11-03 08:30:00.5000000"], T),
        (["2026-11-02 08:30:00.5", "2026-11-02"], T),
        (["1e400", "2"], T),
        (["1e-400", "2"], T),
        (["１e５", "２"], T),
        (["1．5", "2"], T),
        (["－12%", "3%"], T),
        (["+5"], T),
        ([".5"], T),
        (["5."], T),
        (["-0"], T),
        ([" 5"], B),
        ([" 5", "6"], T),
        ([" 5", " 6"], B),
        (["  5 ", " 12", "123 "], T),
        (["-5 ", "6 "], B),
        (["(5) ", "6 "], B),
        (["  5", "006", " 12"], T),
        (["1_000"], T),
        (["NaN"], T),
        (["true", "false"], ColumnType.BOOLEAN),
        (["TRUE", "FALSE"], ColumnType.BOOLEAN),
        (["TRUE", "false"], T),
        (["1", "true"], T),
        (["yes", "no"], T),
        (["2026-11-02", "2026-12-31"], ColumnType.DATE),
        (["2026/11/2", "2026/1/12"], ColumnType.DATE),
        (["20261102"], B),
        (["12,5 %", "7,0 %"], N),
        (["12,5 %", "7,0%"], T),
        (["08:30", ("0", "nyyyy-mm-dd")], T),
        ([("46e28", "nyyyy-mm-dd")], T),
        (["2026-11-02", "2026-02-30"], T),
        (["2026-11-02 08:30", "2026-11-03 09:00"], ColumnType.TIMESTAMP),
        (["2026-11-02T08:30:00Z"], ColumnType.TIMESTAMP),
        (["2026-11-02", "2026-11-02 08:30"], T),
        (["08:30", "23:59"], ColumnType.TIME),
        (["08:30", "24:01"], T),
        (["2026年11月2日", "2026年1月12日"], ColumnType.DATE),
        (["2-Nov-2026", "12-Dec-2026"], ColumnType.DATE),
        (["11/2/2026 8:30 AM", "12/25/2026 11:05 PM"], ColumnType.TIMESTAMP),
        (["01/02/26"], T),
        (["NA", "null", "-"], T),
        (["5", "NA"], T),
        (["5", "", "7"], B),
        (["a\nb"], T),
        (number("1", "2"), B),
        (number("1.1000000000000001", "2"), N),
        (number("1E+20", "2"), D),
        (number("1E-3"), D),
        (number(".5", "-.25", "1."), N),
        (number("+5", " 6\n"), B),
        (number("123456789012345678"), B),
        (number("1234567890123456789"), T),
        ([*number("5"), "7"], B),
        ([*number("5"), "n/a"], T),
        ([*number("5"), "007"], T),
        ([*number("5"), "1,000"], T),
        ([("true", BOOLEAN), ("false", BOOLEAN)], ColumnType.BOOLEAN),
        ([("true", BOOLEAN), *number("1")], T),
        (number("45000", "45001", kind="nyyyy-mm-dd"), ColumnType.DATE),
        (number("45000", "45001.5", kind="nyyyy-mm-dd"), ColumnType.TIMESTAMP),
        (number("45000", "45001", kind="nyyyy-mm-dd hh:mm"), ColumnType.TIMESTAMP),
        (number("0.25", "0.5", kind="nhh:mm"), ColumnType.TIME),
        (number("1.25", "0.5", kind="n[h]:mm"), N),
        (number("0.5", "0.25", kind="n0%"), N),
        ([*number("45000", kind="nyyyy-mm-dd"), *number("5")], T),
        ([*number("45000", kind="nyyyy-mm-dd"), "2026-11-02"], T),
        (number("45000", "60", "45001", kind="nyyyy-mm-dd"), ColumnType.DATE),
        (number("-5", "0", "45001", kind="nyyyy-mm-dd"), B),
        ([("2026-11-02", DATE)], ColumnType.DATE),
        ([("2026-11-02", DATE), ("2026-11-02T08:30:00", DATE)], ColumnType.TIMESTAMP),
        ([("08:30:00", DATE)], ColumnType.TIME),
        # long whole numbers are what they are however they are written
        (number("1.2345678901234568E+16", "12345678901234570"), B),
        (number("9.8765432109876544e+16", "1E+17"), B),
        (number("98765432109876544.0", "5"), B),
        (number("-4.0000000000000001E+15"), B),
        (number("2.4680135791357912E+17", "0.5"), N),
        (number("1E+18", "7"), D),
        (number("1.2345678901234568E+21"), D),
        (number("1000000000000000000"), D),  # nineteen digits, all of which a double keeps
        (number("2.4680135791357912E+17", "1E-7"), D),
        (number("1.4E8", "3"), D),
        (number("2017.0", "2018.0"), N),
        # spans of time above a day and below it, each in its own format
        ([*number("0.3125", kind="nh:mm"), *number("1.625", kind="n[h]:mm")], N),
        ([*number("0.3125", kind="nh:mm"), *number("1.625", kind="n[h]:mm"), *number("8")], T),
        ([*number("0.3125", kind="nh:mm"), *number("46000", kind="nd.m.yy"), *number("1.625", kind="n[h]:mm")], T),
        # moments with a zone
        ([("2026-11-02T08:30:00.000Z", DATE), ("2026-11-03T08:30:00", DATE)], ColumnType.TIMESTAMP),
        ([("2026-11-02T08:30:00+00:00", DATE)], ColumnType.TIMESTAMP),
        ([("08:30:00Z", DATE)], ColumnType.TIME),
        ([("2026-11-02T08:30:00+02:00", DATE), ("2026-11-03T08:30:00", DATE)], T),
        ([("2026-11-02", DATE), ("2026-11-02T08:30:00-0500", DATE)], T),
        (number("1.1000000000000001E+0", "0.5"), D),  # its shortest decimal has no exponent, the file has one
        ([*number("5"), ("#N/A", ERROR), ("=A1", NO_VALUE)], B),
        ([("#N/A", ERROR)], T),
    ],
)
def test_type_of_a_column(cells, expected):
    """A type is given when every value reads back, and only then."""
    assert column(*cells).type == expected


@pytest.mark.parametrize(
    ("cells", "notation", "expected"),
    [
        (["1,234.50", "-3.00"], Notation(thousands=","), N),
        (["1,234,567", "89"], Notation(thousands=","), B),
        (["12,34,567.00", "25,000.50", "0.75", "1,00,00,000.00"], Notation(thousands=",", lakhs=True), N),
        (["1,00,000", "89"], Notation(thousands=",", lakhs=True), B),
        (["1,00,000", "1,000,000"], None, None),
        (["12,34,56"], None, None),
        (["1.234,50", "3,00"], Notation(decimal=",", thousands="."), N),
        (["1,5", "2,25"], Notation(decimal=","), N),
        (["0,123", "1,234"], Notation(decimal=","), N),
        (["1'234.50"], Notation(thousands="'"), N),
        (["1 234,50", "12,00"], Notation(decimal=",", thousands=" "), N),
        (["1\u202f234,50"], Notation(decimal=",", thousands="\u202f"), N),
        (["12%", "3.5%"], Notation(percent=True), N),
        (["  1.234,50 ", "     12,00-", "      0,10 "], Notation(decimal=",", thousands=".", minus="after", sign_gap=True, width=11), N),
        (["1.234,50 ", "12,00-"], Notation(decimal=",", thousands=".", minus="after", sign_gap=True), N),
        (["   5", "1234", " -12"], Notation(width=4), B),
        (["$5", "-$12"], Notation(currency="$"), B),
        (["$1,200.00", "$-3.50"], Notation(currency="$", thousands=",", minus="inside"), N),
        (["12,50 €", "-3,00 €"], Notation(decimal=",", currency=" €", currency_after=True), N),
        (["¥12.00"], Notation(currency="¥"), N),
        (["CHF 12.00"], Notation(currency="CHF "), N),
        (["(5.00)", "12.00"], Notation(parentheses=True), N),
        (["5.00-", "12.00"], Notation(minus="after"), N),
        (["１２", "３"], Notation(full_width=True), B),
        (["03/04/2026", "27/04/2026"], Notation(date_form="%d/%m/%Y"), ColumnType.DATE),
        (["03/04/2026", "04/27/2026"], Notation(date_form="%m/%d/%Y"), ColumnType.DATE),
        (["3/4/2026", "27/4/2026"], Notation(date_form="%-d/%-m/%Y"), ColumnType.DATE),
        (["02.11.2026 08:30"], Notation(date_form="%d.%m.%Y %H:%M"), None),
        (["02.11.2026 08:30", "30.11.2026 08:30"], Notation(date_form="%d.%m.%Y %H:%M"), ColumnType.TIMESTAMP),
    ],
)
def test_notation_of_a_column(cells, notation, expected):
    """One notation throughout is recorded, and proves the type."""
    found = column(*cells)

    if expected is None:
        assert found.type == T
    else:
        assert (found.type, found.notation) == (expected, notation)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["03/04/2026", "05/06/2026"], ["'03/04/2026' (row 2) can be two dates", "no row decides"]),
        (["1,234", "5,678"], ["'1,234' (row 2) can be two numbers", "no row decides"]),
        (["1234", "1,234"], ["'1,234' (row 3) can be two numbers", "no row decides"]),
        (["000123"], ["'000123' (row 2)", "starts with a zero"]),
        (["1234567890123456789"], ["'1234567890123456789' (row 2)", "18 digits"]),
        (["5", "6", "n/a"], ["'n/a' (row 4)"]),
        (["$5", "5 €"], ["'$5' (row 2)", "'5 €' (row 3)"]),
        (["2026-11-02", "2026-02-30"], ["'2026-02-30' (row 3)"]),
        ([*number("5"), *number("45000", kind="nyyyy-mm-dd")], ["'5' (row 2) is a number", "'2023-03-15' (row 3) is a date"]),
        ([None, None], ["no cell has a value"]),
    ],
)
def test_a_text_column_names_the_values_that_decided(cells, words):
    """Who wants to know why a column is TEXT is told the value and the row."""
    found = column(*cells)

    assert found.type == T
    assert all(word in found.why for word in words), found.why


def test_a_point_is_a_question_where_another_column_proves_a_decimal_comma():
    """In a file with decimal commas, 1.234 may well be a thousand."""
    rows = [["a", "b", "c"], ["1.234", "1,5", 1], ["5.678", "2,5", 2]]

    (plan,) = find_tables(make_sheet(rows))

    assert [each.type for each in plan.columns] == [T, N, B]
    assert column("1.234", "5.678").type == N


@pytest.mark.parametrize(
    ("others", "comma", "point"),
    [(["1,5", "2,5"], N, T), (["1.5", "2.5"], T, N), (["1,234", "1234"], T, N)],
    ids=["proves a comma", "proves none", "asks as well"],
)
def test_numbers_without_a_mark_decide_nothing_alone(others, comma, point):
    """That 1234 has no mark does not prove that 1,234 is less than two; another column with a decimal comma does."""
    (plan,) = find_tables(make_sheet([["a", "b", "c"], ["1234", "1234", others[0]], ["1,234", "1.234", others[1]]]))

    assert [each.type for each in plan.columns[:2]] == [comma, point]
    assert column("1234", "1,234", "1,5").type == N


def test_a_person_may_answer_the_question():
    """The form of the dates, or the decimal mark, can be said."""
    dates = column("03/04/2026", "05/06/2026", columns=(ColumnOptions(header="h", date_form="%d/%m/%Y"),))
    marks = column("1,234", "5,678", columns=(ColumnOptions(header="h", decimal=","),))

    assert (dates.type, dates.notation.date_form) == (ColumnType.DATE, "%d/%m/%Y")
    assert (marks.type, marks.notation.decimal) == (N, ",")


def test_texts_that_mean_no_value_do_not_count():
    """ "NA" is a text like any other, unless a person says that it means nothing."""
    assert column("5", "NA").type == T
    assert column("5", "NA", blanks=frozenset({"NA"})).type == B


def test_digits_and_scale_of_a_decimal_column():
    """A database that keeps 15 digits needs to know how many there are."""
    found = column("12.50", "1234.5", "0.125")

    assert (found.digits, found.scale) == (5, 3)


def test_one_bad_value_in_the_last_of_many_rows_decides():
    """All rows count, not the first thousand."""
    found = column(*["7"] * 5000, "seven")

    assert found.type == T
    assert "'seven' (row 5002)" in found.why


def test_samples_are_what_people_know():
    """The first few different values are shown; a day not by its serial, a long text not in full."""
    assert column("a", "b", "a", "c", "d").samples == ("a", "b", "c")
    assert column(*number("45000", kind="nyyyy-mm-dd")).samples == ("2023-03-15",)
    assert len(column("x" * 9999).samples[0]) == 200


def test_the_first_values_that_decided_are_named():
    """Who mends a file wants to see all that has to be mended, or at least the first three."""
    why = column(*["5"] * 100, "12 pcs", *["6"] * 100, "three", "7", "?", "!").why

    assert [word in why for word in ("'12 pcs' (row 102)", "'three' (row 203)", "'?' (row 205)", "'!'")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["31.10.26", "15.11.26"], "'31.10.26' (row 2) gives a year of two digits: the century is not said"),
        (["10.0.0.1", "10.0.0.2"], "'10.0.0.1' (row 2) is no number, no date, and not true or false"),
        (["4,00638E+12"], "'4,00638E+12' (row 2) is rounded: if it is a code, its last digits are lost in the file"),
        (["4.00638E+12"], "'4.00638E+12' (row 2) is rounded: if it is a code, its last digits are lost in the file"),
        (["2.5E+03"], "the only value is a number, written with an exponent"),
        (
            number("123456789", "4711", kind="n000\\-00\\-0000"),
            "the zeros before, as in '000-00-4711' (row 3), are made by the format of the cells alone",
        ),
        ([*number("5"), *number("80331", "1067", kind="n[$-407]00000")], "as in '01067' (row 4), are made by the format"),
        (
            [*number("5", kind="n#,##0 [$€-407]"), *number("6", "7", kind='n"US$ "0.00')],
            "the number formats show different units, '€' (row 2), 'US$' (row 3), which the numbers do not keep",
        ),
        (number("6.123456789012345E+16"), "'6.123456789012345E+16' (row 2) is written with 16 significant digits at most"),
        ([("2026-11-02T08:30:00+02:00", DATE)], "'2026-11-02T08:30:00+02:00' (row 2) has a zone"),
        (number("80331", "1067", kind="n00000"), "the zeros before, as in '01067' (row 3), are made by the format of the cells alone"),
        (number("1.8125", kind="n[h]:mm"), "'1.8125' (row 2) shows as 43:30:00"),
        (number("2.08E+303", kind="n[h]:mm"), "they are spans of time in days, as the workbook keeps them"),
        (["5-", "12 "], "written with the minus, or a blank in its place, behind"),
        (["27.11.2026"], "the only value is a date in the form DD.MM.YYYY"),
        (["2026-11-02 08:30 ", "2026-11-03 09:00 "], "all 2 values are moments in the form YYYY-MM-DD hh:mm"),
    ],
)
def test_what_would_surprise_is_explained(cells, told):
    """In a sentence that a bookkeeper understands."""
    assert told in column(*cells).why


@pytest.mark.parametrize(
    "cells",
    [
        number("5", "6", kind='n0" kg"'),  # one unit throughout
        [*number("5", kind='n0" kg"'), *number("6")],  # books set it in the first row and the last
        number("9.8765432109876544E+16", "4.0E+15"),
    ],
)
def test_what_surprises_nobody_is_not_told(cells):
    """A unit that all numbers share is no doubt, nor are digits that are all there."""
    why = column(*cells).why

    assert "unit" not in why and "lost" not in why


def test_the_first_value_that_decides_is_named():
    """Whatever order a set has in this process: the same file is explained in the same words each time."""
    days = [f"{day}/04/2026" for day in range(13, 31)]

    assert "'13/04/2026' (row 3)" in column("01/02/2026", *days).why
