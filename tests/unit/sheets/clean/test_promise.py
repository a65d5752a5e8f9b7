"""The promise, held against tables that nobody thought of: each cell is a value that renders back, in quarantine, or outside."""

import re
from collections import Counter
from datetime import date, datetime, time
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.handmade import grid_of

from handmade import account, make_sheet
from levelpool.sheets.clean.dates import serial_family, serial_text
from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import find_tables
from levelpool.sheets.clean.values import number_text_or_raw
from levelpool.sheets.table import BOOLEAN, DATE, ERROR, NO_VALUE, NUMBER, TEXT, Batch, CellCounts, ColumnType, Sheet
from rendering import render_date, render_number, serial_of

# ---------------------------------------------------------------- rendering back


def renders_back(value, column, text, kind):
    """Whether *value* says all that the cell said."""
    if value is None:
        return text.strip() == "" and kind == TEXT and column.type != ColumnType.TEXT
    if kind == TEXT:
        return _text_renders_back(value, column, text)
    if kind == BOOLEAN:
        return value in {text, text == "true"}
    if kind == DATE:
        return value == text or _date_renders_back(value, text)
    return _number_renders_back(value, text, kind)


def _date_renders_back(value, text):
    return value == time.fromisoformat(text) if isinstance(value, time) else datetime.fromisoformat(text) == _instant(value)


def _number_renders_back(value, text, kind):
    if serial_family(kind) and isinstance(value, date | time):
        return abs(serial_of(value) - float(text)) < 1e-11 * max(1.0, float(text))
    if isinstance(value, str):
        return value == (serial_text(text, kind) if serial_family(kind) else number_text_or_raw(text))
    exact = Decimal(text) if text.lstrip("-").isdigit() else _exact(float(text))
    return exact in {Decimal(repr(value)), Decimal(value)} if isinstance(value, float) else Decimal(value) == exact


def _exact(double):
    """A long whole double is itself, and any other its shortest decimal."""
    return Decimal(double) if 10**15 <= abs(double) < 10**18 and double.is_integer() else Decimal(repr(double))


def _text_renders_back(value, column, text):
    if column.type == ColumnType.TEXT:
        return value == text
    if isinstance(value, bool):
        return text == column.notation.booleans[0 if value else 1]
    if isinstance(value, float):
        return _prints(value, text.replace(column.notation.decimal, "."))
    if isinstance(value, int | Decimal):
        return render_number(value, column.notation) == text
    form = column.notation.date_form
    return render_date(value, form) == (_without_zeros(text) if "%-f" in form else text)


def _prints(value, text):
    """Whether *text* is the shortest number of a double, or the one that printing it with so many digits gives."""
    number = Decimal(text)
    return Decimal(repr(value)) == number or Decimal(f"{value:.{len(number.as_tuple().digits) - 1}e}") == number


def _without_zeros(text):
    """A second's fraction of any length, without the zeros at its end."""
    return re.sub(r"\.0+(?=Z?$)|(?<=[1-9])0+(?=Z?$)", "", text) if re.search(r"\.[0-9]+Z?$", text) else text


def _instant(value):
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def keep_the_promise(sheet):
    """Check every cell of the sheet; returns the account."""
    total = CellCounts()
    planned = plan_sheet(sheet)
    subsheets = {id(shown): (shown, [plan for of, plan in planned if of is shown]) for shown, _ in planned}
    for shown, plans in subsheets.values():
        total += _keep_the_promise(shown, plans)
    assert total.read == sheet.cell_count
    assert Counter(_cells_of(sheet)) == sum((Counter(_cells_of(shown)) for shown, _ in subsheets.values()), Counter())
    return total


def _cells_of(sheet):
    for batch in sheet.batches():
        for row, cells, kinds in grid_of(batch):
            yield from ((row, place, text) for place, (text, kind) in enumerate(zip(cells, kinds, strict=True)) if kind is not None)


def _keep_the_promise(sheet, plans):
    grid = {row: (cells, kinds) for batch in sheet.batches() for row, cells, kinds in grid_of(batch)}
    open_rows = set(grid)
    total = CellCounts()
    for plan in plans:
        outside = {each.row for each in plan.outside}
        assert outside <= open_rows
        open_rows -= outside
        for batch in clean_rows(sheet, plan, plan.columns):
            for row, record in zip(batch.rows, batch.values, strict=True):
                open_rows.remove(row)
                _check_row(plan, record, *grid[row])
            for row, cells in batch.quarantined_rows.items():
                open_rows.remove(row)
                assert any(each.row == row and each.reason for each in batch.quarantined)
                assert list(cells) == [text for text, kind in zip(*grid[row], strict=True) if kind is not None]
            assert batch.cells.read == batch.cells.loaded + batch.cells.quarantined + batch.cells.outside
            total += batch.cells
    assert not open_rows
    return total


def _check_row(plan, record, cells, kinds):
    places = {column.position: index for index, column in enumerate(plan.columns)}
    for place, (text, kind) in enumerate(zip(cells, kinds, strict=True)):
        if kind is not None:
            index = places[place]
            assert renders_back(record[index], plan.columns[index], text, kind), (text, kind, record[index], plan.columns[index])


# ---------------------------------------------------------------- any grid at all

TEXTS = st.one_of(
    st.sampled_from(
        [
            "1",
            "20",
            "-3",
            "1.5",
            "-0",
            "-0.00",
            "000123",
            "1,234",
            "1.234",
            "1,234.50",
            "12,34,567.50",
            "1,00,000",
            "1.234,50",
            "12%",
            "$5",
            "-$5.10",
            "(5.00)",
            "5-",
            "１２",
            "1e5",
            "1E5",
            "true",
            "FALSE",
            "2026-11-02",
            "03/04/2026",
            "27/04/2026",
            "2026年11月2日",
            "08:30",
            "NA",
            "null",
            "-",
            "n/a",
            "Total",
            "合计",
            "kg",
            "Order_No",
            "City",
            "Anna",
        ]
    ),
    st.sampled_from(["", " ", " 5", "2026-11-02 08:30", "12,50 €", "Printed by:", "a\nb", "\n"]),
    st.text(max_size=6),
    st.from_regex(r"[-(]?[$€]?[0-9]{1,3}([.,' ][0-9]{3})*([.,][0-9]{1,3})?[%)-]?", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}( [0-9]{2}:[0-9]{2})?", fullmatch=True),
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.integers(-1000, 1000).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).removesuffix(".0").upper()),
    st.floats(0, 100).map(lambda number: f"{number:.17g}".upper()),
    st.sampled_from(["1E+400", "60", "0", "45000.5", "45000", "0.25", "2958465", "NaN", ""]),
)
CELLS = st.one_of(
    st.none(),
    st.none(),
    st.tuples(TEXTS, st.just(TEXT)),
    st.tuples(TEXTS, st.just(TEXT)),
    st.tuples(NUMBERS, st.sampled_from([NUMBER, NUMBER, "n0.00", "nyyyy-mm-dd", "nm/d/yy h:mm", "nh:mm", "n[h]:mm"])),
    st.tuples(st.sampled_from(["true", "false"]), st.just(BOOLEAN)),
    st.tuples(st.sampled_from(["2026-11-02", "2026-11-02T08:30:00", "08:30:00"]), st.just(DATE)),
    st.tuples(st.sampled_from(["#N/A", "#DIV/0!"]), st.just(ERROR)),
    st.tuples(st.just("=A1"), st.just(NO_VALUE)),
)


@settings(max_examples=150)
@given(st.lists(st.one_of(st.none(), st.lists(CELLS, max_size=5)), max_size=14), st.integers(1, 5))
def test_any_grid_keeps_the_promise(rows, size):
    """Whatever stands where, no cell is lost, and the account adds up."""
    keep_the_promise(make_sheet(rows, batch_rows=size))


@settings(max_examples=80)
@given(
    st.data(), st.integers(1, 12), st.sampled_from([TEXTS.map(lambda text: (text, TEXT)), NUMBERS.map(lambda text: (text, NUMBER)), CELLS])
)
def test_any_column_keeps_the_promise(data, count, cells):
    """Columns of one kind get types more often: what they say is proved."""
    kind = data.draw(st.sampled_from(["one pattern", "any"]))
    if kind == "one pattern":
        pattern = data.draw(
            st.sampled_from(
                [
                    r"-?[0-9]{1,3}(,[0-9]{3}){0,2}(\.[0-9]{1,2})?",
                    r"-?[0-9]{1,5}%",
                    r"\$?[0-9]{1,3}",
                    r"[0-9]{2}/[0-9]{2}/[0-9]{4}",
                    r"[0-9]{1,2}\.[0-9]{3}",
                    r"\u2212?[0-9]{1,2}\.[0-9]{2}",
                    r" \$[1-9][0-9]{0,2}\.[0-9]{2} | \$\([1-9]\.[0-9]{2}\)| \$-   ",
                    r" 1?[1-9],[0-9]{2} € |-[1-9],[0-9]{2} € | -   € ",
                    r"[0-9]\.[0-9]{1,18}(e-0[1-9])?",
                    r"[0-9],[0-9]{1,3}|[1-9]e-[1-9]",
                    r"2026-11-02 08:30:0[0-9](\.[0-9]{1,7})?",
                ]
            )
        )
        cells = st.from_regex(pattern, fullmatch=True).map(lambda text: (text, TEXT))
    column = data.draw(st.lists(cells, min_size=count, max_size=count))

    keep_the_promise(make_sheet([["h", "id"], *([cell, place] for place, cell in enumerate(column))]))


@settings(max_examples=150)
@example([(0, [("1", TEXT)]), (1, [("", TEXT)]), (1, [None, ("1", TEXT)])], 1)
@example([(0, [None, ("0", NUMBER)]), (2, [("小计", TEXT), ("1", TEXT)]), (1, [("1", TEXT)])], 1)
@example([(0, [None, ("1", TEXT)]), (1, [("小计", TEXT), ("1", TEXT)]), (1, [("1", TEXT)])], 1)
@example([(0, [None, ("1", TEXT)]), (0, [None, ("NaN", "n[h]:mm")])], 1)
@given(st.lists(st.tuples(st.integers(0, 9), st.lists(CELLS, min_size=1, max_size=4)), max_size=12), st.integers(1, 5))
def test_rows_out_of_order_keep_the_account(rows, size):
    """In a damaged sheet rows stand twice and out of order; still every cell is counted once."""
    rows = [(number, row) for number, row in rows if any(row)]
    cells = [[cell[0] if cell else None for cell in row] for _, row in rows]
    kinds = [[cell[1] if cell else None for cell in row] for _, row in rows]
    numbers = [number for number, _ in rows]
    batches = [Batch.of_rows(numbers[at : at + size], cells[at : at + size], kinds[at : at + size]) for at in range(0, len(rows), size)]
    sheet = Sheet("Sheet1", 0, lambda: iter(batches), cell_count=sum(len(row) - row.count(None) for row in kinds))

    account(sheet)


# ---------------------------------------------------------------- tables among decoration

WORDS = st.sampled_from(["Anna", "Bob", "Graz", "Cork", "Tea", "Cup", "blue", "red", "north", "south"])
COLUMNS = {
    "Order No": st.integers(1, 999_999).map(lambda number: f"A-{number:06d}"),
    "Quantity": st.integers(0, 500),
    "Price": st.integers(1, 99_999).map(lambda cents: f"{cents / 100:.2f}"),
    "Amount": st.integers(1, 99_999).map(lambda cents: cents / 100 + 0.001),
    "Date": st.dates(date(2020, 1, 1), date(2030, 1, 1)).map(str),
    "City": WORDS,
    "Active": st.booleans(),
}
TITLES = st.lists(st.sampled_from(["Orders of the week", "Shop: all", "made by hand", "2026"]).map(lambda text: [text]), max_size=3)
NOTES = st.lists(st.sampled_from(["Printed by the office", "*** end ***", "Note: all prices net"]).map(lambda text: [text]), max_size=2)


@st.composite
def decorated(draw):
    """Rows with one table in them, and where it is: (rows, header row, first and last row of data, first column, headers)."""
    headers = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=3, max_size=6, unique=True))
    if not set(headers) & {"Quantity", "Amount", "Price"}:
        headers.append("Quantity")
    count = draw(st.integers(3, 15))
    records = [[draw(COLUMNS[header]) for header in headers] for _ in range(count)]
    titles = draw(TITLES)
    gap = [None] * draw(st.integers(1 if titles else 0, 3))
    indent = draw(st.integers(0, 3))
    total = [[*("Total" if place == 0 else None for place in range(len(headers)))]] if draw(st.booleans()) else []
    numeric = [place for place, header in enumerate(headers) if header in {"Quantity", "Amount"} and place > 0]
    if total and numeric:
        for place in numeric:
            total[0][place] = sum(record[place] for record in records)
    else:
        total = []
    notes = draw(NOTES)
    below = [*([None] if notes else []), *notes]
    rows = [*titles, *gap, headers, *records, *total, *below]
    first = len(titles) + len(gap) + 1
    return [None if row is None else [None] * indent + row for row in rows], first, first + count, indent, headers


@settings(max_examples=80)
@given(decorated(), st.integers(1, 40))
def test_a_table_among_decoration_is_found_again(made, size):
    """Titles, blank rows, an indent, a total and notes: the table is found where it was put, and nothing else is data."""
    rows, header, last, indent, headers = made
    sheet = make_sheet(rows, batch_rows=size)

    (plan,) = find_tables(sheet)

    assert plan.header_rows == (header,)
    assert (plan.box.first_row, plan.box.last_row, plan.box.first_column) == (header, last, indent)
    assert [column.header for column in plan.columns] == headers
    outside = {each.row for each in plan.outside}
    assert outside == {number for number, row in enumerate(rows, 1) if row and not header < number <= last}
    keep_the_promise(sheet)


@settings(max_examples=80)
@given(decorated(), decorated())
def test_two_tables_in_one_sheet_are_found_again(one, two):
    """A second table behind a blank row, with a header of its own, is a table of its own."""
    rows = [*one[0], None, *two[0]]
    sheet = make_sheet(rows)
    keep_the_promise(sheet)
    if one[4] == two[4] or len(two[4]) < 3:
        return

    plans = find_tables(sheet)

    assert [plan.box.last_row for plan in plans] == [one[2], len(one[0]) + 1 + two[2]]


@st.composite
def shapes(draw, names):
    """A plain table of its own: rows of a header and records."""
    headers = draw(st.lists(st.sampled_from(names), min_size=3, max_size=4, unique=True))
    if not set(headers) & {"Quantity", "Amount", "Price"}:
        headers[-1] = "Quantity"
    count = draw(st.integers(3, 9))
    return [headers, *([draw(COLUMNS[header]) for header in headers] for _ in range(count))]


@settings(max_examples=80)
@given(st.data(), st.lists(shapes(sorted(COLUMNS)), min_size=2, max_size=4), st.integers(1, 9))
def test_tables_beside_each_other_are_found_again(data, tables, size):
    """Up to four tables side by side, each with a title of its own or lower than the one before: each is found where it was put."""
    grid = {}
    boxes = []
    left = data.draw(st.integers(0, 2))
    tops = data.draw(st.lists(st.integers(2, 6), min_size=len(tables), max_size=len(tables), unique=True))
    for table, top in zip(tables, tops, strict=True):
        grid.update({(top + number, left + place): cell for number, row in enumerate(table) for place, cell in enumerate(row)})
        boxes.append((top, left, top + len(table) - 1, left + len(table[0]) - 1))
        left += len(table[0]) + data.draw(st.integers(1, 3))
    rows = [[grid.get((row, column)) for column in range(left)] for row in range(1, max(box[2] for box in boxes) + 1)]
    sheet = make_sheet(rows, batch_rows=size)

    found = [plan for _, plan in plan_sheet(sheet) if plan.columns]

    shown = [(plan.box.first_row, plan.box.first_column, plan.box.last_row, plan.box.last_column) for plan in found]
    assert sorted(shown) == sorted(boxes)
    assert all("side by side" in plan.reasons[0] for plan in found)
    keep_the_promise(sheet)


@settings(max_examples=80)
@given(st.data(), shapes(["Order No", "Quantity", "Price", "Amount", "Date", "City", "Active"]), st.integers(1, 9))
def test_an_empty_column_parts_no_table(data, table, size):
    """A table in which a column is empty, or in which cells are missing here and there, stays one."""
    place = data.draw(st.integers(1, len(table[0]) - 1))
    holes = data.draw(st.sets(st.tuples(st.integers(1, len(table) - 1), st.integers(1, len(table[0]) - 1)), max_size=3))
    records = [[None if (number, column) in holes else cell for column, cell in enumerate(row)] for number, row in enumerate(table)]
    sheet = make_sheet([[*row[:place], None, *row[place:]] for row in records], batch_rows=size)

    (found,) = [plan for _, plan in plan_sheet(sheet) if plan.columns]

    assert (found.box.first_row, found.box.last_row) == (1, len(table))
