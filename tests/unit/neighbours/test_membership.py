"""One leader, and answers over sockets, with real processes."""

import asyncio
import os
import signal
import time

from levelpool import supervision
from levelpool.neighbours.locks import LEADER, LockFile, open_folder
from levelpool.neighbours.membership import Neighbours
from levelpool.neighbours.sockets import ANSWER_TIMEOUT


async def test_one_alone_leads_and_sits_first(folder):
    """With nobody else there, it is worker 0 and leads from the start."""
    async with Neighbours(folder) as us:
        assert (us.number, us.leads, us.numbers()) == (0, True, (0,))


async def test_second_process_follows_until_the_leader_is_killed(folder, start):
    """There is one leader; five seconds after its death there is another, without anybody cleaning up."""
    first, said = start()
    async with Neighbours(folder) as us:
        assert (said[:2], us.number, us.leads) == (["0", "True"], 1, False)

        first.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.wait_for(us.lead(), 5)

        assert us.leads
        assert time.monotonic() - killed < 5


async def test_leader_that_closes_hands_over(folder, start):
    """An orderly end gives the lead away too, and the number becomes free."""
    async with Neighbours(folder) as us:
        other, said = start()
        assert us.leads
        assert said[:2] == ["1", "False"]

    assert other.stdout.readline() == "leads\n"
    async with Neighbours(folder) as us:
        assert (us.number, us.leads) == (0, False)


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


def stop(process):
    """Stop *process*, and return when it stands still."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


async def test_stuck_neighbours_keep_nobody_from_being_heard(folder, start):
    """Two processes that are stopped cost the time of one question together, and the others' answers come all the same."""
    stuck = [start()[0], start()[0]]
    quick, _ = start()
    for process in stuck:
        stop(process)
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


async def test_waiting_to_lead_goes_on_after_an_error(folder, monkeypatch, caplog):
    """A host without a leader would watch no inbox: the error is said, and the wait begins anew."""
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.0)
    try_lock, errors = LockFile.try_lock, [OSError("the disk has gone for a moment")]

    def fail_once(self, place, **said):
        if place == LEADER and errors:
            raise errors.pop()
        return try_lock(self, place, **said)

    monkeypatch.setattr(LockFile, "try_lock", fail_once)
    async with Neighbours(folder) as us, asyncio.timeout(10):
        await us.lead()

    assert "the background task leadership has ended" in caplog.text
