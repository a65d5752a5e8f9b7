"""Sheets and workbooks made by hand."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile

from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.table import BOOLEAN, NUMBER, TEXT, Batch, CellCounts, Sheet

Cell = str | int | float | bool | tuple[str, str] | None


def make_cell(cell: Cell) -> tuple[str | None, str | None]:
    """A Python value as a cell: a str is text, a number a number cell, a pair is (text, kind)."""
    if cell is None:
        return None, None
    if isinstance(cell, tuple):
        return cell
    if isinstance(cell, bool):
        return str(cell).lower(), BOOLEAN
    if isinstance(cell, str):
        return cell, TEXT
    return repr(cell), NUMBER


def make_sheet(
    rows: Iterable[Sequence[Cell] | None], *, sums: dict[int, set[int]] | None = None, batch_rows: int = 7, **more: object
) -> Sheet:
    """A sheet of these rows, from row 1 on; None, or a row without a cell, is blank and is not delivered, as by every reader."""
    numbers, cells, kinds = [], [], []
    for number, row in enumerate(rows, 1):
        pairs = [make_cell(cell) for cell in row or ()]
        while pairs and pairs[-1][1] is None:
            pairs.pop()
        if pairs:
            numbers.append(number)
            cells.append([text for text, _ in pairs])
            kinds.append([kind for _, kind in pairs])
    formulas = {row: frozenset(columns) for row, columns in (sums or {}).items()}
    batches = [
        Batch.of_rows(numbers[at : at + batch_rows], cells[at : at + batch_rows], kinds[at : at + batch_rows], formulas)
        for at in range(0, len(numbers), batch_rows)
    ]
    count = sum(len(row) - row.count(None) for row in kinds)
    defaults = {"name": "Sheet1", "position": 0, "row_count": len(numbers), "cell_count": count}
    return Sheet(batches=lambda: iter(batches), **(defaults | more))


def account(sheet: Sheet, **options: object) -> CellCounts:
    """The account of all tables of a sheet; every sum in it is checked on the way."""
    total = CellCounts()
    for shown, plan in plan_sheet(sheet, TableOptions(**options)):
        for batch in clean_rows(shown, plan, plan.columns):
            assert batch.cells.read == batch.cells.loaded + batch.cells.quarantined + batch.cells.outside
            total += batch.cells
    assert total.read == sheet.cell_count
    return total


def encrypted_workbook(path: Path, password: str, *, rows: int = 2) -> Path:
    """A workbook at *path* with one table of two columns, encrypted with *password*."""
    plain = io.BytesIO()
    with xlsxwriter.Workbook(plain, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Stock")
        for number, row in enumerate([("sku", "amount"), *((f"{each:05d}", each) for each in range(1, rows + 1))]):
            sheet.write_row(number, 0, row)
    with path.open("wb") as file:
        OOXMLFile(plain).encrypt(password, file)
    return path


def grid_of(batch: Batch) -> list[tuple[int, list[str | None], list[str | None]]]:
    """The rows of a batch from column A to their last cell: number, texts, and kinds."""
    grid = []
    for row, texts, kinds in batch.records():
        columns = range(max(texts, default=-1) + 1)
        grid.append((row, [texts.get(column) for column in columns], [kinds.get(column) for column in columns]))
    return grid
