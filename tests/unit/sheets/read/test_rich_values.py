"""Pictures in cells and linked data: Excel stores an error, and what a person sees in parts of their own."""

import io
import struct
import zipfile
import zlib

import pytest
import xlsxwriter

from levelpool.sheets import inspect_file


def png() -> bytes:
    """A picture of one point."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    points = zlib.compress(b"\0\xff\xff\xff")
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + part(b"IDAT", points) + part(b"IEND", b"")


@pytest.fixture
def catalogue(tmp_path):
    """A price list with a photo in each row, as XlsxWriter writes what Excel calls a picture placed in a cell."""
    path = tmp_path / "catalogue.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet("Items")
        sheet.write_row(0, 0, ["item", "photo", "price"])
        for row, item in enumerate(["cup", "jug", "pot"], 1):
            sheet.write(row, 0, item)
            sheet.embed_image(row, 1, f"{item}.png", {"image_data": io.BytesIO(png() + bytes(row))})
            sheet.write(row, 2, row * 1.5)
    return path


def changed(path, part: str, change):
    """The same workbook with one part written otherwise; None leaves it out."""
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    parts[part] = change(parts[part])
    with zipfile.ZipFile(path, "w") as package:
        for name, content in parts.items():
            if content is not None:
                package.writestr(name, content)
    return path


def found(path):
    report = inspect_file(path).preview()
    [sheet] = report["sheets"]
    return [row.get("photo") for row in sheet["rows"]], sheet["quarantined_rows"], sheet["remarks"] + report["remarks"]


def test_picture_in_a_cell_is_no_value_and_no_error(catalogue):
    """The rows are there with everything else, and a remark counts the pictures."""
    photos, aside, remarks = found(catalogue)

    assert (photos, aside) == ([None] * 3, 0)
    assert any("3 cells hold pictures, the first one in row 2" in remark for remark in remarks)


def test_linked_data_shows_its_text(catalogue):
    """What Excel displays of a stock or a place is the cell's text."""
    changed(
        catalogue,
        "xl/richData/rdrichvaluestructure.xml",
        lambda content: content.replace(b'"_localImage"', b'"_linkedentity2"').replace(
            b'"_rvRel:LocalImageIdentifier"', b'"_DisplayString"'
        ),
    )

    photos, aside, _ = found(catalogue)

    assert (photos, aside) == ([0, 1, 2], 0)


def test_error_behind_a_mark_stays_an_error(catalogue):
    """Such as a function that has no room for its results."""
    changed(catalogue, "xl/richData/rdrichvaluestructure.xml", lambda content: content.replace(b'"_localImage"', b'"_error"'))

    _, aside, remarks = found(catalogue)

    assert aside == 3
    assert not any("picture" in remark for remark in remarks)


def test_parts_that_are_damaged_cost_no_row(catalogue):
    """The errors are errors then, and a remark says why."""
    changed(catalogue, "xl/richData/rdrichvalue.xml", lambda content: content[:60])

    _, aside, remarks = found(catalogue)

    assert aside == 3
    assert any("what stands behind some error cells could not be read" in remark for remark in remarks)


def test_mark_without_its_parts_is_no_error(catalogue):
    """Programs that copy a sheet drop the parts and keep the mark."""
    changed(catalogue, "xl/metadata.xml", lambda content: None)

    photos, aside, _ = found(catalogue)

    assert (photos, aside) == ([None] * 3, 0)


# ---------------------------------------------------------------- results that were never calculated


def calculated(tmp_path, results):
    path = tmp_path / "sums.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["item", "sold", "price", "worth", "taxed"])
        for row, (worth, taxed) in enumerate(results, 1):
            sheet.write_row(row, 0, [f"item {row}", row, 2.5])
            sheet.write_formula(row, 3, f"=B{row + 1}*C{row + 1}", value=worth)
            sheet.write_formula(row, 4, f"=D{row + 1}*1.2", value=taxed)
    return inspect_file(path).preview()["sheets"][0]["remarks"]


def test_results_that_were_never_calculated_are_told(tmp_path):
    """By column, with how many and what to do; the other columns are left out of it."""
    [remark] = [each for each in calculated(tmp_path, [(0, 3), (0, 6), (0, 9)]) if "calculated" in each]

    assert "the results of all 3 formulas in column D are 0" in remark
    assert "open it in a spreadsheet program, save it, and send it again" in remark


@pytest.mark.parametrize("results", [[(2.5, 3), (5, 6)], [(0, 3), (5, 0)]])
def test_results_that_are_there_are_not_doubted(tmp_path, results):
    """A 0 among others is a result."""
    assert not [each for each in calculated(tmp_path, results) if "calculated" in each]
