"""
A header with fewer names than the rows of a text have cells.

R writes the names of rows in front and gives them no name: read from the left, each name stands over the column before its own. The same is seen
where a value holds the delimiter, and where the last columns have no name; then nothing is moved, and the report asks.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

from levelpool.sheets.clean.draft import Draft
from levelpool.sheets.clean.labels import is_header_word
from levelpool.sheets.clean.subsheets import batches_between
from levelpool.sheets.table import Sheet
from levelpool.sheets.wording import counted

_LOOKED_AT = 1000
"""Rows that show whether the cells in front are names of rows: in all of them there are as many cells, and no two names are alike."""

_NUMBERED = frozenset(
    ["id", "no", "nr", "num", "number", "index", "idx", "key", "code", "line", "row", "rank", "pos", "position", "order", "#", "№"]
)
"""Names of a column that counts 1, 2, 3, ... itself."""


def names_of_columns(sheet: Sheet, draft: Draft, headers: dict[int, str]) -> tuple[dict[int, str], str]:
    """The header of each column, moved to the right where R wrote it, and a sentence; "" where the header is as wide as its rows."""
    names = [text for text in headers.values() if text]
    is_short = bool(names) and len(draft.head.header) == 1 and list(headers) == list(range(len(headers)))
    if not (sheet.delimiter and is_short and len(names) < len(headers) and all(headers[place] for place in range(len(names)))):
        return headers, ""
    told = f"the header has {counted(len(names), 'name')} and the rows have up to {len(headers)} cells"
    rows = list(islice(_rows(sheet, draft), _LOOKED_AT))
    if len(names) == len(headers) - 1 and _have_names_in_front(rows, len(headers), names, sheet.delimiter):
        moved = dict(zip(headers, ["", *names], strict=True))
        return moved, f"{told}: the first column has no name, as R writes the names of rows; each name stands over the next column"
    missing = counted(len(headers) - len(names), "column has", "columns have")
    return (
        headers,
        f"{told}: the last {missing} no name; where a value holds the delimiter, or the first column has no name, names and values do not fit",
    )


def _rows(sheet: Sheet, draft: Draft) -> Iterator[Mapping[int, str]]:
    """The cells of the rows of data, by column."""
    aside = {each.row for each in draft.outside}
    for batch in batches_between(sheet, *draft.rows()):
        yield from (texts for row, texts, _ in batch.records() if row not in aside and (draft.first_row or 0) <= row <= draft.last_row)


def _have_names_in_front(rows: list[Mapping[int, str]], width: int, names: list[str], delimiter: str) -> bool:
    """Whether all rows are as wide as can be, and begin with names of rows and not with values that the first name of the header names."""
    if not rows or not all(0 in row and width - 1 in row for row in rows):
        return False
    firsts = [row[0] for row in rows]
    if len(set(firsts)) < len(firsts) or (delimiter == "," and _are_parted_decimals(rows, width)):
        return False
    if firsts == [str(number) for number in range(1, len(firsts) + 1)]:
        return names[0].strip().lower() not in _NUMBERED
    return not is_header_word(names[0])


def _are_parted_decimals(rows: list[Mapping[int, str]], width: int) -> bool:
    """Whether the last two cells may be the halves of decimals with a comma, such as 2,50."""
    ends = [(row.get(width - 2, ""), row[width - 1]) for row in rows]
    return all(whole.lstrip("-").isdecimal() and part.isdecimal() and len(part) <= 3 for whole, part in ends)
