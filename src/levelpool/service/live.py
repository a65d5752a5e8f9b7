"""The page's one stream: what changed among the files, and for admins a snapshot of the system each second."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from levelpool.service.assembly import Service

KEEP_ALIVE = 15.0


async def page_events(service: Service, *, with_system: bool) -> AsyncIterator[str]:
    """Server-sent events until the client leaves or the service stops."""
    yield ": hello\n\n"
    async with service.feed.listen() as take:
        sources: dict[str, Callable[[], Awaitable[object]]] = {"files": take}
        if with_system:
            sources["snapshot"] = service.next_snapshot
        waiting: dict[asyncio.Task[object], str] = {}
        stop = asyncio.create_task(service.runtime.stopping.wait())
        try:
            for kind, ask in sources.items():
                waiting[asyncio.ensure_future(ask())] = kind
            while not service.runtime.stopping.is_set():
                done, _ = await asyncio.wait({*waiting, stop}, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    yield ": still here\n\n"
                for task in done - {stop}:
                    kind = waiting.pop(task)
                    yield f"event: {kind}\ndata: {json.dumps(task.result())}\n\n"
                    waiting[asyncio.ensure_future(sources[kind]())] = kind
        finally:
            for task in {*waiting, stop}:
                task.cancel()
