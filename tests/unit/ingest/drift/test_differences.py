"""What is told of next month's table: columns gone, new, renamed and moved, types, notations, units, numbers of rows; and what is not told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levelpool.ingest.drift.differences import Known, differences, of_volume, sentence, unit_of
from levelpool.sheets.clean.names import column_names
from levelpool.sheets.table import Column, ColumnType, Notation

TEXT, BIGINT, NUMERIC, DATE = ColumnType.TEXT, ColumnType.BIGINT, ColumnType.NUMERIC, ColumnType.DATE


def columns(*headers, kind=TEXT, notation=Notation(), samples=("a",), scale=0):  # noqa: B008
    names = column_names(headers)
    return [
        Column(name, header, place, kind, notation, samples=samples, scale=scale)
        for place, (name, header) in enumerate(zip(names, headers, strict=True))
    ]


def known(*headers, kind=TEXT, **said):
    return [
        Known(name=each.name, header=each.header, type=kind, last_type=kind, place=each.position + 1, **said) for each in columns(*headers)
    ]


def found(before, now, shared=0.0):
    return [(each.kind, each.column, each.was, each.now) for each in differences(before, now, lambda *_: shared)]


def test_the_same_columns_say_nothing():
    """Every month is like that, mostly."""
    assert found(known("No", "Customer"), columns("No", "Customer")) == []


def test_a_new_dataset_has_nothing_to_differ_from():
    """Its first file says what is usual."""
    assert found([], columns("No", "Customer")) == []


def test_new_and_missing_columns_are_named():
    """Each as the one who has it names it."""
    assert found(known("no", "customer", "amount"), columns("no", "amount", "vat")) == [
        ("new", "vat", None, None),
        ("missing", "customer", None, None),
    ]


def test_a_rename_is_neither_new_nor_missing():
    """It is told once."""
    assert found(known("No", "E-Mail"), columns("No", "Email")) == [("renamed", "email", "e_mail", "email")]


def test_another_unit_is_no_rename():
    """Kilograms under the name of pounds would be wrong in silence."""
    assert found(known("No", "Weight (kg)"), columns("No", "Weight (lb)"), shared=1.0) == [("unit", "weight_lb", "kg", "lb")]


@pytest.mark.parametrize(
    ("header", "unit"), [("Weight (kg)", "kg"), ("Price [EUR]", "EUR"), ("Weight", None), ("(kg)", None), ("a (b) c", None)]
)
def test_a_unit_stands_in_brackets_at_the_end(header, unit):
    """A header of nothing else is a name."""
    assert unit_of(header) == unit


def test_the_fewest_columns_have_moved():
    """One that goes to the end has moved, not all the others."""
    assert found(known("a", "b", "c", "d"), columns("b", "c", "d", "a")) == [("moved", "a", 1, 4)]


@given(st.permutations(["a", "b", "c", "d", "e", "f"]))
def test_columns_that_did_not_move_keep_their_order(order):
    """Whatever the new order is; and taken out and put back, the moved ones make it."""
    moved = {each.column for each in differences(known("a", "b", "c", "d", "e", "f"), columns(*order), lambda *_: 0.0)}

    assert [each for each in order if each not in moved] == sorted(set(order) - moved)
    assert bool(moved) == (order != sorted(order))


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (BIGINT, TEXT, True),
        (BIGINT, NUMERIC, True),
        (NUMERIC, BIGINT, False),
        (DATE, ColumnType.TIMESTAMP, True),
        (ColumnType.TIMESTAMP, DATE, False),
        (TEXT, BIGINT, False),
        (DATE, BIGINT, True),
    ],
)
def test_a_type_is_told_where_it_does_not_fit(was, now, told):
    """Whole numbers fit a column of decimals, and text takes anything."""
    expected = [("type", "qty", was.value, now.value)] if told else []

    assert found(known("qty", kind=was), columns("qty", kind=now)) == expected


def test_a_column_without_values_has_no_type():
    """Neither this month's, nor the dataset's."""
    assert found(known("qty", kind=BIGINT), columns("qty", samples=())) == []
    assert found([Known(name="qty", place=1)], columns("qty", kind=BIGINT)) == []


def test_a_text_column_is_held_against_the_file_before():
    """It was made text once, by a bad value; what is usual in it is still known."""
    before = [replace(known("qty")[0], last_type=BIGINT)]

    assert found(before, columns("qty", kind=DATE)) == [("type", "qty", "BIGINT", "DATE")]
    assert found(before, columns("qty", kind=BIGINT)) == []


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (Notation(decimal=","), Notation(), ("1234,5", "1234.5")),
        (Notation(thousands=","), Notation(thousands=" "), ("1,234.5", "1 234.5")),
        (Notation(thousands=","), Notation(), None),
        (Notation(percent=True), Notation(), ("1234.5%", "1234.5")),
    ],
)
def test_another_way_to_write_numbers_is_told(was, now, told):
    """But not that no number of this month has thousands."""
    expected = [("notation", "amount", *told)] if told else []

    assert found(known("amount", kind=NUMERIC, notation=was, scale=1), columns("amount", kind=NUMERIC, notation=now, scale=1)) == expected


def test_whole_numbers_have_no_decimal_mark():
    """None of them shows which it is."""
    assert found(known("n", kind=NUMERIC, notation=Notation(decimal=","), scale=2), columns("n", kind=BIGINT)) == []


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("%d/%m/%Y", "%m/%d/%Y", ("DD/MM/YYYY", "MM/DD/YYYY")),
        ("%d/%m/%Y", "%-d/%-m/%Y", None),
        ("%d.%m.%Y", "serial", None),
        ("%d.%m.%Y", "%Y-%m-%d", ("DD.MM.YYYY", "YYYY-MM-DD")),
    ],
)
def test_another_form_of_dates_is_told(was, now, told):
    """Leading zeros are none, and cells that are dates are certain."""
    expected = [("notation", "day", *told)] if told else []
    before = known("day", kind=DATE, notation=Notation(date_form=was))

    assert found(before, columns("day", kind=DATE, notation=Notation(date_form=now))) == expected


def test_another_currency_is_another_unit():
    """The numbers look the same."""
    before = known("price", kind=NUMERIC, notation=Notation(currency="€"), scale=2)

    assert found(before, columns("price", kind=NUMERIC, notation=Notation(currency="$"), scale=2)) == [("unit", "price", "€", "$")]


@pytest.mark.parametrize(
    ("rows", "earlier", "told"),
    [
        (100, [100], False),
        (50, [100, 100], False),
        (49, [100, 100], True),
        (200, [100], False),
        (201, [100], True),
        (0, [100], True),
        (7, [], False),
        (500, [100, 100, 100, 400, 400, 400, 9000, 9000, 9000], False),
        (7, [0, 0, 0], False),
    ],
)
def test_rows_are_held_against_the_median_of_six_files(rows, earlier, told):
    """Half of it to twice it is usual."""
    assert (of_volume(rows, earlier) is not None) == told


def test_a_difference_says_itself_in_a_sentence():
    """For the page and for the log, with the figures."""
    difference = of_volume(40, [100, 120])

    assert difference is not None
    assert difference.to_dict() == {
        "column": None,
        "kind": "volume",
        "was": 110,
        "now": 40,
        "rows": 40,
        "text": "the file has 40 rows; 110 are usual",
        "reason_code": "drift_volume",
        "params": {"column": None, "was": 110, "now": 40},
    }
    assert sentence("orders", [difference.text]) == "1 difference from orders: the file has 40 rows; 110 are usual"
