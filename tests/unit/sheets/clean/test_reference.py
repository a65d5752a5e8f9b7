"""The reference pages, held against the code."""

import json
import re
from pathlib import Path

import pytest
from benchmarks.corpus import table
from benchmarks.measure import RESULTS

from handmade import make_sheet
from levelpool.sheets import ColumnOptions, TableOptions
from levelpool.sheets.clean.labels import TOTAL_LABELS
from levelpool.sheets.clean.names import column_names, dataset_name
from levelpool.sheets.clean.reasons import Aside, Reason
from levelpool.sheets.clean.tables import find_tables

DOCS = Path(__file__).parents[4] / "docs"


def page(name):
    """The text of one page."""
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Reason, *Aside])
def test_every_reason_has_its_line(word):
    """Who meets a reason in a report finds its meaning in the reference."""
    assert f"| {word.value} | {word.meaning} |" in page("reference/quarantine.md")


def test_all_labels_of_totals_are_listed():
    """The list of the reference is the list of the code."""
    section = page("reference/quarantine.md").split("## Labels of totals")[1]

    assert set(re.findall("`([^`]+)`", section)) == set(TOTAL_LABELS)


def test_the_examples_of_names_are_true():
    """Each file of the table has the dataset beside it, each header its column."""
    files = re.findall(r"^\| `([^`]+\.\w+)` \| `([^`]+)` \|$", page("reference/names.md"), re.MULTILINE)
    assert len(files) >= 9
    assert [(file, dataset_name(file)) for file, _ in files] == files
    assert column_names(["Order No.", "Amount (EUR)"]) == ("order_no", "amount_eur")
    assert column_names(["Name", "name", ""]) == ("name", "name_2", "column_3")


def test_the_examples_of_types_are_true():
    """Each line of the table of texts gives the type beside it."""
    lines = re.findall(r"^\| (`.+?`) \| ([A-Z]+(?: PRECISION)?)\b[^|]*\|", page("explanation/types.md").split("## Texts")[1], re.MULTILINE)
    assert len(lines) > 25
    for texts, kind in lines:
        cells = re.findall("`([^`]+)`", texts)
        (plan,) = find_tables(make_sheet([["h", "number"], *([cell, 1] for cell in cells)]))
        assert plan.columns[0].type == kind, (texts, plan.columns[0].why)


def test_the_survey_of_real_workbooks_is_shown_as_it_was_measured():
    """The table is what the command prints from the figures, and each exception has its reason."""
    figures = json.loads((RESULTS / "corpus.json").read_text(encoding="utf-8"))["figures"]

    assert table() in page("reference/formats.md")
    assert all(each["reason"] for each in figures["exceptions"])


@pytest.mark.parametrize("record", [TableOptions, ColumnOptions])
def test_every_option_is_in_the_reference(record):
    """All fields of the frozen records are explained."""
    text = page("reference/sheets.md")

    assert all(f"`{field}`" in text for field in record.__dataclass_fields__)
