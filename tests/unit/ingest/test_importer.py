"""Frames on their way into a table."""

import pandas as pd
import pyarrow as pa
import pytest

from levelpool.ingest.importer import as_mappings
from levelpool.ingest.rows_file import read_rows, write_rows

TWICE = ["id", "amount", "amount"]


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame([[1, 10, 20], [2, 30, 40]], columns=TWICE), pa.table([[1, 2], [10, 30], [20, 40]], names=TWICE)],
    ids=["pandas", "pyarrow"],
)
def test_repeated_names_of_a_frame_lose_no_column(tmp_path, frame):
    """The second of a name gets a number, as in files, and every value is counted."""
    write_rows(as_mappings(frame), tmp_path / "rows")
    workbook, plan = read_rows(tmp_path / "rows", "shop")

    assert {column.name: column.samples for column in plan.columns} == {"id": ("1", "2"), "amount": ("10", "30"), "amount_2": ("20", "40")}
    assert workbook.sheets[0].cell_count == 6
