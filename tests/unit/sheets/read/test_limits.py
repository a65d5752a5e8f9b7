"""The page of limits."""

from dataclasses import fields

from levelpool.settings import Settings
from levelpool.sheets.read.limits import Limits


def test_limits_and_settings_have_the_same_defaults():
    """Whoever reads without settings is held to the same limits as the service."""
    assert Limits.of(Settings()) == Limits()


def test_every_limit_has_its_variable():
    """The variable that a refusal names is the one that sets the limit."""
    variables = {each.name for each in Settings.variables()}

    assert {Limits.variable(each.name) for each in fields(Limits)} <= variables
