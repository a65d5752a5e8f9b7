"""Which table of a workbook goes to which dataset: a pure decision."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from levelpool.sheets.clean.names import sheet_dataset_name
from levelpool.sheets.table import Sheet, TablePlan


@dataclass(frozen=True, slots=True)
class Routed:
    """One table of a workbook and its dataset; None for a plan that holds no table, only rows outside of any."""

    sheet: Sheet
    plan: TablePlan
    dataset: str | None


def route(tables: Iterable[tuple[Sheet, TablePlan]], dataset: str) -> list[Routed]:
    """
    Give each table its dataset; *dataset* is the file's.

    The first visible sheet with a table goes to the file's dataset (the first of all, if every sheet is hidden), and so does each
    further table with the same set of column names; any other table goes to DATASET__SHEET, the next of that name to DATASET__SHEET__2.
    """
    pairs = list(tables)
    with_columns = [plan for _, plan in pairs if plan.columns]
    first = next((plan for plan in with_columns if not plan.hidden), with_columns[0] if with_columns else None)
    seen: Counter[str] = Counter()
    return [Routed(sheet, plan, _choose(plan, first, dataset, seen)) for sheet, plan in pairs]


def _choose(plan: TablePlan, first: TablePlan | None, dataset: str, seen: Counter[str]) -> str | None:
    if first is None or not plan.columns:
        return None
    if plan is first or _names(plan) == _names(first):
        return dataset
    # Sheets whose names differ only in what a dataset's name leaves out count on together.
    name = sheet_dataset_name(dataset, plan.sheet)
    seen[name] += 1
    return sheet_dataset_name(dataset, plan.sheet, seen[name])


def _names(plan: TablePlan) -> set[str]:
    return {column.name for column in plan.columns}
