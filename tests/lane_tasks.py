"""Tasks that the tests of the lanes run in workers: good ones, bad ones, and ones that take the worker down."""

import contextvars
import ctypes
import logging
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from levelpool import report_progress

REQUEST = contextvars.ContextVar("REQUEST", default="none")
CARRIED = contextvars.ContextVar("CARRIED", default=None)


class CustomError(Exception):
    """Its own arguments are not those that Exception gets."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Parcel:
    """Its `repr` is where it lies."""


class ParcelError(Exception):
    """Holds what says something else in each process."""


@dataclass(frozen=True)
class SealedError(Exception):
    """Lets nobody set anything."""

    stop: str
    parcel: Parcel


class Panic(BaseException):
    """Like a Rust panic: not an Exception."""


def add(a, b=0):
    return a + b


def noop(*_):
    return None


def pid():
    return os.getpid()


def sleep(seconds, value=None):
    time.sleep(seconds)
    return value


def spin_in_c(path=None):
    """One C call that never gives the interpreter lock away; *path* is made when it begins."""
    if path:
        Path(path).touch()
    return sum(range(10**10))


def sleep_in_c(seconds):
    """A C sleep that holds the interpreter lock."""
    ctypes.PyDLL(None).sleep(seconds)


def ignore_sigterm(seconds):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)


def leave(code):
    os._exit(code)


def kill_self(number):
    os.kill(os.getpid(), number)


def crash_in_c():
    """A real segmentation fault."""
    ctypes.string_at(0)


def abort():
    """What C++ and Rust libraries do when they find themselves in an impossible state."""
    os.abort()


def overflow_the_stack():
    sys.setrecursionlimit(10**9)
    # Newer Pythons raise shortly before the end of the stack that they had when they began: this one is shorter.
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    def deeper(n):
        return eval("deeper(n + 1)", {"deeper": deeper, "n": n})

    return deeper(0)


def hog():
    kept = []
    while True:
        kept.append(bytearray(b"x") * (1 << 23))


def raise_key_error():
    raise KeyError("plain")


def raise_custom():
    raise CustomError(7, "custom arguments")


def raise_unpicklable():
    error = ValueError("holds a lock")
    error.lock = threading.Lock()
    raise error


def raise_panic():
    raise Panic("not an Exception")


def panic_in_rust():
    """A real panic of a Rust library, which is no Exception."""
    import polars as pl

    return pl.Series([2**30]).cast(pl.Date).to_list()


def raise_parcel():
    raise ParcelError(Parcel())


def raise_sealed():
    raise SealedError("B", Parcel())


def raise_exit():
    sys.exit(4)


def interrupt_itself():
    raise KeyboardInterrupt


def return_lambda():
    return {"rows": [1, lambda: 2]}


def return_bytes_within(limit, value, size):
    """The resource *limit* of this worker is lowered to *value* first; for descriptors that is one more than it has open."""
    if limit == resource.RLIMIT_NOFILE:
        value = os.dup(0)
        os.close(value)
    resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    return bytes(size)


def fail_at_length_without_descriptors(size):
    hoard = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hoard + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    raise ValueError("x" * size)


def return_bytes(size):
    return b"x" * size


def return_array(size):
    import numpy as np

    return np.zeros(size, dtype=np.uint8)


def return_dicts(count):
    return [{"id": i, "name": f"user-{i}"} for i in range(count)]


def return_arrow(rows):
    import pyarrow as pa

    return pa.table({"id": range(rows), "half": [row / 2 for row in range(rows)]})


def length(thing):
    return len(thing)


def report(steps):
    for step in range(steps + 1):
        report_progress(step, steps, "step")


def read_request():
    return REQUEST.get(), CARRIED.get()


def read_late_module():
    """What the variable of a module has that this call is the first to import."""
    import imported_late

    return imported_late.TENANT.get()


def has_module(name):
    return name in sys.modules


def read_text(path):
    return Path(path).read_text(encoding="ascii").strip()


def die_if_told(path, *_):
    """Kill the worker unless the file is there."""
    if not Path(path).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def set_request():
    REQUEST.set("changed in the worker")
    return REQUEST.get()


def log_warning(text):
    logging.getLogger("lane_tasks").warning("said %s", text)


def environment(name):
    return os.environ.get(name)


def mark(path, seconds=0.0):
    """Leave a line in *path*: this call began."""
    with Path(path).open("a") as file:
        file.write("begun\n")
    time.sleep(seconds)


def tick(number, path=None, fatal=None):
    """A call of some microseconds: it leaves its number in *path*, and ends the worker if that number is *fatal*."""
    if path:
        with Path(path).open("a") as file:
            file.write(f"{number}\n")
    if number == fatal:
        os._exit(9)
    return number


def meet(folder, number, seconds=10.0):
    """Wait in *folder* until *number* calls are there at the same time, each in a process of its own; returns its own."""
    folder = Path(folder)
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + seconds
    while len(list(folder.iterdir())) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(list(folder.iterdir()))} of {number} came")
        time.sleep(0.005)
    return os.getpid()


def wait_for(path, seconds=30.0):
    """Leave PATH.PID to say that it has begun, and run until somebody makes *path*."""
    Path(f"{path}.{os.getpid()}").touch()
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {path}")
        time.sleep(0.005)
    return os.getpid()


def has_imported(module):
    """Whether the worker had the module before this call."""
    return module in sys.modules


kept = []


def keep(size):
    """Leak memory: it stays with the worker after the call."""
    kept.append(b"x" * size)
    return os.getpid()


def count(steps, path=None):
    for step in range(steps):
        if path:
            Path(path).write_text(str(step))
        yield step


def count_and_fail(steps):
    yield from range(steps)
    raise CustomError(9, "in the middle")


def count_and_leave(steps):
    """Some items, and then the worker ends."""
    yield from range(steps)
    os._exit(4)


def count_and_stick(steps):
    """Some items, and then a C call that never ends."""
    yield from range(steps)
    spin_in_c()


def dict_batches(batches, size):
    for _ in range(batches):
        yield [{"id": i} for i in range(size)]


class ExitsWhenUnpickled:
    """Unpickling it raises what is no Exception."""

    def __reduce__(self):
        return sys.exit, (5,)


class ExitsWhenPickled:
    """Pickling it raises what is no Exception."""

    def __reduce__(self):
        sys.exit(6)


def return_thing(name):
    return globals()[name]()


def slow_count(steps):
    """Yield late."""
    for step in range(steps):
        time.sleep(60)
        yield step


def seal(array):
    """The array with its first column one larger, which nobody may change any more."""
    array[:, 0] += 1
    array.flags.writeable = False
    return array
