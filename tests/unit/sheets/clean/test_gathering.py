"""Evidence of columns whose cells come few at a time."""

import pytest

from levelpool.sheets.clean.gathering import Gathering
from levelpool.sheets.table import Batch, Cells

TEXTS = [*map(str, range(1, 150)), "1.5", *map(str, range(150, 200)), "n/a", *map(str, range(200, 300))]


@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_a_column_gets_the_same_type_however_its_cells_come(size):
    """Whether a batch has one row or all of them: type, reason and samples are the same."""
    gathering = Gathering(date1904=False)
    for at in range(0, len(TEXTS), size):
        some = TEXTS[at : at + size]
        gathering.add(Batch(list(range(at + 1, at + 1 + len(some))), [Cells.alike(some, "s"), Cells.blank(len(some))]))

    column = gathering.evidence()[0].decide(name="x", header="X", position=0)

    assert (column.type, column.why) == ("TEXT", "'n/a' (row 201) is no number, no date, and not true or false")
    assert column.samples == ("1", "2", "3")
    assert list(gathering.columns()) == [0]


def test_cells_that_wait_count_when_somebody_asks():
    """What a column looks like is told by all its cells so far, also by those that nobody has looked at yet."""
    gathering = Gathering(date1904=False)
    gathering.add(Batch([1], [Cells(["5"], kind="n")]))
    first = gathering.looks(0)
    gathering.add(Batch([2], [Cells(["five"], kind="s")]))

    assert (first, gathering.looks(0), gathering.looks(7)) == ("number", "text", "")
