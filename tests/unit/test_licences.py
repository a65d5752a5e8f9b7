"""What levelpool is made of may go with it: each licence is allowed for a reason, and stands on a page."""

import re
import runpy
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
parts = runpy.run_path(str(ROOT / "deploy" / "parts.py"))
ALL = [*parts["python_parts"](), *parts["page_parts"]()]
PAGE = (ROOT / "docs" / "reference" / "licences.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ALL, ids=lambda part: part.name)
def test_licence_of_a_dependency_goes_with_ours(part):
    """It is in the list of those that do, each with its reason."""
    assert parts["allowed"](part.licence), part.licence


@pytest.mark.parametrize(
    ("licence", "goes"),
    [("MIT", True), ("GPL-3.0-only", False), ("GPL-3.0-only OR MIT", True), ("MIT AND GPL-3.0-only", False), ("UNKNOWN", False)],
)
def test_of_several_licences_one_side_must_go(licence, goes):
    """With OR we choose, with AND both hold."""
    assert parts["allowed"](licence) is goes


def test_every_dependency_stands_on_the_page_with_its_licence():
    """`make licences` was run after the last change."""
    rows = set(re.findall(r"^\| (\S+) \| (.+?) \| (PyPI|npm) \|$", PAGE, re.MULTILINE))

    assert {(part.name, part.licence, part.source) for part in ALL} <= rows


def test_page_names_only_what_is_pinned():
    """A package that is gone from the pins is gone from the page."""
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for name, source in re.findall(r"^\| (\S+) \| .+? \| (PyPI|npm) \|$", PAGE, re.MULTILINE) if source == "PyPI"}

    assert named
    assert named <= pinned


def test_each_licence_on_the_page_has_its_reason():
    for licence in {name for part in ALL for name in parts["choices"](part.licence)}:
        assert f"| {licence} | {parts['ALLOWED'][licence]} |" in PAGE


@pytest.mark.parametrize("name", sorted(parts["TOLD_BY_THEIR_FILES"]))
def test_licence_that_we_read_ourselves_is_one_that_the_metadata_do_not_say(name):
    """A package that names its licence in SPDX's words is asked, not told."""
    about = metadata.metadata(name)

    assert about.get("License-Expression") is None
    assert about.get("License") not in parts["ALLOWED"]
