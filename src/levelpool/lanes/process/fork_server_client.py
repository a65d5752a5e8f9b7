"""The lane's side of its fork server: started, asked and heard; and what the death of a worker means in words."""

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from levelpool.errors import WorkerDied
from levelpool.lanes.process.wire import ANSWER, ASK, DUMP_STACK, KILL, LENGTH, SPAWN

SECRET = re.compile(
    r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_KEY$|^LEVELPOOL_DATABASE_URL$|^DATABASE_URL$|^LEVELPOOL_ALERT_URLS$|^PGPASS|_DSN$"
)
"""Names of environment variables that a worker process does not get: what parses other people's files has no use for a password."""

GRACE = 1.0
"""Seconds after the idle time for which a worker, and a fork server without workers, still waits to be told to go: the lane's loop may be late, or over."""

FOR_EVER = 1e6
"""An idle time of so many seconds or more never ends."""

# A package's face imports all its rooms. The fork server needs two of them, so the face stays shut until somebody there asks it for a name.
_BOOT = """
import sys, types, importlib.util
sys.path[:] = {path!r}
class Face(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        self.__class__ = types.ModuleType
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)
spec = importlib.util.find_spec("levelpool")
sys.modules["levelpool"] = face = importlib.util.module_from_spec(spec)
face.__class__ = Face
from levelpool.lanes.process.forkserver import main
main({control}, {line})
"""


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without the variables whose names say that they hold a secret."""
    return {name: value for name, value in environ.items() if not SECRET.search(name.upper())}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the fork server says about one worker."""

    what: int
    number: int
    pid: int
    status: int
    rss: int


class ForkServerClient:
    """The lane's end of its fork server. All methods return at once, except `wait`."""

    def __init__(
        self, *, preload: Sequence[str], environment: Mapping[str, str], max_result_bytes: int | None, idle_timeout: float
    ) -> None:
        self.control, theirs = socket.socketpair()
        self._line, their_line = socket.socketpair()
        code = _BOOT.format(path=sys.path, control=theirs.fileno(), line=their_line.fileno())
        with theirs, their_line:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own code
                [sys.executable, *_interpreter_flags(), "-c", code],
                pass_fds=(theirs.fileno(), their_line.fileno()),
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                # Out of the terminal's group: Ctrl-C is for the serving process, which then ends its workers.
                process_group=0,
            )
        import json  # noqa: PLC0415 - importing levelpool stays light

        preparation = json.dumps(_preparation(preload, max_result_bytes, idle_timeout)).encode()
        self.control.sendall(LENGTH.pack(len(preparation)) + preparation)
        self.control.setblocking(False)
        self.is_open = True
        self._buffer = b""

    def spawn(self, number: int, fds: Sequence[int]) -> None:
        """Ask for a worker that gets these descriptors, see `wire.SPAWN_FDS`. Raises OSError if that cannot be asked."""
        socket.send_fds(self.control, [ASK.pack(SPAWN, number)], list(fds))

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
            while len(self._buffer) >= ANSWER.size:
                answer = Answer(*ANSWER.unpack_from(self._buffer))
                self._buffer = self._buffer[ANSWER.size :]
                yield answer

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


def _preparation(preload: Sequence[str], max_result_bytes: int | None, idle_timeout: float) -> dict[str, object]:
    from pathlib import Path  # noqa: PLC0415 - importing levelpool stays light

    main = sys.modules.get("__main__")
    # Here and there the main program must answer to the name under which workers know it.
    if main is not None:
        sys.modules.setdefault("__mp_main__", main)
    spec_name = getattr(getattr(main, "__spec__", None), "name", None)
    path = getattr(main, "__file__", None)
    # `python folder` has a spec, but the name in it is that of every program.
    is_module = spec_name not in {None, "__main__"}
    return {
        "argv": sys.argv,
        "main_name": spec_name if is_module else None,
        "main_path": str(Path(path).absolute()) if path and not is_module and Path(path).exists() else None,
        "log_level": logging.getLogger().getEffectiveLevel(),
        "max_result_bytes": max_result_bytes,
        "preload": list(preload),
        "patience": idle_timeout + GRACE if idle_timeout < FOR_EVER else None,
    }


def _interpreter_flags() -> list[str]:
    """The options of this interpreter that change how code behaves."""
    flags = ["-" + letter * count for letter, count in _letters() if count]
    flags += [f"-W{option}" for option in sys.warnoptions]
    for name, value in sys._xoptions.items():  # noqa: SLF001 - documented, in spite of its name
        flags += ["-X", name if value is True else f"{name}={value}"]
    return flags


def _letters() -> list[tuple[str, int]]:
    flags = sys.flags
    if flags.isolated:
        return [("I", 1), ("O", flags.optimize), ("B", flags.dont_write_bytecode)]
    return [
        ("E", flags.ignore_environment),
        ("s", flags.no_user_site),
        ("S", flags.no_site),
        ("O", flags.optimize),
        ("B", flags.dont_write_bytecode),
    ]


# ---------------------------------------------------------------- death


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
            return "killed because this process has no file descriptor left to take its result with (ulimit -n)"
        case "signal":
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            hint = "; perhaps by the kernel, out of memory" if number == signal.SIGKILL else ""
            return f"killed by {name}{hint} (last seen with {_mib(rss)})"
        case _:
            return f"it ended itself with exit code {exit_code}" if exit_code is not None else "how is not known"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
