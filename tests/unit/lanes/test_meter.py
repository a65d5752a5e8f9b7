"""What a call costs its worker."""

import time

from levelpool.lanes.process.meter import MOST_UNASKED, TOO_SHORT, Meter


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_long_call_is_measured_by_the_kernel():
    """What counts is the processor's time, not the clock's."""
    meter = Meter()
    burn(0.05)

    cpu, peak = meter.read(9.0)

    assert 0.05 <= cpu < 9.0
    assert peak > 1 << 20


def test_a_short_call_costs_what_it_ran_and_a_row_of_them_costs_the_next_nothing():
    """The kernel is not asked for each, but after so many: the time between calls is not the next long one's."""
    meter = Meter()
    short = TOO_SHORT / 2
    assert [meter.read(short)[0] for _ in range(MOST_UNASKED)] == [short] * MOST_UNASKED
    burn(0.05)
    meter.read(short)

    cpu, _ = meter.read(1.0)

    assert cpu < 0.05
