"""A client that goes away takes its work along."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import HTTPException, Request

CLIENT_CLOSED_REQUEST = 499
"""The status that logs show for a request whose client did not wait; nobody receives it."""


@contextlib.asynccontextmanager
async def cancel_on_disconnect(request: Request) -> AsyncIterator[None]:
    """
    Cancel the body of the `async with` when the client disconnects; a call in the process lane under it is killed.

    Read what you need of the request's body before: while the body of the `async with` runs, its messages are taken from the server.
    Ends with `HTTPException` 499 then, which the server has nobody to send to.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("cancel_on_disconnect must be used inside a request")
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        try:
            yield
        finally:
            watcher.cancel()
            # Not awaited itself: then a cancel of ours would look like its own, and be lost.
            await asyncio.wait([watcher])
    except asyncio.CancelledError:
        # Somebody else (the server that stops, a timeout) may have cancelled as well: that one is not ours to swallow.
        if not gone or task.uncancel() > 0:
            raise
        raise HTTPException(CLIENT_CLOSED_REQUEST, "the client disconnected") from None
    if not watcher.cancelled():
        watcher.result()  # the server could not be asked: whoever wrote it is told
