"""The thresholds by which a header is found, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderPolicy:
    """How far the search looks, and how much is enough for it."""

    # ---- how far it looks

    candidates: int = 30
    """Rows of a block that may be the header: titles and notes above a table are seldom more."""
    beneath: int = 50
    """Rows under a candidate that are looked at: what all of them are, the rest is, too."""
    cells_beneath: int = 100_000
    """Where they have more cells than this, fewer rows are looked at: a sheet may be 16,384 columns wide ..."""
    fewest_beneath: int = 6
    """... but these: one or two rows prove nothing."""
    cells_looked_at: int = 100_000
    """Cells in all that are looked at to find one header: what is wider and longer takes the best candidate so far."""
    rows_after_best: int = 5
    """Rows behind the best candidate that may still be a better one: below them are records."""
    coverage_that_ends: float = 0.7
    """A candidate that names so many of the columns is taken at once; a group row above names fewer."""

    # ---- what a header is

    least_coverage: float = 0.5
    """A header names at least half of the columns that hold something beneath it; a title names one or two."""
    most_pairs: int = 2
    """Cells of a row that may be "Customer:" and its value; a wider row with a colon in it may be a header."""
    words: float = 0.5
    """Where so many of the texts are words that name columns, the row does: the others are names that no list has."""
    longest_name: int = 5
    """Words of the name of a column; a sentence names none."""
    rows_for_repetition: int = 6
    """Rows beneath that texts must come again in before this means anything: in three rows two are soon alike."""
    header_rows_above: int = 3
    """Rows of a header above its surest one: year, quarter, month."""
    header_rows_below: int = 4
    """Rows that merged cells can draw into a header from below."""

    # ---- what a record is

    mostly: float = 0.8
    """Of few cells of a column so many make it one of numbers, or of texts with digits: the rest are slips and gaps ..."""
    cells_for_majority: int = 5
    """... and of so many cells the greater half does: totals and notes stand among them."""
    record_width: float = 0.6
    """A record fills so many of the columns; a title above numbers fills fewer."""
    records: int = 3
    """So many rows of several numbers are no notes."""
    numbers_of_record: int = 2
    """Numbers of such a row: a note has one, such as a year."""

    # ---- what stands above a table

    preamble_rows: int = 15
    """Rows that may say more than one thing each; a longer block is a list of its own."""
    key_value_rows: int = 10
    """Rows of a block that says things about a table ("Customer: ACME")."""
    title_rows: int = 10
    """Rows of titles above a table without a header."""


POLICY = HeaderPolicy()
