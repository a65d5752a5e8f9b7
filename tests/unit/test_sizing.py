"""The arithmetic of sizes, held against the table of the reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levelpool.capacity.detect import Capacity
from levelpool.errors import DatabaseError
from levelpool.sizing import (
    MIB,
    ConnectionLimit,
    db_max_overflow_for,
    db_pool_size_for,
    divide_connections,
    io_workers_for,
    share_connections,
    size,
)

GIB = 1 << 30


def capacity(cpus=2.0, memory=8 * GIB):
    return Capacity(cpus, "a test", memory, "a test")


@pytest.mark.parametrize(("cpus", "workers"), [(0.1, 1), (0.5, 1), (1, 1), (1.9, 1), (2, 1), (2.5, 1), (3, 2), (4, 3), (16, 15), (64, 63)])
def test_cpu_workers_leave_one_core_to_the_loop(cpus, workers):
    """Whole cores minus one, and never none."""
    assert size(capacity(cpus)).cpu_workers == workers


@pytest.mark.parametrize(("cpus", "threads"), [(0.1, 2), (0.5, 2), (0.6, 3), (1, 5), (1.5, 7), (2, 10), (4, 20), (16, 20)])
def test_io_workers_are_five_for_a_core_within_bounds(cpus, threads):
    """From 2 up to 20 threads; fractions of a core count."""
    assert size(capacity(cpus)).io_workers == threads


def test_io_workers_do_not_lose_a_thread_to_rounding():
    """A quota is a quotient of whole numbers; five times a fifth of a core is exactly one thread."""
    assert [io_workers_for(fifths * 20000 / 100000) for fifths in range(2, 21)] == list(range(2, 21))


@pytest.mark.parametrize(
    ("cpus", "pool", "overflow"), [(0.5, 5, 5), (1, 5, 5), (2, 5, 6), (4, 6, 8), (8, 14, 12), (16, 30, 20), (64, 30, 20)]
)
def test_production_pool_grows_with_the_cores(cpus, pool, overflow):
    """The table of the reference, and its ends."""
    sizes = size(capacity(cpus), environment="production")

    assert (sizes.db_pool_size, sizes.db_max_overflow) == (pool, overflow)


def test_development_pool_is_five_and_five_everywhere():
    """A laptop with 16 cores does not need 50 connections."""
    assert (db_pool_size_for(16, production=False), db_max_overflow_for(16, production=False)) == (5, 5)


def test_threads_are_divided_among_web_workers_and_workers_are_not():
    """Each web worker gets its share of threads; the worker processes are one budget for all of them."""
    sizes = size(capacity(8), web_concurrency=4)

    assert (sizes.io_workers, sizes.cpu_workers) == (5, 7)


def test_given_values_are_taken():
    """The environment overrides every rule; zero overflow is a value, not an absence."""
    sizes = size(capacity(), cpu_workers=9, io_workers=40, db_pool_size=7, db_max_overflow=0, worker_memory_limit=GIB)

    assert (sizes.cpu_workers, sizes.io_workers, sizes.db_pool_size, sizes.db_max_overflow, sizes.worker_memory_limit) == (9, 40, 7, 0, GIB)


def test_worker_memory_is_half_of_ours_divided_by_the_workers():
    """Three workers of an 8 GiB container have a sixth of it each."""
    assert size(capacity(4, 8 * GIB)).worker_memory_limit == 8 * GIB // 2 // 3


def test_worker_memory_is_never_too_little_to_start():
    """A worker with less than 64 MiB could not import what it runs."""
    assert size(capacity(4, 128 * MIB)).worker_memory_limit == 64 * MIB


def server(max_connections, reserved=3, others=0):
    """What a server with no other limits says."""
    return (ConnectionLimit(f"max_connections {max_connections} - reserved {reserved}", max_connections - reserved, others),)


@pytest.mark.parametrize("web_concurrency", [1, 2, 3, 4])
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_all_connections_together_fit_into_a_small_server(cpus, web_concurrency):
    """Pools, loading workers and the reserve never exceed what an ordinary role may open, and waste no share."""
    sizes = size(capacity(cpus), environment="production", web_concurrency=web_concurrency)
    share = share_connections(sizes, server(20))

    together = share.connections * web_concurrency + sizes.cpu_workers + 3
    assert 20 - 3 - web_concurrency < together <= 20 - 3


def test_server_without_room_is_refused_with_the_sum():
    """One sentence shows the figures and what to change."""
    with pytest.raises(
        DatabaseError, match=r"max_connections 8 - reserved 3 - other programs 0 .* = 1, for 4 web workers: 0 each.*Raise max_connections"
    ):
        share_connections(size(capacity(2), web_concurrency=4), server(8))


def test_pools_that_cannot_have_one_each_are_refused():
    """A share of two is not enough for three engines."""
    with pytest.raises(DatabaseError, match=r"for 1 web worker: 2 each, for 3 pools together"):
        share_connections(size(capacity(2)), server(9), pools=3)


def test_connections_of_other_programs_are_not_ours():
    """What a backup and a dashboard hold on the same server is taken off before we share the rest."""
    assert share_connections(size(capacity(2), web_concurrency=2), server(20, others=5)).connections == (20 - 3 - 5 - 3 - 1) // 2


def test_tightest_limit_of_the_server_decides():
    """A role that may have eight connections, two of them in use by somebody else, has six, whatever the server would allow."""
    limits = (*server(100, others=50), ConnectionLimit("connection limit of the role 8", 8, 2))
    share = share_connections(size(capacity(2)), limits)

    assert share.connections == 8 - 2 - 3 - 1
    assert share.arithmetic.startswith("connection limit of the role 8 - other programs 2 - reserve 3 - loading workers 1 = 2")


def test_behind_a_pooler_nothing_is_left_to_people_and_nobody_is_refused():
    """Whoever has too many waits for a turn there: one connection for each pool is always there."""
    sizes = size(capacity(2), web_concurrency=2)

    assert share_connections(sizes, (ConnectionLimit("the pooler", 20, 0, waits=True),)).connections == (20 - 1) // 2
    assert share_connections(sizes, (ConnectionLimit("the pooler", 1, 0, waits=True),), pools=3).connections == 3


@given(st.integers(1, 60), st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_connections_are_divided_in_proportion(connections, wishes):
    """All that is there is given out, nobody gets nothing or more than it wished, and a larger wish gets no less than a smaller one."""
    connections = max(connections, len(wishes))
    parts = divide_connections(connections, wishes)

    assert sum(parts) == min(connections, sum(wishes))
    assert all(1 <= part <= wish for part, wish in zip(parts, wishes, strict=True))
    assert [part for _, part in sorted(zip(wishes, parts, strict=True))] == sorted(parts)
