"""The finished table in a program's hands."""

import pickle
from datetime import date, datetime, time
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from levelpool.sheets.frames import Table, TableColumn
from levelpool.sheets.table import ColumnType

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
