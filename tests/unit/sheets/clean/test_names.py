"""Names of datasets and columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levelpool.sheets.clean.names import (
    COLUMN_BYTES,
    DATASET_BYTES,
    check_dataset_name,
    column_names,
    dataset_name,
    sheet_dataset_name,
)
from levelpool.sheets.errors import NameRefused


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("Orders_2026-11-01 (2).xlsx", "orders"),
        ("订单_20261101.xlsx", "订单"),
        ("SalesReport-3.csv", "sales_report"),
        ("123.csv", "data"),
        ("orders.csv", "orders"),
        ("orders", "orders"),
        ("/srv/in box/orders.csv", "orders"),
        (r"C:\Users\me\orders.csv", "orders"),
        ("Orders 20261101_083000.xlsx", "orders"),
        ("Orders-2026-11-01T08-30-00.xlsx", "orders"),
        ("orders20261101.csv", "orders"),
        ("orders_2026.11.01.csv", "orders"),
        ("orders_2026_11_01.csv", "orders"),
        ("orders 01-11-2026.csv", "orders"),
        ("orders 01.11.2026 08.30.csv", "orders"),
        ("orders 2026-11.csv", "orders"),
        ("订单2026年11月2日.xlsx", "订单"),
        ("订单 2026年11月02日 0830.xlsx", "订单"),
        ("2026-11-01 orders.csv", "orders"),
        ("2026年1月5日订单.csv", "订单"),
        ("01_orders.csv", "orders"),
        ("Copy of Orders.xlsx", "orders"),
        ("Orders - Copy.xlsx", "orders"),
        ("Orders - Copy (3).xlsx", "orders"),
        ("Orders copy 2.xlsx", "orders"),
        ("Orders (copy).xlsx", "orders"),
        ("订单 - 副本.xlsx", "订单"),
        ("订单副本(2).xlsx", "订单"),
        ("订单（2）.xlsx", "订单"),
        ("副本订单.xlsx", "订单"),
        ("副本.xlsx", "data"),
        ("copy.csv", "data"),
        ("photocopy.csv", "photocopy"),
        ("2026-11-01.csv", "data"),
        ("a-1-2-3.csv", "a"),
        ("orders_1234567.csv", "orders_1234567"),
        ("orders_20261399.csv", "orders_20261399"),
        ("top10.csv", "top10"),
        ("3M report.csv", "m_report"),
        ("1234567.csv", "t_1234567"),
        ("report v2.csv", "report_v2"),
        ("Straße & Hausnummer.csv", "straße_hausnummer"),
        ("ＯＲＤＥＲＳ.csv", "orders"),
        ("HTTPServer.csv", "httpserver"),
        ("...", "data"),
        ("", "data"),
        ("Jahresübersicht2026Q3Final.xlsx", "jahresübersicht2026_q3_final"),
        ("a" * 60 + ".csv", "a" * 48),
        ("订" * 20 + ".csv", "订" * 16),
    ],
)
def test_file_name_gives_its_dataset(file_name, expected):
    """Exports of one kind go to one dataset, whatever their date, counter or copy mark."""
    assert dataset_name(file_name) == expected


def test_only_one_mark_is_taken_from_the_start():
    """What stands in front may be part of the name: one mark goes, not all."""
    assert dataset_name("Copy of 2026-11-01 orders.xlsx") == "t_2026_11_01_orders"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Order No.", "Amount (EUR)"], ("order_no", "amount_eur")),
        (["orderNo", "OrderDate", "SKU"], ("order_no", "order_date", "sku")),
        (["", " ", "x"], ("column_1", "column_2", "x")),
        (["a", "A", "a"], ("a", "a_2", "a_3")),
        (["a", "a", "a_2"], ("a", "a_2", "a_2_2")),
        (["2024 / Q1", "1st"], ("c_2024_q1", "c_1st")),
        (["sales 2026-11-01", "sales 3", "x (2)", "copy"], ("sales_2026_11_01", "sales_3", "x_2", "copy")),
        (["订单号", "金额（元）"], ("订单号", "金额_元")),
        (["_file_id", "__row"], ("file_id", "row")),
        (["%", "#"], ("column_1", "column_2")),
        (["xmin", "ctid"], ("xmin_2", "ctid_2")),
        (["column_2", ""], ("column_2", "column_2_2")),
        (["x" * 70, "x" * 70], ("x" * 59, "x" * 57 + "_2")),
        ([], ()),
    ],
)
def test_headers_give_column_names(headers, expected):
    """Names are clean and no two are alike; numbers and dates stay."""
    assert column_names(headers) == expected


@pytest.mark.parametrize("name", ["orders", "订单", "orders__eu", "orders_2026", "straße", "a"])
def test_good_dataset_name_is_taken(name):
    """A clean name passes without a word."""
    check_dataset_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Orders",
        "a b",
        "1a",
        "_a",
        "a_",
        "a-b",
        "levelpool_x",
        "pg_x",
        "sqlite_x",
        "orders_current",
        "a" * 49,
        "订" * 17,
        "a;drop",
        "ａ",
    ],
)
def test_bad_dataset_name_is_refused_with_a_sentence(name):
    """A name that is not valid or is reserved raises, and the sentence says what to do."""
    with pytest.raises(NameRefused, match=r"dataset"):
        check_dataset_name(name)


@given(st.text(max_size=80))
def test_every_file_name_gives_a_name_of_the_right_form(file_name):
    """Whatever a file is called, its dataset is not empty, not too long and clean."""
    name = dataset_name(file_name)

    assert 0 < len(name.encode()) <= DATASET_BYTES
    assert all(letter == "_" or letter.isalnum() for letter in name)
    assert not name.startswith("_") and not name[0].isdigit()


@given(st.lists(st.text(max_size=80), max_size=12))
def test_every_row_of_headers_gives_different_names_of_the_right_form(headers):
    """Whatever the headers are, their names are clean and unique."""
    names = column_names(headers)

    assert len(set(names)) == len(headers)
    assert all(0 < len(name.encode()) <= COLUMN_BYTES and not name.startswith("_") and not name[0].isdigit() for name in names)


def test_further_tables_are_named_after_their_sheet():
    """DATASET__SHEET, with a counter for more in one sheet, within the bytes of a dataset."""
    assert sheet_dataset_name("orders", "Stock Level") == "orders__stock_level"
    assert sheet_dataset_name("orders", "库存", 2) == "orders__库存__2"
    assert sheet_dataset_name("orders", "!?") == "orders__sheet"
    assert len(sheet_dataset_name("o" * 48, "s" * 60, 12).encode()) <= DATASET_BYTES
