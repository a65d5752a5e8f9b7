"""Tasks for the corners of the lanes: what hardly anybody does on purpose, and what happens all the same."""

import concurrent.futures
import contextvars
import functools
import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

from levelpool import report_progress

TENANT = contextvars.ContextVar("TENANT", default="nobody")
OTHER = contextvars.ContextVar("OTHER", default=None)


class Text(str):
    """Not plain: somebody may have changed what it does."""

    __slots__ = ()


def tenant():
    return TENANT.get()


class Loud:
    """Garbage in a ring that logs when it is collected, as unclosed sessions do."""

    def __init__(self):
        self.me = self

    def __del__(self):
        logging.getLogger("corner").warning("collected")


def large_items(count, size):
    for number in range(count):
        yield bytes([number % 256]) * size


def stop_in_the_middle():
    """A generator whose source is broken."""

    def items():
        yield 1
        yield 2
        raise StopAsyncIteration("lost")

    return items()


def stop_at_once():
    raise StopIteration("from the call itself")


def memory_files():
    """How many memory files of the lane this process holds open."""
    count = 0
    for fd in Path("/proc/self/fd").iterdir():
        try:
            count += "memfd:levelpool" in str(fd.readlink())
        except OSError:
            continue
    return count


def report_up_to(steps, total):
    for step in range(1, steps + 1):
        report_progress(step, total)


def log_from_a_signal(records):
    """Log while the handler of a timer logs too."""
    log = logging.getLogger("corner")
    signal.signal(signal.SIGALRM, lambda *_: log.warning("tick"))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(records):
            log.warning("row %d", number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return records


def log_from_finalizers(records):
    """Send large records while the collector finalizes what logs."""
    gc.set_threshold(5)
    log = logging.getLogger("corner")
    for _ in range(records):
        Loud()
        log.warning("x" * 70_000)
    return records


def log_from_a_child():
    """Let a forked child log."""
    child = multiprocessing.get_context("fork").Process(target=logging.getLogger("corner").warning, args=("from a child",))
    child.start()
    child.join()
    return child.exitcode


def raise_of_a_slow_module():
    import slow_to_fail

    raise slow_to_fail.SlowError("as told")


def read_tenant():
    return TENANT.get()


def large_key(size):
    return {"x" * size: 1}


def view(size):
    import pickle

    return pickle.PickleBuffer(bytearray(size))


def pid():
    return os.getpid()


def throw(kind, *args):
    raise kind(*args)


def leave_threads(folder):
    """Leave a thread behind, and one that it starts; both speak while the next call runs."""

    def speak():
        report_progress(66, 100, "left behind")
        logging.getLogger("corner").warning("left behind")

    def wait_and_speak():
        until_there(folder / "go")
        speak()
        child = threading.Thread(target=speak)
        child.start()
        child.join()
        (folder / "spoken").touch()

    threading.Thread(target=wait_and_speak, daemon=True).start()


def let_threads_speak(folder):
    """Let the other call's threads speak, then one of our own."""
    (folder / "go").touch()
    until_there(folder / "spoken")

    def speak():
        report_progress(1, 2, "own thread")
        logging.getLogger("corner").warning("own thread")

    own = threading.Thread(target=speak)
    own.start()
    own.join()
    time.sleep(0.06)
    report_progress(2, 2, "own")


_pool = concurrent.futures.ThreadPoolExecutor(1)


def report_in_a_pool(step, carries_context):
    """Report from a thread that stays for the next call."""
    work = functools.partial(report_progress, step, step, "pool")
    _pool.submit(contextvars.copy_context().run, work).result() if carries_context else _pool.submit(work).result()


def until_there(path):
    """Wait for a file."""
    while not path.exists():
        time.sleep(0.005)
