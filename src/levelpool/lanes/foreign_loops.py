"""Programs whose concurrency is not asyncio's: what a lane says there, at once, where it cannot work."""

import sys
from types import ModuleType

_NEEDED = ("thread", "threading", "socket", "select", "selectors", "subprocess")
"""What an event loop and worker processes are made of."""


def no_asyncio_here() -> RuntimeError:
    """The error for a coroutine that is awaited where no event loop of asyncio runs."""
    if _is_in_trio():
        return RuntimeError(
            "this is awaited in trio, and levelpool's coroutines need an event loop of asyncio: under trio run "
            "`await trio.to_thread.run_sync(manager.cpu_executor.submit(func, arg).result)`, or choose asyncio (anyio and hypercorn run on both)"
        )
    return RuntimeError(
        "no event loop of asyncio runs here, and levelpool's coroutines need one: without a loop use "
        "`manager.cpu_executor.submit(func, arg).result()`"
    )


def _is_in_trio() -> bool:
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True


def refuse_patched_threads() -> None:
    """Raise where gevent or eventlet have replaced what a lane's loop and its workers are made of: nothing would ever be answered."""
    for name, module, question in (("gevent", "gevent.monkey", "is_module_patched"), ("eventlet", "eventlet.patcher", "is_monkey_patched")):
        found = sys.modules.get(module)
        patched = [each for each in _NEEDED if found is not None and _is_patched(found, question, each)]
        if patched:
            raise RuntimeError(
                f"worker processes cannot be used in a program that {name} has patched ({', '.join(patched)}): the lane needs the real ones. "
                f"Run heavy work in a process of its own that {name} has not patched; io_executor and run_io_intensive go on in {name}'s threads"
            )


def _is_patched(module: ModuleType, question: str, name: str) -> bool:
    ask = getattr(module, question, None)
    return ask is not None and bool(ask(name))
