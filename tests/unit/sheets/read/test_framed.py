"""A workbook with something before it or behind it is read as if it stood alone, and what was left off is told."""

import io

import openpyxl
import pytest
import xlwt

from levelpool.sheets.errors import DamagedFile, NotASpreadsheet
from levelpool.sheets.read.workbook import read_workbook

NOTICE = b"<br /><b>Notice</b>: the session has ended in /srv/shop/export.php<br />"


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    for row in (["Item", "Price"], ["bolt", 2.5], ["nut", 1.25]):
        book.active.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def xls() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Prices")
    for place, row in enumerate((["Item", "Price"], ["bolt", 2.5])):
        for column, value in enumerate(row):
            sheet.write(place, column, value)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def read(tmp_path, content: bytes, name: str):
    path = tmp_path / name
    path.write_bytes(content)
    folder = tmp_path / "spool"
    folder.mkdir()
    return read_workbook(path, folder)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"\n", b""),
        (b"\xef\xbb\xbf", b""),
        (bytes(3), b""),
        (NOTICE, b""),
        (b" " * 70_000, b""),
        (b"", b"\r\n"),
        (b"", NOTICE * 2000),
        (NOTICE, NOTICE),
    ],
    ids=["line feed", "byte order mark", "zero bytes", "notice", "far away", "line end behind", "page behind", "both"],
)
def test_workbook_is_read_and_what_stands_around_it_is_counted(tmp_path, before, behind):
    """Each side has its remark, with the number of bytes."""
    workbook = read(tmp_path, before + xlsx() + behind, "prices.xlsx")

    assert workbook.sheets[0].cell_count == 6
    sides = [remark.split(" the workbook")[0] for remark in workbook.remarks if remark.startswith("left off: ")]
    expected = [
        f"left off: {len(some):,} byte{'s' * (len(some) > 1)} {side}" for side, some in (("before", before), ("behind", behind)) if some
    ]
    assert sides == expected


def test_old_workbook_behind_a_mark_is_read(tmp_path):
    """So are compound files."""
    workbook = read(tmp_path, b"\xef\xbb\xbf" + xls(), "prices.xls")

    assert workbook.format == "xls" and workbook.sheets[0].cell_count == 4


def test_of_two_workbooks_in_one_file_the_other_is_told(tmp_path):
    """The last one counts, as for every program that opens zip containers; nobody thinks that this is all."""
    first = xlsx()
    workbook = read(tmp_path, first + xlsx(), "twice.xlsx")

    assert any(remark.startswith(f"left off: {len(first):,} bytes before the workbook") for remark in workbook.remarks)


def test_workbook_alone_is_not_copied(tmp_path):
    """Nothing is left off, and nothing is said."""
    assert read(tmp_path, xlsx(), "prices.xlsx").remarks == ()
    assert not (tmp_path / "spool" / "alone").exists()


def test_workbook_behind_a_mark_that_was_cut_off_is_damaged(tmp_path):
    """Its end is missing, and that is what is said."""
    with pytest.raises(DamagedFile, match="not sent to its end"):
        read(tmp_path, b"\n" + xlsx()[:-200], "prices.xlsx")


def test_document_that_holds_a_workbook_is_what_it_is(tmp_path):
    """A workbook within a document of another kind is not the document."""
    with pytest.raises(NotASpreadsheet, match="a PDF document"):
        read(tmp_path, b"%PDF-1.7\n" + xlsx(), "report.pdf")
