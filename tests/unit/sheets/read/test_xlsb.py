"""Binary workbooks: the same cells as from .xlsx, in their true places."""

import struct
import zipfile
from datetime import date
from pathlib import Path

import pytest
from tests.handmade import grid_of

from levelpool.sheets.errors import DamagedFile
from levelpool.sheets.read.biff import is_compiled_sum, rk_text
from levelpool.sheets.read.workbook import read_workbook
from levelpool.sheets.table import Box

RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
RELATION = '<Relationship Id="{}" Type="http://x/{}" Target="{}"/>'


def record(number: int, data: bytes = b"") -> bytes:
    head = bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])
    size, length = b"", len(data)
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return head + size + data


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def cell(column: int, style: int = 0) -> bytes:
    return struct.pack("<II", column, style)


def row(number: int, *, hidden: bool = False) -> bytes:
    return record(0, struct.pack("<IIHBBB", number, 0, 300, 0, 0x10 if hidden else 0, 0))


def write(path: Path, *records: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("_rels/.rels", RELATIONS.format(RELATION.format("r1", "officeDocument", "xl/workbook.bin")))
        parts = [("r1", "worksheet", "worksheets/sheet1.bin"), ("r2", "styles", "styles.bin"), ("r3", "sharedStrings", "sharedStrings.bin")]
        package.writestr("xl/_rels/workbook.bin.rels", RELATIONS.format("".join(RELATION.format(*part) for part in parts)))
        package.writestr("xl/workbook.bin", record(153, b"\1\0\0\0") + record(156, struct.pack("<II", 1, 1) + wide("r1") + wide("S")))
        package.writestr(
            "xl/styles.bin",
            record(44, struct.pack("<H", 164) + wide("yyyy-mm-dd"))
            + record(47, struct.pack("<HH", 0, 9))
            + record(617)
            + record(47, struct.pack("<HH", 0, 0))
            + record(47, struct.pack("<HH", 0, 164))
            + record(618),
        )
        package.writestr("xl/sharedStrings.bin", record(19, b"\0" + wide("000123")))
        package.writestr("xl/worksheets/sheet1.bin", b"".join(records))
    return path


def test_cells_keep_place_kind_and_format(tmp_path):
    """Row 5 is row 5 though nothing stands above it; a date keeps its format, an error its name, a sum is known as one."""
    double = struct.pack("<d", 0.1 + 0.2)
    sum_tokens = b"\x25" + bytes(12) + b"\x19\x10\0\0"
    path = write(
        tmp_path / "a.xlsb",
        record(60, struct.pack("<IIIIH", 1, 2, 0, 0, 1)),
        record(145),
        row(4, hidden=True),
        record(7, cell(2) + struct.pack("<I", 0)),
        record(2, cell(3, 1) + struct.pack("<I", 46328 << 2 | 2)),
        record(3, cell(5) + b"\x2a"),
        record(4, cell(6) + b"\1"),
        row(6),
        record(1, cell(0)),
        record(5, cell(1) + double),
        record(9, cell(2) + double + b"\0\0" + struct.pack("<I", len(sum_tokens)) + sum_tokens + bytes(4)),
        record(62, cell(3) + b"\0" + wide("rich")),
        record(18, b"\0\0\0\0" + struct.pack("<I", 0)),
        record(146),
        record(176, struct.pack("<4I", 0, 1, 0, 3)),
    )

    sheet = read_workbook(path, tmp_path).sheets[0]
    (batch,) = sheet.batches()

    assert batch.rows == [5, 7]
    assert [cells for _, cells, _ in grid_of(batch)] == [
        [None, None, "000123", "46328", None, "#N/A", "true"],
        [None, "0.30000000000000004", "0.30000000000000004", "rich", "000123"],
    ]
    assert [kinds for _, _, kinds in grid_of(batch)] == [[None, None, "s", "nyyyy-mm-dd", None, "e", "b"], [None, "n", "n", "s", "s"]]
    assert batch.sums == {7: frozenset({2})}
    assert (sheet.hidden, sheet.date1904, sheet.merges) == (True, True, (Box(1, 0, 2, 3),))
    assert (sheet.hidden_rows, sheet.hidden_columns) == ({5}, {1, 2})


def test_what_another_program_writes_is_read(tmp_path):
    """A file that we did not make ourselves gives the values that went in."""
    excelreader = pytest.importorskip("excelreader")
    with excelreader.open_writer(str(tmp_path / "a.xlsb")) as book:
        book.start_sheet("S")
        for values in (["sku", "amount", "on", "when"], ["000123", 1.5, True, date(2026, 11, 2)], ["ü", 7, None, None]):
            book.write_row(values)
        book.end_sheet()

    (batch,) = read_workbook(tmp_path / "a.xlsb", tmp_path).sheets[0].batches()

    assert [cells for _, cells, _ in grid_of(batch)] == [["sku", "amount", "on", "when"], ["000123", "1.5", "true", "46328"], ["ü", "7"]]
    day = batch.columns[3].kind_at(1)
    assert day.startswith("n") and "y" in day.lower()


def test_missing_shared_text_is_damage(tmp_path):
    """A cell that points nowhere is no blank cell."""
    path = write(tmp_path / "a.xlsb", row(0), record(7, cell(0) + struct.pack("<I", 5)))

    with pytest.raises(DamagedFile, match="shared text 5"):
        read_workbook(path, tmp_path)


@pytest.mark.parametrize(
    ("packed", "text"),
    [(7 << 2 | 2, "7"), ((-7 << 2 | 2) & 0xFFFFFFFF, "-7"), (1250 << 2 | 3, "12.5"), (0x3FF00000, "1"), (0x3FF00001, "0.01")],
)
def test_packed_numbers(packed, text):
    """An RK value is an integer or a double, perhaps in hundredths."""
    assert rk_text(packed) == text


def test_sum_is_the_outermost_call_only():
    """SUM(A1:A3) is a sum, SUM(A1:A3)+1 is not."""
    area = b"\x25" + bytes(12)

    assert is_compiled_sum(area + b"\x19\x10\0\0")
    assert is_compiled_sum(area + area + b"\x42\x02\x04\x00")
    assert is_compiled_sum(b"\x1e\x09\x00" + area + b"\x42\x02\x58\x01")
    assert not is_compiled_sum(area + b"\x19\x10\0\0" + b"\x1e\x01\x00\x03")
