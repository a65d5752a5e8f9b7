"""All tables of a workbook: where each stands, what its columns are, and which dataset it goes to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from levelpool.sheets.clean.cell_group import SAMPLES
from levelpool.sheets.clean.names import column_names
from levelpool.sheets.clean.options import TableOptions, letters_of, parse_box
from levelpool.sheets.clean.pipelined_scan import NOTHING_SCANNED, Scanned
from levelpool.sheets.clean.reasons import Aside
from levelpool.sheets.clean.row import Row
from levelpool.sheets.clean.scan import Drafts, find_drafts
from levelpool.sheets.clean.sections import Section, marked_sections, row_of_another_header
from levelpool.sheets.clean.side_by_side import SIDE_BY_SIDE, find_cut
from levelpool.sheets.clean.subsheets import Part, Span, subsheet
from levelpool.sheets.clean.tables import as_said, dataset_names, find_tables
from levelpool.sheets.clean.type_agreement import Found, agree_on_types
from levelpool.sheets.table import Box, Column, Outside, Sheet, TablePlan
from levelpool.sheets.wording import counted

_MOST_CUTS = 16  # tables that stand side by side in one sheet; a sheet of more is something else
Naming = Callable[[Sequence[TablePlan]], Sequence[str]]
"""Says the dataset of each table of a file."""

_ALL = Span(1, 0, 1 << 40, 1 << 40)


@dataclass(frozen=True, slots=True)
class Planned:
    """One table, the cells it is among, and its dataset; None for a plan that holds no table, only rows outside of any."""

    sheet: Sheet  # perhaps a subsheet: exactly the cells that the plan accounts for, alone or with other plans of the same one
    plan: TablePlan
    dataset: str | None


def plan_tables(
    sheets: Iterable[Sheet],
    dataset: str | Naming,
    options: TableOptions = TableOptions(),  # noqa: B008  # frozen
    scanned: Scanned = NOTHING_SCANNED,
) -> tuple[Planned, ...]:
    """
    The tables of all these sheets, in order; every non-blank cell is data, header or outside of exactly one of them.

    *dataset* is that of the file, or says the dataset of each table. *scanned* is what a pipelined scan found with the same options.
    """
    found = [pair for sheet in sheets for pair in plan_sheet(sheet, options, scanned)]
    plans = [plan for _, plan in found if plan.columns]
    names = iter(dataset_names(dataset, plans) if isinstance(dataset, str) else dataset(plans))
    placed = [(next(names) if plan.columns else None, sheet, plan) for sheet, plan in found]
    together: dict[str, list[Found]] = {}
    for name, sheet, plan in placed:
        if name is not None:
            together.setdefault(name, []).append((sheet, plan))
    agreed = {name: iter(agree_on_types(tables, options)) for name, tables in together.items()}
    planned = tuple(Planned(sheet, plan if name is None else next(agreed[name]), name) for name, sheet, plan in placed)
    return _with_options_that_fit_nothing(planned, options)


def _with_options_that_fit_nothing(planned: tuple[Planned, ...], options: TableOptions) -> tuple[Planned, ...]:
    """The tables, of which the first one says which columns a person spoke of and no table has."""
    first = next((place for place, each in enumerate(planned) if each.plan.columns), None)
    if not options.columns or first is None:
        return planned
    columns = [column for each in planned for column in each.plan.columns]
    there = {column.header for column in columns} | {letters_of(column.position) for column in columns}
    missing = tuple(
        f"no column has the header or the letter {each.header!r}, for which something was said"
        for each in options.columns
        if each.header not in there
    )
    told = replace(planned[first], plan=replace(planned[first].plan, reasons=(*planned[first].plan.reasons, *missing)))
    return (*planned[:first], told, *planned[first + 1 :])


def plan_sheet(
    sheet: Sheet,
    options: TableOptions = TableOptions(),  # noqa: B008  # frozen
    scanned: Scanned = NOTHING_SCANNED,
) -> tuple[tuple[Sheet, TablePlan], ...]:
    """The tables of one sheet, each with the subsheet that it is the plan of; they are numbered through."""
    if sheet.declared:
        return ((sheet, _as_declared(sheet, options)),)
    inside, rest = _as_asked(sheet, options)
    found = _tables_of(inside, options, scanned, _MOST_CUTS if options.side_by_side and options.box is None else 0)
    found.sort(key=lambda pair: (pair[1].box.first_row or _ALL.last_row, pair[1].box.first_column))
    if rest is not None:
        found.append((rest, _left_out(rest)))
    return tuple((shown, replace(plan, position=position)) for position, (shown, plan) in enumerate(found))


def _as_declared(sheet: Sheet, options: TableOptions) -> TablePlan:
    """The one table of a sheet whose file says what its columns are."""
    names = column_names(each.header for each in sheet.declared)
    columns = tuple(
        as_said(Column(name, each.header, place, each.type, why=each.why, digits=each.digits, scale=each.scale, samples=shown), options)
        for place, (name, each, shown) in enumerate(zip(names, sheet.declared, _samples(sheet), strict=True))
    )
    box = Box(1, 0, max(sheet.row_count, 1), len(columns) - 1)
    return TablePlan(sheet.name, 0, box, (), columns, reasons=("the file says what its columns are: every row is data",))


def _samples(sheet: Sheet) -> list[tuple[str, ...]]:
    """The first few texts of each column; a look at the whole sheet where a column begins with blanks."""
    samples: list[list[str]] = [[] for _ in sheet.declared]
    for batch in sheet.batches():
        for place, cells in enumerate(batch.columns):
            if len(samples[place]) < SAMPLES:
                fresh = (text for text in dict.fromkeys(cells.texts) if text is not None and text not in samples[place])
                samples[place] += islice(fresh, SAMPLES - len(samples[place]))
        if all(samples):
            break
    return [tuple(each[:200] for each in texts) for texts in samples]


def _as_asked(sheet: Sheet, options: TableOptions) -> tuple[Sheet, Sheet | None]:
    """What a person wants of the sheet, and the rest of it."""
    without = frozenset() if options.hidden_rows else sheet.hidden_rows
    if options.box is None and not without:
        return sheet, None
    part = Part(parse_box(options.box) if options.box else _ALL, without)
    rest = subsheet(sheet, replace(part, rest=True))
    return subsheet(sheet, part), rest if rest.cell_count else None


def _left_out(rest: Sheet) -> TablePlan:
    """A plan that sets everything aside, as asked."""
    why = f"{counted(rest.cell_count, 'cell is', 'cells are')} left out, in {counted(rest.row_count, 'row')}, as asked"
    return _all_aside(rest, Aside.LEFT_OUT, why)


def _all_aside(rest: Sheet, reason: Aside, why: str) -> TablePlan:
    """A plan that sets everything aside."""
    outside = tuple(_outside(rest, Row(*record), reason) for batch in rest.batches() for record in batch.records())
    return TablePlan(rest.name, 0, Box(0, 0, 0, 0), (), (), outside, rest.hidden, (why,))


def _outside(rest: Sheet, row: Row, reason: Aside) -> Outside:
    reason = Aside.HIDDEN if row.number in rest.hidden_rows else reason
    return Outside(row.number, reason.value, row.texts(), row.shown(date1904=rest.date1904))


def _tables_of(sheet: Sheet, options: TableOptions, scanned: Scanned, cuts: int) -> list[tuple[Sheet, TablePlan]]:
    """The tables below each other, and, where a blank column parts two tables, or a text has sections, those of each part."""
    drafts = scanned.drafts_of(sheet)
    drafts = find_drafts(sheet, options) if drafts is None else drafts
    sections = _sections_of(sheet, drafts, options, cuts) if cuts and sheet.delimiter else []
    if sections:
        return sections
    plans = find_tables(sheet, options, drafts)
    cut = find_cut(sheet, plans) if cuts else None
    if cut is None:
        return [(sheet, plan) for plan in plans]
    found: list[tuple[Sheet, TablePlan]] = []
    for number, span in enumerate(cut.spans()):
        part = subsheet(sheet, Part(span))
        if part.cell_count:
            is_side = number in {1, 2}
            found += [(shown, _because(plan, cut.why) if is_side else plan) for shown, plan in _tables_of(part, options, scanned, cuts - 1)]
    return found


def _sections_of(sheet: Sheet, drafts: Drafts, options: TableOptions, cuts: int) -> list[tuple[Sheet, TablePlan]]:
    """The tables of a text whose sections have headers of their own; [] for any other."""
    if options.one_table or options.no_header or options.header is not None:
        return []
    found: list[tuple[Sheet, TablePlan]] = []
    for section in marked_sections(sheet, drafts):
        found += _tables_of_section(sheet, section, options)
    if found or not drafts:
        return found
    row = row_of_another_header(sheet, drafts[-1])
    return [] if row is None else _tables_around(sheet, row.number, options, cuts)


def _tables_of_section(sheet: Sheet, section: Section, options: TableOptions) -> Iterator[tuple[Sheet, TablePlan]]:
    """The table of a section, and the rows in it that the file says are totals."""
    whole = Span(section.first_row, 0, section.last_row, _ALL.last_column)
    part = subsheet(sheet, Part(whole, section.totals))
    why = f"the rows of the section {section.name!r}, whose header is row {section.first_row}"
    for plan in find_tables(part, replace(options, header=section.first_row - 1, one_table=True)):
        yield part, replace(plan, sheet=section.name, reasons=(why, *plan.reasons))
    if section.totals:
        totals = subsheet(sheet, Part(whole, frozenset(range(section.first_row, section.last_row + 1)) - section.totals))
        yield (
            totals,
            _all_aside(
                totals,
                Aside.TOTAL,
                f"{counted(totals.row_count, 'row')} of the section {section.name!r}: the file says that they are totals",
            ),
        )


def _tables_around(sheet: Sheet, row: int, options: TableOptions, cuts: int) -> list[tuple[Sheet, TablePlan]]:
    """The tables above and from *row* on, where that one names columns; [] where it does not after all."""
    below = subsheet(sheet, Part(replace(_ALL, first_row=row)))
    plans = find_tables(below, options)
    if not plans or plans[0].header_rows[:1] != (row,):
        return []
    above = subsheet(sheet, Part(replace(_ALL, last_row=row - 1)))
    found = _tables_of(above, options, NOTHING_SCANNED, cuts - 1)
    if below.row_count <= _ROWS_OF_A_SUMMARY:
        return [
            *found,
            (below, _all_aside(below, Aside.FOOTER, f"a summary with a header of its own stands behind the records, from row {row} on")),
        ]
    why = f"another header, row {row}, ends the table above it"
    rest = _tables_of(below, options, NOTHING_SCANNED, cuts - 1)
    return [
        *found,
        *((shown, replace(plan, reasons=(why, *plan.reasons)) if number == 0 else plan) for number, (shown, plan) in enumerate(rest)),
    ]


_ROWS_OF_A_SUMMARY = 2
"""A header and one row of figures."""


def _because(plan: TablePlan, why: str) -> TablePlan:
    known = any(reason.startswith(SIDE_BY_SIDE) for reason in plan.reasons)
    return plan if known or not plan.columns else replace(plan, reasons=(why, *plan.reasons))
