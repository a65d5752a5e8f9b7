"""The decision table: each rule, the rule before it, and its reason."""

import pytest

from levelpool.ingest.recognition.placing import Placing
from levelpool.ingest.recognition.stems import stem_of
from levelpool.ingest.recognition.verdicts import Found, Known, agreement, recognise, told
from levelpool.sheets.table import Box, Column, ColumnType, TablePlan

ORDERS = frozenset(["no", "customer", "city", "amount", "paid"])
STOCK = frozenset(["sku", "bin", "quantity", "counted"])
KNOWN = (
    Known("orders_october", ORDERS, frozenset({"orders"})),
    Known("stock", STOCK),
    Known("export", frozenset({"id", "text", "at"})),
    Known("bare", told({"column_1", "column_2"})),
)


def found(name: str, columns, dataset: str | None = None, **named: str) -> Found:
    return Found(told(columns), stem_of(name), dataset or stem_of(name).sure, **named)


@pytest.mark.parametrize(
    ("table", "dataset", "by", "matched", "of", "asks"),
    [
        (found("orders november 2026.csv", ORDERS, said="leads"), "leads", "said", 0, 5, ()),
        (found("orders november 2026.csv", ORDERS, said="stock"), "stock", "said", 0, 5, ()),
        (found("orders november 2026.csv", ORDERS, folder="stock"), "stock", "folder", 0, 5, ()),
        (found("orders november 2026.csv", ORDERS, "orders_november"), "orders_october", "stem", 5, 5, ()),
        (found("orders november 2026.csv", {"no", "customer", "city", "x", "y"}, "orders_november"), "orders_october", "stem", 3, 5, ()),
        (found("stock_7.csv", STOCK, "stock"), "stock", "stem", 4, 4, ()),
        (found("Kopie von stock.csv", STOCK), "stock", "stem", 4, 4, ()),
        (found("bare_2.csv", {"column_1", "column_2", "column_3"}), "bare", "stem", 0, 0, ()),
        (found("orders november 2026.csv", {"no", "a", "b"}, "orders_november"), "orders_october", "stem", 1, 5, ("orders_october",)),
        (found("stock.csv", {"no"}), "stock", "stem", 0, 4, ("stock",)),
        (found("Lieferungen.csv", ORDERS), "orders_october", "columns", 5, 5, ("orders_october",)),
        (found("download (3).csv", STOCK), "stock", "columns", 4, 4, ("stock",)),
        (found("Kopie von stock.csv", {"no", "name", "age"}), "kopie_von_stock", "new", 0, 3, ()),
        (found("leads.csv", {"lead", "phone"}), "leads", "new", 0, 2, ()),
        (found("export.csv", {"id", "text", "at"}), "export", "stem", 3, 3, ()),
        (found("export.csv", {"iban", "sum"}), "export_2", "new", 0, 2, ()),
        (found("unnamed columns.csv", {"column_1", "column_2"}), "unnamed_columns", "new", 0, 0, ()),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_first_rule_that_has_something_to_say_decides(table, dataset, by, matched, of, asks):  # noqa: PLR0917
    """Said, folder, stem, columns, new, in this order; a question where name and columns disagree."""
    verdict = recognise(table, KNOWN)

    assert (verdict.dataset, verdict.by, verdict.matched, verdict.of, verdict.asks) == (dataset, by, matched, of, asks)
    assert verdict.why


def test_several_datasets_of_one_stem_are_a_question():
    """A ledger from the time when the whole name decided has one for each month: nobody guesses which."""
    known = [Known(f"orders_{month}", ORDERS, frozenset({"orders"})) for month in ("october", "november")]

    verdict = recognise(found("orders december 2026.csv", ORDERS, "orders_december"), known)

    assert verdict.asks == ("orders_october", "orders_november")
    assert verdict.goes_to == "orders_december"


def test_columns_of_two_datasets_propose_neither():
    """Two reports of the same form: the columns do not say which, so it is a new one."""
    known = [Known(name, ORDERS) for name in ("north", "south")]

    assert recognise(found("west.csv", ORDERS), known).by == "new"


@pytest.mark.parametrize(
    ("one", "other", "matched", "of"),
    [("a b c", "a b c", 3, 3), ("a b", "a b c", 2, 3), ("a b c d", "a", 1, 4), ("column_1 a", "column_1 b", 0, 1), ("", "", 0, 0)],
)
def test_agreement_is_what_both_have_over_the_larger(one, other, matched, of):
    """And generated names never count."""
    agreed = agreement(told(one.split()), told(other.split()))

    assert (agreed.matched, agreed.of) == (matched, of)


def plan(sheet: str, columns, *, hidden: bool = False) -> TablePlan:
    made = tuple(Column(name, name, place, ColumnType.TEXT) for place, name in enumerate(sorted(columns)))
    return TablePlan(sheet, 0, Box(1, 0, 9, len(made) - 1), (0,), made, (), hidden)


def test_table_with_the_columns_of_the_dataset_is_the_main_one_wherever_it_stands():
    """Somebody put a sheet in front of the report: each table still goes where it went last month."""
    known = (*KNOWN, Known("orders_october__notes", frozenset({"by", "note"})))
    placing = Placing(file_name="Orders December 2026.xlsx", dataset="orders_december", known=known)

    verdicts = placing.verdicts([plan("Notes", {"by", "note"}), plan("Orders", ORDERS)])

    assert [(each.goes_to, each.by) for each in verdicts] == [("orders_october__notes", "stem"), ("orders_october", "stem")]
    assert placing.placed([plan("Notes", {"by", "note"}), plan("Orders", ORDERS)]).dataset == "orders_october"


def test_further_table_of_other_columns_is_a_question_of_its_own():
    """The main table agrees, the one on the next sheet does not."""
    known = (*KNOWN, Known("stock__lists", frozenset({"a", "b", "c"})))
    placing = Placing(file_name="stock.xlsx", dataset="stock", known=known)

    first, second = placing.verdicts([plan("Stock", STOCK), plan("Lists", {"x", "y", "z"})])

    assert (first.goes_to, first.asks, second.goes_to, second.asks) == ("stock", (), "stock__lists", ("stock__lists",))


def test_replay_stays_where_the_file_was_loaded():
    """Corrections may change every column: that is no other report."""
    placing = Placing(file_name="stock.csv", dataset="stock", settled=True, known=KNOWN)

    [verdict] = placing.verdicts([plan("stock", {"quite", "other"})])

    assert (verdict.goes_to, verdict.by, verdict.asks) == ("stock", "said", ())
