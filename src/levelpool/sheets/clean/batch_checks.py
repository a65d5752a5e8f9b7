"""Checks of a whole batch of rows: which of them may be no data, without a look at every cell."""

from collections.abc import Sequence
from itertools import islice

from levelpool.sheets.table import Batch, Cells

_COLUMNS_CHECKED = 100  # columns


def first_texts(batch: Batch) -> tuple[Sequence[str], list[int]]:
    """The first text of each row, "" where there is none, and the places of those."""
    if batch.columns and batch.columns[0].is_full:
        return [text or "" for text in batch.columns[0].texts], []
    firsts = [""] * len(batch.rows)
    empty = list(range(len(batch.rows)))
    for cells in batch.columns:
        if not empty:
            break
        texts = cells.texts
        for place in empty:
            firsts[place] = texts[place] or ""
        empty = [place for place in empty if not firsts[place]]
    return firsts, empty


def worded_texts(batch: Batch, firsts: Sequence[str]) -> set[str]:
    """The distinct texts among the first of each row; none when all of them are plainly numbers, dates and the like."""
    joined = batch.columns[0].joined if batch.columns and batch.columns[0].is_full else None
    plain = (
        joined
        and joined.isascii()
        and joined.lower() == joined.upper()
        and not any(mark in joined for mark in ("---", "===", "*", "#", "//", "%", "!", ";"))
    )
    return set() if plain else set(firsts)


def may_hold(cells: Cells, text: str) -> bool:
    """Whether the text may stand in one of the cells."""
    return cells.joined is None or text in cells.joined


def all_share_columns(batch: Batch) -> bool:
    """Whether it is plain at a glance that every row has two cells or more."""
    full = (cells for cells in islice(batch.columns, _COLUMNS_CHECKED) if cells.is_full)
    return len(list(islice(full, 2))) == 2


def narrow_rows(batch: Batch) -> dict[int, int]:
    """The places of rows that have less than three cells, and how many."""
    counts = dict.fromkeys(range(len(batch.rows)), 0)
    for cells in batch.columns:
        if not counts:
            break
        if not cells.is_blank:
            texts = cells.texts
            found = {place: count + (texts[place] is not None) for place, count in counts.items()}
            counts = {place: count for place, count in found.items() if count < 3}
    return counts
