"""
The process that worker processes are forked from. It stays single-threaded and does nothing else, so that a fork of it is safe and cheap.

It is started with what it needs to know, see `fork_server_client`, and one socket. The lane asks it to spawn and to kill; it answers with each spawn
and each death. When the socket closes, or the lane's process is gone, it kills what is left and goes; and so it does when it has no worker for too long.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import warnings
from pathlib import Path

from levelpool.lanes.process import worker
from levelpool.lanes.process.exit_functions import drop_inherited
from levelpool.lanes.process.native_threads import ThreadCount
from levelpool.lanes.process.program_state import State, take_over
from levelpool.lanes.process.stack_dump import SIGNAL
from levelpool.lanes.process.wire import (
    ANSWER,
    ASK,
    DIED,
    DUMP_STACK,
    KILL,
    PRELOADS,
    SPAWN,
    SPAWN_CHANGED,
    SPAWN_FAILED,
    SPAWN_FDS,
    SPAWNED,
    STARTED,
    WARNING,
    adopted_socket,
)
from levelpool.life_line import arm_life_line

OOM_SCORE = "500"
"""Added to how likely the kernel picks a worker when memory runs out, in thousandths of all memory; anybody may raise it."""

_OF_THE_TERMINAL = frozenset({signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
"""What a program ignores of these it ignores for all that it starts: that is how `nohup` works."""

_OF_PYTHON = frozenset({signal.SIGPIPE, *(getattr(signal, name) for name in ("SIGXFSZ", "SIGXFZ") if hasattr(signal, name))})
"""Python ignores them by itself, and raises errors instead."""


def offer_to_the_oom_killer() -> None:
    """Where memory runs out before a limit of ours is noticed, the kernel is to pick this process, which costs one call, and not the service."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")


def reset_signals() -> None:
    """Signals that are blocked or ignored in the program that has started this process are not so here."""
    for number in signal.valid_signals() - _OF_THE_TERMINAL - _OF_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _open_standard_streams() -> None:
    """Where the program has closed one of them, nothing else must get its number: what a task prints would go there."""
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:
        os.set_inheritable(null, True)
        null = os.open(os.devnull, os.O_RDWR)
    os.close(null)


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

    def __init__(self, control: socket.socket, preparation: State) -> None:
        self._control = control
        self._preparation = preparation
        self._patience: float | None = preparation["patience"]
        self._wake_out, self._wake_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._numbers: dict[int, int] = {}
        self._buffer = b""
        self._fds: list[int] = []
        self._ready = select.poll()
        for fd in (control.fileno(), self._wake_out):
            self._ready.register(fd, select.POLLIN)

    def serve(self) -> None:
        """Serve until the lane is gone."""
        reset_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        worker.prepare(self._preparation)
        self._preload()
        # After the preload: whatever a module does with signals when it is imported, the fork server hears of its children.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        with contextlib.suppress(ConnectionError):
            self._answer(STARTED)
            while self._turn():
                pass
        self._kill_all()

    def _preload(self) -> None:
        # While modules are loaded nearly nothing becomes garbage, and looking for it takes a good part of the time.
        gc.disable()
        for name in self._preparation["preload"]:
            before = ThreadCount()
            self._say(PRELOADS, name)
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - a module that cannot be preloaded fails where it is used, with its own traceback
                self._say(WARNING, f"cannot preload {name}: {error!r}")
            complaint = before.complaint(name)
            if complaint is not None:
                self._say(WARNING, complaint)
        # What is there now stays shared with every worker: the collector must not touch it.
        gc.freeze()
        gc.enable()

    def _turn(self) -> bool:
        # Where the lane's loop has ended, nobody is left to say that it is time to go.
        patience = None if self._numbers or self._patience is None else 1000 * self._patience
        ready = {fd for fd, _ in self._ready.poll(patience)}
        if not ready:
            return False
        if self._wake_out in ready:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake_out, 512):
                    pass
            self._reap()
        return self._control.fileno() not in ready or self._listen()

    def _listen(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 64)
        self._fds.extend(fds)
        self._buffer += data
        while len(self._buffer) >= ASK.size:
            what, number = ASK.unpack_from(self._buffer)
            self._buffer = self._buffer[ASK.size :]
            if what in {SPAWN, SPAWN_CHANGED}:
                self._spawn(number, has_changed=what == SPAWN_CHANGED)
            elif what == KILL:
                self._signal(number, signal.SIGKILL)
            elif what == DUMP_STACK:
                self._signal(number, SIGNAL)
        return bool(data)

    def _spawn(self, number: int, *, has_changed: bool) -> None:
        fds = [self._fds.pop(0) for _ in range(SPAWN_FDS + has_changed)]
        # What a preloaded module has printed is printed once, and not by each worker.
        worker.flush_output()
        try:
            pid = _fork()
        except OSError as error:
            self._answer(SPAWN_FAILED, number, status=error.errno or 0)
        else:
            if pid == 0:
                self._become_worker(fds)
            self._numbers[pid] = number
            self._answer(SPAWNED, number, pid)
        for fd in fds:
            os.close(fd)

    def _become_worker(self, fds: list[int]) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            reset_signals()
            for fd in (self._wake_in, self._wake_out, *self._fds):
                os.close(fd)
            self._control.close()
            drop_inherited()
            talk, line, flags, stack, *state = fds
            life_line = adopted_socket(line)
            arm_life_line(life_line)
            offer_to_the_oom_killer()
            if state:
                self._take_over(state[0])
            worker.work(adopted_socket(talk), life_line, flags, stack, self._preparation)
        finally:
            # Never back into the fork server's loop, and never through its clean-up.
            os._exit(1)

    def _take_over(self, file: int) -> None:
        with os.fdopen(file, "rb") as content:
            state = json.load(content)
        take_over(state, self._preparation)
        self._preparation.update(state)

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

    def _answer(self, what: int, number: int = 0, pid: int = 0, status: int = 0, rss: int = 0) -> None:
        self._control.sendall(ANSWER.pack(what, number, pid, status, rss))

    def _say(self, what: int, text: str) -> None:
        data = text.encode("utf-8", "replace")
        with contextlib.suppress(ConnectionError):
            self._control.sendall(ANSWER.pack(what, 0, 0, 0, len(data)) + data)


def main(control_fd: int, line_fd: int, preparation: State) -> None:
    """Run the fork server on these two inherited sockets."""
    _open_standard_streams()
    with adopted_socket(line_fd) as line, adopted_socket(control_fd) as control:
        arm_life_line(line)
        ForkServer(control, preparation).serve()
