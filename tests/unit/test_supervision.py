"""Background tasks that end although nobody ended them."""

import asyncio

import pytest

from levelpool import supervision
from levelpool.supervision import Supervisor


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """A test does not wait a second to see a task again."""
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.0)


async def test_task_that_raises_is_said_and_started_again(monkeypatch, caplog):
    """Its reasons say so until it has recovered, and its restarts are counted."""
    supervisor = Supervisor()
    runs = asyncio.Semaphore(0)
    ends = asyncio.Queue()

    async def work():
        runs.release()
        raise await ends.get()

    task = supervisor.start("watch", work)
    await runs.acquire()
    assert supervisor.reasons() == []
    ends.put_nowait(UnicodeEncodeError("utf-8", "x", 0, 1, "no such letter"))
    async with asyncio.timeout(10):
        await runs.acquire()

    assert supervisor.restarts() == {"watch": 1}
    assert "The background task watch has ended (UnicodeEncodeError" in supervisor.reasons()[0]
    assert "the background task watch has ended" in caplog.text and "Traceback" in caplog.text
    monkeypatch.setattr(supervision, "RECOVERED_AFTER", 0.0)
    assert supervisor.reasons() == []
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_task_that_returns_has_ended_in_peace():
    """Nobody starts it again, and nothing is wrong."""
    supervisor = Supervisor()
    calls = []

    async def work():
        calls.append(1)

    await supervisor.start("claims", work)

    assert (calls, supervisor.restarts(), supervisor.reasons()) == ([1], {"claims": 0}, [])
