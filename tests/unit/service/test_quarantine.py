"""The quarantine as CSV: harmless in a spreadsheet, and every value recoverable."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levelpool.service.quarantine import COLUMNS, csv_lines, guard


def recovered(text: str) -> str:
    return text.removeprefix("'")


@pytest.mark.parametrize("value", ["=1+1", "+49 170", "-5", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1", "'quoted"])
def test_what_starts_like_a_formula_is_guarded(value):
    """A spreadsheet shows it as text."""
    assert guard(value) == "'" + value


@pytest.mark.parametrize("value", ["", "000123", "5-", "a=b", "#DIV/0!", "库存"])
def test_everything_else_stays_as_it_is(value):
    """No apostrophe where none is needed."""
    assert guard(value) == value


@given(st.text())
def test_one_apostrophe_away_gives_every_value_back(value):
    """Guarding loses nothing."""
    assert recovered(guard(value)) == value
    assert not guard(value).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_head_comes_once_and_marks_the_encoding():
    """Excel sees UTF-8; a reader of CSV sees one header row."""
    row = dict(zip(COLUMNS, ("库存", 7, "amount", "=1", 'an error, "quoted"'), strict=True))

    text = csv_lines([row], head=True) + csv_lines([row], head=False)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))

    assert text.startswith("\ufeff")
    assert rows == [list(COLUMNS), *[["库存", "7", "amount", "'=1", 'an error, "quoted"']] * 2]
