"""Every trap of the gallery gives exactly the cells, and the tables, that stand beside it."""

import json
import runpy
from pathlib import Path

import pytest
from tests.handmade import grid_of

from levelpool.sheets.inspect import inspect_file
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Box, Sheet

GALLERY = Path(__file__).parents[3] / "gallery"
EXPECTED = sorted(GALLERY.glob("*.json"))


def place(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        letters = chr(65 + digit) + letters
    return f"{letters}{row}" if row else letters


def area(box: Box) -> str:
    return f"{place(box.first_row, box.first_column)}:{place(box.last_row, box.last_column)}"


def describe(sheet: Sheet) -> dict[str, object]:
    cells, sums = {}, []
    for batch in sheet.batches():
        for row, texts, kinds in grid_of(batch):
            found = {place(row, column): [text, kind] for column, (text, kind) in enumerate(zip(texts, kinds, strict=True)) if kind}
            assert not found.keys() & cells.keys()
            cells |= found
            sums += [place(row, column) for column in sorted(batch.sums.get(row, ()))]
    assert sheet.cell_count == len(cells)
    return {
        "name": sheet.name,
        "cells": cells,
        "hidden": sheet.hidden,
        "date1904": sheet.date1904,
        "sums": sums,
        "merges": [area(box) for box in sheet.merges],
        "hidden_rows": sorted(sheet.hidden_rows),
        "hidden_columns": [place(0, column) for column in sorted(sheet.hidden_columns)],
    }


NOTHING = {"hidden": False, "date1904": False, "sums": [], "merges": [], "hidden_rows": [], "hidden_columns": []}


def having(what):
    """The traps that say so."""
    return [path for path in EXPECTED if what in json.loads(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", having("sheets"), ids=lambda path: path.stem)
def test_trap_gives_its_cells(tmp_path, path):
    """No cell more, no cell less, each with its text, its kind and its place."""
    expected = json.loads(path.read_text(encoding="utf-8"))

    workbook = read_workbook(path.with_suffix(""), tmp_path)

    assert workbook.format == expected["format"]
    assert [describe(sheet) for sheet in workbook.sheets] == [{**NOTHING, **sheet} for sheet in expected["sheets"]], expected["why"]


@pytest.mark.parametrize("path", having("tables"), ids=lambda path: path.stem)
def test_trap_gives_its_tables(path):
    """The header, the columns with their types, each row, and each row and cell that is set aside."""
    expected = json.loads(path.read_text(encoding="utf-8"))

    found = inspect_file(path.with_suffix(""))

    assert found.format == expected["format"]
    shown = [
        {
            "header_row": entry["header_row"],
            "columns": {column["name"]: column["type"] for column in entry["columns"]},
            "rows": [list(row.values()) for row in first["rows"]],
            "outside": {str(each["row"]): each["reason"] for each in entry["outside"]},
            "quarantine": entry["quarantine"],
        }
        for entry, first in zip(found.to_dict()["sheets"], found.preview()["sheets"], strict=True)
    ]
    assert shown == expected["tables"], expected["why"]


def test_gallery_is_what_its_script_makes():
    """Whoever adds a trap adds it to the script, and the files follow."""
    made = runpy.run_path(str(GALLERY / "make.py"))["TRAPS"]

    assert {path.stem for path in EXPECTED} == {trap.name for trap in made}
    for trap in made:
        assert (GALLERY / trap.name).exists()
        assert json.loads((GALLERY / f"{trap.name}.json").read_text(encoding="utf-8"))["why"] == trap.why
