"""Rows that one kind of database cannot store join the quarantine."""

from collections.abc import Sequence

from levelpool.ingest.load.target import Misfit
from levelpool.sheets.table import CellCounts, CleanBatch, Column, Quarantined, Value


def set_aside(batch: CleanBatch, columns: Sequence[Column], misfits: Sequence[Misfit], policy: str) -> CleanBatch:
    """*batch* without its misfits: their rows stay out, or, by policy "cell", the cell alone is left blank."""
    if not misfits:
        return batch
    entries = [Quarantined(batch.rows[row], columns[column].name, _show(batch.columns[column][row]), why) for row, column, why in misfits]
    return _without_cells(batch, misfits, entries) if policy == "cell" else _without_rows(batch, misfits, entries)


def _without_cells(batch: CleanBatch, misfits: Sequence[Misfit], entries: list[Quarantined]) -> CleanBatch:
    columns = list(map(list, batch.columns))
    for row, column, _ in misfits:
        columns[column][row] = None
    moved = CellCounts(loaded=-len(misfits), quarantined=len(misfits))
    return CleanBatch(batch.rows, columns, batch.quarantined + entries, batch.quarantined_rows, batch.cells + moved)


def _without_rows(batch: CleanBatch, misfits: Sequence[Misfit], entries: list[Quarantined]) -> CleanBatch:
    bad = {row for row, _, _ in misfits}
    kept = [row for row in range(len(batch.rows)) if row not in bad]
    cells = {batch.rows[row]: tuple(_show(column[row]) for column in batch.columns if column[row] is not None) for row in sorted(bad)}
    count = sum(map(len, cells.values()))
    return CleanBatch(
        rows=[batch.rows[row] for row in kept],
        columns=[[column[row] for row in kept] for column in batch.columns],
        quarantined=batch.quarantined + entries,
        quarantined_rows=batch.quarantined_rows | cells,
        cells=batch.cells + CellCounts(loaded=-count, quarantined=count),
    )


def _show(value: Value) -> str:
    return "" if value is None else str(value)
