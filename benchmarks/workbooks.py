"""The workbooks and text files that benchmarks read: made once, kept in `.cache/bench`, the same on every machine."""

import csv
import random
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
COLUMNS = 20
WIDE_COLUMNS = 1 << 14


def mixed_workbook(rows: int) -> Path:
    """A workbook of *rows* x 20: ids with leading zeros, 18-digit order numbers, text, integers, money, dates, booleans, some blanks."""
    path = CACHE / f"orders_mixed_{rows}.xlsx"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    if rows > _MOST_IN_MEMORY:
        _write_large(unfinished, rows)
    else:
        _write(unfinished, rows)
    unfinished.replace(path)
    return path


_MOST_IN_MEMORY = 200_000
"""XlsxWriter keeps all cells in memory: beyond it we write what it would write ourselves, row by row."""


def mixed_text(rows: int, *, quoted: bool = False) -> Path:
    """The same rows as a CSV file; *quoted*: every text stands between quotation marks."""
    path = CACHE / f"orders_mixed_{rows}{'_quoted' if quoted else ''}.csv"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    chance = random.Random(20)
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL)
        writer.writerow(_headers())
        for row in range(1, rows + 1):
            writer.writerow(map(_in_text, _values(row, chance)))
    unfinished.replace(path)
    return path


def wide_workbook(rows: int, share: float = 1.0) -> Path:
    """A workbook of a header and *rows* rows over all 16,384 columns of a sheet, of whose cells a *share* is filled, by chance."""
    path = CACHE / f"wide_{rows}_{share:g}.xlsx"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    _write_wide(unfinished, rows, share)
    unfinished.replace(path)
    return path


def _write_wide(path: Path, rows: int, share: float) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet = book.add_worksheet("Wide")
    sheet.write_row(0, 0, [f"Column {number}" for number in range(1, WIDE_COLUMNS + 1)])
    chance = random.Random(20)
    for row in range(1, rows + 1):
        for column in range(WIDE_COLUMNS):
            if chance.random() < share:
                number = chance.randrange(1_000_000)
                sheet.write(row, column, (number, number / 100, f"text {number % 5000}", f"A-{row}-{column}")[column % 4])
    book.close()


def _in_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, date) else value


def _headers() -> list[str]:
    return [f"Column {number}" for number in range(1, COLUMNS + 1)]


def _write(path: Path, rows: int) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("Orders")
    day, moment = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet.write_row(0, 0, _headers())
    chance = random.Random(20)
    for row in range(1, rows + 1):
        for column, value in enumerate(_values(row, chance)):
            if isinstance(value, datetime):
                sheet.write_datetime(row, column, value, moment)
            elif isinstance(value, date):
                sheet.write_datetime(row, column, value, day)
            elif isinstance(value, str):
                sheet.write_string(row, column, value)
            elif value is not None:
                sheet.write(row, column, value)
    book.close()


def _write_large(path: Path, rows: int) -> None:
    """What XlsxWriter writes, with another sheet and other shared texts in a small workbook of its own."""
    texts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.xlsx"
        _write(model, 1)
        with zipfile.ZipFile(model) as small, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as large:
            for part in small.namelist():
                if part not in {_SHEET, _TEXTS}:
                    large.writestr(part, small.read(part))
            before, _, after = small.read(_SHEET).decode().partition("<sheetData>")
            with large.open(_SHEET, "w", force_zip64=True) as sheet:
                sheet.write(f"{before}<sheetData>".encode())
                for row in _sheet_rows(rows, texts):
                    sheet.write(row.encode())
                sheet.write(f"</sheetData>{after.partition('</sheetData>')[2]}".encode())
            with large.open(_TEXTS, "w", force_zip64=True) as shared:
                shared.write(b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">')
                for text in texts:
                    shared.write(f"<si><t>{text}</t></si>".encode())
                shared.write(b"</sst>")


_SHEET, _TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_LETTERS = "ABCDEFGHIJKLMNOPQRST"


def _sheet_rows(rows: int, texts: dict[str, int]) -> Iterator[str]:
    chance = random.Random(20)
    for row in range(rows + 1):
        values = _values(row, chance) if row else _headers()
        cells = [_cell(f"{letter}{row + 1}", value, texts) for letter, value in zip(_LETTERS, values, strict=True) if value is not None]
        yield f'<row r="{row + 1}" spans="1:{COLUMNS}">{"".join(cells)}</row>'


def _cell(place: str, value: object, texts: dict[str, int]) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="s"><v>{texts.setdefault(value, len(texts))}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime):
        return f'<c r="{place}" s="2"><v>{(value - datetime(1899, 12, 30)) / timedelta(days=1):.16G}</v></c>'
    if isinstance(value, date):
        return f'<c r="{place}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    return f'<c r="{place}"><v>{value:.16G}</v></c>'


def _values(row: int, chance: random.Random) -> list[object]:
    first = datetime(2024, 1, 1)
    return [
        row,
        f"{row:08d}",
        f"{100000000000000000 + row * 7919}",
        f"customer {chance.randrange(5000)}",
        chance.choice(["north", "south", "east", "west"]),
        chance.randrange(1, 100),
        round(chance.random() * 1000, 2),
        round(chance.random() * 10, 3),
        chance.random(),
        (first + timedelta(days=chance.randrange(900))).date(),
        first + timedelta(seconds=chance.randrange(70_000_000)),
        chance.random() < 0.5,
        f"note {row}" if row % 3 else None,
        chance.randrange(10**12),
        chance.choice(["EUR", "USD", "CNY"]),
        round(chance.gauss(0, 100), 2),
        f"{chance.randrange(10**6):06d}",
        chance.randrange(2),
        "订单" + str(row % 97),
        round(chance.random() * 100, 1) if row % 10 else None,
    ]
