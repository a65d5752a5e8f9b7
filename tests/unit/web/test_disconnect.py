"""A client that goes away takes its work along, and nobody else's cancel is lost on the way."""

import asyncio

import pytest
from fastapi import HTTPException

from levelpool.web.disconnect import CLIENT_CLOSED_REQUEST, cancel_on_disconnect


class Request:
    """Its client stays until `leave` is set; a cancelled question takes until `may_end` is."""

    def __init__(self):
        self.leave, self.may_end, self.asked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def receive(self):
        self.asked.set()
        try:
            await self.leave.wait()
        except asyncio.CancelledError:
            await self.may_end.wait()
            raise
        return {"type": "http.disconnect"}


async def test_cancel_that_meets_the_end_of_the_watch_goes_on():
    """The server stops while the request only lets go of its watch: the request does not go on as if nobody had said so."""
    request, went_on = Request(), []

    async def answer():
        async with cancel_on_disconnect(request):
            await request.asked.wait()
        went_on.append(True)

    answering = asyncio.create_task(answer())
    await request.asked.wait()
    for _ in range(3):
        await asyncio.sleep(0)
    answering.cancel()
    request.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await answering

    assert went_on == [] and answering.cancelled()


async def test_client_that_goes_ends_the_work_and_leaves_no_cancel_behind():
    """What follows in the same task goes on."""
    request = Request()

    async def work():
        async with cancel_on_disconnect(request):
            await request.asked.wait()
            request.leave.set()
            await asyncio.Event().wait()

    with pytest.raises(HTTPException) as error:
        await work()
    await asyncio.sleep(0)

    assert (error.value.status_code, asyncio.current_task().cancelling()) == (CLIENT_CLOSED_REQUEST, 0)


async def test_question_that_fails_is_told():
    """It is no disconnect."""

    class Broken:
        async def receive(self):
            raise RuntimeError("the connection is in an odd state")

    with pytest.raises(RuntimeError, match="odd state"):
        async with cancel_on_disconnect(Broken()):
            await asyncio.sleep(0.01)
