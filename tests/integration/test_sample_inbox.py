"""The sample inbox: what a newcomer sees first."""

import runpy
from pathlib import Path

import pytest

from levelpool.sheets.errors import NotASpreadsheet
from levelpool.sheets.read.workbook import read_workbook

SCRIPT = Path(__file__).parents[2] / "examples" / "make_inbox.py"
FORMATS = {
    "Orders_2026-11-01.xlsx": "xlsx",
    "Orders_2026-11-02.xlsx": "xlsx",
    "SKU list.csv": "csv",
    "Copy of SKU list.csv": "csv",
    "Inventory_2026-11.xlsx": "xlsx",
    "订单_20261101.csv": "csv",
    "Retouren 2026-11.csv": "csv",
    "Marketplace_settlement_W44.xls": "html",
    "Customers.xls": "xls",
    "Expenses Q4.ods": "ods",
}


def test_sample_inbox_comes_out_the_same_each_time(tmp_path):
    """A file that changed from run to run would be loaded again and again."""
    make = runpy.run_path(str(SCRIPT))["main"]

    make(tmp_path / "one")
    make(tmp_path / "two")

    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()
    }


def test_sample_inbox_reads_but_for_the_scan(tmp_path):
    """Each file is of the format it should show, and the one that is no spreadsheet says what it is."""
    runpy.run_path(str(SCRIPT))["main"](tmp_path / "inbox")
    found = {}
    for path in sorted((tmp_path / "inbox").iterdir()):
        folder = tmp_path / "spool" / path.name
        folder.mkdir(parents=True)
        if path.name == "scan_0042.xlsx":
            with pytest.raises(NotASpreadsheet, match="PDF"):
                read_workbook(path, folder)
        else:
            found[path.name] = read_workbook(path, folder).format

    assert found == FORMATS
