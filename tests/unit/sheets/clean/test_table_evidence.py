"""Evidence of columns whose cells come few at a time."""

import pytest

from levelpool.sheets.clean.decisions import decide
from levelpool.sheets.clean.table_evidence import TableEvidence
from levelpool.sheets.table import Batch, Cells

TEXTS = [*map(str, range(1, 150)), "1.5", *map(str, range(150, 200)), "n/a", *map(str, range(200, 300))]


@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_a_column_gets_the_same_type_however_its_cells_come(size):
    """Whether a batch has one row or all of them: type, reason and samples are the same."""
    evidence = TableEvidence(date1904=False)
    for at in range(0, len(TEXTS), size):
        some = TEXTS[at : at + size]
        evidence.add(Batch(list(range(at + 1, at + 1 + len(some))), [Cells.alike(some, "s"), Cells.blank(len(some))]))

    column = decide(evidence.by_column()[0], name="x", header="X", position=0)

    assert (column.type, column.why) == (
        "TEXT",
        "'n/a' (row 201) is no number, no date, and not true or false; if it stands for no value, say so: --blank n/a",
    )
    assert column.samples == ("1", "2", "3")
    assert list(evidence.columns()) == [0]


def test_cells_that_wait_count_when_somebody_asks():
    """What a column looks like is told by all its cells so far, also by those that nobody has looked at yet."""
    evidence = TableEvidence(date1904=False)
    evidence.add(Batch([1], [Cells(["5"], kind="n")]))
    first = evidence.looks(0)
    evidence.add(Batch([2], [Cells(["five"], kind="s")]))

    assert (first, evidence.looks(0), evidence.looks(7)) == ("number", "text", "")


@pytest.mark.parametrize("size", [1, 5])
def test_cells_that_wait_keep_their_rows(size):
    """Blank cells between them, and cells of other kinds, leave every value at its row."""
    cells = [("1", "n"), None, None, ("2", "n"), None, ("x\ny", "s"), ("3", "n")]
    evidence = TableEvidence(date1904=False)
    for at in range(0, len(cells), size):
        some = cells[at : at + size]
        texts, kinds = [each and each[0] for each in some], [each and each[1] for each in some]
        evidence.add(Batch(list(range(at + 1, at + 1 + len(some))), [Cells.of(texts, kinds)]))

    column = decide(evidence.by_column()[0], name="x", header="X", position=0)

    assert (column.type, column.why) == ("TEXT", "'x\\ny' (row 6) is a text of several lines")


def test_a_lone_value_far_down_keeps_its_row():
    """Blank cells above it are left out on the way, and its row is told all the same."""
    evidence = TableEvidence(date1904=False)
    evidence.add(Batch([1, 2], [Cells.alike(["1", None], "n")]))
    evidence.add(Batch([7, 8, 9], [Cells.alike([None, None, "many"], "s")]))
    evidence.add(Batch([12], [Cells.alike(["5"], "n")]))

    column = decide(evidence.by_column()[0], name="x", header="X", position=0)

    assert column.why == "'many' (row 9) is no number, no date, and not true or false"
