"""Page, command line, Python and documentation call one thing by one name."""

import re
import shlex
from pathlib import Path

import pytest

from levelpool.cli import cli
from levelpool.service.english import ENGLISH
from levelpool.service.terminal import STATES
from levelpool.sheets import ColumnOptions, TableOptions

DOCS = Path(__file__).parents[3] / "docs"
MESSY = (DOCS / "howto/messy-files.md").read_text(encoding="utf-8")
ROWS = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in MESSY.splitlines() if line.count(" | ") == 3]
CORRECTIONS = ROWS[1:]
BUTTONS = re.compile(r"(?<![*\w])\*([A-Z][^*]+)\*(?![*\w])")


@pytest.mark.parametrize("page", ["quickstart.md", "howto/messy-files.md", "howto/every-month.md", "howto/undo.md", "reference/formats.md"])
def test_what_a_guide_calls_a_button_is_what_the_page_calls_it(page):
    """A word in italics is a text of the page, letter for letter."""
    named = BUTTONS.findall((DOCS / page).read_text(encoding="utf-8"))

    assert not [name for name in named if name not in ENGLISH.values()]


@pytest.mark.parametrize("row", CORRECTIONS, ids=lambda row: row[0])
def test_a_correction_is_the_same_on_the_page_in_a_command_and_in_python(row):
    """Each field of the table is one of the page, each option is taken by the command, and each record can be made."""
    _, fields, command, python = row
    for field in fields.removeprefix("Columns: ").split(", "):
        assert field in ENGLISH.values()
    for option in re.findall(r"`(--[^`]+)`", command):
        cli.commands["inspect"].make_context("inspect", ["Orders.xlsx", *shlex.split(option)])
    said = python.partition("` (")[0].strip("`")
    record = eval(
        said if said.startswith("ColumnOptions") else f"TableOptions({said})",
        {"ColumnOptions": ColumnOptions, "TableOptions": TableOptions},
    )
    assert record.to_dict()


def test_every_correction_of_the_table_is_looked_at():
    """The rule above is about the whole table."""
    assert len(CORRECTIONS) == 19


def test_a_command_calls_a_state_what_the_page_calls_it():
    """Who reads "partly loaded" in a terminal finds it on the page."""
    shown = {state: re.sub(r"\[[^]]*\]", "", mark) for state, mark in STATES.items()}

    assert shown == {state: ENGLISH[f"status.{state}"] for state in shown}
