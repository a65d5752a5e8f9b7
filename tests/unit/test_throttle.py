"""The CPU lane gives way in a throttled container where the loop suffers, and grows back without flapping; on a simulated clock."""

from itertools import pairwise

import pytest

from levelpool.throttle import BETTER, CALM_BEFORE_GROWING, HURTS, LONGEST_CALM, Throttle, next_throttle

READ_EVERY = 5.0


class Container:
    """A container with a quota of periods of 0.1 s: the more workers beyond *fits*, the longer everything stands still in each, and *others* keep the loop besides."""

    def __init__(self, *, allowed, fits, others=0.0):
        self.allowed, self.fits, self.others = allowed, fits, others
        self.busy = True
        self.now = 0.0
        self.state = Throttle()
        self.history = []

    def run(self, seconds):
        """Read and decide every 5 seconds; the history gets (seconds, workers) at each change."""
        end = self.now + seconds
        while self.now < end:
            self.now += READ_EVERY
            workers = self.state.allow(self.allowed)
            stood_still = 100 * (1 - self.fits / workers) if workers > self.fits and self.busy else 0.0
            busy = workers if self.busy else 0
            lag = max(self.others, stood_still / 1000)
            self.state = next_throttle(self.state, stood_still=stood_still, lag=lag, busy=busy, allowed=self.allowed, now=self.now)
            if self.state.allow(self.allowed) != workers:
                self.history.append((self.now, self.state.allow(self.allowed)))
        return self.state.allow(self.allowed)


def test_throttled_lane_gives_way_at_the_first_reading():
    """Half of the time everything stands still: half of the workers go."""
    assert Container(allowed=8, fits=4).run(READ_EVERY) == 4


def test_lane_never_gives_its_last_worker():
    """One worker is left, whatever the container suffers from."""
    assert Container(allowed=4, fits=0.5).run(600) == 1


def test_throttling_that_the_loop_does_not_feel_is_no_reason():
    """A quarter of the time everything stands still, in pieces that are too short to matter: throughput is worth more."""
    assert Container(allowed=4, fits=3).run(600) == 4


def test_step_that_does_not_help_is_taken_back():
    """The loop is late by something else: the workers come back, and are left alone for longer each time."""
    container = Container(allowed=4, fits=2, others=0.4)
    container.run(3600)
    downs = [at for at, workers in container.history if workers == 2]
    ups = [at for at, workers in container.history if workers == 4]

    assert all(up - down <= 15 for down, up in zip(downs, ups, strict=False))
    assert [later - earlier for earlier, later in pairwise(downs)] == sorted(later - earlier for earlier, later in pairwise(downs))
    assert len(downs) < 8


def test_small_throttling_is_no_reason():
    """Below ten percent of the time nobody gives way."""
    assert Container(allowed=10, fits=9.2).run(600) == 10


def test_idle_lane_does_not_give_way_for_others():
    """Somebody else in the pod uses the quota up: fewer idle workers would not help."""
    state = next_throttle(Throttle(), stood_still=80.0, lag=0.2, busy=0, allowed=4, now=5.0)

    assert state.allow(4) == 4


def test_lane_grows_back_step_by_step_when_the_load_has_gone():
    """After each minute of calm there is one worker more, until all are back; then the past is forgotten."""
    container = Container(allowed=4, fits=1)
    container.run(30)
    container.fits = 4
    container.run(600)
    steps = [workers for _, workers in container.history]

    assert steps == [1, 2, 3, 4]
    assert all(later - earlier >= CALM_BEFORE_GROWING for (earlier, _), (later, _) in pairwise(container.history))
    assert container.state.patience == CALM_BEFORE_GROWING


def test_lane_does_not_flap_while_the_load_stays():
    """Each vain try to grow doubles the time until the next: in a day there are few, and throttling never lasts long."""
    container = Container(allowed=2, fits=1)
    container.run(24 * 3600)
    tries = [at for at, workers in container.history if workers == 2]
    waits = [later - earlier for earlier, later in pairwise(tries)]

    assert len(tries) < 24 * 3600 / LONGEST_CALM + 10
    assert waits == sorted(waits)
    assert all(later - earlier <= 15 for (earlier, many), (later, _) in pairwise(container.history) if many == 2)


def test_new_size_holds_at_once():
    """The container is allowed fewer CPUs while the lane has given way: the smaller number counts."""
    state = Throttle(workers=3)

    assert (state.allow(2), state.allow(8), Throttle().allow(8)) == (2, 3, 8)


@pytest.mark.parametrize("allowed", [1, 2, 3, 15, 64])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.8, 0.95])
def test_lane_ends_at_what_fits_and_stays_there(allowed, share):
    """Whatever the size and the load: an hour later the loop is on time, the container stands still less than ten percent of the time, or fewer would not help."""
    container = Container(allowed=allowed, fits=allowed * share)
    container.run(3600)
    # Just after a vain try it may be one more.
    workers = min(container.run(READ_EVERY) for _ in range(4))

    stood_still = 1 - container.fits / workers
    with_one = max(0.0, 1 - container.fits)
    assert workers == 1 or stood_still < 0.1 or stood_still / 10 < HURTS or with_one > BETTER * stood_still
