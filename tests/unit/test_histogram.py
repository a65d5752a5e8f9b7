"""Quantiles and buckets of durations."""

from hypothesis import given
from hypothesis import strategies as st

from levelpool.histogram import BOUNDS, Histogram

DURATIONS = st.lists(st.floats(1e-6, 3600), min_size=1, max_size=200)


def filled(durations):
    """A histogram of these durations."""
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


@given(DURATIONS)
def test_quantile_is_right_within_a_quarter(durations):
    """The median of the histogram is at most a quarter above the true one, and never below it."""
    true = sorted(durations)[(len(durations) - 1) // 2]

    assert true <= filled(durations).quantile(0.5) <= true * 1.26 + 2e-6


@given(DURATIONS)
def test_counts_below_the_bounds_are_exact(durations):
    """The bounds lie where buckets end: nothing is on the wrong side of one."""
    assert filled(durations).below() == tuple(sum(int(each * 1e6) < bound * 1e6 for each in durations) for bound in BOUNDS)


def test_nothing_counted_is_zero_everywhere():
    """No duration, no quantile, no count."""
    empty = Histogram()

    assert (empty.count, empty.quantile(0.99), set(empty.below())) == (0, 0.0, {0})
