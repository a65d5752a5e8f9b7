"""What a workbook itself says of a table, Excel's table part: where it lies, what its columns are called, which rows are its header and its totals."""

from collections.abc import Sequence
from dataclasses import replace

from levelpool.sheets.clean.header import Head, given_head
from levelpool.sheets.clean.merges import Merges
from levelpool.sheets.clean.row import Row
from levelpool.sheets.table import NamedTable, Sheet


def total_rows(sheet: Sheet) -> frozenset[int]:
    """The numbers of the rows that are totals by what the workbook says."""
    return frozenset(
        row
        for each in sheet.tables
        for row in range(each.box.last_row - each.total_rows + 1, each.box.last_row + 1)
        if row > each.box.first_row
    )


def named_head(sheet: Sheet, rows: Sequence[Row], merges: Merges) -> Head | None:
    """The head of the table that begins somewhere in *rows*, where the workbook says which that is and all cells of its first row belong to it."""
    for each in sheet.tables:
        place = next((place for place, row in enumerate(rows) if row.number == each.box.first_row), None)
        if place is None or any(not each.box.first_column <= column <= each.box.last_column for column in rows[place].filled()):
            continue
        if each.header_rows:
            head = given_head(rows, each.box.first_row + each.header_rows - 1, merges)
            if not head.header:
                continue
            return replace(head, why=f"the workbook says that row {head.header[-1].number} is the header of its table {each.name}")
        if all(len(row.filled()) == 1 for row in rows[:place]):
            return Head(
                titles=tuple(rows[:place]),
                length=place,
                why=f"the workbook says that its table {each.name} has no header row, and what its columns are called",
            )
    return None


def given_names(sheet: Sheet, head: Head, first_row: int | None, headers: dict[int, str]) -> dict[int, str]:
    """The header of each column; of a table without a header row the names that the workbook keeps for it."""
    if head.header or first_row is None:
        return headers
    for each in sheet.tables:
        if not each.header_rows and each.box.first_row <= first_row <= each.box.last_row:
            return {place: text or _name(each, place) for place, text in headers.items()}
    return headers


def _name(table: NamedTable, place: int) -> str:
    at = place - table.box.first_column
    return table.names[at] if 0 <= at < len(table.names) else ""
