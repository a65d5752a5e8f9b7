"""Threads that a module has started when it was imported, Python's and those of libraries: a process that is forked afterwards has none of them."""

import contextlib
import os
import threading


class ThreadCount:
    """The threads of this process at one moment."""

    def __init__(self) -> None:
        self._python = set(threading.enumerate())
        self._all = _count()
        self._in_openblas = _openblas_threads()

    def complaint(self, module: str) -> str | None:
        """What to say of *module*, which was imported since then: None if it has started nothing that matters."""
        named = [thread.name for thread in threading.enumerate() if thread not in self._python]
        # OpenBLAS gives its threads up before a fork and starts them anew after it; numpy has it inside.
        native = _count() - self._all - len(named) - (_openblas_threads() - self._in_openblas)
        if not named and native <= 0:
            return None
        kinds = []
        if named:
            kinds.append(f"{'a thread' if len(named) == 1 else f'{len(named)} threads'} ({', '.join(named)})")
        if native > 0:
            kinds.append(f"{'a thread' if native == 1 else f'{native} threads'} outside of Python")
        return (
            f"preloading {module} has started {' and '.join(kinds)}, which no worker has: a call that waits for one of them never ends, "
            f"and a lock that one of them holds stays locked there for good: take {module} out of preload, or start its threads where it is used"
        )


def _count() -> int:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - importing pathlib for this would cost every program
    except OSError:
        return threading.active_count()


def _openblas_threads() -> int:
    """So many at most: one for each processor but one, in each copy of it."""
    copies: set[bytes] = set()
    with contextlib.suppress(OSError), open("/proc/self/maps", "rb") as maps:  # noqa: PTH123 - as above
        copies = {line.rpartition(b"/")[2] for line in maps if b"openblas" in line}
    return len(copies) * (len(os.sched_getaffinity(0)) - 1) if copies else 0
