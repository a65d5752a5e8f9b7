"""A cancel or a timeout that meets a clean-up: the clean-up is done whole, and what was asked for goes on."""

import asyncio

import pytest

from levelpool.ingest.session import to_the_end


async def test_cancellation_that_meets_a_clean_up_goes_on_when_it_is_done():
    """The clean-up is done whole, and the task is cancelled all the same."""
    begun, may_end, done = asyncio.Event(), asyncio.Event(), []

    async def clean_up():
        begun.set()
        await may_end.wait()
        done.append(True)

    task = asyncio.create_task(to_the_end(clean_up()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert done == [True] and task.cancelled()


async def test_timeout_that_meets_a_clean_up_is_a_timeout():
    """What `asyncio.timeout` asks for is not swallowed either."""
    may_end = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, may_end.set)

    async def clean_up():
        await may_end.wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await to_the_end(clean_up())
