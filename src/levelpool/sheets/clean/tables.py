"""Where the tables of a sheet are, and what their columns hold: the plan of each table that the walk over the rows has found."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from levelpool.sheets.clean.decisions import Answers, decide
from levelpool.sheets.clean.draft import Draft
from levelpool.sheets.clean.evidence import ColumnEvidence
from levelpool.sheets.clean.given_form import in_given_form, values_for
from levelpool.sheets.clean.header import header_texts
from levelpool.sheets.clean.merges import Merges
from levelpool.sheets.clean.named_tables import given_names
from levelpool.sheets.clean.names import column_names, sheet_dataset_name
from levelpool.sheets.clean.options import TableOptions, letters_of
from levelpool.sheets.clean.reasons import Aside
from levelpool.sheets.clean.row import batch_of
from levelpool.sheets.clean.scan import Drafts, find_drafts
from levelpool.sheets.clean.second_look import first_beyond_double, in_notation_of_most
from levelpool.sheets.clean.short_header import names_of_columns
from levelpool.sheets.clean.table_answers import answers_of
from levelpool.sheets.clean.totals import Totals, find_totals
from levelpool.sheets.table import Box, Column, ColumnType, Sheet, TablePlan
from levelpool.sheets.wording import counted


def find_tables(
    sheet: Sheet,
    options: TableOptions = TableOptions(),  # noqa: B008  # frozen
    drafts: Drafts | None = None,
) -> tuple[TablePlan, ...]:
    """
    The tables of a sheet, from the top; every non-blank row of the sheet is data, header or outside of exactly one of them.

    *drafts* are what `find_drafts` gave for this sheet and these options, if somebody has walked over its rows before.
    A sheet without a cell has none. What a table is taken for, and why, stands in its `reasons` and in the `why` of its columns.
    """
    drafts = find_drafts(sheet, options) if drafts is None else drafts
    if not _follow_one_another(drafts):
        # A damaged sheet whose rows stand out of order: rows could not be told apart by their numbers.
        drafts = find_drafts(sheet, replace(options, one_table=True))
    around = _Around.of(sheet)
    return tuple(_plan(sheet, draft, position, around, options) for position, draft in enumerate(drafts))


@dataclass(frozen=True, slots=True)
class _Around:
    """What a sheet tells of its rows beside their cells, in an order in which each table finds its own."""

    merges: Merges
    hidden_rows: Sequence[int]
    down: Sequence[int]  # first rows of merged areas that reach over several rows

    @classmethod
    def of(cls, sheet: Sheet) -> "_Around":
        down = sorted(box.first_row for box in sheet.merges if box.last_row > box.first_row)
        return cls(Merges(sheet.merges), sorted(sheet.hidden_rows), down)


def _count_within(rows: Sequence[int], first: int, last: int) -> int:
    return max(0, bisect_right(rows, last) - bisect_left(rows, first))


def _follow_one_another(drafts: Drafts) -> bool:
    """Whether each table ends above the next one, and no row that one set aside stands within another."""
    spans = [draft.reach() for draft in drafts]
    if any(above[1] >= below[0] for above, below in pairwise(spans)):
        return False
    starts = [first for first, _ in spans]
    for number, draft in enumerate(drafts):
        for outside in draft.outside:
            within = bisect_right(starts, outside.row) - 1
            if within not in {-1, number} and outside.row <= spans[within][1]:
                return False
    return True


def main_table(plans: Sequence[TablePlan]) -> TablePlan:
    """The table of a file that stands for it: the first of a visible sheet, or the first there is."""
    return next((plan for plan in plans if not plan.hidden), plans[0])


def dataset_names(dataset: str, plans: Sequence[TablePlan], main: TablePlan | None = None) -> tuple[str, ...]:
    """
    The dataset of each table of a file, in the same order: its main table has the file's own.

    Further tables with the same set of columns go to the same dataset; others to one named after their sheet.
    """
    first = main or (main_table(plans) if plans else None)
    columns_of_first = set() if first is None else {column.name for column in first.columns}
    names: list[str] = []
    taken = {dataset}
    numbers: dict[str, int] = {}  # the last one that was given to names which are alike once they are clean and cut
    for plan in plans:
        if len(plan.columns) == len(columns_of_first) and {column.name for column in plan.columns} == columns_of_first:
            names.append(dataset)
            continue
        name = sheet_dataset_name(dataset, plan.sheet)
        if name in taken:
            second = sheet_dataset_name(dataset, plan.sheet, 2)
            number = numbers.get(second, 1)
            while name in taken:
                number += 1
                name = sheet_dataset_name(dataset, plan.sheet, number)
            numbers[second] = number
        taken.add(name)
        names.append(name)
    return tuple(names)


# ---------------------------------------------------------------- the plan


def _plan(sheet: Sheet, draft: Draft, position: int, around: _Around, options: TableOptions) -> TablePlan:
    if draft.hidden:
        _decide_hidden(draft)
    if draft.labelled:
        _decide_totals(sheet, draft)
    named = {column for row in draft.head.header for column in row.filled()}
    places = sorted(named.union(draft.evidence.columns()))
    written = header_texts(draft.head, places, around.merges, date1904=sheet.date1904)
    headers, short = names_of_columns(sheet, draft, given_names(sheet, draft.head, draft.first_row, written))
    columns = _columns(sheet, draft, headers, options)
    header_rows = tuple(row.number for row in draft.head.header)
    first_row, last_row = draft.rows()
    return TablePlan(
        sheet=sheet.name,
        position=position,
        box=Box(first_row, places[0] if places else 0, last_row, places[-1] if places else 0),
        header_rows=header_rows,
        columns=columns,
        outside=tuple(sorted(draft.outside, key=lambda each: each.row)),
        hidden=sheet.hidden,
        reasons=(*_reasons(sheet, draft, around), *([short] if short else [])),
        trace=draft.head.trace,
    )


def _columns(sheet: Sheet, draft: Draft, headers: dict[int, str], options: TableOptions) -> tuple[Column, ...]:
    found = draft.evidence.by_column()
    evidence = {place: found.get(place) or ColumnEvidence() for place in headers}
    proved = answers_of(evidence, headers, sheet.delimiter)
    names = column_names(headers.values())
    columns = []
    for place, name in zip(headers, names, strict=True):
        said = options.column(headers[place], letters_of(place))
        answers = Answers(
            marks=proved.marks,
            thousands=proved.thousands,
            days=proved.days,
            date_form=said.date_form if said else None,
            decimal=(said.decimal if said else None) or options.decimal,
            day_first=options.day_first,
            beyond_double=partial(first_beyond_double, draft, place),
        )
        column = decide(evidence[place], answers, name=name, header=headers[place], position=place)
        if answers.date_form and column.notation.date_form != answers.date_form:
            column = in_given_form(column, answers.date_form, values_for(answers.date_form, sheet, draft, place))
        if said is not None and said.type not in {None, ColumnType.TEXT} and column.type is ColumnType.TEXT:
            column = in_notation_of_most(draft, column, said.type, answers)
        columns.append(as_said(column, options))
    return tuple(columns)


def as_said(column: Column, options: TableOptions) -> Column:
    """The column with the name and the type that a person gave it."""
    said = options.column(column.header, letters_of(column.position))
    if said is not None and said.name:
        column = replace(column, name=said.name)
    if said is not None and said.type and said.type is not column.type:
        column = replace(column, type=said.type, why=f"{said.type} was given; {column.why}")
    return column


def _decide_hidden(draft: Draft) -> None:
    """Hidden rows are data, but for one that fits no column: a template."""
    data = [row for row in draft.hidden if not draft.is_template(row)]
    for row in draft.hidden:
        if row not in data:
            draft.set_aside(row, Aside.HIDDEN)
    if data:
        draft.add(batch_of(data))


def _decide_totals(sheet: Sheet, draft: Draft) -> None:
    """Rows that begin with the label of a total are outside when every number in them is a sum, and data otherwise."""
    summed = {place for row in draft.labelled for place in row.filled()[1:]}
    columns = {
        place: decide(each, name="", header="", position=place) for place, each in draft.evidence.by_column().items() if place in summed
    }
    totals = find_totals(
        sheet,
        Totals(
            rows=tuple(draft.labelled),
            columns=columns,
            first_row=draft.first_row or 0,
            last_row=draft.last_row,
            apart=frozenset(each.row for each in draft.outside),
            gaps=frozenset(draft.gaps),
            grouped=frozenset(draft.grouped),
        ),
    )
    data = []
    for row in draft.labelled:
        if row.number in totals:
            draft.set_aside(row, Aside.TOTAL)
        else:
            data.append(row)
    if data:
        draft.add(batch_of(data))


def _reasons(sheet: Sheet, draft: Draft, around: _Around) -> tuple[str, ...]:
    reasons = [draft.head.why] if draft.head.why else []
    counts: dict[str, int] = {}
    for outside in draft.outside:
        counts[outside.reason] = counts.get(outside.reason, 0) + 1
    if counts:
        reasons.append("outside of the data: " + ", ".join(counted(count, f"{reason} row") for reason, count in counts.items()))
    if draft.gaps:
        times = "" if len(draft.gaps) == 1 else f", and behind {counted(len(draft.gaps) - 1, 'blank row')} more"
        reasons.append(f"the data goes on behind a blank row at row {draft.gaps[0]}{times}")
    hidden = _count_within(around.hidden_rows, draft.first_row or 0, draft.last_row)
    if hidden:
        reasons.append(f"{counted(hidden, 'hidden row is', 'hidden rows are')} among the data")
    down = _count_within(around.down, draft.first_row or 1, draft.last_row)
    if down:
        reasons.append(
            f"{counted(down, 'merged cell reaches', 'merged cells reach')} over several rows: the value stands in the first of them"
        )
    if sheet.hidden:
        reasons.append("the sheet is hidden")
    return tuple(reasons)
