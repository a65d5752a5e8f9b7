"""Processes as the tests see them: gone or not, what they hold, and whole programs that are started, interrupted and read."""

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from levelpool import ExecutorManager

TESTS = Path(__file__).parent

PROLOGUE = """
import asyncio, os, signal, sys, threading, time
import concurrent.futures
import lane_tasks
from levelpool import *

async def workers(manager, number):
    while len(manager.worker_pids()) < number:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
"""


FORKS = "ignore:This process:DeprecationWarning"
"""From 3.12 on Python warns a process that has threads and forks. What becomes of such a one is what these tests are about."""


def state(pid: int) -> str:
    """The letter of /proc: R runs, S sleeps, Z is a zombie; X when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def is_gone(pid: int) -> bool:
    """Absent, or a zombie."""
    return state(pid) in "ZX"


def parent(pid: int) -> int:
    """The parent of a process that lives."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    """The processes that *pid* has started and not reaped, zombies too."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            # A thread that has ended since the listing.
            continue
    return found


def descriptors(pid: int | str = "self") -> dict[int, str]:
    """What each open descriptor of a process leads to."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(path.name)] = str(path.readlink())
        except FileNotFoundError:
            # The descriptor of this very listing.
            continue
    return found


def wait_until_gone(pids: Iterable[int], seconds: float) -> None:
    """Return as soon as all are gone; fails after *seconds*."""
    wait_until(lambda: not [pid for pid in pids if not is_gone(pid)], seconds, f"some of {list(pids)} still live")


def wait_until(condition: Callable[[], object], seconds: float = 5.0, complaint: str = "it did not become true in time") -> None:
    """Return as soon as *condition* holds; fails after *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.002)


async def until(condition: Callable[[], object], seconds: float = 5.0, complaint: str = "it did not become true in time") -> None:
    """The same, for a test whose loop has to go on meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.005)


async def begun(folder: Path, number: int = 1) -> list[int]:
    """The processes of the calls of `lane_tasks.wait_for` with the path "go" in *folder*, as soon as there are so many."""

    def there() -> list[int]:
        return [int(path.suffix[1:]) for path in folder.glob("go.*")]

    await until(lambda: len(there()) == number, 40)
    return there()


async def running_pid(manager: ExecutorManager) -> int:
    """A worker of *manager* as soon as one runs a call."""
    await until(lambda: manager.stats().cpu.busy and manager.worker_pids())
    return manager.worker_pids()[0]


# ---------------------------------------------------------------- whole programs


def start(tmp_path: Path, program: str, *flags: str, **popen: object) -> "subprocess.Popen[str]":
    """A program of its own that uses the library; the tasks of the tests are there, and warnings are errors. *flags* are for its interpreter."""
    path = tmp_path / "program.py"
    path.write_text(PROLOGUE + textwrap.dedent(program))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-W", FORKS, *flags, str(path)],
        **{
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": {**os.environ, "PYTHONPATH": str(TESTS)},
            **popen,
        },
    )


def run(tmp_path: Path, program: str, *flags: str, seconds: float = 30, **popen: object) -> tuple[str, str, int]:
    """Output, errors and exit status of a program that must end by itself."""
    with start(tmp_path, program, *flags, **popen) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:  # a program that hangs must not outlive its test
            process.kill()
            raise
    return out, err, process.returncode
