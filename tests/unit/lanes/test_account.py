"""The entrance and the books of a lane."""

import pytest

from levelpool.lanes.account import MOST_NAMES, Account
from levelpool.lanes.entrance import URGENT, Entrance, lane_full


def test_urgent_calls_have_places_of_their_own():
    """When ordinary calls fill the room, a probe still gets in."""
    entrance = Entrance(limit=20, seats=2)
    entrance.inside = 22

    assert not entrance.has_place(0)
    assert entrance.has_place(URGENT)


def test_those_outside_come_in_by_priority():
    """Of those who wait for a place, the most urgent comes in first; equal ones in order."""
    entrance = Entrance(limit=1, seats=1)
    entrance.inside = 2
    for name, priority in (("first", 0), ("second", 0), ("high", 5), ("gone", 9)):
        entrance.wait_outside(name, priority)
    assert entrance.leave_outside("gone")
    entrance.inside = 0

    assert [entrance.next_in() for _ in range(3)] == ["high", "first", "second"]


def test_retry_after_grows_with_the_queue_and_the_run_time():
    """Whoever is refused is told to come back later when more work waits."""
    account = Account("cpu")
    account.ran(account.of("slow"), (0.0, 10.0, 0.0, 0, 0))
    short, long = Entrance(10, 2), Entrance(1000, 2)
    short.inside, long.inside = 12, 1002

    assert lane_full("cpu", account, short, "X").retry_after < lane_full("cpu", account, long, "X").retry_after <= 60


@pytest.mark.parametrize("names", [MOST_NAMES + 50])
def test_task_names_do_not_grow_without_end(names):
    """A program that makes up names gets a bounded account."""
    account = Account("cpu")
    for number in range(names):
        account.ended(account.of(f"task-{number}"), "succeeded")

    assert len(account.task_stats()) == MOST_NAMES + 1
    assert sum(task.count for task in account.task_stats()) == names


def test_what_calls_took_is_there_whenever_somebody_looks():
    """Books are written up by the hundred, and nobody sees a difference: 250 calls are 250 calls, with their sums and their largest."""
    account = Account("cpu")
    task = account.of("task")
    for number in range(250):
        account.ran(task, (0.001, 0.002, 0.5, number, 10))
        account.ended(task, "succeeded")

    (seen,) = account.task_stats()
    assert (seen.count, seen.cpu_seconds, seen.peak_rss, seen.result_bytes) == (250, 125.0, 249, 2500)
    assert seen.wait_p99 == pytest.approx(0.001, rel=0.25)
    assert seen.run_p99 == pytest.approx(0.002, rel=0.25)
