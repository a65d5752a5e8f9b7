"""Tasks that tell what their process was started with, and what becomes of it when it ends."""

import atexit
import logging
import multiprocessing.util
import os
import signal
import sys
import time
import warnings
import weakref
from pathlib import Path

_KEPT = []


class Thing:
    """Anything that a finalizer can be tied to."""


def signals():
    """The numbers of the blocked ones, and of the ignored ones."""
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    return signal.pthread_sigmask(signal.SIG_BLOCK, ()), ignored


def surroundings(name):
    """The variable *name*, the folder, the umask, the time zone and the search path of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return os.environ.get(name), str(Path.cwd()), mask, time.strftime("%Z", time.localtime(0)), list(sys.path)


def arguments():
    return sys.argv


def log_at_all_levels(name):
    """Each record that comes through says what level it has."""
    log = logging.getLogger(name)
    for level in (10, 15, 20, 30):
        log.log(level, "at %d", level)


def log_many(count):
    for number in range(count):
        logging.getLogger("start").warning("line %d %s", number, "x" * 200)
    return count


def warn(text):
    warnings.warn(text, UserWarning, stacklevel=1)


def register(folder, *, hangs=False):
    """Three ways to be told of the end of the process."""
    thing = Thing()
    _KEPT.append(thing)
    atexit.register(Path(folder, "atexit").touch)
    multiprocessing.util.Finalize(None, Path(folder, "finalize").touch, exitpriority=1)
    weakref.finalize(thing, Path(folder, "weakref").touch)
    if hangs:
        atexit.register(time.sleep, 60)
    return os.getpid()


def put(queue, what):
    queue.put(what)


def put_from_a_child(queue, what):
    child = multiprocessing.get_context("spawn").Process(target=put, args=(queue, what))
    child.start()
    child.join()
