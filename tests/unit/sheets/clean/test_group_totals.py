"""Totals of groups, as Excel's Data > Subtotal and printed lists write them, are no records."""

import pytest

from levelpool.sheets import inspect_file
from levelpool.sheets.clean.labels import group_of_total


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("North Total", "North"),
        ("Total North", "North"),
        ("Total for North:", "North"),
        ("Nord Ergebnis", "Nord"),
        ("Total Nord", "Nord"),
        ("North_Subtotal", "North"),
        ("华北 汇总", "华北"),
        ("华北汇总", "华北"),
        ("小计：华北", "华北"),
        ("2025 Total", "2025"),
        ("Total", None),
        ("Grand Total", "Grand"),
        ("Totals", None),
        ("Capital", None),
        ("Teetotal", None),
        ("Summer hat", None),
        ("Итоговая", None),
        ("x" * 300 + " Total", None),
    ],
)
def test_group_is_read_from_the_label(text, group):
    """A word of the list parted from the rest; Chinese needs nothing between them."""
    assert group_of_total(text) == group


LISTS = {
    "one level": (
        "Shop,Item,Sold\nNorth,cup,4\nNorth,jug,5\nNorth Total,,9\nSouth,cup,1\nSouth,jug,2\nSouth Total,,3\nGrand Total,,12\n",
        4,
        3,
    ),
    "two levels, the inner one in its own column": (
        (
            "Shop,Item,Sold\nNorth,cup,4\nNorth,cup,5\n,cup Total,9\nNorth,jug,1\n,jug Total,1\nNorth Total,,10\n"
            "South,cup,2\n,cup Total,2\nSouth Total,,2\nGrand Total,,12\n"
        ),
        4,
        6,
    ),
    "the label before the group": ("Shop,Sold\nNord,4\nNord,5\nTotal Nord,9\nSud,1\nTotal Sud,1\nTotal général,10\n", 3, 3),
    "each group told once": ("Shop,Item,Sold\nNorth,cup,4\n,jug,5\nNorth Total,,9\nSouth,cup,1\n,jug,2\nSouth Total,,3\n", 4, 2),
    "a total that does not add up is a record": ("Shop,Item,Sold\nNorth,cup,4\nNorth,jug,5\nNorth Total,,10\n", 3, 0),
    "a group that stands nowhere above": ("Shop,Sold\nNorth,4\nSouth,5\nWest Total,9\n", 3, 0),
    "names that end like a label": ("Drink,Sold\nTotal,\nTeetotal,4\nCapital Total,4\n", 3, 0),
}


@pytest.mark.parametrize("name", LISTS)
def test_rows_that_add_their_group_up_are_outside(tmp_path, name):
    """By the group in the same column above, and by the sum; everything else stays a record."""
    content, records, totals = LISTS[name]
    path = tmp_path / "list.csv"
    path.write_text(content)

    [sheet] = inspect_file(path).preview()["sheets"]

    assert len(sheet["rows"]) == records
    assert [f"{totals} total row" in reason for reason in sheet["reasons"] if "outside" in reason] == [bool(totals)]


def test_groups_are_found_over_all_of_a_long_list(tmp_path):
    """Also where a group and its total lie in different batches of rows."""
    path = tmp_path / "long.csv"
    groups = [f"G{group:05d},a,1\nG{group:05d},b,2\nG{group:05d} Total,,3\n" for group in range(4000)]
    path.write_text("Group,Item,Sold\n" + "".join(groups))

    [sheet] = inspect_file(path).preview()["sheets"]

    assert sheet["row_count"] == 8000
