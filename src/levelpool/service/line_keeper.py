"""
A small process that keeps the life-lines of web workers open for some seconds after their supervisor has gone, so that they can drain.

It is started by its path, without levelpool: all it does is to hold descriptors. Each arrives through its socket to the supervisor.
When that socket closes it waits until the workers have gone, or the seconds are over; it ends, and the kernel kills what is left of them.
"""

import os
import select
import socket
import sys
import time


def keep(control: socket.socket, seconds: float) -> None:
    """Hold what comes through *control*, and let go of it *seconds* after *control* has closed, or as soon as nobody is at the other ends."""
    lines: set[int] = set()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    end = None
    while end is None or (lines and time.monotonic() < end):
        for descriptor, _ in poll.poll(None if end is None else max(0.0, 1000 * (end - time.monotonic()))):
            if descriptor in lines:
                poll.unregister(descriptor)
                lines.remove(descriptor)
                os.close(descriptor)
                continue
            data, arrived, _, _ = socket.recv_fds(control, 1, 1)
            for line in arrived:
                lines.add(line)
                poll.register(line, 0)  # nothing but its end
            if not data:
                poll.unregister(control)
                end = time.monotonic() + seconds


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as supervisor:
        keep(supervisor, float(sys.argv[2]))
