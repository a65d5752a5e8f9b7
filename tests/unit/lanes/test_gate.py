"""A gate that several lanes share holds up what it does not allow, and nothing else."""

from levelpool.lanes.schedule import Schedule, Send, Start


class OneAtATime:
    """Allows one worker, and writes down what it is told."""

    def __init__(self):
        self.told = []

    def allow(self, workers):
        return workers <= 1

    def settle(self, workers, ready, *, ended):
        self.told.append((workers, ready, ended))

    def leave_line(self):
        self.told.append("asks for no more")

    def resize(self, workers):
        """Nothing to do."""


def test_gate_holds_up_births_and_calls_until_there_is_room():
    """Two calls and room for two workers, but the gate allows one: the second call waits for the first worker."""
    gate = OneAtATime()
    schedule = Schedule(2, gate=gate)
    schedule.arrive(1, 0.0)
    schedule.arrive(2, 0.0)

    births = list(schedule.decide(0.0))
    held_up = schedule.held_up
    schedule.ready(1, 0.0)
    first = list(schedule.decide(0.0))
    schedule.ended(1, 1, 1.0)
    second = list(schedule.decide(1.0))

    assert (births, held_up) == ([Start(1)], True)
    assert (first, second) == ([Send(1, 1)], [Send(1, 2)])
    assert gate.told == [(0, 0, False), (0, 1, False), (0, 1, True), "asks for no more"]
    assert not schedule.held_up


def test_lane_without_a_gate_is_alone():
    """Nothing is held up."""
    schedule = Schedule(2)
    schedule.arrive(1, 0.0)
    schedule.arrive(2, 0.0)

    assert list(schedule.decide(0.0)) == [Start(1), Start(2)]
    assert not schedule.held_up
