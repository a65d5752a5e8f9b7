"""No function takes more ways than a reader can follow: its cyclomatic complexity is bounded, and each `and` and `or` is a way of its own."""

from pathlib import Path

import pytest
from radon.complexity import cc_visit
from radon.visitors import Class

SRC = Path(__file__).parents[2] / "src" / "levelpool"

MOST = 15
"""Of any function that is not in the list; one above it is cut into parts that have names."""

KNOWN = {
    "sheets/clean/numbers.py: _padding": 17,
    "sheets/clean/numbers.py: _affixes": 19,
    "sheets/clean/rows.py: _account": 17,
    "sheets/clean/scan.py: _Scan._begin": 20,
    "sheets/clean/subsheets.py: _filled": 17,
    "sheets/read/delimited.py: _read_sheet": 19,
    "sheets/read/xlsx_fast.py: PlainRows._contents": 20,
    "sheets/read/xlsx_rows.py: SheetParser._content": 19,
    "sheets/table.py: Cells.together": 19,
}
"""Those from before the bound, with their figures. The list only gets shorter, and its figures smaller."""


def functions():
    """(file: function, complexity) of all there are."""
    for path in sorted(SRC.rglob("*.py")):
        for block in cc_visit(path.read_text(encoding="utf-8")):
            if not isinstance(block, Class):
                yield f"{path.relative_to(SRC).as_posix()}: {block.fullname}", block.complexity


def complaints(found, known, most):
    """What has to be done, a sentence for each function: cut it, lower its figure, or take it off the list."""
    said = [
        f"{name} has a complexity of {figure}, at most {known.get(name, most)}"
        for name, figure in found.items()
        if figure > known.get(name, most)
    ]
    said += [f"{name} got better: write {found[name]}" for name, figure in known.items() if most < found.get(name, 0) < figure]
    return said + [f"{name} got better: take it off the list" for name in known if found.get(name, 0) <= most]


def test_no_function_is_too_complex():
    """New functions stay below the bound, and what got better is held to it."""
    assert complaints(dict(functions()), KNOWN, MOST) == []


@pytest.mark.parametrize(
    ("figure", "known", "said"),
    [
        (15, {}, []),
        (16, {}, ["f has a complexity of 16, at most 15"]),
        (20, {"f": 20}, []),
        (21, {"f": 20}, ["f has a complexity of 21, at most 20"]),
        (19, {"f": 20}, ["f got better: write 19"]),
        (15, {"f": 20}, ["f got better: take it off the list"]),
    ],
)
def test_list_only_gets_shorter(figure, known, said):
    """A listed function may not get worse, and one that got better may not get worse again."""
    assert complaints({"f": figure}, known, 15) == said


def test_boolean_operators_count():
    """What `ruff` leaves out: a condition of four parts is four ways."""
    assert [block.complexity for block in cc_visit("def f(a, b, c, d):\n    return a and b or c and d")] == [4]
