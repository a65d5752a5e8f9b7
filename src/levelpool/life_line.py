"""The life-line: a socket at whose other end stands whoever this process must not outlive."""

import fcntl
import os
import select
import signal
import socket


def arm_life_line(line: socket.socket) -> None:
    """
    Have the kernel kill this process the moment the other end of *line* is closed.

    A death signal of the parent (`PR_SET_PDEATHSIG`) would follow the fork server, not the lane's process; and reading the line would need
    a thread that gets the interpreter lock, which code in C may never give away. Where the kernel has no
    such signal (macOS), only a line that is closed already ends this process.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    # It may have been closed before it was armed.
    ready = select.poll()
    ready.register(line, select.POLLIN)
    if ready.poll(0):
        os._exit(0)
