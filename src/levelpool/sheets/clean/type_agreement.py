"""One type for a column that several tables of a file bring to the same dataset: the rows of all of them prove it."""

from collections.abc import Collection, Sequence
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
    if len(tables) < 2:
        return [plan for _, plan in tables]
    differ = {name: sheets for name, sheets in _types(tables, options).items() if len(sheets) > 1 and sheets.keys() not in _WIDENED}
    numbers = {name for name, sheets in differ.items() if sheets.keys() <= _NUMBERS}
    for found in tables if numbers else ():
        numbers -= _no_doubles(found, numbers, options)
    agreed = {name: _one_type(sheets, are_doubles=name in numbers) for name, sheets in differ.items()}
    return [replace(plan, columns=tuple(_retyped(column, agreed) for column in plan.columns)) for _, plan in tables]


Types = dict[ColumnType, str]
"""The types of the columns of one name, each with the first sheet that has it, from the last to the first."""


def _types(tables: Sequence[Found], options: TableOptions) -> dict[str, Types]:
    """The types of the filled columns, by name; those of which a person said the type are left out."""
    types: dict[str, Types] = {}
    said = set()
    for _, plan in reversed(tables):
        for column in reversed(plan.columns):
            if _is_filled(column):
                # The first sheet of a type is met last, and takes its place there.
                of_name = types.setdefault(column.name, {})
                of_name[column.type] = plan.sheet
                if _is_said(column, options):
                    said.add(column.name)
    return {name: sheets for name, sheets in types.items() if name not in said}


def _one_type(sheets: Types, *, are_doubles: bool) -> tuple[ColumnType, str]:
    """The type that holds the values of columns of these types, and the reason."""
    shown = ", ".join(f"{kind} in sheet {sheet!r}" for kind, sheet in reversed(sheets.items()))
    return ColumnType.DOUBLE if are_doubles else ColumnType.TEXT, f"one type for all tables of the dataset: {shown}"


def _is_filled(column: Column) -> bool:
    return bool("".join(column.samples).strip())


def _is_said(column: Column, options: TableOptions) -> bool:
    said = options.column(column.header, letters_of(column.position))
    return said is not None and said.type is not None


def _no_doubles(found: Found, names: Collection[str], options: TableOptions) -> set[str]:
    """Which of the columns of these names hold a value in this table that cannot be a DOUBLE PRECISION; one walk tells it of all."""
    sheet, plan = found
    asked = {column.name for column in plan.columns if column.name in names and _is_filled(column)}
    if not asked:
        return set()
    columns = tuple(replace(each, type=ColumnType.DOUBLE) if each.name in asked else each for each in plan.columns)
    batches = clean_rows(sheet, plan, columns, policy="cell", blanks=options.blanks)
    quarantined = (each for batch in batches for each in batch.quarantined if each.reason not in _NO_MATTER_OF_TYPE)
    return asked.intersection(each.column for each in quarantined)


def _retyped(column: Column, agreed: dict[str, tuple[ColumnType, str]]) -> Column:
    """The column in the type that was agreed on; its notation still says how its values are written."""
    kind, why = agreed.get(column.name, (column.type, ""))
    return replace(column, type=kind, why=f"{why}; {column.why}") if why else column
