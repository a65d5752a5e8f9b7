"""Where a lane lives: the caller's event loop, or a private loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable

from levelpool.lanes.lane import running_loop


def private_loop(name: str) -> asyncio.AbstractEventLoop:
    """A loop that runs in a daemon thread until it is stopped."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(ready.set)
        loop.run_forever()
        loop.close()

    threading.Thread(target=run, name=f"levelpool-{name}", daemon=True).start()
    ready.wait()
    return loop


def call_on(loop: asyncio.AbstractEventLoop, func: Callable[..., object], *args: object) -> None:
    """Call *func* in *loop*: now if we are in it, soon if not; never if it is closed."""
    if running_loop() is loop:
        func(*args)
        return
    try:
        loop.call_soon_threadsafe(func, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise
