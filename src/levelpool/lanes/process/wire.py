"""
What travels on the socket between a lane and a worker process: frames.

A frame is a fixed head, a function_ref (which function), a meta part and a body. A memory file may travel beside it; what is in it stands in `memfd_payload`.
"""

import errno
import fcntl
import functools
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from levelpool.lanes.process.memfd_payload import MemfdPayload

HEAD = struct.Struct("<BBHIIQ")  # kind, carries a memory file, lengths of function reference, meta and body, number of the call
MEMFD = struct.Struct("<QQ")  # length of the pickle, length of the whole memory file
REPORT = struct.Struct("<dddQQ")  # start on the shared clock, run and CPU seconds, peak resident bytes, result bytes

_HEAD_SIZE = HEAD.size
_READ = 32 * 1024
"""Bytes read at once; beyond 128 KiB each read would cost a mapping of its own."""

# Between a lane and its fork server.
ASK = struct.Struct("<Bxxxi")  # what, number of the worker
ANSWER = struct.Struct(
    "<BxxxiqqQ"
)  # what, number of the worker, process id, wait status or error number, peak resident bytes or length of the text behind it
SPAWN, KILL, DUMP_STACK, SPAWN_CHANGED = 1, 2, 3, 4
SPAWN_FDS = 4
"""Descriptors that a worker is given: its socket, its life-line, its shared flags, and the file for its stack. With `SPAWN_CHANGED` a fifth: the program's state."""
SPAWNED, DIED, SPAWN_FAILED, START_FAILED, PRELOADS, STARTED, WARNING = 1, 2, 3, 4, 5, 6, 7
WITH_TEXT = frozenset({START_FAILED, PRELOADS, WARNING})
"""Answers with a text: why it cannot start, what it is about to import, what somebody should know."""

# Parent to worker.
TASK, CREDIT, STOP, LEVELS = 1, 2, 3, 4
# Worker to parent.
READY, DONE, FAILED, PROGRESS, LOG, ITEM, SKIPPED, TRACK = 11, 12, 13, 14, 15, 16, 17, 18


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """
    Two connected sockets that block, whatever time limit this program gives new sockets, and whose numbers are above those of the standard streams.

    A number below 3 is free in a program that has closed one of these, and lost in the one that it starts.
    """
    pair = socket.socketpair()
    for each in pair:
        each.settimeout(None)
    ours, theirs = (_above_standard_streams(each) for each in pair)
    return ours, theirs


def _above_standard_streams(sock: socket.socket) -> socket.socket:
    if sock.fileno() > _STDERR:
        return sock
    with sock:
        return adopted_socket(fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1))


_STDERR = 2


def adopted_socket(fd: int) -> socket.socket:
    """The socket of an inherited descriptor; it blocks, whatever time limit this program gives new sockets."""
    sock = socket.socket(fileno=fd)
    sock.settimeout(None)
    return sock


class Frame(NamedTuple):
    """One message."""

    kind: int
    call: int
    function_ref: bytes
    meta: bytes
    body: bytes
    memfd: MemfdPayload | None
    """The large object that came beside it, if one did; it is closed when the frame is dropped."""


_frame = functools.partial(tuple.__new__, Frame)
"""A frame of its parts; the class itself takes twice as long, and there are two frames in each call."""


def pack(kind: int, call: int = 0, meta: bytes = b"", body: bytes | MemfdPayload = b"", function_ref: bytes = b"") -> bytes:
    """The bytes of a frame; the memory file of a large body is sent beside its first byte."""
    if isinstance(body, MemfdPayload):
        head = HEAD.pack(kind, 1, len(function_ref), len(meta), MEMFD.size, call)
        return head + function_ref + meta + MEMFD.pack(body.pickle_length, body.length)
    return HEAD.pack(kind, 0, len(function_ref), len(meta), len(body), call) + function_ref + meta + body


class Framer:
    """Cuts what a socket delivers into frames."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = _HEAD_SIZE
        self._fds: deque[int] = deque()

    def feed(self, data: bytes, fds: Sequence[int]) -> list[Frame]:
        """The frames that are complete with *data*."""
        if fds:
            self._fds.extend(fds)
        if self._parts:
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return []
            data = b"".join(self._parts)
        size = len(data)
        frames, at, needed = [], 0, _HEAD_SIZE
        while size - at >= _HEAD_SIZE:
            kind, carries, function_ref_length, meta_length, body_length, call = HEAD.unpack_from(data, at)
            function_ref_at = at + _HEAD_SIZE
            meta_at = function_ref_at + function_ref_length
            body_at = meta_at + meta_length
            end = body_at + body_length
            if size < end:
                needed = end - at
                break
            body = data[body_at:end]
            memfd = MemfdPayload(self._fds.popleft(), *MEMFD.unpack(body)) if carries else None
            frames.append(_frame((kind, call, data[function_ref_at:meta_at], data[meta_at:body_at], body, memfd)))
            at = end
        if at < size or self._parts:
            self._parts, self._size, self._needed = [data[at:]] if at < size else [], size - at, needed
        return frames

    def close(self) -> None:
        """Close the memory files that nobody took."""
        while self._fds:
            os.close(self._fds.popleft())


class NoDescriptorsLeft(OSError):
    """The other side sent a memory file, and this process can open no more files: the file is lost, and with it what it was."""


def receive(sock: socket.socket) -> tuple[bytes, Sequence[int]]:
    """Bytes and memory files; no bytes mean that the other side is gone."""
    data, ancillary, flags, _ = sock.recvmsg(_READ, _FD_SPACE, _CLOEXEC)
    if flags & _TRUNCATED:
        raise NoDescriptorsLeft(errno.EMFILE, os.strerror(errno.EMFILE))
    if not ancillary:
        return data, _NO_FDS
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.extend(struct.unpack_from(f"<{len(payload) // 4}i", payload))
    return data, fds


_NO_FDS: tuple[int, ...] = ()
_FD_SPACE = socket.CMSG_LEN(16 * 4)
# As plain numbers: those of `socket` are enumerations, and an operation on them costs as much as the whole call.
_TRUNCATED = int(socket.MSG_CTRUNC)
_CLOEXEC = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
