"""Rows of a batch, chosen by place."""

from collections.abc import Sequence

from levelpool.sheets.table import Batch


def pick(batch: Batch, places: Sequence[int]) -> Batch:
    """Only the rows at these places of the batch."""
    return Batch(
        [batch.rows[place] for place in places],
        [batch.cells[place] for place in places],
        [batch.kinds[place] for place in places],
        batch.sums,
    )
