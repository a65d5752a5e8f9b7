"""One sentence that names the narrowest thing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from levelpool.capacity.usage import Pressure
from levelpool.monitoring.diagnosis import diagnose
from levelpool.monitoring.lag import Block, LagReading
from levelpool.pools import Holder, PoolStats


def block(snapshot, ago, starved=0.0):
    moment = snapshot().at - timedelta(seconds=ago)
    return LagReading(blocks=1, recent=(Block(moment, 0.5, "views.py:7 in upload: parse(body)", (), None, 0.5, starved),))


def test_quiet_service_says_so_and_what_is_used_most(snapshot, lane):
    """Nothing is narrow; the largest share is named all the same."""
    sentence = diagnose(snapshot(memory=61.0, lanes={"cpu": lane(busy=1)})).diagnosis

    assert sentence == "Nothing is narrow: no call waits; the most used are the memory (61 % of 1.0 GiB)."


def test_full_cpu_lane_is_named_with_its_queue(snapshot, lane):
    """Busy workers alone are no finding; calls that wait behind them are."""
    sentence = diagnose(snapshot(lanes={"cpu": lane(busy=2, queued=17, oldest_wait=4.2)})).diagnosis

    assert sentence == "The cpu lane is full: all 2 worker processes are busy, 17 calls wait, the oldest for 4.2 s."


def test_pool_names_who_holds(snapshot, lane):
    """Calls that wait for a connection weigh more than a full lane: they are why it is full."""
    pool = PoolStats("main", 5, 5, 10, 5, 3, 1.0, (Holder("GET /api/rows", 12.0),))

    sentence = diagnose(snapshot(pools=(pool,), lanes={"io": lane(busy=2, queued=50, oldest_wait=9.0)})).diagnosis

    assert sentence == "Connections are short: 3 calls wait for pool 'main', 10 are in use, held longest by GET /api/rows for 12.0 s."


def test_throttling_weighs_more_than_busy_processors(snapshot):
    """A throttled container often shows a low use of its processors."""
    assert diagnose(snapshot(cpu=95.0, throttled=40.0)).diagnosis == (
        "The container is throttled: it used up its 2 CPUs in 40 % of the periods (cpu.max)."
    )


def test_memory_pressure_is_said_before_the_limit_is_reached(snapshot):
    """The kernel may be busy reclaiming long before the limit."""
    assert diagnose(snapshot(pressure={"memory": Pressure(50.0, 20.0)})).diagnosis.startswith(
        "Memory is short: all threads waited for it 20 %"
    )


@pytest.mark.parametrize(("high", "said"), [(600 << 20, True), (700 << 20, False), (None, False)])
def test_memory_over_the_level_of_slowing_down_is_said(snapshot, high, said):
    """Far from the limit, but over `memory.high`: the kernel makes everything slow."""
    quiet = snapshot(memory=60.0)
    memory = replace(quiet.resources.memory, high=high)
    sentence = diagnose(replace(quiet, resources=replace(quiet.resources, memory=memory))).diagnosis

    assert (sentence == "The kernel slows us down: 614 MiB of memory are in use, and memory.high is 600 MiB.") == said


@pytest.mark.parametrize(("ago", "said"), [(5, True), (300, False)])
def test_recent_block_of_the_loop_is_named_with_its_code(snapshot, ago, said):
    """A block of five minutes ago is not "right now"."""
    sentence = diagnose(snapshot(cpu=99.0, loop=block(snapshot, ago))).diagnosis

    assert ("views.py:7 in upload" in sentence) == said


def test_starved_block_is_not_blamed_on_the_code_alone(snapshot):
    """The loop was ready to run, but the processor was not there."""
    assert "got no processor" in diagnose(snapshot(loop=block(snapshot, 5, starved=0.4))).diagnosis


def test_loop_that_stands_still_now_comes_first(snapshot, lane):
    """It stops everything else."""
    everything = snapshot(
        cpu=100.0, memory=99.0, throttled=90.0, lanes={"cpu": lane(busy=2, queued=5, oldest_wait=99.0)}, loop=LagReading(blocked_for=3.0)
    )

    assert diagnose(everything).diagnosis.startswith("The event loop stands still, for 3.00 s so far")
