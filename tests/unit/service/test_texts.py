"""One catalogue: no text is missing, none is left over."""

import re
from pathlib import Path

import pytest

from levelpool.service import english, render
from levelpool.service.texts import Texts
from levelpool.service.texts import english as english_texts
from levelpool.sheets.clean.option_fields import FIELDS

SERVICE = Path(english.__file__).parent
_FAMILIES = ("nav.", "status.", "lane.", "pool.", "problem.", "script.")
"""Prefixes whose keys are put together while a page is rendered."""


def used_keys() -> set[str]:
    """Every key that a template, a page or a script names in one piece."""
    found: set[str] = set()
    for path in [*render.TEMPLATES.rglob("*.html"), SERVICE / "pages.py", SERVICE / "app.py"]:
        if path.exists():
            found |= set(re.findall(r"""\b(?:t|texts)\(["']([a-z0-9_.]*[a-z0-9_])["'](?! ~)""", path.read_text(encoding="utf-8")))
    script = (SERVICE / "static" / "page.js").read_text(encoding="utf-8")
    found |= keys_of_corrections()
    return found | {f"script.{key}" for key in re.findall(r"""\btext\(["']([a-z0-9_.]+)["']""", script)}


def keys_of_corrections() -> set[str]:
    """Those that the form puts together from the table of the correction record."""
    placed = [each for each in FIELDS if each.place is not None]
    hinted = [each for each in placed if each.widget != "own" and not each.choices and each.name != "quote"]
    choices = {f"correct.{each.name}_{choice}" for each in placed if each.choices for choice in (*each.choices, "unsaid")}
    return {f"correct.{each.name}" for each in placed} | {f"correct.{each.name}_hint" for each in hinted} | choices


def test_every_text_that_a_page_asks_for_is_there():
    """A page never fails for want of a text."""
    assert used_keys() <= set(english.ENGLISH)


def test_no_text_is_left_over():
    """Translators translate what is shown, and nothing else."""
    used = used_keys()
    left_over = {key for key in english.ENGLISH if key.removesuffix(".many") not in used and not key.startswith(_FAMILIES)}

    assert not left_over


def test_other_count_takes_the_plural():
    """1 file, 2 files, and 0 files."""
    texts = Texts("en", {"file": "{count} file", "file.many": "{count} files", "sheep": "{count} sheep"})

    assert [texts("file", count=count) for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert texts("sheep", count=2) == "2 sheep"


def test_missing_text_is_an_error():
    """A hole in the catalogue is found by the first test that renders the page."""
    with pytest.raises(KeyError):
        english_texts()("no.such.key")


def test_every_language_names_the_same_places():
    """A plural fills the same names as its singular, or fewer."""
    names = lambda text: set(re.findall(r"\{(\w+)\}", text))  # noqa: E731
    for key, text in english.ENGLISH.items():
        if key.endswith(".many"):
            assert names(text) <= names(english.ENGLISH[key.removesuffix(".many")]) | {"count"}


def test_word_of_a_newer_release_stands_as_it_is():
    """A status that only a newer release knows breaks no page."""
    assert Texts("en", english.ENGLISH).word("status.loaded", "loaded") == "loaded"
    assert Texts("en", english.ENGLISH).word("status.sleeping", "sleeping") == "sleeping"
