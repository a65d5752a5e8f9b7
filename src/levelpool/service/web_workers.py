"""
The web workers' end with their supervisor: whichever way that one goes, and whatever they do then, none of them stays.

Each web worker has a life-line. The other end is held by the supervisor, and by a keeper that lives `DRAIN_TIME` longer: when the supervisor
is killed, a web worker whose threads still turn drains, and one that hangs is killed by the kernel when the keeper goes.
"""

import contextlib
import logging
import multiprocessing
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Self

from levelpool.life_line import arm_life_line
from levelpool.service import line_keeper

logger = logging.getLogger(__name__)

DRAIN_TIME = 3.0
"""Seconds that web workers have to drain when their supervisor was killed: short, for somebody waits to start the service again."""


class LifeLines:
    """The supervisor's ends, and its keeper: `with LifeLines() as lines: ...`."""

    def __init__(self) -> None:
        self._lines: list[socket.socket] = []
        self._handed: socket.socket | None = None
        self._control, theirs = socket.socketpair()
        with theirs:
            self._keeper = subprocess.Popen(  # noqa: S603 - this interpreter, with our own code
                [sys.executable, "-I", "-S", line_keeper.__file__, str(theirs.fileno()), str(DRAIN_TIME)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                # Out of the terminal's group: what the terminal tells the service is not for it.
                process_group=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for line in (self._control, *self._lines, *filter(None, [self._handed])):
            line.close()
        self._keeper.wait()

    def new(self) -> socket.socket:
        """The end for a web worker that is about to start; it stays open here until the next one is asked for."""
        if self._handed is not None:
            self._handed.close()
        self._drop_ended()
        ours, self._handed = socket.socketpair()
        self._lines.append(ours)
        # Without its keeper the line is still cut when the supervisor dies, only at once.
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [b"\0"], [ours.fileno()])
        return self._handed

    def _drop_ended(self) -> None:
        poll = select.poll()
        for line in self._lines:
            poll.register(line, 0)
        ended = {descriptor for descriptor, _ in poll.poll(0)}
        for line in self._lines:
            if line.fileno() in ended:
                line.close()
        self._lines = [line for line in self._lines if line.fileno() != -1]


@dataclass(frozen=True, slots=True)
class AppOfOne:
    """What makes the application in one web worker: *factory*, named as `module:function`, after its life-line is armed."""

    life_line: socket.socket
    factory: str

    def __call__(self) -> object:
        end_with_supervisor(self.life_line)
        # Here, and not when a web worker reads what it is to do: from then on the supervisor hears of it that it lives.
        return pkgutil.resolve_name(self.factory)()


class AppOfEach:
    """The same in the supervisor: it is pickled once for each web worker that is started, and becomes an `AppOfOne` with a line of its own."""

    def __init__(self, lines: LifeLines, factory: str) -> None:
        self._lines = lines
        self._factory = factory

    def __reduce__(self) -> tuple[type[AppOfOne], tuple[socket.socket, str]]:
        return AppOfOne, (self._lines.new(), self._factory)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """
    Hold Ctrl-C back in this process, and in a web worker that is started meanwhile until it can drain (`end_with_supervisor`).

    The terminal interrupts the whole group: a new interpreter that still imports would end in a traceback. The supervisor hears of it
    as soon as this is left, and tells the web workers.
    """
    # It takes every interrupt off the mask when it starts, which it would do within.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_supervisor(life_line: socket.socket) -> None:
    """Have this web worker drain when its supervisor has gone, and the kernel kill it when *life_line* is cut."""
    arm_life_line(life_line)
    # uvicorn hears it by now, and what this process starts shall hear it as well.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A terminal that is closed tells the whole group; the supervisor hears it too, and says what to do.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        threading.Thread(target=_drain_after, args=(supervisor.sentinel,), name="levelpool supervisor", daemon=True).start()


def _drain_after(sentinel: int) -> None:
    select.select([sentinel], [], [])
    logger.warning("the process that supervises the web workers is gone: web worker %d drains for at most %g s", os.getpid(), DRAIN_TIME)
    os.kill(os.getpid(), signal.SIGTERM)
