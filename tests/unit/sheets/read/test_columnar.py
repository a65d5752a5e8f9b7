"""Parquet and Arrow files: the types of the file, and no value lost."""

import datetime as dt
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from levelpool.sheets import ColumnOptions, ColumnType, ExcelParser, TableOptions, inspect_file
from levelpool.sheets.errors import DamagedFile, LimitExceeded
from levelpool.sheets.read.limits import Limits

UTC = dt.UTC
TABLE = pa.table(
    {
        "Order No": ["000123", "", None],
        "digits": ["1", "2", "3"],  # text in the file is text
        "n": pa.array([1, None, -3], pa.int32()),
        "large": pa.array([2**63 - 1, 1, None], pa.int64()),
        "price": pa.array([Decimal("1.50"), Decimal("-0.05"), None], pa.decimal128(38, 2)),
        "real": [0.1, float("nan"), 1e300],
        "flag": [True, False, None],
        "day": [dt.date(2026, 11, 2), None, dt.date(1, 1, 1)],
        "at": pa.array([dt.datetime(2026, 11, 2, 8, 30, 0, 123456), None, None], pa.timestamp("ns")),
        "fine": pa.array([1, None, 2], pa.timestamp("ns")),
        "zoned": pa.array([dt.datetime(2026, 11, 2, 8, 30, tzinfo=UTC), None, None], pa.timestamp("us", "+02:00")),
        "clock": pa.array([dt.time(8, 30), None, None], pa.time32("s")),
        "list": [[1, None], [], None],
        "record": [{"a": "ü", "b": Decimal("1.5")}, None, {"a": None, "b": None}],
        "raw": [b"abc", b"\xff\x00", None],
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
)
EXPECTED = [
    (
        *("000123", "1", 1, Decimal(2**63 - 1), Decimal("1.50"), 0.1, True, dt.date(2026, 11, 2)),
        *(dt.datetime(2026, 11, 2, 8, 30, 0, 123456), "1970-01-01T00:00:00.000000001", "2026-11-02T10:30:00+02:00", dt.time(8, 30)),
        *("[1, null]", '{"a": "ü", "b": "1.5"}', "0x616263", "x"),
    ),
    ("", "2", None, Decimal(1), Decimal("-0.05"), None, False, None, None, None, None, None, "[]", None, "0xff00", "y"),
    (
        *(None, "3", -3, None, None, 1e300, None, dt.date(1, 1, 1)),
        *(None, "1970-01-01T00:00:00.000000002", None, None),
        *(None, '{"a": null, "b": null}', None, "x"),
    ),
]


def write(table, path):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=2)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=2)


@pytest.fixture(params=["data.parquet", "data.feather"])
def path(request, tmp_path):
    write(TABLE, tmp_path / request.param)
    return tmp_path / request.param


def test_types_and_values_are_those_of_the_file(path):
    """Nothing is found out, and nothing is lost: long whole numbers are NUMERIC, what has no type here is text."""
    table = ExcelParser.read_excel(path)

    kinds = {column.header: column.type.value for column in table.columns}
    assert [kinds[name] for name in ("Order No", "digits", "n", "large", "price", "real", "flag", "day", "at", "fine", "clock")] == [
        *("TEXT", "TEXT", "BIGINT", "NUMERIC", "NUMERIC", "DOUBLE PRECISION", "BOOLEAN", "DATE", "TIMESTAMP", "TEXT", "TIME")
    ]
    assert list(table.rows()) == EXPECTED
    assert table.quarantined == ()


def test_the_report_says_what_the_file_says(path):
    """Each column with the file's own name of its type, and what is blank although the file has something there."""
    (sheet,) = inspect_file(path).to_dict()["sheets"]

    assert sheet["header_row"] is None
    assert sheet["columns"][3]["why"] == "the file says int64, and some values have more digits than BIGINT keeps"
    assert sheet["columns"][4]["why"] == "the file says decimal128(38, 2)"
    assert sheet["remarks"] == [
        "'raw' holds bytes that are no text: each value is written as 0x and its hexadecimal digits",
        "1 value is NaN in 'real', which is no number: it is blank",
    ]
    assert sheet["cells"]["read"] == sheet["cells"]["loaded"] > 0


def test_corrections_hold_here_too(path):
    """A name and a type that a person gives win over the file's."""
    options = TableOptions(columns=(ColumnOptions(header="n", name="count", type=ColumnType.TEXT),))

    table = ExcelParser.read_excel(path, options=options)

    assert [(column.name, column.type) for column in table.columns][2] == ("count", ColumnType.TEXT)
    assert [row[2] for row in table.rows()] == ["1", None, "-3"]


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_rows_of_nulls_are_rows(tmp_path, name):
    """The rows are as many as the file's, wherever nothing but nulls stands: above, between, below, and for whole batches."""
    values = [None, 1, *[None] * 10_000, 2, None]
    write(pa.table({"x": values, "y": pa.array([None] * len(values), pa.string())}), tmp_path / name)

    found = inspect_file(tmp_path / name).sheets[0]
    table = ExcelParser.read_excel(tmp_path / name)

    assert list(table.rows()) == [(value, None) for value in values]
    assert (found.tables[0].rows, found.tables[0].cells.read) == (len(values), 2)


def test_infinity_goes_to_quarantine(tmp_path):
    """No database column of ours takes it, and it is no blank."""
    write(pa.table({"x": [1.0, float("inf")]}), tmp_path / "x.parquet")

    assert [(each.row, each.value) for each in ExcelParser.read_excel(tmp_path / "x.parquet").quarantined] == [(2, "INF")]


def test_a_small_file_of_many_rows_is_refused_before_it_is_read(tmp_path):
    """A column of one value packs to nothing."""
    pq.write_table(pa.table({"x": pa.array([1] * 1_000_000, pa.int8())}), tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 20_000

    with pytest.raises(LimitExceeded, match="LEVELPOOL_MAX_CELLS"):
        ExcelParser.read_excel(tmp_path / "x.parquet", limits=Limits(max_cells=1000))


def test_a_damaged_file_is_refused_with_a_sentence(path):
    """Whatever pyarrow says of it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(DamagedFile, match="export it again"):
        ExcelParser.read_excel(path)


def test_without_pyarrow_the_sentence_says_what_to_install(path, monkeypatch):
    """The package is optional."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(DamagedFile, match=r"levelpool\[arrow\]"):
        ExcelParser.read_excel(path)


@pytest.mark.parametrize(
    ("values", "kind", "written"),
    [
        ([b"north", "s\u00fcd".encode()], pa.binary(), ["north", "s\u00fcd"]),  # old programs write texts so
        ([b"\x00\x01", b"ab"], pa.binary(), ["0x0001", "0x6162"]),
        ([b"ab", b"\x80\x81"], pa.large_binary(), ["0x6162", "0x8081"]),
        ([bytes(12), None], pa.binary(12), ["0x" + 12 * "00", None]),
        ([[b"ab"], [b"\xfe", None]], pa.list_(pa.binary()), ['["0x6162"]', '["0xfe", null]']),
        ([bytes(15) + b"\x07"], pa.uuid(), ["00000000-0000-0000-0000-000000000007"]),
    ],
)
def test_bytes_of_a_column_are_written_in_one_form(tmp_path, values, kind, written):
    """Text where all of them are text, else digits, whichever comes first; a remark says so."""
    path = tmp_path / "bytes.parquet"
    write(pa.table({"n": range(len(values)), "raw": pa.array(values, kind)}), path)

    table = ExcelParser.read_excel(path)

    assert [row[1] for row in table.rows()] == written
    is_told = any("'raw' holds bytes that are no text" in reason for reason in inspect_file(path).to_dict()["sheets"][0]["remarks"])
    assert is_told == any((text or "").startswith(("0x", '["0x')) for text in written)
