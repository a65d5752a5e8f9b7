"""Locks that die with their holder, one leader, and answers over sockets; with real processes."""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from levelpool.errors import SettingsError
from levelpool.neighbours import ANSWER_TIMEOUT, CpuShare, LockFile, Neighbours, open_folder

NEIGHBOUR = """
import asyncio, os, sys
from pathlib import Path
from levelpool.neighbours import CpuShare, Neighbours

async def main():
    folder = Path(sys.argv[1])
    async with Neighbours(folder, {"who": lambda: os.getpid()}) as us:
        share = CpuShare(folder, int(sys.argv[2]))
        print(us.seat, us.leads, share.allow(1), flush=True)
        await us.lead()
        print("leads", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""

STRANGER = """
import sys, time
from pathlib import Path
from levelpool.neighbours import CpuShare

share = CpuShare(Path(sys.argv[1]), int(sys.argv[2]))
for line in sys.stdin:
    print(eval(line), flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    """A private folder that is not there yet."""
    return tmp_path / "run"


@pytest.fixture
def start(folder):
    """A function that starts a neighbour in a process of its own; returns the process and its first line."""
    with contextlib.ExitStack() as stack:

        def begin(slots=2):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(folder), str(slots)], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return process, process.stdout.readline().split()

        yield begin


async def test_one_alone_leads_and_sits_first(folder):
    """With nobody else there, it is worker 0 and leads from the start."""
    async with Neighbours(folder) as us:
        assert (us.seat, us.leads, us.seats()) == (0, True, (0,))


async def test_second_process_follows_until_the_leader_is_killed(folder, start):
    """There is one leader; five seconds after its death there is another, without anybody cleaning up."""
    first, said = start()
    async with Neighbours(folder) as us:
        assert (said[:2], us.seat, us.leads) == (["0", "True"], 1, False)

        first.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.wait_for(us.lead(), 5)

        assert us.leads
        assert time.monotonic() - killed < 5


async def test_leader_that_closes_hands_over(folder, start):
    """An orderly end gives the lead away too, and the seat becomes free."""
    async with Neighbours(folder) as us:
        other, said = start()
        assert us.leads
        assert said[:2] == ["1", "False"]

    assert other.stdout.readline() == "leads\n"
    async with Neighbours(folder) as us:
        assert (us.seat, us.leads) == (0, False)


async def test_two_parts_of_one_process_lead_together(folder, start):
    """It is the process that leads, until the last of its parts has gone."""
    async with Neighbours(folder) as one:
        async with Neighbours(folder) as two:
            assert (one.leads, two.leads) == (True, True)
        _other, said = start()
        assert (one.leads, said[1]) == (True, "False")


async def test_everybody_answers(folder, start):
    """A question goes to every neighbour, ourselves included; who has died is left out."""
    other, _ = start()
    async with Neighbours(folder, {"who": os.getpid}) as us:
        both = us.ask("who")
        other.kill()
        other.wait()

        assert both == {0: other.pid, 1: os.getpid()}
        assert us.ask("who") == {1: os.getpid()}
        assert us.ask("unknown") == {}


async def test_stuck_neighbours_keep_nobody_from_being_heard(folder, start):
    """Two processes that are stopped cost the time of one question together, and the others' answers come all the same."""
    stuck = [start()[0], start()[0]]
    quick, _ = start()
    for process in stuck:
        process.send_signal(signal.SIGSTOP)
    async with Neighbours(folder, {"who": os.getpid}) as us:
        began = time.monotonic()
        answers = us.ask("who")
        took = time.monotonic() - began

    assert answers == {2: quick.pid, 3: os.getpid()}
    assert took < 2 * ANSWER_TIMEOUT


async def test_answer_can_be_added_while_others_ask(folder, start):
    """A part that opens later has something to say too."""
    async with Neighbours(folder) as us:
        before = us.ask("progress")
        us.add_answer("progress", lambda: {7: 41.0})

        assert (before, us.ask("progress")) == ({}, {0: {"7": 41.0}})


def test_folder_without_locks_is_refused_with_a_sentence(folder, monkeypatch):
    """Some network file systems know none; which variable helps is said."""

    def refuse(*_arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    locks = LockFile.at(open_folder(folder) / "locks")
    monkeypatch.setattr("fcntl.lockf", refuse)

    with pytest.raises(SettingsError, match=r"locks cannot be locked \(No locks available\): set LEVELPOOL_RUNTIME_DIR"):
        locks.try_lock(5)


async def test_answer_comes_while_the_loop_stands_still(folder, start):
    """The socket has a thread of its own: this very test blocks the loop while it asks itself."""
    async with Neighbours(folder, {"now": lambda: 1}) as us:
        assert us.ask("now") == {0: 1}


async def test_failing_answer_is_left_out(folder, caplog):
    """Its error is logged where it happened."""

    def fail():
        raise ValueError("no")

    async with Neighbours(folder, {"bad": fail}) as us:
        assert us.ask("bad") == {}

    assert "could not answer the neighbours' question 'bad'" in caplog.text


async def test_long_folder_name_is_no_obstacle(tmp_path):
    """The address of a socket has 107 bytes; the folder may have more."""
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    async with Neighbours(folder, {"who": lambda: "me"}) as us:
        assert us.ask("who") == {0: "me"}


async def test_dead_workers_socket_is_replaced(folder):
    """A socket file that was left behind by a killed worker does not stop its successor."""
    open_folder(folder)
    (folder / "worker-0.sock").touch()
    async with Neighbours(folder, {"who": lambda: "me"}) as us:
        assert us.ask("who") == {0: "me"}

    assert not (folder / "worker-0.sock").exists()


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


def test_child_that_inherits_the_descriptor_does_not_keep_the_lock(folder):
    """A worker process that was forked, and lives on, holds nothing after its parent has given a lock back."""
    locks = LockFile.at(open_folder(folder) / "locks")
    locks.try_lock(77)
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    locks.unlock(77)
    code = "import sys; from pathlib import Path; from levelpool.neighbours import LockFile; print(LockFile.at(Path(sys.argv[1])).try_lock(77))"
    other = subprocess.run([sys.executable, "-c", code, str(folder / "locks")], capture_output=True, text=True, check=True)
    os.write(done[1], b"x")
    os.waitpid(child, 0)
    for descriptor in (*ready, *done):
        os.close(descriptor)

    assert other.stdout == "True\n"


@pytest.mark.parametrize("spoil", ["others", "link", "file"])
def test_folder_that_is_not_private_is_refused(tmp_path, spoil):
    """Whoever may write there could answer in our place."""
    folder = tmp_path / "run"
    if spoil == "others":
        folder.mkdir(mode=0o755)
    elif spoil == "link":
        (tmp_path / "real").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "real")
    else:
        folder.touch()

    with pytest.raises(SettingsError, match="LEVELPOOL_RUNTIME_DIR"):
        open_folder(folder)


def test_folder_is_made_private(folder):
    """Mode 0700, whatever the umask."""
    assert open_folder(folder).stat().st_mode & 0o777 == 0o700
