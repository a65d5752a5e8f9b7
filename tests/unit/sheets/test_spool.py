"""Cells come back from the spool as they went in, whatever they hold."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.handmade import grid_of

from levelpool.sheets.spool import SpoolWriter
from levelpool.sheets.table import BOOLEAN, NUMBER, TEXT, Batch, Cells

cells = st.one_of(
    st.just((None, None)),
    st.tuples(st.sampled_from(["", "a", "ü", "a\nb", "\n", "\ud800", "\0", "x" * 30]), st.just(TEXT)),
    st.tuples(st.sampled_from(["1", "2.50"]), st.sampled_from([NUMBER, "n0.00"])),
    st.just(("true", BOOLEAN)),
)
columns_alike = st.sampled_from([cells, st.just((None, None)), st.just(("1", NUMBER)), st.sampled_from([("a", TEXT), (None, None)])])


@st.composite
def grids(draw):
    """Rows of cells; some columns hold one kind throughout, as in files."""
    of_column = draw(st.lists(columns_alike, min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(*of_column), min_size=1, max_size=6))
    return [list(row[: draw(st.integers(0, len(row)))]) for row in rows]


def trimmed(row):
    while row and row[-1][1] is None:
        row = row[:-1]
    return [text for text, _ in row], [kind for _, kind in row]


def batch_of(grid, first):
    numbers = list(range(first, first + len(grid)))
    return Batch.of_rows(numbers, [[text for text, _ in row] for row in grid], [[kind for _, kind in row] for row in grid])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(grids(), min_size=1, max_size=3), st.booleans())
def test_rows_come_back_as_they_were_written(tmp_path, parts, together):
    """Batch by batch, or put together before: no text is lost, parted, or taken for a blank."""
    batches, expected = [], []
    for grid in parts:
        batches.append(batch_of(grid, len(expected) + 1))
        expected += [(number, *trimmed(row)) for number, row in enumerate(grid, len(expected) + 1)]
    with SpoolWriter(tmp_path / "cells") as spool:
        for batch in [Batch.together(batches)] if together else batches:
            spool.write(batch)
        written = spool.close()

    assert [row for batch in written() for row in grid_of(batch)] == expected
    assert sum(column.count() for batch in written() for column in batch.columns) == sum(
        kind is not None for _, _, kinds in expected for kind in kinds
    )


@given(st.lists(st.sampled_from([None, "", "a", "b\nc", "\n"]), min_size=1))
def test_texts_are_joined_only_where_they_can_be_parted_again(texts):
    """A column is one text only if its lines say what its cells were."""
    joined = Cells(texts, kind=TEXT).joined

    assert joined is None or list(Cells(joined=joined, kind=TEXT).texts) == texts
