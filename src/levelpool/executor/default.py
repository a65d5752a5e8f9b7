"""
The manager of this process, and what becomes of all managers when it ends or forks.

`get_executor_manager` reads the settings that a manager needs: an odd value of another variable does not stop it.
"""

import atexit
import concurrent.futures
import os
import threading
from typing import TYPE_CHECKING

from levelpool.executor.factories import dask_executor, process_executor
from levelpool.executor.futures import facades
from levelpool.executor.lanes import distributed, sizes
from levelpool.executor.manager import EXIT_TIMEOUT, ExecutorManager, open_lanes
from levelpool.lanes.lane import now

# Gate, neighbours and settings are loaded when somebody asks for them: `import levelpool` stays light.
if TYPE_CHECKING:
    from levelpool.lanes.schedule import Gate
    from levelpool.settings import Settings


# ---------------------------------------------------------------- the end of the program


def _at_exit() -> None:
    """Let calls of drop-in executors finish for a while, then kill; a call whose loop is gone has nobody left who wants it."""
    deadline = now() + EXIT_TIMEOUT
    lanes = [lane for pair in list(open_lanes) for lane in pair.both]
    for lane in lanes:
        if lane.has_pending_futures:
            left = max(0.0, deadline - now())
            concurrent.futures.wait([lane.close(left)], timeout=left + 1.0)
    for lane in lanes:
        lane.terminate()


atexit.register(_at_exit)


# ---------------------------------------------------------------- the one of this process

READ = (
    "environment",
    "web_concurrency",
    "cpu_backend",
    "dask_scheduler",
    "cpu_executor_workers",
    "io_executor_workers",
    "cpu_queue_limit",
    "worker_memory_limit",
    "worker_idle_timeout",
    "worker_max_tasks",
    "worker_variables",
    "runtime_dir",
    "data_dir",
)
"""The fields of `Settings` that `make_manager` looks at."""

_guard = threading.Lock()


def _after_fork_in_child() -> None:
    """A forked child has one thread, and it may have been forked while another one held a lock."""
    global _guard  # noqa: PLW0603 - as above
    _guard = threading.Lock()
    for facade in list(facades):
        facade.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
_manager: ExecutorManager | None = None


def get_executor_manager() -> ExecutorManager:
    """
    The manager of this process, made at the first call from the environment and what the container allows.

    Thread-safe; usable in any event loop and from plain threads. After it was closed, the next call makes a new one.
    """
    global _manager  # noqa: PLW0603 - this is the one thing that a process has one of
    with _guard:
        if _manager is None or _manager.is_closed:
            from levelpool.settings import Settings  # noqa: PLC0415 - see the top

            _manager = make_manager(Settings.read(only=READ))
        return _manager


def make_manager(settings: "Settings") -> ExecutorManager:
    """
    A manager as *settings* and the container say.

    With several web workers (`WEB_CONCURRENCY`) it shares the worker processes of the host with theirs.
    With `LEVELPOOL_CPU_BACKEND=dask` its CPU lane runs on that cluster; raises `SettingsError` when Dask is not installed.
    """
    found = sizes(
        environment=settings.environment,
        web_concurrency=settings.web_concurrency,
        cpu_workers=settings.cpu_executor_workers,
        io_workers=settings.io_executor_workers,
        worker_memory_limit=settings.worker_memory_limit,
    )
    if settings.cpu_backend == "dask":
        return dask_executor(
            str(settings.dask_scheduler),
            cpu_workers=settings.cpu_executor_workers,
            io_workers=found.io_workers,
            cpu_queue_limit=settings.cpu_queue_limit,
        )
    return process_executor(
        cpu_workers=found.cpu_workers,
        io_workers=found.io_workers,
        cpu_queue_limit=settings.cpu_queue_limit,
        worker_memory_limit=found.worker_memory_limit,
        worker_idle_timeout=settings.worker_idle_timeout,
        worker_max_tasks=settings.worker_max_tasks,
        worker_variables=settings.worker_variables,
        gate=_share(settings, found.cpu_workers) if settings.web_concurrency > 1 else None,
    )


def _share(settings: "Settings", workers: int) -> "Gate":
    """Our part of the workers that all web workers of the host have together."""
    from levelpool.neighbours.share import CpuShare  # noqa: PLC0415 - see the top

    return CpuShare(settings.runtime_dir or settings.data_dir / "run", workers)


def reach_cluster(settings: "Settings") -> int:
    """
    How many calls the cluster of *settings* can run for us at the same time now; blocks, so call it before there is a loop.

    Raises `SettingsError` with one line when it cannot be reached, or cannot run our calls.
    """
    threads: int = distributed().check_scheduler(str(settings.dask_scheduler))
    return threads if settings.cpu_executor_workers is None else min(threads, settings.cpu_executor_workers)
