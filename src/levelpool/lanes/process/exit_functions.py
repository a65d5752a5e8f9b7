"""What a task's modules have registered for the end of their process: run when a worker ends by itself, within a limit."""

import atexit
import contextlib
import faulthandler
import logging
import sys
import weakref

EXIT_TIMEOUT = 5.0
"""Seconds in which all of it must be done; then the worker ends all the same, and writes on standard error where it was."""

_STDERR = 2


def drop_inherited() -> None:
    """In a process that was forked just now: what preloaded modules have registered is for the process that has loaded them, whose files it may remove."""
    atexit._clear()  # noqa: SLF001 - what `multiprocessing` does, too
    for each in list(weakref.finalize._registry):  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to see them
        each.atexit = False
    # What comes from here on relies on these, which are registered once in a process.
    atexit.register(logging.shutdown)
    if weakref.finalize._registered_with_atexit:  # type: ignore[attr-defined]  # noqa: SLF001
        atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]  # noqa: SLF001
    multiprocessing_util = sys.modules.get("multiprocessing.util")
    if multiprocessing_util is not None:
        atexit.register(multiprocessing_util._exit_function)  # noqa: SLF001


def run_exit_functions() -> None:
    """Run what was registered since, the last first; one that fails is told on standard error, as at the end of any Python."""
    # Ends the process from outside of the interpreter: what hangs may hold its lock.
    faulthandler.dump_traceback_later(EXIT_TIMEOUT, exit=True, file=_STDERR)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - as above
    faulthandler.cancel_dump_traceback_later()
