"""
What travels between a lane and its worker processes: frames on a socket, large things in memory files.

A frame is a fixed head, a meta part and a body. A small object is pickled into the body. A large one goes into a memory file (memfd) that travels
beside the frame: its pickle first, then the buffers that pickle protocol 5 keeps out of band, each aligned, so that the other side can map them.
"""

import io
import mmap
import os
import pickle
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from levelpool.errors import ResultTooLarge

HEAD = struct.Struct("<BBxxIIQ")  # kind, carries a memory file, length of meta, length of body, number of the call
PARCEL = struct.Struct("<QQ")  # length of the pickle, length of the whole memory file
REPORT = struct.Struct("<dddQQ")  # start on the shared clock, run and CPU seconds, peak resident bytes, result bytes
LENGTH = struct.Struct("<Q")

# Between a lane and its fork server.
ASK = struct.Struct("<Bxxxi")  # what, number of the worker
ANSWER = struct.Struct("<BxxxiqqQ")  # what, number of the worker, process id, wait status, peak resident bytes
BEAR, KILL = 1, 2
BORN, DIED, STILLBORN = 1, 2, 3

SMALL = 64 * 1024
"""Objects whose pickle is longer than this travel in a memory file."""

STEP = 16 * 1024
PAUSE = 0.00005

# Parent to worker.
TASK, CREDIT, STOP = 1, 2, 3
# Worker to parent.
READY, DONE, FAILED, PROGRESS, LOG, ITEM, SKIPPED = 11, 12, 13, 14, 15, 16, 17

_ATOMS = frozenset({int, float, bool, type(None), complex})
_ALIGN = 64


class _OverSmallError(Exception):
    pass


@dataclass(slots=True)
class Parcel:
    """A large object in a memory file; whoever holds it closes it."""

    fd: int
    pickle_length: int
    length: int

    def close(self) -> None:
        """Give the memory back once the other side has let go too."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Frame(NamedTuple):
    """One message."""

    kind: int
    call: int
    meta: bytes
    body: bytes
    fd: int
    """The memory file that came beside it, or -1."""

    def parcel(self) -> Parcel | None:
        """The large object that came with it, if one did."""
        return Parcel(self.fd, *PARCEL.unpack(self.body)) if self.fd >= 0 else None


def pack(kind: int, call: int = 0, meta: bytes = b"", body: bytes | Parcel = b"") -> bytes:
    """The bytes of a frame; the memory file of a parcel is sent beside its first byte."""
    if isinstance(body, Parcel):
        return HEAD.pack(kind, 1, len(meta), PARCEL.size, call) + meta + PARCEL.pack(body.pickle_length, body.length)
    return HEAD.pack(kind, 0, len(meta), len(body), call) + meta + body


class Framer:
    """Cuts what a socket delivers into frames."""

    def __init__(self) -> None:
        self._buffer = b""
        self._fds: deque[int] = deque()

    def feed(self, data: bytes, fds: Sequence[int]) -> Iterator[Frame]:
        """The frames that are complete with *data*."""
        self._fds.extend(fds)
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while len(buffer) - at >= HEAD.size:
            kind, carries, meta_length, body_length, call = HEAD.unpack_from(buffer, at)
            body_at = at + HEAD.size + meta_length
            end = body_at + body_length
            if len(buffer) < end:
                break
            meta, body = buffer[at + HEAD.size : body_at], buffer[body_at:end]
            at = end
            self._buffer = buffer[at:]
            yield Frame(kind, call, meta, body, self._fds.popleft() if carries else -1)
        self._buffer = buffer[at:]

    def close(self) -> None:
        """Close the memory files that nobody took."""
        while self._fds:
            os.close(self._fds.popleft())


def receive(sock: socket.socket) -> tuple[bytes, Sequence[int]]:
    """Bytes and memory files; no bytes mean that the other side is gone."""
    data, ancillary, _, _ = sock.recvmsg(1 << 17, _FD_SPACE, _CLOEXEC)
    if not ancillary:
        return data, _NO_FDS
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.extend(struct.unpack_from(f"<{len(payload) // 4}i", payload))
    return data, fds


_NO_FDS: tuple[int, ...] = ()
_FD_SPACE = socket.CMSG_LEN(16 * 4)
_CLOEXEC = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))


# ---------------------------------------------------------------- objects to bytes


def encode(thing: object, limit: int | None = None) -> bytes | Parcel:
    """
    *thing* as bytes if it is small, else as a parcel.

    Raises what pickle raises, and `ResultTooLarge` when it takes more than *limit* bytes.
    """
    small = encode_small(thing)
    if small is None:
        return encode_large(thing, limit)
    if limit is not None and len(small) > limit:
        raise too_large(limit)
    return small


def encode_small(thing: object) -> bytes | None:
    """The pickle of *thing*, or None as soon as it turns out to be large."""
    if type(thing) in _ATOMS or _is_plain_call(thing):
        return pickle.dumps(thing, 5)
    out = _SmallOutput()
    try:
        pickle.Pickler(out, 5, buffer_callback=out.keep_in_band).dump(thing)
    except _OverSmallError:
        return None
    return b"".join(out.parts)


def _is_plain_call(thing: object) -> bool:
    """Whether *thing* is (function, args, kwargs) with nothing in it that could be large."""
    if type(thing) is not tuple or len(thing) != 3 or type(thing[0]) is not FunctionType or thing[2] or type(thing[1]) is not tuple:
        return False
    return all(type(arg) in _ATOMS or (type(arg) is str and len(arg) < 1024) for arg in thing[1])


class _SmallOutput:
    """Where a pickle goes that must stay small: gives up early, so that a large one costs the loop one frame only."""

    __slots__ = ("parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        length = memoryview(data).nbytes
        self._count(length)
        self.parts.append(bytes(data))
        return length

    def keep_in_band(self, buffer: pickle.PickleBuffer) -> bool:
        self._count(buffer.raw().nbytes)
        return True

    def _count(self, more: int) -> None:
        self.size += more
        if self.size > SMALL:
            raise _OverSmallError


def memory_file(length: int = 0) -> int:
    """A descriptor of memory that two processes can share; nothing of it is ever visible in a folder."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("levelpool", os.MFD_CLOEXEC)
    else:
        path = Path(f"/tmp/levelpool-{os.getpid()}-{time.monotonic_ns()}")  # noqa: S108 - made for us alone, and gone in two lines
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        path.unlink()
    if length:
        os.ftruncate(fd, length)
    return fd


def encode_large(thing: object, limit: int | None = None, *, pause: float = 0.0) -> Parcel:
    """
    *thing* in a memory file.

    With *pause* (seconds) it rests between small steps, so that an event loop in the same process is never kept waiting.
    """
    fd = memory_file()
    try:
        out = _FileOutput(fd, limit, pause)
        pickle.Pickler(out, 5, buffer_callback=out.keep_aside).dump(thing)
        pickle_length = out.length
        views = [buffer.raw() for buffer in out.aside]
        out.write(LENGTH.pack(len(views)) + b"".join(LENGTH.pack(view.nbytes) for view in views))
        for view in views:
            out.length = -(-out.length // _ALIGN) * _ALIGN
            out.write(view)
        os.ftruncate(fd, out.length)
    except BaseException:
        os.close(fd)
        raise
    return Parcel(fd, pickle_length, out.length)


class _FileOutput:
    """
    A memory file as the target of a pickle.

    Its `write` is Python on purpose: there the pickler, which otherwise keeps the interpreter lock from the first to the last byte, gives it away.
    """

    __slots__ = ("_aside_size", "_fd", "_limit", "_pause", "aside", "length")

    def __init__(self, fd: int, limit: int | None, pause: float) -> None:
        self._fd = fd
        self._limit = limit
        self._pause = pause
        self._aside_size = 0
        self.aside: list[pickle.PickleBuffer] = []
        self.length = 0

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        written = 0
        self._check(view.nbytes)
        while written < view.nbytes:
            written += os.pwrite(self._fd, view[written : written + (64 << 20)], self.length + written)
        self.length += written
        if self._pause:
            time.sleep(self._pause)
        return written

    def keep_aside(self, buffer: pickle.PickleBuffer) -> bool:
        self.aside.append(buffer)
        self._aside_size += buffer.raw().nbytes
        self._check(0)
        return False

    def _check(self, more: int) -> None:
        if self._limit is not None and max(self.length + more, self._aside_size) > self._limit:
            raise too_large(self._limit)


def too_large(limit: int) -> ResultTooLarge:
    """The refusal of a result over the limit."""
    return ResultTooLarge(
        f"the result is over {limit} bytes (max_result_bytes): return less, stream it, or write it to a file and return the path"
    )


# ---------------------------------------------------------------- bytes to objects


class MissingModuleError(Exception):
    """Reading this pickle would import a module, which takes too long for an event loop."""


class _Unpickler(pickle.Unpickler):
    """An unpickler that asks *found* before it resolves a global."""

    def __init__(self, file: Any, found: Callable[[str], None] | None, buffers: list[memoryview] | None = None) -> None:
        super().__init__(file, buffers=buffers)
        self._found = found

    def find_class(self, module: str, name: str) -> Any:
        if self._found is not None:
            self._found(module)
        return super().find_class(module, name)


def refuse_missing_module(module: str) -> None:
    """For reading on an event loop: nothing is imported there."""
    if module not in sys.modules:
        raise MissingModuleError(module)


def decode_small(data: bytes, found: Callable[[str], None] | None = None) -> Any:
    """The object of a small pickle; *found* is asked for each module that it names."""
    # Without this opcode a pickle of protocol 5 names no global, so nothing can be imported.
    if b"\x93" not in data or found is None:
        return pickle.loads(data)  # noqa: S301 - from our own worker
    return _Unpickler(io.BytesIO(data), found).load()


def decode_large(parcel: Parcel, found: Callable[[str], None] | None = None, *, pause: float = 0.0) -> Any:
    """The object of a parcel, whose buffers stay mapped and are writable; closes it."""
    try:
        buffers = _map_buffers(parcel)
        return _Unpickler(_Steps(parcel, pause), found, buffers).load()
    finally:
        parcel.close()


def _map_buffers(parcel: Parcel) -> list[memoryview]:
    if parcel.length <= parcel.pickle_length + LENGTH.size:
        return []
    mapped = memoryview(mmap.mmap(parcel.fd, parcel.length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE))
    at = parcel.pickle_length
    count = LENGTH.unpack_from(mapped, at)[0]
    lengths = [LENGTH.unpack_from(mapped, at + LENGTH.size * (1 + i))[0] for i in range(count)]
    at += LENGTH.size * (1 + count)
    buffers = []
    for length in lengths:
        at = -(-at // _ALIGN) * _ALIGN
        buffers.append(mapped[at : at + length])
        at += length
    return buffers


class _Steps:
    """The pickle of a parcel as a file whose methods are Python: between two frames another thread may have the interpreter lock."""

    __slots__ = ("_at", "_end", "_fd", "_pause")

    def __init__(self, parcel: Parcel, pause: float) -> None:
        self._fd = parcel.fd
        self._end = parcel.pickle_length
        self._at = 0
        self._pause = pause

    def read(self, count: int) -> bytes:
        self._rest(count)
        data = os.pread(self._fd, min(count, self._end - self._at), self._at)
        self._at += len(data)
        return data

    def readinto(self, target: Any) -> int:
        self._rest(STEP)
        view = memoryview(target)
        got = os.preadv(self._fd, [view[: self._end - self._at]], self._at)
        self._at += got
        return got

    def readline(self) -> bytes:
        window = os.pread(self._fd, min(4096, self._end - self._at), self._at)
        line = window[: window.find(b"\n") + 1] or window
        self._at += len(line)
        return line

    def _rest(self, count: int) -> None:
        if self._pause and count >= STEP:
            time.sleep(self._pause)
