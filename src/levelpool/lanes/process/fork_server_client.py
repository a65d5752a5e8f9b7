"""The lane's side of its fork server: started, asked and heard; and what the death of a worker means in words."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from levelpool.errors import WorkerDied
from levelpool.lanes.process.interpreter import frozen_arguments, interpreter_arguments, is_frozen, start_interpreter
from levelpool.lanes.process.memfd_payload import memory_file_of
from levelpool.lanes.process.program_state import State, as_bytes, as_text, program_state
from levelpool.lanes.process.wire import (
    ANSWER,
    ASK,
    DUMP_STACK,
    KILL,
    PRELOADS,
    SPAWN,
    SPAWN_CHANGED,
    START_FAILED,
    STARTED,
    WITH_TEXT,
    socket_pair,
)

GRACE = 1.0
"""Seconds after the idle time for which a worker, and a fork server without workers, still waits to be told to go: the lane's loop may be late, or over."""

FOR_EVER = 1e6
"""An idle time of so many seconds or more never ends."""

# A package's face imports all its rooms. The fork server needs two of them, so the face stays shut until somebody there asks it for a name.
# The folder of the program may hold a `json.py`: nothing is looked for there before the path is the program's own.
_BOOT = """
import sys
if not sys.flags.safe_path:
    del sys.path[:1]
import json, os, struct, types, importlib.util
class Face(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        self.__class__ = types.ModuleType
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)
try:
    with open({preparation}, "rb") as file:
        preparation = json.load(file)
    if [sys.implementation.name, *sys.version_info[:2]] != preparation["python"]:
        raise RuntimeError("%s is %s %s.%s, and the program runs on %s %s.%s" % (sys.executable, sys.implementation.name, *sys.version_info[:2], *preparation["python"]))
    sys.path[:] = preparation["path"]
    spec = importlib.util.find_spec("levelpool")
    if spec is None:
        raise ModuleNotFoundError("levelpool is not found in the program's sys.path")
    sys.modules["levelpool"] = face = importlib.util.module_from_spec(spec)
    face.__class__ = Face
    from levelpool.lanes.process.forkserver import main
except BaseException as error:
    text = ("%s: %s" % (type(error).__name__, error)).encode("utf-8", "replace")[:4000]
    os.write({control}, struct.pack("{answer}", {start_failed}, 0, 0, 0, len(text)) + text)
    os._exit(1)
main({control}, {line}, preparation)
"""

_LASTING_SIGNALS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS})
"""What a process that dies of it has done itself, and will do again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the fork server says about one worker, or about itself."""

    what: int
    number: int
    pid: int
    status: int
    rss: int
    text: str = ""


class ForkServerClient:
    """The lane's end of its fork server. All methods return at once, except `wait`."""

    def __init__(
        self,
        *,
        preload: Sequence[str],
        environment: Callable[[], Mapping[str, str]],
        max_result_bytes: int | None,
        idle_timeout: float,
    ) -> None:
        """*environment* is that of its workers, asked for whenever one is to be started. Raises OSError when no fork server can be started."""
        self._environment = environment
        self.is_open = False
        self.has_started = False
        """Whether it is ready to fork; until then its death is that of all that wait for it."""
        self._stage: str | None = None
        """What it imports now, before it has started."""
        self._start_error: str | None = None
        self._buffer = b""
        self._state = self._current_state()
        preparation: State = {
            **self._state,
            "python": [sys.implementation.name, *sys.version_info[:2]],
            "max_result_bytes": max_result_bytes,
            "preload": list(preload),
            "patience": idle_timeout + GRACE if idle_timeout < FOR_EVER else None,
        }
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self.control, their_control = socket_pair()
            ours.enter_context(self.control)
            theirs.enter_context(their_control)
            self._line, their_line = socket_pair()
            ours.enter_context(self._line)
            theirs.enter_context(their_line)
            self.process = _start(their_control.fileno(), their_line.fileno(), preparation)
            ours.pop_all()
        self.control.setblocking(False)
        self.is_open = True

    def _current_state(self) -> State:
        return program_state({as_text(name): as_text(value) for name, value in self._environment().items()})

    def spawn(self, number: int, fds: Sequence[int]) -> None:
        """Ask for a worker that gets these descriptors, see `wire.SPAWN_FDS`. Raises OSError if that cannot be asked."""
        state = self._current_state()
        if state == self._state:
            socket.send_fds(self.control, [ASK.pack(SPAWN, number)], list(fds))
            return
        file = memory_file_of(as_bytes(state))
        try:
            socket.send_fds(self.control, [ASK.pack(SPAWN_CHANGED, number)], [*fds, file])
        finally:
            os.close(file)

    def kill(self, number: int) -> None:
        """Ask for the death of a worker; the fork server is its parent, so no other process can be meant."""
        with contextlib.suppress(OSError):
            self.control.send(ASK.pack(KILL, number))

    def dump_stack(self, number: int) -> None:
        """Ask a worker for its stack, see `stack_dump`."""
        with contextlib.suppress(OSError):
            self.control.send(ASK.pack(DUMP_STACK, number))

    def answers(self) -> Iterator[Answer]:
        """What came since the last time; raises ConnectionError when the fork server is gone."""
        while True:
            try:
                data = self.control.recv(1 << 16)
            except BlockingIOError:
                break
            if not data:
                raise ConnectionResetError("the fork server is gone")
            self._buffer += data
            while (answer := self._next_answer()) is not None:
                if answer.what == PRELOADS:
                    self._stage = answer.text
                elif answer.what == STARTED:
                    self.has_started = True
                elif answer.what == START_FAILED:
                    self._start_error = answer.text
                else:
                    yield answer

    def _next_answer(self) -> Answer | None:
        if len(self._buffer) < ANSWER.size:
            return None
        answer = Answer(*ANSWER.unpack_from(self._buffer))
        end = ANSWER.size
        if answer.what in WITH_TEXT:
            end += answer.rss
            if len(self._buffer) < end:
                return None
            answer = Answer(
                answer.what, answer.number, answer.pid, answer.status, 0, self._buffer[ANSWER.size : end].decode("utf-8", "replace")
            )
        self._buffer = self._buffer[end:]
        return answer

    def give_up_boot(self, seconds: float) -> None:
        """What was started has had *seconds* to say that it is a fork server: kill it if it has not."""
        if self.is_open and not self.has_booted:
            self._start_error = f"{_program(self.process)} has not said within {seconds:g} s that it is one: is it a Python?"
            self.process.kill()

    @property
    def has_booted(self) -> bool:
        """Whether it has said anything: what was started is a Python, and has found levelpool."""
        return self.has_started or self._stage is not None

    def why_it_ended(self) -> tuple[str, bool]:
        """Why it is gone, which must have been waited for, and whether another one would end likewise."""
        code = self.process.returncode
        if self._start_error is not None:
            return f"the fork server cannot be started: {self._start_error}", True
        if self._stage is not None:
            when = f"while it preloaded {self._stage}"
        else:
            when = f"before it could start a worker ({_program(self.process)})"
        return f"the fork server is gone: {_exit_in_words(code)} {when}", code >= 0 or -code in _LASTING_SIGNALS

    def close(self) -> None:
        """Let the fork server go; it ends by itself, with whatever is left of its workers."""
        self.close_line()
        self.control.close()

    def close_line(self) -> None:
        """Close its life-line: the kernel kills it. What it would still do, it has done: no worker of it is left."""
        self.is_open = False
        self._line.close()

    def wait(self, timeout: float = 5.0) -> None:
        """Reap the fork server, which must have been closed; kill it if it does not go."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def after_fork_in_child(self) -> None:
        """Let go in a forked child, whose business the fork server is not."""
        self.close()
        # Popen would warn about a child that still runs; it is not this process's child.
        self.process.returncode = 0


def _start(control: int, line: int, preparation: State) -> "subprocess.Popen[bytes]":
    """The process of the fork server, with its ends of the two sockets. Raises OSError, whatever is wrong."""
    frozen = is_frozen()
    if frozen:
        from levelpool.lanes.process.frozen import frozen_start  # noqa: PLC0415 - it imports half of the fork server, for frozen programs only

        content = frozen_start(control, line, preparation)
    else:
        content = as_bytes(preparation)
    file = memory_file_of(content)
    try:
        if frozen:
            arguments = frozen_arguments(file)
        else:
            boot = _BOOT.format(preparation=file, control=control, line=line, answer=ANSWER.format, start_failed=START_FAILED)
            arguments = interpreter_arguments(boot)
        return start_interpreter(arguments, (control, line, file), preparation["environment"])
    finally:
        os.close(file)


def _program(process: "subprocess.Popen[bytes]") -> str:
    arguments = process.args
    return str(arguments[0]) if isinstance(arguments, list) else str(arguments)


# ---------------------------------------------------------------- death


def end_in_words(status: int | None) -> str:
    """How a process has ended, from what `wait` reported; None if nobody knows."""
    return "how is not known" if status is None else _exit_in_words(os.waitstatus_to_exitcode(status))


def _exit_in_words(code: int) -> str:
    if code >= 0:
        return f"it ended itself with exit code {code}"
    return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"killed by signal {-code}"


def death(task: str, *, cause: str | None, status: int | None, rss: int, limit: int | None, note: str = "") -> WorkerDied:
    """
    The error for a call whose worker died.

    *cause* is why the lane itself killed it ("deadline", "cancelled", "memory", "descriptors"), or None; *status* is what `wait` reported, None if nobody knows.
    """
    code = os.waitstatus_to_exitcode(status) if status is not None else None
    number = -code if code is not None and code < 0 else None
    exit_code = code if code is not None and code >= 0 else None
    if cause is None:
        cause = "signal" if number is not None else "exit"
    elif number is None and exit_code is None:
        number = int(signal.SIGKILL)
    message = f"the worker process died while it ran {task}: {_in_words(cause, exit_code, number, rss, limit)}{note}"
    return WorkerDied(message, cause=cause, exit_code=exit_code, signal=number, task=task, rss=rss)


def _in_words(cause: str, exit_code: int | None, number: int | None, rss: int, limit: int | None) -> str:
    match cause:
        case "deadline":
            return "killed because its time was up"
        case "cancelled":
            return "killed because the call was cancelled"
        case "memory":
            over = f"it used {_mib(rss)} of resident memory, the limit is {_mib(limit or 0)}"
            return f"killed because {over} (LEVELPOOL_WORKER_MEMORY_LIMIT or worker_memory_limit)"
        case "descriptors":
            return "killed because this process has no file descriptor left for its arguments or its result (ulimit -n)"
        case "signal":
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            hint = "; perhaps by the kernel, out of memory" if number == signal.SIGKILL else ""
            return f"killed by {name}{hint} (last seen with {_mib(rss)})"
        case _:
            return f"it ended itself with exit code {exit_code}" if exit_code is not None else "how is not known"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
