"""Dates and times as texts, and as workbooks keep them: the days since 1900 as a double."""

from datetime import datetime, time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from levelpool.sheets.clean.dates import date_parser, iso_values, serial_days, serial_family, serial_time, serial_value, serial_values
from levelpool.sheets.table import NUMBER


@pytest.mark.parametrize(
    ("serial", "instant"),
    [
        ("46329.354166666664", datetime(2026, 11, 3, 8, 30)),  # as Excel writes it
        ("46329.3541666667", datetime(2026, 11, 3, 8, 30)),  # as LibreOffice does: fifteen digits
        ("46329.35416666666", datetime(2026, 11, 3, 8, 30)),  # sixteen
        ("46329.000000011574", datetime(2026, 11, 3, 0, 0, 0, 1000)),  # a millisecond
        ("46329.35416796296", datetime(2026, 11, 3, 8, 30, 0, 112000)),
        ("46329.354", datetime(2026, 11, 3, 8, 29, 45, 600000)),  # few digits are as they stand
        ("46329.354166667", datetime(2026, 11, 3, 8, 30)),  # nine decimals leave 43 microseconds open
        ("46329.35416667", datetime(2026, 11, 3, 8, 30)),  # eight
        ("46329.354167", datetime(2026, 11, 3, 8, 30)),
        ("46050.020520833", datetime(2026, 1, 28, 0, 29, 33)),  # fifteen digits, the last of them a zero
        ("46089.62499999999", datetime(2026, 3, 8, 15)),  # the last bit differs
        ("46329.3541724537", datetime(2026, 11, 3, 8, 30, 0, 500000)),
        ("46329.2500000175", datetime(2026, 11, 3, 6, 0, 0, 1512)),  # no whole millisecond: it is meant
        ("46329.99999999999", datetime(2026, 11, 4)),
    ],
)
def test_instant_is_the_roundest_that_the_serial_may_mean(serial, instant):
    """08:30 is 08:30, and not 08:29:59.999999; alone and among many."""
    assert serial_value(serial) == instant
    assert serial_values([serial, "46329.5"]) == [instant, datetime(2026, 11, 3, 12)]


def test_time_of_day_is_the_roundest_too():
    """A third of a day is 08:00."""
    assert serial_time("0.333333333333333") == time(8)
    assert serial_time("0.3541666666666667") == time(8, 30)


ISO = ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
pieces = st.sampled_from(
    ["2026-11-02", "2024-02-29", "2023-02-29", "0000-01-01", " 08:30:15", "T23:59:59", " 24:00:00", "\n", "", "1", "２"]
)
stamps = st.datetimes().map(lambda value: value.isoformat(" ", "seconds"))
texts = st.one_of(st.lists(pieces, max_size=3).map("".join), stamps, stamps.map(lambda text: text.replace(" ", "T")), st.dates().map(str))


def one_by_one(parse, texts):
    """Their values; None when one has none."""
    try:
        return [parse(text) for text in texts]
    except ValueError:
        return None


@given(st.sampled_from(ISO), st.lists(texts, min_size=1, max_size=4))
@example("%Y-%m-%d %H:%M:%S", ["2026-11-02 24:00:00"])
@example("%Y-%m-%d", ["2026-11-02\n2026-11-03"])
def test_iso_texts_have_the_same_values_all_at_once(form, texts):
    """The quick way takes just the texts that the parser of the form takes."""
    assert iso_values(form, texts) == one_by_one(date_parser(form), texts)


def test_other_forms_are_left_to_their_parser():
    """The quick way knows ISO 8601 alone."""
    assert iso_values("%d.%m.%Y", ["02.11.2026"]) is None


serials = st.one_of(
    st.integers(0, 2_958_465).map(str), st.sampled_from(["45452.0", "45452.5", "００１２３", "60", "00061", "00062", "x", "-5", ""])
)


@pytest.mark.parametrize("date1904", [False, True])
@given(texts=st.lists(serials, min_size=1, max_size=4))
def test_day_serials_have_the_same_values_all_at_once(date1904, texts):
    """What the quick way takes, it reads as the careful one does."""
    days = serial_days(texts, date1904=date1904)

    assert days is None or days == [serial_value(text, date1904=date1904).date() for text in texts]


@pytest.mark.parametrize(("date1904", "year"), [(False, 2026), (True, 2030)])
def test_days_of_today_are_taken_the_quick_way(date1904, year):
    """The serials of usual days need no closer look."""
    days = serial_days(["46328", "46328", "46000"], date1904=date1904)

    assert days is not None and days[0].year == year


def test_brackets_that_are_never_closed_are_no_date():
    """Such a format shows a number; a bracket is looked for up to the next one only."""
    assert serial_family(f"{NUMBER}{'[' * 5000}0") == ""
    assert serial_family(f"{NUMBER}[$-409]d-mmm-yy;@") == "date"
