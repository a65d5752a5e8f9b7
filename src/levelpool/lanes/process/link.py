"""The lane's end of one worker process: its socket, its life-line, the flags that both see, and what is on the way to it."""

import asyncio
import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Callable

from levelpool.lanes.call import Call
from levelpool.lanes.lane_loop import LaneLoop, close_on
from levelpool.lanes.process.fork_server_client import ForkServerClient
from levelpool.lanes.process.log_levels import levels_version
from levelpool.lanes.process.memfd_payload import SMALL
from levelpool.lanes.process.shared_flags import SharedFlags
from levelpool.lanes.process.stack_dump import StackDump
from levelpool.lanes.process.wire import Frame, Framer, NoDescriptorsLeft, receive, socket_pair

_STATM_UNIT = os.sysconf("SC_PAGE_SIZE")

Listener = Callable[["Link", socket.socket], None]


class Link:
    """One worker, as its lane knows it. Its lane calls it under the lane's lock."""

    __slots__ = (
        "_framer",
        "_lane_loop",
        "_listener",
        "_lock",
        "_outgoing",
        "cause",
        "flags",
        "fork_server",
        "levels",
        "line",
        "number",
        "pid",
        "rss",
        "sent",
        "stack_dump",
        "status",
        "taken",
        "talk",
    )

    def __init__(
        self, number: int, fork_server: ForkServerClient, *, lock: threading.RLock, lane_loop: LaneLoop, listener: Listener
    ) -> None:
        """Ask *fork_server* for the worker; *listener* is called in the lane's loop when it has said something. Raises OSError if it cannot be asked."""
        self.number = number
        self.fork_server = fork_server
        self._lock = lock
        self._lane_loop = lane_loop
        self._listener = listener
        self._framer = Framer()
        self._outgoing: deque[tuple[bytes, int]] = deque()
        self.sent: dict[int, Call] = {}
        """What was sent to it and has not ended."""
        self.taken: dict[int, float] = {}
        """What was taken back from it, and when; until it is known whether it had begun."""
        self.pid = 0
        self.status: int | None = None
        self.cause: str | None = None
        """Why the lane killed it, if it did."""
        self.rss = 0
        self.levels = levels_version()
        """The log levels that it has heard of."""
        self.talk: socket.socket | None = None
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            talk, their_talk = socket_pair()
            ours.enter_context(talk)
            theirs.enter_context(their_talk)
            self.line, their_line = socket_pair()
            ours.enter_context(self.line)
            theirs.enter_context(their_line)
            flags_file = SharedFlags.file()
            theirs.callback(os.close, flags_file)
            self.stack_dump = StackDump()
            ours.callback(self.stack_dump.close)
            fork_server.spawn(number, (their_talk.fileno(), their_line.fileno(), flags_file, self.stack_dump.fileno()))
            self.flags = SharedFlags(flags_file)
            ours.pop_all()
        talk.setblocking(False)
        self._listen(talk)

    def _listen(self, talk: socket.socket) -> None:
        self.talk = talk
        self._lane_loop.watch(talk, self._listener, self, talk)

    # ------------------------------------------------------------ to the worker

    def send(self, data: bytes, fd: int = -1) -> None:
        """Send a frame, and a memory file beside it; what the socket does not take now goes out as soon as it does."""
        talk = self.talk
        if talk is None:
            return
        if not self._outgoing:
            try:
                sent = talk.send(data) if fd < 0 else socket.send_fds(talk, [data], [fd])
            except BlockingIOError:
                sent = 0
            except ConnectionError:
                # It is gone, which is noticed elsewhere.
                return
            except OSError:
                # The kernel passes no more memory files on.
                self.kill("descriptors")
                return
            if sent == len(data):
                return
            data, fd = data[sent:], -1 if sent else fd
            self._lane_loop.watch_writing(talk, self._on_writable, talk)
        try:
            held = os.dup(fd) if fd >= 0 else -1
        except OSError:
            # Half of what it needs has gone already.
            self.kill("descriptors")
            return
        self._outgoing.append((data, held))

    def send_soon(self, data: bytes) -> None:
        """Send with whatever else comes in this turn of the loop: the worker is busy anyway, and a system call costs more than a no-op."""
        talk, loop = self.talk, self._lane_loop.loop
        if not self._outgoing and loop is not None and talk is not None:
            if not self._lane_loop.is_here:
                self.send(data)
                return
            loop.call_soon(self._on_writable, talk)
        self._outgoing.append((data, -1))

    def _on_writable(self, talk: socket.socket) -> None:
        with self._lock:
            if self.talk is not talk:
                return
            while self._outgoing:
                data, fd = self._outgoing.popleft()
                while fd < 0 and self._outgoing and self._outgoing[0][1] < 0 and len(data) < SMALL:
                    data += self._outgoing.popleft()[0]
                sent = _send_some(talk, data, fd)
                if fd >= 0 and sent:
                    os.close(fd)
                    fd = -1
                if sent < len(data):
                    self._outgoing.appendleft((data[sent:], fd))
                    self._lane_loop.watch_writing(talk, self._on_writable, talk)
                    return
            if self._lane_loop.loop is not None:
                self._lane_loop.loop.remove_writer(talk.fileno())

    # ------------------------------------------------------------ from the worker

    def hear(self) -> list[Frame] | None:
        """What came since the last time; None when the worker has closed its end."""
        if self.talk is None:
            return None
        try:
            data, fds = receive(self.talk)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        except NoDescriptorsLeft:
            # Which frame lost its file cannot be told any more.
            self.kill("descriptors")
            return None
        return self._framer.feed(data, fds) if data else None

    def has_word(self) -> bool:
        """Whether there is something to hear."""
        if self.talk is None:
            return False
        try:
            return bool(self.talk.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def read_rss(self) -> int:
        """Its resident bytes now, or as last seen."""
        if self.pid:
            with contextlib.suppress(OSError, IndexError, ValueError):
                self.rss = int(_read(f"/proc/{self.pid}/statm").split()[1]) * _STATM_UNIT
        return self.rss

    def ask_for_stack(self) -> None:
        """Have it write down what its task does; `stack_dump` has it a moment later."""
        self.stack_dump.clear()
        self.fork_server.dump_stack(self.number)

    # ------------------------------------------------------------ moves and ends

    def move(self, left: asyncio.AbstractEventLoop) -> None:
        """Follow the lane, which has left the loop *left*: the socket gets a new descriptor, for the old loop lets go of the old one when it comes to it."""
        if self.talk is not None:
            old, new = self.talk, self.talk.dup()
            new.setblocking(False)
            close_on(left, old)
            self._listen(new)
            if self._outgoing:
                self._lane_loop.watch_writing(new, self._on_writable, new)

    def kill(self, cause: str) -> None:
        """Kill it: the kernel does when the life-line is closed; the fork server is asked too, where there is no such line."""
        self.cause = self.cause or cause
        self.read_rss()
        self.line.close()
        if self.fork_server.is_open:
            self.fork_server.kill(self.number)
        elif self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)

    def hang_up(self) -> None:
        """Close the socket; what was on the way is lost."""
        talk, self.talk = self.talk, None
        if talk is not None:
            self._lane_loop.close(talk)

    def close(self) -> None:
        """Release everything; the worker is gone."""
        self.hang_up()
        self.line.close()
        self.flags.close()
        self.stack_dump.close()
        self._framer.close()
        while self._outgoing:
            fd = self._outgoing.popleft()[1]
            if fd >= 0:
                os.close(fd)

    def after_fork_in_child(self) -> None:
        """Let go in a forked child, without a word to anybody."""
        self.line.close()
        if self.talk is not None:
            self.talk.close()
        self.flags.close()
        self.stack_dump.close()


def _send_some(talk: socket.socket, data: bytes, fd: int) -> int:
    """How many bytes the socket took; all of them if the other side is gone, whose death is noticed elsewhere."""
    try:
        return talk.send(data) if fd < 0 else socket.send_fds(talk, [data], [fd])
    except BlockingIOError:
        return 0
    except ConnectionError:
        return len(data)


def _read(path: str) -> bytes:
    """A short file of the kernel."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
