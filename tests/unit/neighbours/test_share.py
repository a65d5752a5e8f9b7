"""The budget of CPU workers that several real processes share, and the line of those who wait."""

import contextlib
import subprocess
import sys
import time

import pytest

from levelpool.neighbours.share import CpuShare

STRANGER = """
import sys, time
from pathlib import Path
from levelpool.neighbours.share import CpuShare

share = CpuShare(Path(sys.argv[1]), int(sys.argv[2]))
for line in sys.stdin:
    print(eval(line), flush=True)
"""


def test_share_is_one_budget_for_all_processes(folder, start):
    """Two slots: one is taken elsewhere, one here, and then there is none until the other process dies."""
    other, said = start()
    share = CpuShare(folder, 2)

    before = [share.allow(1), share.allow(2), share.held, share.taken()]
    other.kill()
    other.wait()

    assert said[2] == "True"
    assert before == [True, False, 1, 2]
    assert share.allow(2)
    share.settle(0)


def test_idle_process_holds_no_slot(folder):
    """What is not at work is given back, and can be had again."""
    share = CpuShare(folder, 2)
    share.allow(2)
    taken = share.taken()
    share.settle(0)

    assert (taken, share.held, share.taken()) == (2, 0, 0)


def test_two_shares_in_one_process_are_one_budget(folder):
    """Kernel locks belong to the process: within it, they are counted here."""
    first, second = CpuShare(folder, 1), CpuShare(folder, 1)
    allowed = first.allow(1), second.allow(1)
    first.settle(0)

    assert allowed == (True, False)
    assert second.allow(1)
    second.settle(0)


def test_smaller_host_gives_slots_back_as_they_become_free(folder):
    """Nobody is stopped in the middle; what is given back beyond the new size cannot be had again."""
    share = CpuShare(folder, 2)
    share.allow(2)
    share.resize(1)
    share.settle(1)
    again = share.allow(2)
    share.settle(0)

    assert not again


@pytest.fixture
def stranger(folder):
    """A function that starts a process with a share of *slots*; what it returns does there what it is told, and says the outcome."""
    with contextlib.ExitStack() as stack:

        def begin(slots):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", STRANGER, str(folder), str(slots)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            stack.callback(process.kill)

            def tell(what):
                print(what, file=process.stdin, flush=True)
                return eval(process.stdout.readline())

            return tell

        yield begin


@pytest.fixture
def clock():
    """A clock that a test moves: it stands a minute ahead of those of other processes, so that they came first."""
    return [time.monotonic() + 60]


def test_turn_ends_when_others_want(folder, stranger, clock):
    """At the end of a call the slot goes to the one that waits, and comes back when its turn is over; alone a process goes on at once."""
    share = CpuShare(folder, 1, clock=lambda: clock[0])
    share.allow(1)
    share.settle(0, 1)
    alone = share.held
    other = stranger(1)
    refused = other("share.allow(1)")
    share.settle(0, 1)
    ours = share.held, share.allow(1)
    theirs = other("share.allow(1)")
    later = other("time.sleep(0.3), share.settle(0, 1), share.held")[2]

    assert (alone, refused) == (1, False)
    assert (ours, theirs) == ((0, False), True)
    assert (later, share.allow(1)) == (0, True)


def test_who_holds_none_comes_first_and_then_who_waits_longest(folder, stranger):
    """Two slots: the one that has one waits for the other the longest, and yet two that have none get their turn before, in their order."""
    rich, first, second = stranger(2), stranger(2), stranger(2)
    share = CpuShare(folder, 2)
    asked = [rich("share.allow(1)"), share.allow(1), rich("share.allow(2)"), first("share.allow(1)"), second("share.allow(1)")]
    share.settle(0)
    after_ours = [rich("share.allow(2)"), second("share.allow(1)"), share.allow(1), first("share.allow(1)")]
    rich("share.settle(0, 1)")
    after_theirs = [rich("share.allow(1)"), share.allow(1), second("share.allow(1)")]

    assert asked == [True, True, False, False, False]
    assert after_ours == [False, False, False, True]
    assert after_theirs == [False, False, True]


def test_nobody_gives_a_slot_to_one_that_has_as_many(folder, stranger):
    """Both have one of two slots and want the other's: each keeps its own."""
    other = stranger(2)
    share = CpuShare(folder, 2)
    asked = [other("share.allow(1)"), share.allow(1), other("share.allow(2)")]
    share.settle(0, 1)

    assert asked == [True, True, False]
    assert share.held == 1


def test_slot_that_those_in_front_do_not_take_is_used(folder, stranger, clock):
    """A process whose loop stands still has the first place in the line; after half a second the slot goes to who asks."""
    share = CpuShare(folder, 1, clock=lambda: clock[0])
    share.allow(1)
    stranger(1)("share.allow(1)")
    share.settle(0, 1)
    at_once = share.allow(1)
    clock[0] += 0.49
    soon = share.allow(1)
    clock[0] += 0.02
    in_the_end = share.allow(1)

    assert (at_once, soon, in_the_end) == (False, False, True)


def test_who_asks_for_no_more_stands_in_nobodys_way(folder, stranger, clock):
    """One that waited for a slot and needs none any more has left the line."""
    share = CpuShare(folder, 1, clock=lambda: clock[0])
    other = stranger(1)
    taken = share.allow(1), other("share.allow(1)")
    other("share.leave_line()")
    share.settle(0, 1)

    assert taken == (True, False)
    assert share.held == 1


def test_turn_ends_with_a_call_and_not_with_a_birth(folder, start):
    """A worker that has just been born keeps its slot for its first call, whoever wants it."""
    share = CpuShare(folder, 1)
    share.allow(1)
    _other, said = start(slots=1)
    share.settle(0, 1, ended=False)
    kept = share.held
    share.settle(0, 1, ended=True)

    assert said[2] == "False"
    assert (kept, share.held) == (1, 0)
