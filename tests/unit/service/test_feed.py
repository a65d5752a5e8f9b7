"""What changed: told once, to everybody, and asked for only while somebody listens."""

import asyncio

from levelpool.errors import DatabaseError
from levelpool.service.feed import Counts, FileFeed, FileState, Now, changes

RUNNING = FileState("running", 10.0)
LOADED = FileState("loaded", None)


def test_only_what_looks_different_is_told():
    """A file that stands still makes no event."""
    before = Now({1: LOADED, 2: RUNNING}, Counts({"loaded": 1, "running": 1}))
    after = Now({1: LOADED, 2: FileState("running", 20.0)}, Counts({"loaded": 1, "running": 1}))

    assert changes(before, before) == []
    assert changes(before, after) == [{"id": 2, "status": "running", "progress": 20.0}]


def test_change_of_a_file_beyond_the_newest_shows_in_the_counts():
    """An undo of an old file refreshes the lists, too."""
    before, after = Now({}, Counts({"loaded": 300})), Now({}, Counts({"loaded": 299, "undone": 1}))

    assert changes(before, after) == [{"id": None, "status": None, "progress": None}]


async def test_two_listeners_cost_one_question_and_hear_the_same():
    """Ten open pages are no more work for the database than one."""
    moments = iter([Now(), Now({1: RUNNING}), Now({1: LOADED})])
    asked = 0
    gate = asyncio.Event()

    async def ask() -> Now:
        nonlocal asked
        asked += 1
        moment = next(moments, None)
        if moment is None:
            await gate.wait()
        return moment or Now()

    feed = FileFeed(ask, interval=0)
    async with feed.listen() as first, feed.listen() as second:
        heard = [await first(), await second()]
        while {each["status"] for each in heard[0]} != {"loaded"}:
            heard = [await first(), await second()]

    assert heard[0][-1] == heard[1][-1] == {"id": 1, "status": "loaded", "progress": None}
    assert asked <= 4


async def test_nobody_listens_nobody_asks():
    """An idle service asks its database nothing."""
    asked = asyncio.Event()

    async def ask() -> Now:
        asked.set()
        return Now()

    feed = FileFeed(ask, interval=0)
    async with feed.listen():
        await asked.wait()
    asked.clear()
    for _ in range(20):
        await asyncio.sleep(0)

    assert not asked.is_set()


async def test_database_that_is_away_for_a_moment_is_asked_again():
    """The stream goes on, and tells what was missed."""
    answers = iter([Now(), DatabaseError("away"), Now({1: LOADED})])

    async def ask() -> Now:
        answer = next(answers, Now({1: LOADED}))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with FileFeed(ask, interval=0).listen() as take:
        assert await take() == [{"id": 1, "status": "loaded", "progress": None}]
