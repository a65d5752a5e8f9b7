"""The finished table in a program's hands."""

import pickle
from datetime import date, datetime, time
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from levelpool.sheets.frames import Table, TableColumn
from levelpool.sheets.table import ColumnType, Quarantined

COLUMNS = [TableColumn(kind.name.lower(), kind.name, kind) for kind in ColumnType]
ROW = (True, 2**62, Decimal("12.50"), 0.1, date(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), time(8, 30), "000123")


@pytest.fixture
def table():
    """One row of every type, and one of nothing."""
    return Table(COLUMNS, list(zip(ROW, [None] * len(ROW), strict=True)))


def test_rows_are_tuples(table):
    """The plain way needs no library."""
    assert list(table.rows()) == [ROW, (None,) * len(ROW)]
    assert len(table) == 2


def test_table_travels(table):
    """A table comes back from a worker as it was."""
    back = pickle.loads(pickle.dumps(table))

    assert list(back.rows()) == list(table.rows())
    assert back.columns == table.columns


def test_arrow_takes_a_table_as_it_is(table):
    """The stream interface gives every value unchanged."""
    taken = pa.table(table)

    assert [tuple(row.values()) for row in taken.to_pylist()] == list(table.rows())


def test_polars_takes_a_table_as_it_is(table):
    """polars reads the stream, and `to_polars` gives the same values."""
    assert table.to_polars().rows() == list(table.rows())
    assert pl.DataFrame(table).rows() == list(table.rows())


def test_pandas_loses_nothing(table):
    """A missing integer makes no float, a decimal stays exact, a year 9999 stays a year 9999."""
    frame = table.to_pandas()

    assert frame["bigint"][0] == 2**62
    assert frame["numeric"][0] == Decimal("12.50")
    assert frame["timestamp"][0].to_pydatetime() == ROW[5]
    assert frame["text"][0] == "000123"
    assert frame.iloc[1].isna().all()


def test_long_decimals_become_text_in_arrow():
    """What no Arrow decimal holds is given as text, digit for digit."""
    long = Decimal("1" * 80)

    table = Table([TableColumn("n", "n", ColumnType.NUMERIC)], [[long]])

    assert table.to_arrow()["n"].to_pylist() == ["1" * 80]


def test_a_table_without_rows_keeps_its_columns():
    """A day without orders is a table, too."""
    empty = Table(COLUMNS, [[] for _ in COLUMNS])

    assert empty.to_arrow().column_names == [column.name for column in COLUMNS]
    assert list(empty.to_pandas().columns) == [column.name for column in COLUMNS]


def test_columns_are_found_by_name_or_header(table):
    """A name is unique and wins; what is called by neither is told with the columns that there are."""
    assert table["bigint"] == table["BIGINT"] == [2**62, None]
    with pytest.raises(KeyError, match="no single column is called 'amount': there are boolean, bigint"):
        table["amount"]


def test_records_are_dictionaries_by_name(table):
    """The rows of `json`, of templates, of `executemany`."""
    assert next(table.records()) == dict(zip([column.name for column in COLUMNS], ROW, strict=True))


def test_some_columns_are_a_table_too():
    """In the order asked for, with what was set aside in them."""
    columns = [TableColumn(name, name.upper(), ColumnType.TEXT) for name in ("a", "b", "c")]
    aside = [Quarantined(2, name, "#N/A", "error value") for name in ("a", "b")]
    table = Table(columns, [["1"], ["2"], ["3"]], quarantined=aside, sheet="May", header_row=0)

    some = table.select("C", "a")

    assert (list(some.rows()), some.quarantined, some.sheet, some.header_row) == ([("3", "1")], (aside[0],), "May", 0)
