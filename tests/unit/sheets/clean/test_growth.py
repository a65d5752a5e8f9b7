"""What keeps the time of large files in proportion, as far as it can be counted; `make growth` measures the rest."""

from dataclasses import replace

import pytest

from handmade import make_sheet
from levelpool.sheets.clean import side_by_side
from levelpool.sheets.clean.merges import Merges
from levelpool.sheets.clean.names import column_names
from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import dataset_names, find_tables
from levelpool.sheets.spool import SpooledBatches, SpoolWriter
from levelpool.sheets.table import Box


def tables_below_each_other(number):
    """Rows of *number* tables of three columns, each with a blank column and with names of its own."""
    return [row for at in range(number) for row in ([f"a {at}", f"b {at}", None, f"c {at}", f"d {at}"], [1, 2, None, 3, 4], None)]


def test_table_reads_only_the_batches_that_hold_its_rows(tmp_path, monkeypatch):
    """Of a sheet with a hundred tables, each in a batch of its own, cleaning reads a hundred batches."""
    sheet = make_sheet(tables_below_each_other(100), batch_rows=2)
    with SpoolWriter(tmp_path / "cells") as spool:
        for batch in sheet.batches():
            spool.write(batch)
        sheet = replace(sheet, batches=spool.close())
    read = []
    take = SpooledBatches.__getitem__
    monkeypatch.setattr(SpooledBatches, "__getitem__", lambda self, number: read.append(number) or take(self, number))

    rows = [batch.rows for plan in find_tables(sheet) for batch in clean_rows(sheet, plan, plan.columns)]

    assert rows == [[3 * at + 2] for at in range(100)]
    assert read == list(range(100))


def test_of_very_many_tables_only_the_upper_ones_are_looked_at_for_neighbours(monkeypatch):
    """Each look begins at the first row of the sheet: all together they see no more than the bounds say."""
    sheet = make_sheet(tables_below_each_other(300))
    taken = []
    take = side_by_side._Band.take
    monkeypatch.setattr(side_by_side._Band, "take", lambda self, *args: taken.append(1) or take(self, *args))
    monkeypatch.setattr(side_by_side, "_MOST_ROWS", 100)

    assert len(plan_sheet(sheet)) == 300
    # The last look may pass the bound by the rows of the sheet.
    assert len(taken) <= 100 + 5 * sheet.row_count + 1


def test_columns_of_one_name_are_counted_on():
    """Numbers go up, and pass over those that other columns have."""
    assert column_names(["a", "a", "a 4", "a", "A", "a"]) == ("a", "a_2", "a_4", "a_3", "a_5", "a_6")
    assert len(set(column_names(["x" * 100] * 2000))) == 2000


def test_sheets_whose_names_are_alike_once_clean_get_numbers():
    """Whatever tells the sheets apart is no part of a database name."""
    plans = [plan for mark in "!?#!" for plan in find_tables(make_sheet([["sku", "stock"], ["a", 1], ["b", 2]], name=f"Stock{mark}"))]
    first = find_tables(make_sheet([["name", "city"], ["Ana", "Graz"], ["Mei", "Oslo"]]))

    assert dataset_names("d", [*first, *plans]) == ("d", "d__stock", "d__stock__2", "d__stock__3", "d__stock__4")


@pytest.mark.parametrize(
    ("boxes", "across"),
    [
        ([Box(1, 0, 1, 3)], {0: 0, 2: 0, 3: 0}),
        ([Box(1, 0, 1, 3), Box(1, 2, 1, 9)], {0: 0, 2: 2, 3: 2, 9: 2}),
        ([Box(1, 2, 1, 9), Box(1, 0, 1, 3)], {0: 0, 2: 0, 3: 0, 9: 2}),
        ([Box(2, 0, 2, 3)], {}),
        ([Box(1, 4, 1, 16_383)] * 1000, {9: 4}),
    ],
)
def test_merged_areas_cover_columns_and_the_last_one_counts(boxes, across):
    """Only the columns that were asked for are looked at."""
    assert Merges(boxes).across(1, [9, 0, 2, 3]) == across
