"""The reference, held against the application and the command line as they are."""

import re
from pathlib import Path

import click
import pytest

from levelpool.cli import cli
from levelpool.service.app import create_app
from levelpool.service.errors import _ANSWERS
from levelpool.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"
HTTP = "".join((DOCS / "reference" / name).read_text(encoding="utf-8") for name in ("http.md", "http-system.md"))
CLI = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")


def commands(group: click.Group, prefix: str = "levelpool") -> list[tuple[str, click.Command]]:
    """Every command with its whole name."""
    found = []
    for name, command in group.commands.items():
        whole = f"{prefix} {name}"
        found += commands(command, whole) if isinstance(command, click.Group) else [(whole, command)]
    return found


def operations() -> list[str]:
    """Every described address of the application, with its method."""
    described = create_app(Settings()).openapi()
    return [f"{method.upper()} {path}" for path, methods in described["paths"].items() for method in methods]


@pytest.mark.parametrize("operation", operations())
def test_every_address_is_in_the_reference(operation):
    """Nobody has to read the code to find an address."""
    assert operation in HTTP


@pytest.mark.parametrize("code", sorted({code for _, _, code in _ANSWERS}))
def test_every_error_code_is_in_the_reference(code):
    """A program can rely on the codes."""
    assert f"`{code}`" in HTTP


@pytest.mark.parametrize(("name", "command"), commands(cli))
def test_every_command_and_option_is_in_the_reference(name, command):
    """Every command, and every option of it."""
    assert f"`{name}" in CLI
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert re.search(rf"`{name} [^`]*{option}", CLI), option
