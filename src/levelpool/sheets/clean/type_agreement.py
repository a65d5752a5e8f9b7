"""One type for a column that several tables of a file bring to the same dataset: the rows of all of them prove it."""

from collections.abc import Sequence
from dataclasses import replace

from levelpool.sheets.clean.options import TableOptions, letters_of
from levelpool.sheets.clean.reasons import Reason
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.table import Column, ColumnType, Sheet, TablePlan

Found = tuple[Sheet, TablePlan]
"""A table, and the cells it is among."""

_WIDENED = ({ColumnType.BIGINT, ColumnType.NUMERIC}, {ColumnType.DATE, ColumnType.TIMESTAMP})
"""Types that meet in the database without a loss."""
_NUMBERS = {ColumnType.BIGINT, ColumnType.NUMERIC, ColumnType.DOUBLE}
_NO_MATTER_OF_TYPE = {Reason.ERROR.value, Reason.NO_VALUE.value}


def agree_on_types(tables: Sequence[Found], options: TableOptions) -> list[TablePlan]:
    """The plans of the tables of one dataset, in which columns of one name have one type; what a person said stays."""
    agreed = {}
    for name in dict.fromkeys(column.name for _, plan in tables for column in plan.columns) if len(tables) > 1 else ():
        found = _one_type(name, tables, options)
        if found is not None:
            agreed[name] = found
    return [replace(plan, columns=tuple(_retyped(column, agreed) for column in plan.columns)) for _, plan in tables]


def _one_type(name: str, tables: Sequence[Found], options: TableOptions) -> tuple[ColumnType, str] | None:
    """The type that holds the values of this column in all tables, and the reason; None where nothing has to change."""
    filled = [(found, column) for found in tables for column in found[1].columns if column.name == name and "".join(column.samples).strip()]
    sheets = {column.type: plan.sheet for (_, plan), column in reversed(filled)}
    if len(sheets) < 2 or sheets.keys() in _WIDENED or any(_is_said(column, options) for _, column in filled):
        return None
    are_doubles = sheets.keys() <= _NUMBERS and all(_are_doubles(found, column, options) for found, column in filled)
    shown = ", ".join(f"{kind} in sheet {sheet!r}" for kind, sheet in reversed(sheets.items()))
    return ColumnType.DOUBLE if are_doubles else ColumnType.TEXT, f"one type for all tables of the dataset: {shown}"


def _is_said(column: Column, options: TableOptions) -> bool:
    said = options.column(column.header, letters_of(column.position))
    return said is not None and said.type is not None


def _are_doubles(found: Found, column: Column, options: TableOptions) -> bool:
    """Whether every value of the column in this table can be a DOUBLE PRECISION."""
    sheet, plan = found
    columns = tuple(replace(each, type=ColumnType.DOUBLE) if each is column else each for each in plan.columns)
    batches = clean_rows(sheet, plan, columns, policy="cell", blanks=options.blanks)
    return all(each.reason in _NO_MATTER_OF_TYPE for batch in batches for each in batch.quarantined if each.column == column.name)


def _retyped(column: Column, agreed: dict[str, tuple[ColumnType, str]]) -> Column:
    """The column in the type that was agreed on; its notation still says how its values are written."""
    kind, why = agreed.get(column.name, (column.type, ""))
    return replace(column, type=kind, why=f"{why}; {column.why}") if why else column
