"""Where tables are found."""

from datetime import date
from decimal import Decimal

import pytest

from handmade import account, make_sheet
from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.clean.plans import plan_sheet
from levelpool.sheets.clean.rows import clean_rows
from levelpool.sheets.clean.tables import dataset_names, find_tables
from levelpool.sheets.table import Box, ColumnType

ORDERS = [["Order", "City", "Amount"], ["A-1", "Graz", 12.5], ["A-2", "Cork", 7], ["A-3", "Porto", 3]]


def only(rows, **more):
    """The one table of a sheet with these rows."""
    sheet = make_sheet(rows, **more)
    account(sheet)
    (plan,) = find_tables(sheet)
    return plan


def reasons(plan):
    """The rows outside of a table, with their reasons."""
    return {outside.row: outside.reason for outside in plan.outside}


def rows_of(sheet, plan):
    """The row numbers that would be loaded."""
    return [row for batch in clean_rows(sheet, plan, plan.columns) for row in batch.rows]


def test_a_plain_table_is_found():
    """The first row names the columns, the others are data."""
    plan = only(ORDERS)

    assert plan.header_row == 0
    assert [column.name for column in plan.columns] == ["order", "city", "amount"]
    assert [column.type for column in plan.columns] == [ColumnType.TEXT, ColumnType.TEXT, ColumnType.NUMERIC]
    assert plan.box == Box(1, 0, 4, 2)


def test_a_very_wide_table_is_found():
    """The first few rows of thousands of columns show the header and the units; the other rows are data, by whatever batches they come."""
    names, units = [f"Name {number}" for number in range(2000)], ["kg"] * 2000
    plan = only([["Weights of the week"], names, units, *([row + 0.5] * 2000 for row in range(70))], batch_rows=16)

    assert reasons(plan) == {1: "title", 2: "header", 3: "units"}
    assert plan.box == Box(2, 0, 73, 1999)
    assert {column.type for column in plan.columns} == {ColumnType.NUMERIC}


def test_titles_stand_outside():
    """What stands above the header is kept apart, whether a blank row parts it from the table or not."""
    plan = only([["Orders of the week"], ["made on Monday"], None, *ORDERS])

    assert reasons(plan) == {1: "title", 2: "title", 4: "header"}
    assert plan.header_row == 3
    assert only([["Orders of the week"], *ORDERS]).header_row == 1


def test_key_and_value_above_a_table_are_titles():
    """Pairs above the table say something about it."""
    plan = only([["Customer:", "ACME"], ["Orders:", 3], None, *ORDERS])

    assert reasons(plan) == {1: "title", 2: "title", 4: "header"}


def test_a_table_may_begin_at_c5():
    """Blank rows above and blank columns to the left change nothing."""
    plan = only([None, None, None, None, *[[None, None, *row] for row in ORDERS]])

    assert plan.box == Box(5, 2, 8, 4)
    assert [column.position for column in plan.columns] == [2, 3, 4]


def test_without_a_certain_header_the_first_row_is_data():
    """Numbers from the first row on have no names; nothing is lost to a guess."""
    plan = only([[1, "x"], [2, "y"], [3, "z"]])

    assert plan.header_row is None
    assert [column.name for column in plan.columns] == ["column_1", "column_2"]
    assert not plan.outside


@pytest.mark.parametrize(
    "rows",
    [
        [["name", "city"], ["Anna", "Graz"], ["Bob", "Cork"]],
        [["姓名", "城市"], ["张三", "上海"], ["李四", "杭州"]],
        [["first_name", "home_town"], ["Anna", "Graz"]],
        [["Ware", "Regal"], ["Tee", "A 12"], ["Tasse", "B 3"]],
        [["note"], ["hello"], ["world"]],
    ],
)
def test_a_header_above_texts_is_found_by_its_words(rows):
    """In a table of nothing but text, the words of the first row or the look of the others decide."""
    assert only(rows).header_row == 0


def test_texts_alone_decide_nothing():
    """Two rows of names are two rows of data."""
    assert only([["Anna", "Graz"], ["Bob", "Cork"]]).header_row is None


def test_merged_headers_are_joined():
    """A group above its columns gives each of them its name."""
    rows = [["Product", 2024, None, 2025, None], [None, "Q1", "Q2", "Q1", "Q2"], ["Tea", 1, 2, 3, 4], ["Cup", 5, 6, 7, 8]]
    merges = (Box(1, 0, 2, 0), Box(1, 1, 1, 2), Box(1, 3, 1, 4))

    plan = only(rows, merges=merges)

    assert [column.header for column in plan.columns] == ["Product", "2024 / Q1", "2024 / Q2", "2025 / Q1", "2025 / Q2"]
    assert [column.name for column in plan.columns] == ["product", "c_2024_q1", "c_2024_q2", "c_2025_q1", "c_2025_q2"]
    assert plan.header_rows == (1, 2)
    assert plan.header_row == 1


def test_a_merged_title_is_no_header():
    """A title that spans the whole table stays a title."""
    plan = only([["Orders of the week", None, None], *ORDERS], merges=(Box(1, 0, 1, 2),))

    assert reasons(plan) == {1: "title", 2: "header"}


def test_groups_without_merges_are_joined_when_names_repeat():
    """A text file knows no merged cells; that the names repeat shows that the row above tells them apart."""
    plan = only(
        [["", "2024", "", "2025", ""], ["City", "Q1", "Q2", "Q1", "Q2"], ["Graz", "1", "2", "3", "4"], ["Cork", "1", "2", "3", "4"]]
    )

    assert [column.header for column in plan.columns] == ["City", "2024 / Q1", "2024 / Q2", "2025 / Q1", "2025 / Q2"]


def test_years_may_be_headers():
    """A row of rising years above numbers names the columns."""
    assert only([["City", 2023, 2024], ["Graz", 5, 7], ["Cork", 3, 1]]).header_row == 0


def test_units_stand_outside():
    """A row of units under the header is no data."""
    plan = only([["Item", "Weight", "Price"], [None, "kg", "(EUR)"], ["Tea", 1, 2], ["Cup", 3, 4]])

    assert reasons(plan) == {1: "header", 2: "units"}
    assert [column.type for column in plan.columns] == [ColumnType.TEXT, ColumnType.BIGINT, ColumnType.BIGINT]


def test_repeated_headers_stand_outside():
    """Page breaks leave the header again, and a repeated title with it."""
    plan = only([["Page of orders"], *ORDERS, ["Page of orders"], ORDERS[0], ["A-4", "Lyon", 1], None, ORDERS[0], ["A-5", "Lyon", 1]])

    assert reasons(plan) == {1: "title", 2: "header", 6: "title", 7: "repeated header", 10: "repeated header"}
    assert plan.columns[2].type == ColumnType.NUMERIC


@pytest.mark.parametrize("label", ["Total", "TOTAL:", "合计", "总计：", "Summe", "subtotal"])
def test_a_total_that_adds_up_stands_outside(label):
    """The label and the sum together make a total."""
    plan = only([*ORDERS, [label, None, 22.5]])

    assert reasons(plan)[5] == "total"
    assert plan.box.last_row == 4


def test_a_total_that_does_not_add_up_is_data():
    """A record of somebody called Total is not dropped."""
    plan = only([*ORDERS, ["Total", "Paris", 99]])

    assert reasons(plan) == {1: "header"}
    assert plan.box.last_row == 5


def test_records_with_the_label_prove_nothing_by_themselves():
    """A record is never its own sum, however many there are."""
    rows = [[(place % 2 and "Total") or "x", "y", 100 + place] for place in range(21)]

    assert reasons(only([ORDERS[0], *rows, ["Total", "z", 77]])) == {1: "header"}


def test_a_record_with_the_label_counts_in_the_total_below():
    """A customer called Total has a record, and the true total counts it."""
    plan = only([*ORDERS, ["Total", "Paris", 99], ["A-5", "Lyon", 1], ["Total", None, 122.5]])

    assert reasons(plan) == {1: "header", 7: "total"}
    assert plan.box.last_row == 6


def test_a_formula_makes_a_total():
    """A SUM says itself what it is, whatever its value."""
    assert reasons(only([*ORDERS, ["Total", None, 99]], sums={5: {2}}))[5] == "total"


def test_a_label_without_a_number_is_data():
    """The label alone proves nothing."""
    assert reasons(only([*ORDERS, ["Total", "Paris", None]])) == {1: "header"}


def test_subtotals_and_grand_total_stand_outside():
    """Blocks have their sums, the column has its own."""
    rows = [["City", "Amount"], ["Graz", 1], ["Graz", 2], ["Subtotal", 3], ["Cork", 4], ["Cork", 5], ["Subtotal", 9], ["Grand total", 12]]

    assert reasons(only(rows)) == {1: "header", 4: "total", 7: "total", 8: "total"}


def test_totals_in_text_add_up_in_their_notation():
    """Sums are compared as numbers, in the notation of the column."""
    rows = [["City", "Amount"], ["Graz", "1,200.50"], ["Cork", "99.50"], ["Total", "1,300.00"]]

    assert reasons(only(rows)) == {1: "header", 4: "total"}


def test_notes_behind_the_data_are_footers():
    """A text behind a blank row, or a sentence right behind the data where numbers stand, is no record."""
    plan = only([*[row[::-1] for row in ORDERS], ["Printed by the back office"], None, ["End"]])

    assert reasons(plan) == {1: "header", 5: "footer", 7: "footer"}
    assert [column.type for column in plan.columns] == [ColumnType.NUMERIC, ColumnType.TEXT, ColumnType.TEXT]


def test_a_record_with_a_single_text_is_data():
    """Where texts stand above, a sentence in the last row may be a record that is otherwise blank."""
    assert reasons(only([*ORDERS, ["This record has blanks"], ["so has this"]])) == {1: "header"}


def test_texts_behind_a_blank_row_of_a_narrow_table_are_data():
    """In a table of two columns of text, two texts are a record."""
    plan = only([["name", "city"], ["Anna", "Graz"], ["Bob", "Cork"], None, ["Mei", "Porto"], ["Ana", None]])

    assert reasons(plan) == {1: "header"}
    assert plan.box.last_row == 6


def test_a_short_last_record_is_data():
    """One word in the last row may be a record that is cut short."""
    assert reasons(only([*ORDERS, ["A-4"]])) == {1: "header"}


def test_data_goes_on_behind_a_blank_row():
    """A blank row alone ends no table."""
    plan = only([*ORDERS, None, ["A-4", "Lyon", 1], None, None, ["A-5", "Lyon", 2]])

    assert plan.box.last_row == 9
    assert plan.columns[2].type == ColumnType.NUMERIC


def test_every_second_row_may_be_blank():
    """Text files with doubled line ends look like this; the table is one, to its end."""
    rows = [row for number in range(3000) for row in (None, [f"A-{number}", "Graz", number])]
    plan = only([ORDERS[0], *rows], batch_rows=500)

    assert plan.box == Box(1, 0, 6001, 2)
    assert plan.columns[2].type == ColumnType.BIGINT


def test_several_tables_in_one_sheet():
    """A blank row and another header begin another table."""
    sheet = make_sheet([*ORDERS, None, ["Shelf", "Free", "Since", "Who"], ["X1", 5, "2026-01-02", "Ana"], ["X2", 6, "2026-01-03", "Mei"]])

    first, second = find_tables(sheet)

    account(sheet)
    assert first.box == Box(1, 0, 4, 2)
    assert second.box == Box(6, 0, 8, 3)
    assert rows_of(sheet, first) == [2, 3, 4]
    assert rows_of(sheet, second) == [7, 8]


def test_dataset_of_each_table():
    """Tables with the same columns go together; others go to a dataset of their own."""
    same = find_tables(make_sheet(ORDERS, name="Again"))
    hidden = find_tables(make_sheet([*ORDERS[:2], ["A-9", "Graz", 1]], name="Secret", hidden=True))
    other = find_tables(make_sheet([["sku", "stock"], ["a", 1], ["b", 2]], name="Stock Level"))

    assert dataset_names("orders", hidden + same + other + other) == ("orders", "orders", "orders__stock_level", "orders__stock_level__2")


def test_a_given_header_row_is_taken():
    """What a person says about the header goes before what would be found."""
    sheet = make_sheet([["a", "b"], ["c", "d"], [1, 2]])

    (plan,) = find_tables(sheet, TableOptions(header=1))
    (bare,) = find_tables(sheet, TableOptions(no_header=True))

    assert [column.name for column in plan.columns] == ["c", "d"]
    assert [column.name for column in bare.columns] == ["column_1", "column_2"]
    assert bare.box.first_row == 1


def test_a_person_may_name_and_type_a_column():
    """Names and types that are given go before what would be found."""
    options = TableOptions(columns=(ColumnOptions(header="City", name="town"), ColumnOptions(header="Amount", type=ColumnType.TEXT)))

    (plan,) = find_tables(make_sheet(ORDERS), options)

    assert [column.name for column in plan.columns] == ["order", "town", "amount"]
    assert plan.columns[2].type == ColumnType.TEXT


@pytest.mark.parametrize(
    ("texts", "kind", "loaded"),
    [
        (["1.310,50 €", "to follow", "8,25 €"], ColumnType.NUMERIC, [Decimal("1310.50"), Decimal("8.25")]),
        (["30.11.2026", "soon", "01.12.2026"], ColumnType.DATE, [date(2026, 11, 30), date(2026, 12, 1)]),
        (["\u22124", "n/a", "7"], ColumnType.BIGINT, [-4, 7]),
    ],
)
def test_a_type_that_is_given_is_read_in_the_notation_of_the_values_that_fit(texts, kind, loaded):
    """One value that fits no type does not take the notation of the others away."""
    sheet = make_sheet([["Ref", "Value"], *([f"r{place}", text] for place, text in enumerate(texts))])
    (plan,) = find_tables(sheet, TableOptions(columns=(ColumnOptions(header="Value", type=kind),)))

    batches = list(clean_rows(sheet, plan, plan.columns))

    assert [value for batch in batches for value in batch.columns[1]] == loaded
    assert [each.row for batch in batches for each in batch.quarantined] == [3]


def test_what_lies_beside_the_box_is_left_out():
    """Cells outside of the given box are accounted for, also those in the rows of the table."""
    sheet = make_sheet([["x", "y"], *([*row, "note"] for row in ORDERS), ["z", "z", "z"]])

    (_, plan), (rest, aside) = plan_sheet(sheet, TableOptions(box="A2:C5"))

    assert reasons(plan) == {2: "header"}
    assert [column.header for column in plan.columns] == ["Order", "City", "Amount"]
    assert rest.cell_count == 9
    assert {each.reason for each in aside.outside} == {"left out"}
    assert account(sheet, box="A2:C5").loaded == 9
    assert account(sheet, box="B:B").outside == 15


def test_hidden_rows_are_left_out_on_request():
    """They are data unless somebody says otherwise, and then they stand outside with their own reason."""
    sheet = make_sheet(ORDERS, hidden_rows=frozenset({3}))

    assert account(sheet).loaded == 9
    (_, plan), (_, aside) = plan_sheet(sheet, TableOptions(hidden_rows=False))
    assert (plan.box.last_row, [each.reason for each in aside.outside]) == (4, ["hidden"])
    assert account(sheet, hidden_rows=False).loaded == 6


def test_several_given_header_rows_are_joined():
    """A person may say where the header begins and where it ends."""
    sheet = make_sheet([["Shop"], ["2024", None, "2025"], ["Q1", "Q2", "Q1"], [1, 2, 3], [4, 5, 6]])

    (plan,) = find_tables(sheet, TableOptions(header_from=1, header=2))

    assert [column.header for column in plan.columns] == ["2024 / Q1", "2024 / Q2", "2025 / Q1"]


def test_what_no_row_decides_a_person_may_say_for_all_columns():
    """Day first and a decimal comma hold where the values leave it open, and nowhere else."""
    sheet = make_sheet([["id", "when", "sum", "made"], *([n, "03/04/2026", "1,234", "04/27/2026"] for n in range(3))])

    (plan,) = find_tables(sheet, TableOptions(day_first=True, decimal=","))

    assert [column.notation.date_form for column in plan.columns] == ["", "%d/%m/%Y", "", "%m/%d/%Y"]
    assert "as was said" in plan.columns[1].why
    assert (plan.columns[2].type, plan.columns[2].notation.decimal) == (ColumnType.NUMERIC, ",")


def test_a_column_is_named_by_its_letter_too():
    """Where a header is empty or long, the letter of the sheet says which column is meant."""
    (plan,) = find_tables(make_sheet(ORDERS), TableOptions(columns=(ColumnOptions(header="B", name="town"),)))

    assert [column.name for column in plan.columns] == ["order", "town", "amount"]


SIDE_BY_SIDE = [
    ["Name", "Score", None, "Name", "Score"],
    ["Anna", 3, None, "Bob", 5],
    ["Cleo", 4, None, "Dan", 1],
]


def test_tables_side_by_side_are_told_apart_with_a_reason():
    """The same names on both sides, other header rows, or another end: each says that these are two tables."""
    (_, left), (_, right) = plan_sheet(make_sheet(SIDE_BY_SIDE))

    assert [column.position for column in left.columns] == [0, 1]
    assert [column.position for column in right.columns] == [3, 4]
    assert left.reasons[0] == "tables stand side by side, parted by the blank column C: both have a column 'Name'"
    assert dataset_names("scores", [left, right]) == ("scores", "scores")

    longer = [["Item", "Price", None, "Region", "Sales"], *([f"i{n}", n, None, f"r{n}", n] for n in range(3)), ["i9", 9], ["i8", 8]]
    assert [plan.box.last_row for _, plan in plan_sheet(make_sheet(longer))] == [6, 4]
    assert "goes on to row 6" in plan_sheet(make_sheet(longer))[0][1].reasons[0]


def test_tables_beside_each_other_below_a_wide_one():
    """Only the rows in which the column is blank are cut."""
    wide = [["Order", "City", "Net", "Tax", "Gross"], ["A-1", "Graz", 1, 2, 3], ["A-2", "Cork", 4, 5, 9]]
    found = plan_sheet(make_sheet([*wide, None, *SIDE_BY_SIDE]))

    assert [(plan.box.first_row, plan.box.first_column, plan.box.last_column) for _, plan in found] == [(1, 0, 4), (5, 0, 1), (5, 3, 4)]


@pytest.mark.parametrize(
    "rows",
    [
        [["Item", "Qty", None, "Price", "Sum"], ["a", 1, None, 2, 2], ["b", 2, None, 2, 4]],
        [["Item", "Qty", None, "Price", "Sum"], ["a", 1, None, 2, 2], ["b", 2], ["c", 3, None, 4, 12]],
        [["Item", "Qty", None, "Price", "Sum"], ["a", 1, None, 2, 2], ["b", 2, None, 2, 4], ["Printed by the office"], ["Page 1 of 1"]],
    ],
    ids=["empty column", "holes", "notes"],
)
def test_a_table_with_an_empty_column_stays_one(rows):
    """A blank column alone parts nothing."""
    (found,) = plan_sheet(make_sheet(rows))

    assert len(found[1].columns) == 4


def test_blank_columns_part_nothing_on_request():
    """A person may say that it is one table after all."""
    (found,) = plan_sheet(make_sheet(SIDE_BY_SIDE), TableOptions(side_by_side=False))

    assert [column.header for column in found[1].columns] == ["Name", "Score", "Name", "Score"]


def test_a_sheet_without_a_cell_has_no_table():
    """Nothing is found in nothing."""
    assert find_tables(make_sheet([])) == ()


@pytest.mark.parametrize("rows", [[["hello"]], [[5]], [["a", "b"]], [[""], [""]], [["", "x"]], [[("#N/A", "e")]]])
def test_every_small_sheet_adds_up(rows):
    """However little there is, each cell is accounted for."""
    account(make_sheet(rows))


def test_an_export_without_records_is_a_header_alone():
    """A day without orders gives no record, and no column_1."""
    plan = only([["Order No", "Date", "Amount"]])

    assert plan.header_row == 0
    assert [column.name for column in plan.columns] == ["order_no", "date", "amount"]


def test_rows_of_empty_texts_stand_outside():
    """Formulas that give an empty text under a table are no records."""
    plan = only([*ORDERS, ["", "", ""], ["", "", ""]])

    assert reasons(plan) == {1: "header", 5: "empty text", 6: "empty text"}


def test_batches_of_any_size_give_the_same_tables():
    """Where a batch ends means nothing."""
    rows = [["Orders"], None, *ORDERS, ["Total", None, 22.5], None, ["X", "Y"], ["a", 1], ["b", 2], ["c", 3], None, ["Printed today"]]

    plans = [find_tables(make_sheet(rows, batch_rows=size)) for size in (1, 2, 3, 100)]

    assert all(plan == plans[0] for plan in plans)


def test_a_row_of_blanks_above_a_table_is_no_obstacle():
    """Texts that are nothing but blanks stand in many old exports."""
    plan = only([["Class profile"], ["   "], None, *ORDERS])

    assert plan.header_row == 3


def test_records_above_a_text_row_are_no_titles():
    """A row of texts among records is no header: what stands above it would be dropped."""
    plan = only([["Tea", 5, 8], ["Cup", 3, 1], ["Name", "Amount", "Count"], ["Tin", 3, 4], ["Tray", 1, 2]])

    assert plan.header_row is None
    assert not plan.outside


def test_pairs_of_key_and_value_are_no_header():
    """A form with a colon behind each name has no header."""
    plan = only([["Remark:", "all is well"], ["Comment:", "none"], ["Result:", "10"], ["Price:", "12"]])

    assert plan.header_row is None


def test_a_row_of_keys_above_the_header_is_a_title():
    """ "Unit: EUR" says something about the table, also in merged cells above its columns."""
    rows = [["Made by: Ana", None, "Unit: EUR", None], ["Asset", "Begin", "Debt", "Begin"], ["Cash", 1, "Loan", 2], ["Stock", 3, "Bond", 4]]

    plan = only(rows, merges=(Box(1, 0, 1, 1), Box(1, 2, 1, 3)))

    assert reasons(plan) == {1: "title", 2: "header"}


def test_a_column_with_many_gaps_still_proves_the_header():
    """More numbers than texts under a text are enough when there are several."""
    rows = [["ware", "menge"], ["Tee", "n/a"], ["Tasse", "5"], ["Dose", "7"], ["Sieb", "-"], ["Kanne", "3"], ["Löffel", "2"]]

    assert only(rows).header_row == 0


def test_a_blank_row_far_above_makes_no_footer():
    """Only a blank row right above a text parts it from the records."""
    plan = only([*ORDERS, None, ["A-4", "Lyon", 1], ["A-5"]])

    assert reasons(plan) == {1: "header"}
    assert plan.box.last_row == 7


def test_lines_drawn_of_dashes_are_no_data():
    """Under the header, between records and below them; what stands alone under the last one is a note. A lone dash is data."""
    ruler = ["-----", "------", "--"]
    plan = only([["No", "City", "Qty"], ruler, [1, "Graz", 5], [2, "-", 6], ruler, [3, "Cork", 7], ruler, ["3 rows printed"]])

    assert reasons(plan) == {1: "header", 2: "ruler", 5: "ruler", 7: "ruler", 8: "footer"}
    assert [column.type for column in plan.columns] == [ColumnType.BIGINT, ColumnType.TEXT, ColumnType.BIGINT]


def test_a_long_preamble_of_one_text_a_row_stands_outside():
    """Twenty notes above a table are no table of their own; a title of three cells is none either."""
    notes = [[f"Note {number}: read this"] for number in range(20)]

    assert list(reasons(only([*notes, None, *ORDERS])).values()) == ["title"] * 20 + ["header"]
    wide = [["Day", "From", "To", "Rest", "Span", "Note"], *(["2026-11-02", "08:00", "17:00", "00:30", 8, "x"] for _ in range(3))]
    assert reasons(only([["Timesheet", "Month", ("46296", "nmmmm yyyy")], None, *wide])) == {1: "title", 3: "header"}


def test_merged_cells_among_the_data_are_told():
    """Their value stands in the first row alone: nobody fills the others."""
    plan = only([["Region", "City", "Qty"], ["North", "A", 1], [None, "B", 2], ["South", "C", 3]], merges=(Box(2, 0, 3, 0),))

    assert "1 merged cell reaches over several rows: the value stands in the first of them" in plan.reasons


def test_a_label_and_a_date_behind_the_data_are_a_note():
    """Behind a blank row, where the date stands under texts or numbers, and the table is wide."""
    wide = [["Sku", "Qty", "Price", "Sum", "Place"], *([f"a{number}", number, 2, 3, "x"] for number in range(4))]

    assert reasons(only([*wide, None, ["As of", ("46329", "ndd.mm.yyyy")]])) == {1: "header", 7: "footer"}


def test_records_right_above_a_header_are_no_titles():
    """Narrow rows of several numbers are records, also where no blank row parts them from what looks like a header."""
    rows = [
        [1, 1733, "Left"],
        [2, 1586, "Right"],
        [3, 1675, "Green"],
        ["Office", *(f"P{each}" for each in "abcdef")],
        ["Mayor", 1, 2, 3, 4, 5, 6],
    ]
    plan = only(rows)

    assert reasons(plan) == {}
    assert plan.header_rows == ()


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([[None, "n", None], [None, "sum", "mean"], ["town"], ["Graz", 3, 1.5], ["Cork", 4, 2.5]], ["town", "n_sum", "n_mean"]),
        (
            [[None, None, "sum", "sum"], ["hue", None, "red", "blue"], ["town", "size"], ["Graz", 1, 3, 4], ["Cork", 2, 5, 6]],
            ["town", "size", "sum_red", "sum_blue"],
        ),
        (
            [[None, "year", 2025, 2026], [None, "hue", "red", "red"], ["town", "size"], ["Graz", "M", 3, 4], [None, "L", 5, 6]],
            ["town", "size", "c_2025_red", "c_2026_red"],
        ),
    ],
)
def test_names_of_an_index_below_the_levels_belong_to_the_header(rows, names):
    """As pandas writes groups and pivot tables, with and without merged cells."""
    plan = only(rows)

    assert [column.name for column in plan.columns] == names
    assert plan.header_row == 2


def test_a_label_below_a_single_header_row_is_a_record():
    """Reports part their records into groups so."""
    plan = only([[None, "North", "South"], ["Income"], ["Sales", 3, 4], ["Rent", 5, 6], ["Costs"], ["Wages", 1, 2]])

    assert plan.header_row == 0
