"""Admission and statistics of a lane."""

import pytest

from levelpool.lanes.admission import URGENT, Admission, lane_full
from levelpool.lanes.task_stats import MOST_NAMES, LaneCounters


def test_urgent_calls_have_places_of_their_own():
    """When ordinary calls fill the room, a probe still gets in."""
    admission = Admission(limit=20, workers=2)
    admission.admitted = 22

    assert not admission.has_place(0)
    assert admission.has_place(URGENT)


def test_waiting_calls_are_admitted_by_priority():
    """Of those who wait for a place, the most urgent comes in first; equal ones in order."""
    admission = Admission(limit=1, workers=1)
    admission.admitted = 2
    for name, priority in (("first", 0), ("second", 0), ("high", 5), ("gone", 9)):
        admission.wait(name, priority)
    assert admission.stop_waiting("gone")
    admission.admitted = 0

    assert [admission.next_admitted() for _ in range(3)] == ["high", "first", "second"]


def test_retry_after_grows_with_the_queue_and_the_run_time():
    """Whoever is refused is told to come back later when more work waits."""
    counters = LaneCounters("cpu")
    counters.ran(counters.of("slow"), (0.0, 10.0, 0.0, 0, 0))
    short, long = Admission(10, 2), Admission(1000, 2)
    short.admitted, long.admitted = 12, 1002

    assert lane_full("cpu", counters, short, "X").retry_after < lane_full("cpu", counters, long, "X").retry_after <= 60


@pytest.mark.parametrize("names", [MOST_NAMES + 50])
def test_task_names_do_not_grow_without_end(names):
    """A program that makes up names gets a bounded number of them counted by themselves."""
    counters = LaneCounters("cpu")
    for number in range(names):
        counters.ended(counters.of(f"task-{number}"), "succeeded")

    assert len(counters.task_stats()) == MOST_NAMES + 1
    assert sum(task.count for task in counters.task_stats()) == names


def test_what_calls_took_is_there_whenever_somebody_looks():
    """Statistics are flushed by the hundred, and nobody sees a difference: 250 calls are 250 calls, with their sums and their largest."""
    counters = LaneCounters("cpu")
    task = counters.of("task")
    for number in range(250):
        counters.ran(task, (0.001, 0.002, 0.5, number, 10))
        counters.ended(task, "succeeded")

    (seen,) = counters.task_stats()
    assert (seen.count, seen.cpu_seconds, seen.peak_rss, seen.result_bytes) == (250, 125.0, 249, 2500)
    assert seen.wait_p99 == pytest.approx(0.001, rel=0.25)
    assert seen.run_p99 == pytest.approx(0.002, rel=0.25)
