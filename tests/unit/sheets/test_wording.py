"""One row, two rows."""

from levelpool.sheets.wording import all_of, counted


def test_count_agrees_with_its_noun():
    """A person reads these."""
    assert [counted(number, "row") for number in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
    assert counted(1, "row is", "rows are") == "1 row is"
    assert all_of(1, "a date cell", "date cells") == "the only value is a date cell"
    assert all_of(1234, "a date cell", "date cells") == "all 1,234 values are date cells"
