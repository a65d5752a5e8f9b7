"""How this program starts another Python for its fork server: which executable, which options; also where the program itself is no Python, or is frozen."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

_PYTHON = re.compile(r"python|pypy|graalpy", re.IGNORECASE)
"""In the names of interpreters."""

_LONGEST_VARIABLE = 100_000
"""The kernel takes no variable of 128 KiB or more at the start of a program; the preparation carries it in any case."""

OWN_START = "--multiprocessing-fork"
"""The argument by which `multiprocessing.freeze_support()` in a frozen program knows that it is to become a helper process."""


class NoInterpreterError(OSError):
    """There is nothing that a fork server could be started with; the message says what to do."""


def start_interpreter(arguments: list[str], fds: tuple[int, ...], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """The process of *arguments*, as `interpreter_arguments` makes them, with these descriptors; raises OSError."""
    return subprocess.Popen(  # noqa: S603 - this interpreter, with our own code
        arguments,
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in environment.items() if len(name) + len(value) < _LONGEST_VARIABLE},
        # Out of the terminal's group: Ctrl-C is for the serving process, which then ends its workers.
        process_group=0,
    )


def interpreter_arguments(code: str) -> list[str]:
    """What to start so that *code* runs in an interpreter like this one. Raises `NoInterpreterError`."""
    return [_interpreter(), *_flags(), "-c", code]


def is_frozen() -> bool:
    """Whether this program carries its own interpreter, which runs nothing but it, and no other one was named."""
    named = _named_executable()
    return bool(getattr(sys, "frozen", False)) and (named is None or named == sys.executable)


def frozen_arguments(fd: int) -> list[str]:
    """What to start so that `multiprocessing.freeze_support()` of this frozen program runs the pickle that is read from *fd*."""
    return [sys.executable, OWN_START, f"pipe_handle={fd}"]


FORGOT_FREEZE_SUPPORT = (
    "this frozen program was started to be a fork server, and ran its own code instead: "
    'call multiprocessing.freeze_support() first thing under `if __name__ == "__main__":`'
)


def _interpreter() -> str:
    """`multiprocessing.set_executable` has the first word; then `sys.executable`, if it is a Python; then the one that this prefix has."""
    named = _named_executable()
    if named is not None and named != sys.executable:
        return named
    if sys.executable and any(_PYTHON.search(os.path.basename(path)) for path in (sys.executable, os.path.realpath(sys.executable))):  # noqa: PTH119 - see below
        return sys.executable
    for prefix in (sys.exec_prefix, sys.base_exec_prefix):
        # Plain paths: importing pathlib for this would cost every program.
        path = f"{prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        if os.access(path, os.X_OK):
            return path
    raise NoInterpreterError(
        f"the program {sys.executable or '(without a name)'} is no Python interpreter, and there is none in {sys.exec_prefix}/bin: "
        "name one with multiprocessing.set_executable(...)"
    )


def _named_executable() -> str | None:
    """What `multiprocessing.set_executable` was given; what this program found for itself where it was given nothing."""
    spawn = sys.modules.get("multiprocessing.spawn")
    named = spawn.get_executable() if spawn is not None else None
    return os.fsdecode(named) if named else None


def _flags() -> list[str]:
    """The options of this interpreter that change how code behaves."""
    flags = ["-" + letter * count for letter, count in _letters() if count]
    flags += [f"-W{option}" for option in sys.warnoptions]
    for name, value in sys._xoptions.items():  # noqa: SLF001 - documented, in spite of its name
        flags += ["-X", name if value is True else f"{name}={value}"]
    return flags


def _letters() -> list[tuple[str, int]]:
    flags = sys.flags
    common = [
        ("O", flags.optimize),
        ("B", flags.dont_write_bytecode),
        ("b", flags.bytes_warning),
        ("u", is_unbuffered(sys.__stdout__)),
    ]
    if flags.isolated:
        return [("I", 1), *common]
    return [
        ("E", flags.ignore_environment),
        ("s", flags.no_user_site),
        ("S", flags.no_site),
        ("P", flags.safe_path),
        *common,
    ]


def is_unbuffered(stream: Any) -> bool:
    """Whether *stream* is as `python -u` makes it."""
    return isinstance(getattr(stream, "buffer", None), io.RawIOBase)
