"""The table of what a person can say, held against the records, the readers, the command line, the page, the API and the reference."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import pytest
from click.testing import CliRunner

from levelpool.cli import cli
from levelpool.service.cli_options import correction_options, read_corrections
from levelpool.service.correct_form import Form, options_of
from levelpool.service.english import ENGLISH
from levelpool.sheets.clean.option_fields import COLUMN_FIELDS, FIELDS, Group, flags, form_fields, schema
from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.read.source import ReadOptions

DOCS = Path(__file__).parents[4] / "docs"
NO_FLAG = {"columns"}  # said by --name, --type and --date-form


@pytest.mark.parametrize(("record", "table"), [(TableOptions, FIELDS), (ColumnOptions, COLUMN_FIELDS)])
def test_table_has_the_fields_of_the_record(record, table):
    """None more, none less, in one order."""
    assert [each.name for each in table] == [each.name for each in fields(record)]


def test_reader_is_told_what_is_for_it():
    """All that a reader can be asked for, but how many rows, which no person says."""
    assert {each.name for each in FIELDS if each.is_for_reader} == {each.name for each in fields(ReadOptions)} - {"max_rows"}


def test_every_field_has_a_flag():
    """And the command shows it in its help."""
    shown = CliRunner().invoke(cli, ["inspect", "--help"]).output

    assert {each.name for each in FIELDS if each.flag is None} == NO_FLAG
    assert all(spelled in shown for flag, _ in flags() for name in flag.spelled for spelled in name.split("/"))
    assert len(correction_options()) == len(flags()) + 1  # --options names a file


@pytest.mark.parametrize("command", ["sync", "inspect", "replay"])
def test_every_command_that_reads_takes_them(command):
    """One set of options wherever a file is read."""
    assert set(correction_options()) <= set(cli.commands[command].params)


def test_ticked_box_says_the_opposite_of_what_is_found_out():
    """A box that said the default would say nothing."""
    ticks = {each.name: each.ticked for each in FIELDS if each.widget == "tick"}

    assert {name: getattr(TableOptions(), name) for name in ticks} == {name: not ticked for name, ticked in ticks.items()}
    assert all(f"correct.{name}" in ENGLISH for name in ticks)


def test_schema_takes_what_the_record_writes():
    """Each field that a record can write is in the schema with its type; the password never is."""
    said = TableOptions(header=1, blanks=["NA"], policy="cell", columns=[ColumnOptions(header="a", type="TEXT")]).to_dict()
    found = schema()["properties"]

    assert said.keys() <= found.keys() == {each.name for each in FIELDS} - {"password"}
    assert found["header"]["type"] == ["integer", "null"]
    assert found["policy"]["enum"] == ["row", "cell", "error", None]
    assert found["columns"]["items"]["required"] == ["header"]


def test_every_field_has_one_place_in_the_form():
    """But for the columns, which have a table of their own, and the password, which stands above; no two have the same place."""
    placed = [each for group in get_args(Group) for each in form_fields(group)]

    assert {each.name for each in FIELDS} - {each.name for each in placed} == {"columns", "password"}
    assert len({each.place for each in placed}) == len(placed)


@pytest.mark.parametrize(
    ("said", "flag", "value"), [("tab", "delimiter", "\t"), ("\\t", "delimiter", "\t"), (";", "delimiter", ";"), ("none", "quote", "")]
)
def test_word_for_a_character_is_one_on_the_command_line_and_in_the_form(said, flag, value):
    """What is hard to type has a word, and one table of words."""
    options = click.Command("read", params=list(correction_options())).make_context("read", [f"--{flag}", said]).params

    assert getattr(read_corrections(options, {}), flag) == value
    assert getattr(options_of(Form({flag: said})), flag) == value


def test_reference_has_every_field_with_its_default():
    """The table of the record, row by row: no field is missing, none is gone, and none has another default."""
    page = (DOCS / "reference" / "sheets.md").read_text(encoding="utf-8")
    table = page.partition("| `TableOptions` | default | |")[2].partition("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    told = {name: default for names, default, *_ in rows for name in re.findall("`([a-z_]+)`", names)}

    assert told == {each.name: str(each.default) if isinstance(each.default, bool | None) else "none" for each in fields(TableOptions)}


def test_reference_has_every_flag():
    """Who reads the page of the commands finds each spelling."""
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")

    assert all(spelled in page for flag, _ in flags() for name in flag.spelled for spelled in name.split("/"))
