"""
Whether excelreader's batches of text, where a scan proves that they lose nothing, would be faster than our own reader of .xlsx.

excelreader delivers columns of text at several times our speed, and loses what a cell is: its kind, its number format, its true row, a
blank beside an empty text. So a scan over the sheet's XML has to prove first that there is nothing to lose: rows without a gap, none
hidden, no formula, no text but shared ones, no markup inside them, one kind and one style in each column. This is that way end to
end, with the cheapest scan that we know: digits are struck out, and the rows that are left must be of a few looks. It reads into the
same spool, is held against our own reader cell by cell, and both take turns.
"""

import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import interleave, keep, print_series
from benchmarks.workbooks import mixed_workbook
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.read.limits import Limits, Meter
from levelpool.sheets.read.number_formats import number_kind
from levelpool.sheets.read.source import BATCH_ROWS, ReadOptions, SheetBuilder, Source
from levelpool.sheets.read.xlsx import read_xlsx
from levelpool.sheets.table import BOOLEAN, TEXT, Batch, Cells, Kind, Record, Sheet

ROWS = 100_000
WORTH_IT = 1.15
OURS = "our reader"
THEIRS = "scan, excelreader, columns"

_BLOCK = 1 << 20
_SHEET = "xl/worksheets/sheet1.xml"
_TEXTS = "xl/sharedStrings.xml"
_ODD_TEXTS = (b"<r>", b"<rPh", b"<si/>", b"<t/>", b"<t></t>", b"_x", b"\n")
_DIGITS = b"0123456789.-"
_ROW_NUMBER = re.compile(rb'<row r="([0-9]+)"')
_STYLE_ALONE = re.compile(rb' s="([0-9]+)"')
_STYLE = re.compile(rb'<c r="([A-Z]+)[0-9]+" s="([0-9]+)"')
_PLAIN_ROW = re.compile(rb'<row r=""(?: spans=":")?>((?:<c r="[A-Z]+"(?: s="")?(?: t="[sb]")?><v>(?:E\+?)?</v></c>)*)')
_PLAIN_CELL = re.compile(rb'<c r="([A-Z]+)"(?: s="")?(?: t="([sb])")?>')
_MOST_LOOKS = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """What the scan has shown: the kind of each column below the header, from column A on."""

    kinds: tuple[Kind, ...]
    rows: int


class NothingProved(Exception):
    """The sheet holds, or may hold, something that excelreader loses."""


def main() -> None:
    """The parts of the way, and both ways end to end."""
    path = mixed_workbook(ROWS)
    proof = scan(path)
    _check_equal(path)
    series = interleave(
        {
            OURS: lambda: _cpu(lambda: _with(ours, path, _ignore)),
            "scan alone": lambda: _cpu(lambda: scan(path)),
            "excelreader alone": lambda: _cpu(lambda: sum(1 for _ in batches(path, len(proof.kinds)))),
            THEIRS: lambda: _cpu(lambda: _with(by_excelreader, path, _ignore)),
            f"{OURS}, find and prove": lambda: _cpu(lambda: _with(ours, path, find_tables)),
            f"{THEIRS}, find and prove": lambda: _cpu(lambda: _with(by_excelreader, path, find_tables)),
        }
    )
    print_series(f"{ROWS:,} x 20 into the spool, CPU; the cells are equal", series, unit="s", baseline=OURS)
    middle = {each.name: each.median for each in series}
    gain = middle[f"{OURS}, find and prove"] / middle[f"{THEIRS}, find and prove"]
    print(f"  with find and prove that way is {gain:.2f} x as fast as ours; from {WORTH_IT} x on it would be worth a second reader")
    keep(
        "second_reader", {"seconds": {each.name: each.readings for each in series}, "gain": gain}, packages=["excelreader-native", "numpy"]
    )


def _cpu(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


# ---------------------------------------------------------------- the scan


def scan(path: Path) -> Proof:
    """Prove that excelreader loses nothing of the first sheet below its first row; raises `NothingProved`."""
    looks: set[bytes] = set()
    styles: dict[bytes, set[bytes]] = {}
    row = 0
    with zipfile.ZipFile(path) as package:
        kinds_of_styles = _kinds_of_styles(package)
        for number, block in enumerate(_whole_rows(package)):
            numbers = list(map(int, _ROW_NUMBER.findall(block)))
            if numbers != list(range(row + 1, row + 1 + len(numbers))):
                raise NothingProved("rows are missing or out of order")
            row += len(numbers)
            _note_styles(block, len(numbers), styles)
            # The first row is the header, and the first block holds more than it.
            of_block = block.translate(None, _DIGITS).split(b"</row>")
            looks.update(of_block[2:-1] if number == 0 else of_block[:-1])
            if len(looks) > _MOST_LOOKS:
                raise NothingProved("the rows differ too much")
        _refuse_odd_texts(package)
    return Proof(tuple(_kinds(looks, styles, kinds_of_styles)), row)


def _note_styles(block: bytes, rows: int, styles: dict[bytes, set[bytes]]) -> None:
    """Add the styles of each column."""
    found = _STYLE_ALONE.findall(block)
    # Mostly each row has the same ones: then one row shows them all.
    alike = found == found[: len(found) // rows] * rows
    for column, style in _STYLE.findall(block[: block.find(b"</row>")] if alike else block):
        styles.setdefault(column, set()).add(style)


def _refuse_odd_texts(package: zipfile.ZipFile) -> None:
    """Runs, phonetic readings, escapes and empty texts: what a reader may get wrong, or would give as a blank cell."""
    with package.open(_TEXTS) as part:
        before = part.readline().strip()[-8:] if part.peek(5).startswith(b"<?xml") else b""
        while block := part.read(_BLOCK):
            if any(odd in block or odd in before + block[:8] for odd in _ODD_TEXTS):
                raise NothingProved("a shared text is not plain")
            before = block[-8:]


def _whole_rows(package: zipfile.ZipFile) -> Iterator[bytes]:
    """The rows of the sheet, in pieces of whole ones."""
    waiting, inside = b"", False
    with package.open(_SHEET) as part:
        while data := part.read(_BLOCK):
            waiting += data
            if not inside:
                waiting = waiting.partition(b"<sheetData>")[2]
                inside = True
            cut = waiting.rfind(b"</row>") + 6
            if cut > 6:
                yield waiting[:cut]
                waiting = waiting[cut:]
    if not waiting.startswith(b"</sheetData>") or b"mergeCell" in waiting:
        raise NothingProved("there are merged cells")


def _kinds(looks: set[bytes], styles: dict[bytes, set[bytes]], kinds_of_styles: list[Kind]) -> list[Kind]:
    known: dict[bytes, tuple[bytes, bool]] = {}
    for look in looks:
        if _PLAIN_ROW.fullmatch(look) is None:
            raise NothingProved(f"a row is not plain: {look[:200]!r}")
        for match in _PLAIN_CELL.finditer(look):
            cell = match[2], b' s=""' in match[0]
            if known.setdefault(match[1], cell) != cell:
                raise NothingProved(f"column {match[1].decode()} holds several kinds")
    kinds: list[Kind] = []
    for letters in sorted(known, key=lambda each: (len(each), each)):
        of_column = styles.get(letters, set())
        # A cell of the first row has a style of its own: an honest scan would tell it apart.
        type_, styled = known[letters]
        if len(of_column) != styled:
            raise NothingProved(f"column {letters.decode()} has several styles")
        plain = kinds_of_styles[int(next(iter(of_column)))] if styled else kinds_of_styles[0]
        kinds.append({b"s": TEXT, b"b": BOOLEAN}.get(type_, plain))
    return kinds


def _kinds_of_styles(package: zipfile.ZipFile) -> list[Kind]:
    text = package.read("xl/styles.xml").decode()
    custom = {int(number): code for number, code in re.findall(r'<numFmt numFmtId="(\d+)" formatCode="([^"]*)"', text)}
    formats = text.partition("<cellXfs")[2].partition("</cellXfs>")[0]
    return [number_kind(int(number), custom) for number in re.findall(r'<xf numFmtId="(\d+)"', formats)]


# ---------------------------------------------------------------- reading


def _with(read: Callable[[Source], Sheet], path: Path, then: Callable[[Sheet], object]) -> object:
    """What *then* makes of the sheet that *read* gives, while its spool is there."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        meter = Meter(path.name, Limits())
        return then(read(Source(path, path.name, Path(folder), meter, ReadOptions(), lambda _: None, opened)))


def _ignore(_sheet: Sheet) -> None:
    pass


def ours(source: Source) -> Sheet:
    """Our own reader."""
    return read_xlsx(source).sheets[0]


def by_excelreader(source: Source) -> Sheet:
    """Scan, then batches of text by excelreader, as our columns of cells; the header by our own reader."""
    proof = scan(source.path)
    builder = SheetBuilder(source, "Orders", 0)
    header = _header(source.path)
    builder.add(1, list(header), [TEXT] * len(header))
    row = 2
    for columns in batches(source.path, len(proof.kinds)):
        count = len(columns[0][0]) - 1
        cells = [_cells(data, offsets, kind) for (offsets, data), kind in zip(columns, proof.kinds, strict=True)]
        builder.add_columns(Batch(list(range(row, row + count)), cells))
        row += count
    return builder.finish()


def batches(path: Path, width: int) -> Iterator[list[tuple[Any, bytes]]]:
    """For each column of some rows below the first: where its texts end, and all of them."""
    import excelreader

    schema = [excelreader.ColumnSpec(excelreader.ColumnType.STRING, index=place, nullable=True) for place in range(width)]
    with excelreader.open_workbook(path) as book:
        for table in book.sheets[0].parse_batches(schema, header_row=1, batch_size=BATCH_ROWS):
            yield [(column.offsets, column.data) for column in table.columns]


def _cells(data: bytes, offsets: Any, kind: Kind) -> Cells:
    """The cells of one column: its bytes with a line feed between every two texts."""
    import numpy as np

    joined = np.insert(np.frombuffer(data, np.uint8), offsets[1:-1], 10).tobytes().decode()
    if kind == BOOLEAN:
        joined = joined.replace("1", "true").replace("0", "false")
    cells = Cells(joined=joined, kind=kind)
    return cells if cells.is_full or any(cells.texts) else Cells.blank(len(offsets) - 1)


def _header(path: Path) -> list[str]:
    """The texts of the first row."""
    import excelreader

    with excelreader.open_workbook(path) as book:
        first = next(iter(book.sheets[0].rows()))
    return [cell.value for cell in first]


def _check_equal(path: Path) -> None:
    """Stop when one cell differs in row, column, kind or text."""
    mine, other = (_with(read, path, _cells_of) for read in (ours, by_excelreader))
    if mine != other:
        raise RuntimeError(f"the two ways give different cells for {path}")


def _cells_of(sheet: Sheet) -> list[Record]:
    return [record for batch in sheet.batches() for record in batch.records()]
