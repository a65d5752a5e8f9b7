"""
The process that worker processes are forked from. It stays single-threaded and does nothing else, so that a fork of it is safe and cheap.

It is started with one socket. The lane sends it a preparation first, then asks it to spawn and to kill; it answers with each spawn and each death.
When the socket closes, or the lane's process is gone, it kills what is left and goes; and so it does when it has no worker for too long.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from levelpool.lanes.process import worker
from levelpool.lanes.process.stack_dump import SIGNAL
from levelpool.lanes.process.wire import ANSWER, ASK, DIED, DUMP_STACK, KILL, LENGTH, SPAWN, SPAWN_FAILED, SPAWN_FDS, SPAWNED
from levelpool.life_line import arm_life_line

OOM_SCORE = "500"
"""Added to how likely the kernel picks a worker when memory runs out, in thousandths of all memory; anybody may raise it."""


def offer_to_the_oom_killer() -> None:
    """Where memory runs out before a limit of ours is noticed, the kernel is to pick this process, which costs one call, and not the service."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")


def _say(what: str) -> None:
    print(f"levelpool: {what}", file=sys.stderr, flush=True)  # noqa: T201 - there is nobody else to tell here


def _tell_of_threads(module: str, known: set[threading.Thread]) -> None:
    """A fork has none of the threads of its parent, and their locks as they happened to be."""
    started = [thread.name for thread in threading.enumerate() if thread not in known]
    if started:
        count = "a thread" if len(started) == 1 else f"{len(started)} threads"
        _say(
            f"preloading {module} has started {count} ({', '.join(started)}), which no worker has, and a lock that one of them holds stays locked "
            f"there for good: take {module} out of preload, or start its threads where it is used"
        )


def _fork() -> int:
    """
    Fork, with whatever threads preloaded modules have left, of Python or of a library such as pandas.

    From 3.12 on Python warns of it, and under `-W error` the warning of 3.15 is an exception in place of a fork.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class ForkServer:
    """The loop of the fork server: asks in, answers out, deaths noticed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._wake_out, self._wake_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._numbers: dict[int, int] = {}
        self._buffer = b""
        self._fds: list[int] = []
        self._preparation: dict[str, Any] = {}

    def serve(self) -> None:
        """Serve until the lane is gone."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        self._prepare()
        with contextlib.suppress(ConnectionError):
            while self._turn():
                pass
        self._kill_all()

    def _prepare(self) -> None:
        head = self._read_exactly(LENGTH.size)
        self._preparation = json.loads(self._read_exactly(LENGTH.unpack(head)[0]))
        worker.prepare(self._preparation)
        # While modules are loaded nearly nothing becomes garbage, and looking for it takes a good part of the time.
        gc.disable()
        for name in self._preparation["preload"]:
            known = set(threading.enumerate())
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - a module that cannot be preloaded fails where it is used, with its own traceback
                _say(f"cannot preload {name}: {error!r}")
            _tell_of_threads(name, known)
        # What is there now stays shared with every worker: the collector must not touch it.
        gc.freeze()
        gc.enable()

    def _read_exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._control.recv(length - len(data))
            if not more:
                os._exit(0)
            data += more
        return data

    def _turn(self) -> bool:
        control = self._control.fileno()
        # Where the lane's loop has ended, nobody is left to say that it is time to go.
        patience = None if self._numbers else self._preparation["patience"]
        readable, _, _ = select.select([control, self._wake_out], [], [], patience)
        if not readable:
            return False
        if self._wake_out in readable:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake_out, 512):
                    pass
            self._reap()
        return control not in readable or self._listen()

    def _listen(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 64)
        self._fds.extend(fds)
        self._buffer += data
        while len(self._buffer) >= ASK.size:
            what, number = ASK.unpack_from(self._buffer)
            self._buffer = self._buffer[ASK.size :]
            if what == SPAWN:
                self._spawn(number)
            elif what == KILL:
                self._signal(number, signal.SIGKILL)
            elif what == DUMP_STACK:
                self._signal(number, SIGNAL)
        return bool(data)

    def _spawn(self, number: int) -> None:
        fds = [self._fds.pop(0) for _ in range(SPAWN_FDS)]
        try:
            pid = _fork()
        except OSError as error:
            self._answer(SPAWN_FAILED, number, 0, error.errno or 0, 0)
        else:
            if pid == 0:
                self._become_worker(fds)
            self._numbers[pid] = number
            self._answer(SPAWNED, number, pid, 0, 0)
        for fd in fds:
            os.close(fd)

    def _become_worker(self, fds: list[int]) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for fd in (self._wake_in, self._wake_out, *self._fds):
                os.close(fd)
            self._control.close()
            talk, line, flags, stack = fds
            life_line = socket.socket(fileno=line)
            arm_life_line(life_line)
            offer_to_the_oom_killer()
            worker.work(socket.socket(fileno=talk), life_line, flags, stack, self._preparation)
        finally:
            # Never back into the fork server's loop, and never through its clean-up.
            os._exit(1)

    def _signal(self, number: int, what: int) -> None:
        for pid, other in self._numbers.items():
            if other == number:
                os.kill(pid, what)

    def _reap(self) -> None:
        while self._numbers:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._numbers.pop(pid, None)
            if number is not None:
                self._answer(DIED, number, pid, status, usage.ru_maxrss * 1024)

    def _kill_all(self) -> None:
        for pid in self._numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _answer(self, what: int, number: int, pid: int, status: int, rss: int) -> None:
        self._control.sendall(ANSWER.pack(what, number, pid, status, rss))


def main(control_fd: int, line_fd: int) -> None:
    """Run the fork server on these two inherited sockets."""
    with socket.socket(fileno=line_fd) as line, socket.socket(fileno=control_fd) as control:
        arm_life_line(line)
        ForkServer(control).serve()
