"""What every thread, every asyncio task and every process below this one does right now."""

import asyncio
import os
import sys
import threading
from pathlib import Path

from levelpool.monitoring.lag import describe_stack
from levelpool.monitoring.resources import descendants, read_text

_TASK_FRAMES = 20


def describe_everything(loop: asyncio.AbstractEventLoop) -> dict[str, object]:
    """The answer of `GET /api/system/stacks`, with the tasks of *loop*; usable from any thread."""
    return {"threads": describe_threads(), "tasks": describe_tasks(loop), "workers": describe_children()}


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


def describe_children() -> list[dict[str, object]]:
    """What the processes below this one are and do: command, state, resident bytes, CPU seconds, and the call of the kernel they wait in."""
    return [found for child in descendants(os.getpid()) if (found := _describe_process(Path("/proc") / str(child)))]


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
