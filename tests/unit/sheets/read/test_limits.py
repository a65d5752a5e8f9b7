"""The page of limits."""

from dataclasses import fields
from pathlib import Path

from levelpool.settings import Settings
from levelpool.sheets.read.limits import Limits


def test_limits_and_settings_have_the_same_defaults():
    """Whoever reads without settings is held to the same limits as the service."""
    assert Limits.of(Settings()) == Limits()


def test_every_limit_has_its_variable():
    """The variable that a refusal names is the one that sets the limit."""
    variables = {each.name for each in Settings.variables()}

    assert {Limits.variable(each.name) for each in fields(Limits)} <= variables


def test_limits_page_has_every_limit_with_its_default():
    """The page says what the code does."""
    page = (Path(__file__).parents[4] / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")

    missing = [each.name for each in fields(Limits) if f"| `{Limits.variable(each.name)}` | {each.default} |" not in page]

    assert not missing
