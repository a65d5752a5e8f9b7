"""Rows that a program hands over come back as they were, with the types of their values."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from levelpool.ingest.importer import as_mappings
from levelpool.ingest.rows_file import read_rows, write_rows
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.errors import SheetError
from levelpool.sheets.table import ColumnType as T


def through(tmp_path, *rows):
    """The types of the columns, and the values as they would be loaded."""
    path = tmp_path / "rows"
    write_rows(rows, path)
    workbook, plan = read_rows(path, "shop")
    values = [row for batch in clean_rows(workbook.sheets[0], plan, plan.columns) for row in batch.values]  # noqa: PD011  (no frame of pandas)
    return {column.name: column.type for column in plan.columns}, values


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (T.BOOLEAN, (True, False, None)),
        (T.BIGINT, (1, -999_999_999_999_999_999, None)),
        (T.NUMERIC, (Decimal("1.10"), 7, Decimal("-0.05"))),
        (T.DOUBLE, (0.1, -1e-300, 1e300)),
        (T.DOUBLE, (1, 0.5, None)),
        (T.DATE, (date(2026, 11, 2), None)),
        (T.TIMESTAMP, (datetime(2026, 11, 2, 8, 30, 0, 5), datetime(2026, 1, 1))),
        (T.TIME, (time(8, 30), time(23, 59, 59))),
        (T.TEXT, ("000123", "", "NA", "12", None, "\n\t'\"")),
        (T.TEXT, (10**18, 1)),
        (T.TEXT, (None, None)),
        (T.TEXT, (1, "one")),
    ],
)
def test_values_keep_their_type(tmp_path, kind, values):
    """Nothing is guessed: text that looks like a number stays text."""
    types, back = through(tmp_path, *({"x": value} for value in values))

    assert types == {"x": kind}
    expected = [value if value is None or kind is not T.TEXT else str(value) for value in values]
    assert [row[0] for row in back] == expected


def test_missing_values_of_data_frames_are_null(tmp_path):
    """NaN, NaT and NA are how they say that nothing is there."""
    _, back = through(tmp_path, {"x": 1.5, "y": Decimal("NaN")}, {"x": float("nan"), "y": Decimal(2)})

    assert back == [(1.5, None), (None, Decimal(2))]


def test_moments_with_a_zone_are_told_in_utc(tmp_path):
    """A column of the database has no zone, and two zones in one column would lie."""
    noon = datetime(2026, 11, 2, 12, tzinfo=timezone(timedelta(hours=2)))
    _, back = through(tmp_path, {"x": noon}, {"x": datetime(2026, 11, 2, 12, tzinfo=UTC)})

    assert [row[0].hour for row in back] == [10, 12]


def test_columns_come_in_order_of_appearance(tmp_path):
    """A later row may have more of them, or fewer."""
    types, back = through(tmp_path, {"b": 1}, {"Order No": "x", "b": 2}, {})

    assert list(types) == ["b", "order_no"]
    assert back == [(1, None), (2, "x"), (None, None)]


def test_value_of_another_kind_is_named(tmp_path):
    """With its row and column."""
    with pytest.raises(SheetError, match="row 2, column 'x' holds a list"):
        through(tmp_path, {"x": 1}, {"x": [1]})


@pytest.mark.parametrize(
    "values",
    [(9_007_199_254_740_993, 0.5), (Decimal("1.10"), 0.25), (Decimal("1.10"), 3, 0.25), (999_999_999_999_999_999, 1e-7)],
)
def test_numbers_that_no_double_holds_together_keep_their_digits(tmp_path, values):
    """Whole and fractional numbers in one column are numbers, not text."""
    types, back = through(tmp_path, *({"x": value} for value in values))

    assert types == {"x": T.NUMERIC}
    assert [row[0] for row in back] == [Decimal(str(value)) for value in values]


def test_mixed_numbers_say_why(tmp_path):
    """The reason stands beside the type."""
    path = tmp_path / "rows"
    write_rows([{"x": 1}, {"x": 0.5}], path)

    assert read_rows(path, "shop")[1].columns[0].why == "whole numbers and doubles were handed over: a double holds each of them"


def test_keys_that_are_called_alike_are_two_columns(tmp_path):
    """No value of either is lost, and the second gets a number, as in files."""
    types, back = through(tmp_path, {1: "a", "1": "b"})

    assert list(types) == ["c_1", "c_1_2"]
    assert back == [("a", "b")]


def test_zone_is_not_lost_in_silence(tmp_path):
    """A moment is told in UTC with a remark; a time of day, which has no UTC, stays a text that says its zone."""
    east = timezone(timedelta(hours=2))
    path = tmp_path / "rows"
    write_rows([{"at": datetime(2026, 11, 2, 12, tzinfo=east), "open": time(8, 30, tzinfo=east)}, {"at": datetime(2026, 11, 2, 12)}], path)
    workbook, plan = read_rows(path, "shop")

    assert workbook.remarks[:1] == ("column 'at': 1 moments had a time zone and are told in UTC; 1 had no zone and are as they were",)
    assert plan.columns[1].samples == ("08:30:00+02:00",) and plan.columns[1].type is T.TEXT
    assert workbook.remarks[1:] == ("column 'open': 1 times of day had a time zone, which TIME does not keep: they are text with it",)


FINE = "2026-11-02T08:30:00.123456789"
COARSE = "2026-11-02T08:30:00.123456"


def numpy_moments(*texts):
    return [{"at": np.datetime64(text)} for text in texts]


def pandas_moments(*texts):
    return as_mappings(pd.DataFrame({"at": pd.to_datetime(list(texts))}))


def arrow_moments(*texts):
    return as_mappings(pa.table({"at": pa.array([int(np.datetime64(text, "ns").astype("int64")) for text in texts], pa.timestamp("ns"))}))


def polars_moments(*texts):
    return as_mappings(pl.DataFrame({"at": pl.Series([str(text) for text in texts]).str.to_datetime(time_unit="ns")}))


@pytest.mark.parametrize("moments", [numpy_moments, pandas_moments, arrow_moments, polars_moments])
def test_nanoseconds_are_not_cut(tmp_path, moments):
    """A column with one is text with all its digits, and says so; one that only has zeros there is of moments."""
    path = tmp_path / "rows"
    write_rows(moments(FINE, FINE), path)
    workbook, plan = read_rows(path, "shop")

    assert (plan.columns[0].type, set(plan.columns[0].samples)) == (T.TEXT, {FINE})
    [remark] = workbook.remarks
    assert "column 'at': 2 moments or times are finer than a microsecond" in remark
    types, back = through(tmp_path, *moments(f"{COARSE}000"))
    assert types == {"at": T.TIMESTAMP} and back == [(datetime.fromisoformat(COARSE),)]


def test_fine_moments_with_a_zone_are_told_in_utc(tmp_path):
    """By every library that has them, like all others with a zone."""
    east = pd.Timestamp(FINE, tz="Etc/GMT-2")
    frame = pl.DataFrame({"at": pl.Series([FINE]).str.to_datetime(time_unit="ns").dt.replace_time_zone("Etc/GMT-2")})
    for rows in ([{"at": east}], as_mappings(pa.table({"at": pa.array([east], pa.timestamp("ns", "Etc/GMT-2"))})), as_mappings(frame)):
        _, [(back,)] = through(tmp_path, *rows)
        assert back == "2026-11-02T06:30:00.123456789"


def test_fine_times_of_day_are_not_cut(tmp_path):
    """Times of polars and Arrow may have nanoseconds."""
    for rows in (pl.DataFrame({"at": pl.Series([1], dtype=pl.Int64).cast(pl.Time)}), pa.table({"at": pa.array([1], pa.time64("ns"))})):
        assert through(tmp_path, *as_mappings(rows)) == ({"at": T.TEXT}, [("00:00:00.000000001",)])


def test_span_of_numpy_is_no_number(tmp_path):
    """Its count of nanoseconds says nothing without its unit."""
    with pytest.raises(SheetError, match="row 1, column 'x' holds a timedelta64"):
        through(tmp_path, {"x": np.timedelta64(5, "ns")})


def test_large_double_among_decimals_is_said_to_be_written_out(tmp_path):
    """The zeros behind its digits are no more exact than it was."""
    path = tmp_path / "rows"
    write_rows([{"x": Decimal("1.10")}, {"x": 1e300}], path)
    workbook, plan = read_rows(path, "shop")

    assert plan.columns[0].type is T.NUMERIC
    assert "column 'x': 1 doubles of many digits stand among decimals and are written out" in workbook.remarks[0]
