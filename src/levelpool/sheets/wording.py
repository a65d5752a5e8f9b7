"""Counts as people say them."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """1 row, 1,234 rows: *one* with the number, or *many*, which is *one* with an s unless it is given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def all_of(number: int, one: str, many: str) -> str:
    """The only value is *one*, or all 1,234 values are *many*."""
    return f"the only value is {one}" if number == 1 else f"all {number:,} values are {many}"
