"""The correction record, as the command line says it: options of a command, a JSON file, and a password that stands on no command line."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from levelpool.sheets.clean.option_fields import COLUMN_FIELDS, FIELDS, OptionField, flags
from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.errors import OptionsRefused

PASSWORD_VARIABLE = "LEVELPOOL_FILE_PASSWORD"  # noqa: S105  # the name of the variable, not its value


@functools.cache
def correction_options() -> tuple[click.Option, ...]:
    """The options of the command line by which a person corrects what would be found out."""
    options = [click.Option(flag.spelled, help=flag.help, **_kind(field), **flag.shown) for flag, field in flags()]
    file = click.Path(path_type=Path, dir_okay=False, exists=True)
    return (*options, click.Option(["--options"], type=file, help="A JSON file of corrections."))


def _kind(field: OptionField) -> dict[str, Any]:
    if field.choices:
        return {"type": click.Choice(field.choices)}
    return {"type": click.IntRange(min=1)} if field.widget == "row" else {}


def read_corrections(said: Mapping[str, Any], environ: Mapping[str, str]) -> TableOptions:
    """
    What was said: the JSON file first, then each option of its own over it.

    The password comes from the environment, or, when it is asked for, from the terminal: a command line is seen by every user of a machine.
    """
    options = _of_file(said["options"]) if said["options"] else TableOptions()
    given = {field.name: _value(field, said) for field in FIELDS if field.flag is not None}
    given |= {"columns": _columns(options, said) or None, "password": _password(environ, ask=said["password"])}
    return replace(options, **{name: value for name, value in given.items() if value is not None})


def _value(field: OptionField, said: Mapping[str, Any]) -> Any:
    """What the command line says of a field; None for nothing."""
    value = said[_parameter(field)]
    match field.widget:
        case "row":
            return None if value is None else value - 1
        case "tick":
            return field.ticked if value else None
        case "mark":
            return None if value is None else field.heard(value)
    return (frozenset(value) or None) if field.name == "blanks" else value


def _parameter(field: OptionField) -> str:
    """The name under which click gives the value of the field's flag."""
    spelled = field.flag.spelled[0] if field.flag is not None else field.name
    return spelled.partition("/")[0].removeprefix("--").replace("-", "_")


def _columns(options: TableOptions, said: Mapping[str, Any]) -> tuple[ColumnOptions, ...]:
    """What is said about columns, one record each."""
    columns = {column.header: column.to_dict() for column in options.columns}
    for name in (field.name for field in COLUMN_FIELDS if field.flag is not None):
        for text in said[name]:
            header, mark, value = text.rpartition("=")
            if not mark or not header:
                raise OptionsRefused(
                    f"--{name.replace('_', '-')} cannot be {text!r}: give HEADER=..., such as 'Qty.=TEXT'", option=name, value=text
                )
            columns.setdefault(header, {"header": header})[name] = value
    return tuple(map(ColumnOptions.from_dict, columns.values()))


def _of_file(path: Path) -> TableOptions:
    try:
        return TableOptions.from_json(path.read_text(encoding="utf-8"))
    except OptionsRefused as error:
        raise OptionsRefused(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise OptionsRefused(f"{path} is not UTF-8 text: give a JSON file, such as the `options` of levelpool inspect --json") from error


def _password(environ: Mapping[str, str], *, ask: bool) -> str | None:
    found = environ.get(PASSWORD_VARIABLE)
    if found or not ask:
        return found or None
    answer: str = click.prompt("Password of the workbook", hide_input=True, err=True)
    return answer
