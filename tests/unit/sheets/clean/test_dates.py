"""Dates and times as workbooks keep them: the days since 1900 as a double."""

from datetime import datetime, time

import pytest

from levelpool.sheets.clean.dates import serial_time, serial_value, serial_values


@pytest.mark.parametrize(
    ("serial", "instant"),
    [
        ("46329.354166666664", datetime(2026, 11, 3, 8, 30)),  # as Excel writes it
        ("46329.3541666667", datetime(2026, 11, 3, 8, 30)),  # as LibreOffice does: fifteen digits
        ("46329.35416666666", datetime(2026, 11, 3, 8, 30)),  # sixteen
        ("46329.000000011574", datetime(2026, 11, 3, 0, 0, 0, 1000)),  # a millisecond
        ("46329.35416796296", datetime(2026, 11, 3, 8, 30, 0, 112000)),
        ("46329.354", datetime(2026, 11, 3, 8, 29, 45, 600000)),  # few digits are as they stand
        ("46329.354166667", datetime(2026, 11, 3, 8, 30, 0, 29)),
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
