"""What a worker's task is at this moment: its Python stack, written by a signal handler in C, so also where the task holds the interpreter lock."""

import faulthandler
import linecache
import os
import re
import signal

from levelpool.lanes.process.memfd_payload import memory_file

SIGNAL = signal.SIGURG
"""A process that knows nothing of it ignores it: looking never kills."""

_FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)')
_HEAD = "Stack (most recent call first):\n"
_ENDS = ("in <module>\n", "  ...\n")
"""The last line of a whole stack, or of one that is too deep to be written down."""

_OURS = "_outcome"
"""The innermost of our own functions below every task."""

_MOST_BYTES = 64 * 1024


def dump_on_signal(fd: int) -> None:
    """In the worker: write the stack of the main thread to *fd* whenever `SIGNAL` comes."""
    faulthandler.register(SIGNAL, file=fd, all_threads=False)


class StackDump:
    """The lane's side: the memory file that one worker writes its stack to."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = memory_file()

    def fileno(self) -> int:
        """The descriptor to hand to the worker; both sides share its position."""
        return self._fd

    def clear(self) -> None:
        """Make room for a new answer."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)

    def read(self) -> str:
        """What the worker has written so far; see `stack_in`."""
        return os.pread(self._fd, _MOST_BYTES, 0).decode("ascii", "replace")

    def close(self) -> None:
        """Give the memory back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def stack_in(text: str) -> tuple[str, ...] | None:
    """The frames of the task in a worker's answer, if that is there and whole; looks for their source lines in files."""
    _, head, last = text.rpartition(_HEAD)
    if not head or not last.endswith(_ENDS):
        return None
    frames = [found.groups() for found in map(_FRAME.fullmatch, last.splitlines()) if found][::-1]
    names = [name for _, _, name in frames]
    return tuple(_line(*frame) for frame in frames[names.index(_OURS) + 1 if _OURS in names else 0 :])


def _line(path: str, number: str, name: str) -> str:
    source = linecache.getline(path, int(number)).strip()
    return f"{path}:{number} in {name}" + (f": {source}" if source else "")
