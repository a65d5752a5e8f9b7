"""Which table goes to which dataset."""

from levelpool.sheets.route import route
from levelpool.sheets.table import Box, Column, ColumnType, Sheet, TablePlan


def table(sheet: str, *names: str, hidden: bool = False, position: int = 0):
    columns = tuple(Column(name, name, index, ColumnType.TEXT) for index, name in enumerate(names))
    plan = TablePlan(sheet, position, Box(1, 0, 2, len(names)), (1,), columns, hidden=hidden)
    return Sheet(sheet, 0, lambda: iter(()), hidden=hidden), plan


def datasets(*tables) -> list[str | None]:
    return [each.dataset for each in route(tables, "stock")]


def test_first_table_goes_to_the_dataset_of_the_file():
    """And other sheets to datasets of their own."""
    assert datasets(table("Main", "id", "n"), table("Notes", "text")) == ["stock", "stock__notes"]


def test_same_columns_go_to_the_same_dataset():
    """In any order of columns, visible or hidden: they are the same kind of rows."""
    assert datasets(table("Jan", "id", "n"), table("Feb", "n", "id"), table("Old", "id", "n", hidden=True)) == ["stock"] * 3


def test_hidden_sheet_in_front_does_not_lead():
    """The first visible sheet is what a person sees first."""
    assert datasets(table("Config", "key", hidden=True), table("Main", "id")) == ["stock__config", "stock"]


def test_file_with_hidden_sheets_only_has_a_dataset_too():
    """Otherwise its first rows would have nowhere to go."""
    assert datasets(table("A", "x", hidden=True), table("B", "y", hidden=True)) == ["stock", "stock__b"]


def test_more_tables_in_one_sheet_count_on():
    """The second further table of a sheet is DATASET__SHEET__2."""
    tables = (table("Main", "id"), table("Main", "a", position=1), table("Main", "b", position=2))

    assert datasets(*tables) == ["stock", "stock__main", "stock__main__2"]


def test_sheet_without_a_table_has_no_dataset():
    """Its rows are outside, and counted."""
    assert datasets(table("Cover"), table("Main", "id")) == [None, "stock"]
