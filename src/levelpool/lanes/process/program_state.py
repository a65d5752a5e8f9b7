"""
What a worker process has in common with the program that it works for, as the program is when the worker starts.

The fork server gets it when it is started; a worker that is forked later, when something has changed, gets it once more and takes over what has.
Whatever a preloaded module has changed in the fork server, and the program has not, stays as it is.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from levelpool.lanes.process.after_import import after_import
from levelpool.lanes.process.log_levels import apply_levels, log_levels

State = dict[str, Any]
"""Only what JSON can carry."""


def program_state(environment: Mapping[str, str]) -> State:
    """What this program is now; *environment* is what its workers are to have."""
    return {
        **_main_program(),
        "argv": _texts(getattr(sys, "argv", [""])),
        "path": _search_path(sys.path),
        "environment": dict(environment),
        "folder": _folder(),
        "umask": _umask(),
        "logging": log_levels(),
        "authkey": _authkey(),
        "output": [_stream(sys.stdout, sys.__stdout__, 1), _stream(sys.stderr, sys.__stderr__, 2)],
    }


def as_bytes(state: Mapping[str, object]) -> bytes:
    """*state* as a file holds it."""
    return json.dumps(state).encode()


def as_text(value: object) -> str:
    """A path, bytes or anything else as the text of an argument or a variable."""
    return os.fsdecode(value) if isinstance(value, str | bytes | os.PathLike) else str(value)


def _search_path(entries: Iterable[object]) -> list[str]:
    # Python itself passes over whatever is no text in it.
    return [str(each) for each in entries if isinstance(each, str)]


def _texts(values: Any) -> list[str]:
    return [as_text(each) for each in values]


def _main_program() -> State:
    main = sys.modules.get("__main__")
    # Here and there the main program must answer to the name under which workers know it.
    if main is not None:
        sys.modules.setdefault("__mp_main__", main)
    spec_name = getattr(getattr(main, "__spec__", None), "name", None)
    # `python folder` has a spec, but the name in it is that of every program.
    if isinstance(spec_name, str) and spec_name != "__main__":
        return {"main_name": spec_name, "main_path": None}
    # `python app.pyz`: the file of its main module lies within the archive, which Python runs as a whole.
    path = getattr(getattr(main, "__loader__", None), "archive", None) or getattr(main, "__file__", None)
    is_there = isinstance(path, str | os.PathLike) and os.path.exists(path)  # noqa: PTH110 - importing pathlib costs more than all of this
    with contextlib.suppress(OSError):  # a relative path, and no folder that it is relative to
        return {"main_name": None, "main_path": os.path.abspath(as_text(path)) if is_there else None}  # noqa: PTH100 - as above
    return {"main_name": None, "main_path": None}


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - as above
    except OSError:
        return None


def _authkey() -> str:
    """What opens the managers of multiprocessing that the program starts: proxies of their objects are ordinary arguments."""
    from multiprocessing.process import current_process  # noqa: PLC0415 - only for a program that starts workers

    return bytes(current_process().authkey).hex()


def _umask() -> int | None:
    """Read where it can be: `os.umask` tells it by setting another one, for all threads."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status", "rb") as status:  # noqa: PTH123 - as above
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return None


def _stream(now: Any, first: Any, fd: int) -> State | None:
    """How an output of the program is written, if it goes where that of a worker goes."""
    for stream in (now, first):
        # A program may have put anything in its place.
        with contextlib.suppress(Exception):
            if stream.fileno() == fd:
                return {name: getattr(stream, name) for name in _STREAM}
    return None


_STREAM = ("encoding", "errors", "line_buffering", "write_through")


# ---------------------------------------------------------------- in the fork server and in workers


def take_over(state: State, before: State) -> None:
    """Make of this process, which was made after *before*, one that was made after *state*."""
    if state["argv"] != before["argv"]:
        sys.argv[:] = state["argv"]
    if state["path"] != before["path"]:
        added = [each for each in sys.path if each not in before["path"] and each not in state["path"]]
        sys.path[:] = [*state["path"], *added]
        importlib.invalidate_caches()
    take_over_environment(state["environment"], before["environment"])
    if state["folder"] != before["folder"] and state["folder"] is not None:
        os.chdir(state["folder"])
    if state["umask"] != before["umask"] and state["umask"] is not None:
        os.umask(state["umask"])
    if state["output"] != before["output"]:
        set_output(state["output"])
    if state["authkey"] != before["authkey"]:
        set_authkey(state["authkey"])
    apply_levels(state["logging"], before["logging"])


def complete_environment(wanted: Mapping[str, str]) -> None:
    """Set in a new process what it was not started with. What its interpreter has set by itself stays."""
    take_over_environment(wanted, {name: value for name, value in os.environ.items() if name in wanted})


def take_over_environment(now: Mapping[str, str], before: Mapping[str, str]) -> None:
    """What has changed in the program's environment changes in this one's."""
    for name in before.keys() - now.keys():
        os.environ.pop(name, None)
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    os.environ.update(changed)
    if ("TZ" in changed or ("TZ" in before and "TZ" not in now)) and hasattr(time, "tzset"):
        time.tzset()


def set_authkey(key: str) -> None:
    """Let what a task does with multiprocessing be of the program's family, if a task ever does anything with it."""
    after_import("multiprocessing.process", lambda module: setattr(module.current_process(), "authkey", bytes.fromhex(key)))


def set_output(streams: list[State | None]) -> None:
    """Write outputs as the program writes its own."""
    for stream, wanted in zip((sys.stdout, sys.stderr), streams, strict=True):
        if wanted is None or all(getattr(stream, name, None) == value for name, value in wanted.items()):
            continue
        # A stream that was closed, or that a preloaded module has put there.
        with contextlib.suppress(AttributeError, ValueError, OSError, LookupError):
            stream.reconfigure(**wanted)  # type: ignore[union-attr]
