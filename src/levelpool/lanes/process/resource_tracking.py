"""
Shared memory and semaphores that tasks make or use: looked after by the resource tracker of the program, as in the processes of `multiprocessing`.

A worker that attached to a segment of the program would have a tracker of its own, which removes the segment when the worker goes: an idle minute later, by
chance. So a worker tells the lane what is to be tracked, before its result; and what it only attached to is nothing to be tracked: it belongs to its maker.
"""

import contextlib
import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from levelpool.lanes.process.after_import import after_import

logger = logging.getLogger(__name__)

REGISTER, UNREGISTER = "REGISTER", "UNREGISTER"
_SEGMENT = "shared_memory"


class ResourceTracking:
    """The worker's side: takes the place of its resource tracker, as soon as a task imports one."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        """*tell* is called with a command, the name of a resource and its kind."""
        self._tell = tell
        self._here = threading.local()
        self._tracker: Any = None
        after_import("multiprocessing.resource_tracker", self._replace)
        after_import("multiprocessing.shared_memory", self._notice_attaching)

    def _replace(self, module: ModuleType) -> None:
        self._tracker = tracker = module._resource_tracker  # noqa: SLF001 - `multiprocessing` hands its tracker to its own children like this
        # Whatever processes a task starts inherit this: they track nothing, and so remove nothing that is not theirs.
        tracker._fd = os.open(os.devnull, os.O_WRONLY)  # noqa: SLF001
        tracker._pid = None  # noqa: SLF001
        tracker._send = self._send  # noqa: SLF001

    def _send(self, command: str, name: str, kind: str) -> None:
        if kind == _SEGMENT and command == REGISTER and getattr(self._here, "attaches", False):
            return
        if kind == _SEGMENT and command == UNREGISTER:
            # It may be one that was only attached to here, and a tracker complains of what it does not know.
            self._tell(REGISTER, name, kind)
        self._tell(command, name, kind)

    def _notice_attaching(self, module: ModuleType) -> None:
        plain = module.SharedMemory.__init__

        @functools.wraps(plain)
        def init(segment: object, name: str | None = None, create: bool = False, *args: Any, **kwargs: Any) -> None:
            with self._attaching(is_so=not create):
                plain(segment, name, create, *args, **kwargs)

        module.SharedMemory.__init__ = init

    @contextlib.contextmanager
    def _attaching(self, *, is_so: bool) -> Iterator[None]:
        self._here.attaches = is_so
        try:
            yield
        finally:
            self._here.attaches = False

    def after_fork_in_child(self) -> None:
        """A child of a task has nobody to tell."""
        if self._tracker is not None:
            self._tracker.__dict__.pop("_send", None)


def track(command: str, name: str, kind: str) -> None:
    """In the program: have its own tracker do what a worker has said. The first time that starts one, as the first shared memory of the program would."""
    from multiprocessing import resource_tracker  # noqa: PLC0415 - for tasks that make shared memory only

    try:
        (resource_tracker.register if command == REGISTER else resource_tracker.unregister)(name, kind)
    except Exception:  # whatever keeps it from starting, the resource itself is there
        logger.exception("the resource tracker cannot be told of %s %r: it may stay behind when this program ends", kind, name)
