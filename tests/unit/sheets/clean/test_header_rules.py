"""Each rule by which a header is found decides about the row that it is made for, and the trace says so."""

from pathlib import Path

import pytest

from handmade import make_sheet
from levelpool.sheets.clean.header_policy import HeaderPolicy
from levelpool.sheets.clean.header_rules import RULES, STEPS
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.row import Row
from levelpool.sheets.clean.row_features import Beneath, RowFeatures
from levelpool.sheets.clean.tables import find_tables

DOCS = Path(__file__).parents[4] / "docs"
HEADED = [["sku", "qty"], ["a", 1], ["b", 2]]

EXAMPLES = {
    "not all texts": [["Stand", 5], [], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]],
    "a message": [["PHP Warning: Undefined variable $a", "b in /srv/x.php"], ["sku", "qty"], ["a", 1], ["b", 2]],
    "asks for a value": [["Customer:", "Anna"], [], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]],
    "nothing but names": [["Order No", "Quantity"]],
    "stands alone": [["Anna", "Bob"]],
    "names too few columns": [["A list"], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]],
    "one text over many columns": [["A list"], *HEADED],
    "says one thing": [["x", "x", "x"], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]],
    "texts above values": HEADED,
    "comes again": [["Anna", "Graz"], ["Bob", "Linz"], ["Anna", "Cork"]],
    "words above words": [["name", "city"], ["price", "amount"], ["date", "status"]],
    "words of headers": [["name", "city"], ["Anna", "Graz"], ["Bob", "Linz"]],
    "no digit above digits": [["was", "wo"], ["A1", "B1"], ["A2", "B2"]],
    "above repetition": [["was", "wo"], *([["ja", "hier"], ["nein", "dort"]] * 4)],
    "nothing proves a header": [["was", "wo"], ["ja", "hier"], ["nein", "dort"]],
    "describes the format": [["EXTF", 700], ["Umsatz", "Konto"], [1, 2], [3, 4]],
    "above names of the columns on the left": [
        [None, "n", "n"],
        [None, "sum", "mean"],
        ["town", None, None],
        ["Graz", 3, 1.5],
        ["Cork", 4, 2],
    ],
    "says things about a wider table": [["Name", "Anna"], ["Quantity", 5], [], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]],
    "looks like the rows beneath": [["a", 1], ["b", 2], ["c", 3]],
    "stands below records": [[1, 2], [3, 4], [5, 6], list("abcdefgh"), *([[*"stuvwx", 1, 2]] * 3)],
    "stands below what is no title": [["ja", "hier", "so"], ["nein", "dort", "so"], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]],
}


def trace(rows, **options):
    """How the header of the first table of these rows was looked for."""
    return find_tables(make_sheet(rows), TableOptions(**options))[0].trace


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_rule_decides(rule):
    """Of the rows that it is made for, the trace names it, with its verdict."""
    verdicts = {each.rule: each.verdict for each in trace(EXAMPLES[rule])}

    assert verdicts[rule] == next(each.verdict for each in RULES if each.name == rule)


@pytest.mark.parametrize("step", sorted(STEPS.keys() - {"given"}))
def test_step_is_noted(step):
    """What the place of a row decides is in the trace, too."""
    assert (step, STEPS[step]) in {(each.rule, each.verdict) for each in trace(EXAMPLES[step])}


def test_trace_tells_the_way_to_the_header():
    """Row by row, in order, up to the header."""
    rows = [["Orders of the week"], [], ["Printed by:", "Anna"], [], ["sku", "qty", "city"], ["a", 1, "x"], ["b", 2, "y"]]

    assert [(each.row, each.rule, each.verdict) for each in trace(rows)] == [
        (1, "one text over many columns", "no header"),
        (3, "asks for a value", "no header"),
        (5, "texts above values", "header"),
    ]


def test_header_that_was_given_is_not_looked_for():
    """A person said so, and that is all there is to tell."""
    assert [(each.row, each.rule) for each in trace(HEADED, header=1)] == [(2, "given")]


def test_documentation_lists_every_rule():
    """Each rule and each step has its line, with its verdict, and the rules stand in their order."""
    page = (DOCS / "explanation" / "tables.md").read_text(encoding="utf-8")
    lines = [f"| {rule.name} | {rule.verdict} |" for rule in RULES]

    assert [page.index(line) for line in lines] == sorted(page.index(line) for line in lines)
    assert all(f"| {step} | {verdict} |" in page for step, verdict in STEPS.items())


def test_threshold_decides():
    """A policy of its own counts: with fewer cells for a majority, three numbers among five are a column of numbers."""
    cells = ["1", "2", "3", "x", "y"]
    rows = [RowFeatures(Row(number, {0: cell}, {0: "s"})) for number, cell in enumerate(cells, 1)]

    assert Beneath(rows, HeaderPolicy()).solid(0)
    assert not Beneath(rows, HeaderPolicy(cells_for_majority=6)).solid(0)
