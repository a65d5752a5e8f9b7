"""The threat model names what is there: each file that stands against something, and each test that shows it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import levelpool

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text(encoding="utf-8")
DEFENCES = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)


@cache
def _names_of_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("attack", "defence", "where", "test"), DEFENCES, ids=lambda text: text[:40])
def test_defence_is_there_and_tried(attack, defence, where, test):
    path, _, name = test.partition("::")

    assert (ROOT / "src" / "levelpool" / where).exists() or (ROOT / where).exists(), attack
    assert name in _names_of_tests(path), defence


def test_every_kind_of_attacker_has_defences():
    """A hostile file, user, neighbour on the host, cluster and package; and what nothing stands against."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    hostile = {title: text for title, text in sections.items() if title.startswith("A hostile")}

    assert len(hostile) == 5
    assert all("::test_" in text for text in hostile.values())
    assert "What we do not defend against" in sections


def test_security_policy_mends_the_version_that_is_released():
    minor = levelpool.__version__.rpartition(".")[0]

    assert f"| {minor} | yes |" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
