"""Tables that are found while the file is read are the tables that are found after it, to the last word of their reasons."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squares
from handmade import make_sheet
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.pipelined_scan import NOTHING_SCANNED, scan_while_reading
from levelpool.sheets.clean.plans import plan_tables
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.spool import SpoolWriter
from levelpool.sheets.table import Box
from levelpool.sheets.work_sharing import WorkSharing
from sharing_helpers import helping, wait_for_somebody

GALLERY = Path(__file__).parents[3] / "gallery"
FILES = sorted(path for path in GALLERY.iterdir() if path.suffix not in {".json", ".py"} and path.is_file())


@contextmanager
def second(sharing: WorkSharing) -> Iterator[None]:
    """A second one, in a thread, which is at the shared work when the body begins."""
    with helping(sharing):
        wait_for_somebody(sharing)
        yield


@pytest.fixture
def sharing(tmp_path):
    sharing = WorkSharing(tmp_path / "shared work")
    sharing.set_up()
    return sharing


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_gallery_gives_the_same_tables(tmp_path, sharing, path):
    """Every trap: boxes, names, types, samples, reasons, and what was set aside."""
    with scan_while_reading(tmp_path, TableOptions(), sharing) as scanned, second(sharing):
        sheets = read_workbook(path, tmp_path).sheets
        found = scanned()

    assert repr(plan_tables(sheets, "dataset", scanned=found)) == repr(plan_tables(sheets, "dataset"))
    assert len(found.drafts) == len(sheets)
    assert all(found.drafts_of(sheet) is not None for sheet in sheets if not (sheet.merges or sheet.date1904 or sheet.hidden_rows))


rows = st.lists(
    st.none()
    | st.lists(
        st.none()
        | st.integers(0, 10**20)
        | st.sampled_from(["", "a", "id", "Total", "1,5", "2026-11-02", "note: x", True, ("1", "n0%"), 0.5]),
        max_size=4,
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=40)
@given(rows=rows, batch_rows=st.integers(1, 20), header=st.none() | st.integers(0, 3))
def test_any_sheet_gives_the_same_tables(rows, batch_rows, header):
    """Whatever its rows and its batches, written while the second follows."""
    options = TableOptions(header=header)
    with TemporaryDirectory() as name:
        folder, sharing = Path(name), WorkSharing(Path(name) / "shared work")
        sharing.set_up()
        written = make_sheet(rows, batch_rows=batch_rows)
        with scan_while_reading(folder, options, sharing) as scanned, second(sharing):
            with SpoolWriter(folder / "sheet-0.cells") as spool:
                for batch in written.batches():
                    spool.write(batch)
                sheet = replace(written, batches=spool.close())
            found = scanned()

        assert found.drafts_of(sheet) is not None
        assert repr(plan_tables([sheet], "dataset", options, found)) == repr(plan_tables([sheet], "dataset", options))


def test_sheet_that_says_more_than_its_rows_is_walked_again(tmp_path, sharing):
    """Merged areas and the calendar of 1904 are known only when the file is read."""
    with scan_while_reading(tmp_path, TableOptions(), sharing) as scanned, second(sharing):
        with SpoolWriter(tmp_path / "sheet-0.cells") as spool:
            spool.write(next(make_sheet([["id"], [1]]).batches()))
            sheet = make_sheet([["id"], [1]])
            sheet = replace(sheet, batches=spool.close())
        found = scanned()

    assert found.drafts_of(sheet) is not None
    assert found.drafts_of(replace(sheet, merges=(Box(1, 0, 1, 1),))) is None
    assert found.drafts_of(replace(sheet, date1904=True)) is None


def test_spool_that_was_begun_anew_is_not_taken_for_the_first(tmp_path, sharing):
    """A reader that starts again leaves nothing behind of what it threw away."""
    with scan_while_reading(tmp_path, TableOptions(), sharing) as scanned, second(sharing):
        first = SpoolWriter(tmp_path / "sheet-0.cells")
        first.write(next(make_sheet([["id"], [1]]).batches()))
        with first, SpoolWriter(tmp_path / "sheet-0.cells") as again:
            again.write(next(make_sheet([["name"], ["x"]]).batches()))
            sheet = replace(make_sheet([["name"], ["x"]]), batches=again.close())
        found = scanned()

    assert [column.name for planned in plan_tables([sheet], "dataset", scanned=found) for column in planned.plan.columns] == ["name"]


def test_spool_that_its_reader_left_is_not_waited_for(tmp_path, sharing):
    """A reader that goes another way after some rows closes its spool without an end."""
    with scan_while_reading(tmp_path, TableOptions(), sharing) as scanned, second(sharing):
        with SpoolWriter(tmp_path / "sheet-1.cells") as left:
            left.write(next(make_sheet([["id"], [1]]).batches()))
        with SpoolWriter(tmp_path / "sheet-0.cells") as spool:
            spool.write(next(make_sheet([["id"], [1]]).batches()))
            sheet = replace(make_sheet([["id"], [1]]), batches=spool.close())
        found = scanned()

    assert len(found.drafts) == 1
    assert found.drafts_of(sheet) is not None


def test_nobody_waits_for_a_second_that_was_killed(tmp_path, sharing):
    """The kernel tells that it is gone, and the walk begins anew."""
    with scan_while_reading(tmp_path, TableOptions(), sharing) as scanned:
        killed = subprocess.Popen([sys.executable, str(Path(squares.__file__)), str(sharing.folder)], stdout=subprocess.DEVNULL)
        wait_for_somebody(sharing)
        os.kill(killed.pid, signal.SIGKILL)
        assert scanned() == NOTHING_SCANNED
        assert killed.wait() == -signal.SIGKILL


def test_nobody_waits_for_a_second_that_is_recalled(tmp_path, sharing):
    """It leaves in the midst of a sheet."""
    with (
        scan_while_reading(tmp_path, TableOptions(), sharing) as scanned,
        second(sharing),
        SpoolWriter(tmp_path / "sheet-0.cells") as spool,
    ):
        spool.write(next(make_sheet([["id"], [1]]).batches()))
        sharing.recall()

        assert scanned() == NOTHING_SCANNED
