"""What every thread, every asyncio task and every process below this one does right now."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from levelpool.executor import ExecutorManager
from levelpool.lanes.place import WorkerStack
from levelpool.monitoring.lag import describe_stack
from levelpool.monitoring.resources import descendants, read_text

_TASK_FRAMES = 20

DUMP_TIMEOUT = 0.1
"""Seconds that workers have to write down their stacks; who gets no processor meanwhile is shown from outside only."""


async def look_at_everything(manager: ExecutorManager) -> dict[str, object]:
    """The answer of `GET /api/system/stacks`, with the tasks of this loop."""
    manager.ask_for_stacks()
    await asyncio.sleep(DUMP_TIMEOUT)
    return _everything(asyncio.get_running_loop(), manager)


def look_at_everything_from_a_thread(manager: ExecutorManager, loop: asyncio.AbstractEventLoop) -> dict[str, object]:
    """The same with the tasks of *loop*, which may be blocked."""
    manager.ask_for_stacks()
    time.sleep(DUMP_TIMEOUT)
    return _everything(loop, manager)


def _everything(loop: asyncio.AbstractEventLoop, manager: ExecutorManager) -> dict[str, object]:
    return {"threads": describe_threads(), "tasks": describe_tasks(loop), "workers": describe_children(manager.worker_stacks())}


def describe_threads() -> list[dict[str, object]]:
    """The stack of every thread, the innermost line last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - the documented way to see other threads
    return [{"name": names.get(ident, f"thread {ident}"), "stack": describe_stack(frame)} for ident, frame in frames.items()]


def describe_tasks(loop: asyncio.AbstractEventLoop) -> list[dict[str, object]]:
    """Where every task of *loop* waits."""
    return [_describe_task(task) for task in asyncio.all_tasks(loop)]


def _describe_task(task: "asyncio.Task[object]") -> dict[str, object]:
    coroutine = task.get_coro()
    lines = [line for frame in task.get_stack(limit=_TASK_FRAMES) for line in describe_stack(frame)[-1:]]
    return {"name": task.get_name(), "coroutine": getattr(coroutine, "__qualname__", str(coroutine)), "stack": lines}


def describe_children(stacks: Iterable[WorkerStack]) -> list[dict[str, object]]:
    """
    What the processes below this one are and do: command, state, resident bytes, CPU seconds, and the call of the kernel they wait in.

    Workers that run a call also have its task, for how long, and the Python stack that they have told, in *stacks*.
    """
    told = {each.pid: each for each in stacks}
    return [
        {**found, **_describe_work(told.get(child))}
        for child in descendants(os.getpid())
        if (found := _describe_process(Path("/proc") / str(child)))
    ]


def _describe_work(told: WorkerStack | None) -> dict[str, object]:
    if told is None:
        return {"task": None, "seconds": None, "stack": None}
    return {"task": told.task, "seconds": told.seconds, "stack": told.stack}


def _describe_process(folder: Path) -> dict[str, object] | None:
    # The name in the second field may hold blanks and brackets: what follows the last bracket is regular.
    name, _, rest = read_text(folder / "stat").partition("(")[2].rpartition(")")
    fields = rest.split()
    if len(fields) < 22:
        return None  # it has ended meanwhile
    return {
        "pid": int(folder.name),
        "name": name,
        "command": read_text(folder / "cmdline").replace("\0", " ").strip(),
        "state": fields[0],
        "cpu_seconds": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        "rss": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        "waits_in": read_text(folder / "wchan").strip("0") or None,
    }
