"""The line in which calls wait."""

import random

import pytest

from levelpool.lanes.waiting_line import WaitingLine


def test_lowest_order_comes_first_and_equal_ones_as_they_came():
    """Whoever has the lower order is served first; among equals, whoever has waited longer."""
    line = WaitingLine()
    for order, member in (((0, 1), "first"), ((0, 1), "second"), ((-5, 3), "urgent")):
        line.push(order, member)

    assert list(line) == ["urgent", "first", "second"]
    assert [line.pop() for _ in range(3)] == ["urgent", "first", "second"]
    with pytest.raises(IndexError):
        line.pop()


def test_whoever_leaves_is_never_served_and_may_come_again():
    """A member that was discarded is gone, though it stood in front; when it joins again, its new order counts."""
    line = WaitingLine()
    line.push((0, 1), "fickle")
    line.push((0, 2), "patient")

    assert line.discard("fickle")
    assert not line.discard("fickle")
    assert line.first() == ((0, 2), "patient")
    line.push((0, 3), "fickle")
    assert [line.pop(), line.pop()] == ["patient", "fickle"]
    assert line.first() is None


def test_line_agrees_with_a_sorted_list():
    """Thousands of arrivals, departures and services, in any order: the same as with a list that is sorted each time; and what has left is not kept."""
    chance, line, listed = random.Random(7), WaitingLine(), []
    for member in range(5000):
        match chance.randrange(3):
            case 0 if listed:
                gone = chance.choice(listed)
                listed.remove(gone)
                assert line.discard(gone[1])
            case 1 if listed:
                assert line.pop() == listed.pop(listed.index(min(listed)))[1]
            case _:
                order = (chance.randrange(3), member)
                listed.append((order, member))
                line.push(order, member)
        assert len(line) == len(listed)
        assert len(line._heap) <= 2 * len(listed) + 65
