"""
Objects as bytes, and back: small ones as a pickle, large ones as a memfd.

A memfd is a memory file (memfd): the pickle first, then the buffers that pickle protocol 5 keeps out of band, each aligned, so that the other side
can map them.
"""

import contextlib
import copyreg
import errno
import fcntl
import io
import mmap
import os
import pickle
import struct
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from levelpool.errors import ResultTooLarge
from levelpool.lanes.process.room import no_room

SMALL = 64 * 1024
"""Objects whose pickle is longer than this travel in a memory file."""

STEP = 256 * 1024
"""Bytes of a pickle after which a helper thread of a lane rests."""

PAUSE = 0.00005
"""Seconds of such a rest: an event loop in the same process gets its turn, which takes a step's time at most."""

HEAVY = 1 << 20
"""Bytes from which on it is felt when a memory file is given back."""

Apart = Callable[[Callable[[], None]], None]
"""Runs a function in another thread."""

_LENGTH = struct.Struct("<Q")
_ATOMS = frozenset({int, float, bool, type(None), complex})
_TEXTS = frozenset({str, bytes})
_BOXES = frozenset({tuple, dict})
_ALIGN = 64


class _OverSmallError(Exception):
    pass


@dataclass(slots=True)
class MemfdPayload:
    """A large object in a memory file; whoever holds it closes it, at the latest by dropping it."""

    fd: int
    pickle_length: int
    length: int
    digest: bytes | None = None
    """Of every byte in it, where somebody had to know."""

    def close(self) -> None:
        """Give the memory back once the other side has let go too."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    def duplicate(self) -> "MemfdPayload":
        """A second one on the same memory, to be closed by itself."""
        return MemfdPayload(os.dup(self.fd), self.pickle_length, self.length, self.digest)

    def take_digest(self) -> None:
        """Know what is in it: a second for each gigabyte, without the interpreter lock."""
        import hashlib  # noqa: PLC0415 - for large arguments of a lane that judges calls only

        if self.digest is None:
            digest, at = hashlib.blake2b(digest_size=32), 0
            while block := os.pread(self.fd, STEP, at):
                digest.update(block)
                at += len(block)
            self.digest = digest.digest()


# ---------------------------------------------------------------- objects to bytes


def encode(thing: object, limit: int | None = None) -> bytes | MemfdPayload:
    """
    *thing* as bytes if it is small, else as a memfd.

    Raises what pickle raises, `ResultTooLarge` when it takes more than *limit* bytes, and `NoRoom` when there is none for so many.
    """
    small = encode_small(thing)
    if small is None:
        return encode_large(thing, limit)
    if limit is not None and len(small) > limit:
        raise too_large(limit)
    return small


def encode_small(thing: object) -> bytes | None:
    """The pickle of *thing*, or None as soon as it turns out to be large."""
    if _is_tiny(thing):
        return pickle.dumps(thing, 5)
    out = _SmallOutput()
    try:
        _pickler(out, out.keep_in_band).dump(thing)
    except _OverSmallError:
        return None
    return b"".join(out.parts)


def _is_tiny(thing: object, depth: int = 2) -> bool:
    """Whether *thing* cannot be large: a few plain values, perhaps in a tuple or a dict."""
    if type(thing) in _ATOMS:
        return not isinstance(thing, int) or thing.bit_length() < 8192
    if isinstance(thing, str | bytes):
        return len(thing) < 1024 and type(thing) in _TEXTS
    if not depth or type(thing) not in _BOXES:
        return False
    if isinstance(thing, dict):
        return len(thing) <= 8 and all(_is_tiny(part, depth - 1) for item in thing.items() for part in item)
    parts: Collection[object] = thing  # type: ignore[assignment]
    return len(parts) <= 8 and all(_is_tiny(part, depth - 1) for part in parts)


def _pickler(out: "_SmallOutput | _FileOutput", keep: Callable[[pickle.PickleBuffer], bool]) -> pickle.Pickler:
    pickler = pickle.Pickler(out, 5, buffer_callback=keep)
    array = getattr(sys.modules.get("numpy"), "ndarray", None)
    if array is not None:
        pickler.dispatch_table = {**copyreg.dispatch_table, array: _reduce_array}
    return pickler


def _reduce_array(array: Any) -> Any:
    """What arrives belongs to the receiver; an array that nobody may write to would arrive as such, so a copy of it travels."""
    return (array if array.flags.writeable or array.dtype.hasobject else array.copy("K")).__reduce_ex__(5)


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
    """A descriptor of memory that two processes can share; nothing of it is ever visible in a folder. Raises OSError when there is no room."""
    fd = _new_memory_file()
    if length:
        try:
            os.ftruncate(fd, length)
        except BaseException:
            os.close(fd)
            raise
    return fd


def memory_file_of(data: bytes) -> int:
    """A memory file that holds *data*, to be read from its beginning."""
    fd = memory_file()
    try:
        _write_all(fd, memoryview(data), 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _new_memory_file() -> int:
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("levelpool", os.MFD_CLOEXEC)
        except OSError as error:
            # An old kernel, or a sandbox that does not know the call.
            if error.errno not in _NO_MEMFD:
                raise
    return _unnamed_file()


_NO_MEMFD = frozenset({errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP})


def _unnamed_file() -> int:
    """A file without a name, in memory where the system has a folder for that, else wherever temporary files may be."""
    import tempfile  # noqa: PLC0415 - only where there is no memfd, and importing it costs more than all of this file

    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir="/dev/shm", buffering=0) as file:
        return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 0)
    with tempfile.TemporaryFile(buffering=0) as file:
        return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 0)


def _write_all(fd: int, view: memoryview, at: int) -> int:
    written = 0
    while written < view.nbytes:
        written += os.pwrite(fd, view[written : written + (64 << 20)], at + written)
    return written


def encode_large(thing: object, limit: int | None = None, *, pause: float = 0.0) -> MemfdPayload:
    """
    *thing* in a memory file.

    With *pause* (seconds) it rests between small steps, so that an event loop in the same process is never kept waiting.
    Raises `NoRoom` when the system has no room for the file.
    """
    try:
        fd = memory_file()
    except OSError as error:
        raise _not_kept(error) from error
    try:
        out = _FileOutput(fd, limit, pause)
        _pickler(out, out.keep_aside).dump(thing)
        pickle_length = out.length
        views = [buffer.raw() for buffer in out.aside]
        out.write(_LENGTH.pack(len(views)) + b"".join(_LENGTH.pack(view.nbytes) for view in views))
        for view in views:
            out.length = -(-out.length // _ALIGN) * _ALIGN
            out.write(view)
        os.ftruncate(fd, out.length)
    except BaseException:
        os.close(fd)
        raise
    return MemfdPayload(fd, pickle_length, out.length)


class _FileOutput:
    """
    A memory file as the target of a pickle.

    Its `write` is Python on purpose: there the pickler, which otherwise keeps the interpreter lock from the first to the last byte, gives it away.
    """

    __slots__ = ("_aside_size", "_fd", "_limit", "_pause", "_rested_at", "aside", "length")

    def __init__(self, fd: int, limit: int | None, pause: float) -> None:
        self._fd = fd
        self._limit = limit
        self._pause = pause
        self._rested_at = 0
        self._aside_size = 0
        self.aside: list[pickle.PickleBuffer] = []
        self.length = 0

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        self._check(view.nbytes)
        try:
            written = _write_all(self._fd, view, self.length)
        except OSError as error:
            raise _not_kept(error) from error
        self.length += written
        if self._pause and self.length - self._rested_at >= STEP:
            self._rested_at = self.length
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


def _not_kept(error: OSError) -> BaseException:
    return no_room("what is over 64 KiB travels in a memory file", error) or error


def travels(thing: object) -> bool:
    """Whether *thing* can be pickled; takes as long as pickling it, in small steps."""
    try:
        pickle.Pickler(_Nowhere(), 5, buffer_callback=_keep_nothing).dump(thing)
    except BaseException:  # noqa: BLE001 - pickling runs the user's code, which may raise anything
        return False
    return True


class _Nowhere:
    """Takes a pickle that nobody wants; rests as a memory file does."""

    __slots__ = ("_unrested",)

    def __init__(self) -> None:
        self._unrested = 0

    def write(self, data: bytes) -> int:
        length = memoryview(data).nbytes
        self._unrested += length
        if self._unrested >= STEP:
            self._unrested = 0
            time.sleep(PAUSE)
        return length


def _keep_nothing(buffer: pickle.PickleBuffer) -> None:
    # Like the real thing it refuses a buffer that is not in one piece.
    buffer.raw().release()


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


def decode_large(memfd: MemfdPayload, found: Callable[[str], None] | None = None, *, pause: float = 0.0, free: Apart | None = None) -> Any:
    """
    The object of a memfd, whose buffers stay mapped and are writable; closes it.

    With *free*, heavy buffers are given back in another thread when the last user has let go of them.
    """
    try:
        buffers = _map_buffers(memfd, free)
        return _Unpickler(_Steps(memfd, pause), found, buffers).load()
    finally:
        memfd.close()


class _Memory(mmap.mmap):
    """A mapped memory file. To unmap 100 MB takes tens of milliseconds, and whoever drops the last array on it may be an event loop."""

    free: Apart | None = None

    def __del__(self) -> None:
        free, self.free = self.free, None
        if free is not None and not sys.is_finalizing():
            free(self._unmap)

    def _unmap(self) -> None:
        # The collector may have found this in a ring together with a view of it: whoever drops the view last frees both.
        with contextlib.suppress(BufferError):
            self.close()


def _map_buffers(memfd: MemfdPayload, free: Apart | None) -> list[memoryview]:
    if memfd.length <= memfd.pickle_length + _LENGTH.size:
        return []
    memory = _Memory(memfd.fd, memfd.length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    if memfd.length >= HEAVY:
        memory.free = free
    mapped = memoryview(memory)
    at = memfd.pickle_length
    count = _LENGTH.unpack_from(mapped, at)[0]
    lengths = [_LENGTH.unpack_from(mapped, at + _LENGTH.size * (1 + i))[0] for i in range(count)]
    at += _LENGTH.size * (1 + count)
    buffers = []
    for length in lengths:
        at = -(-at // _ALIGN) * _ALIGN
        buffers.append(mapped[at : at + length])
        at += length
    return buffers


class _Steps:
    """The pickle of a large payload as a file whose methods are Python: between two frames another thread may have the interpreter lock."""

    __slots__ = ("_at", "_end", "_fd", "_pause", "_rested_at")

    def __init__(self, memfd: MemfdPayload, pause: float) -> None:
        self._fd = memfd.fd
        self._end = memfd.pickle_length
        self._at = 0
        self._pause = pause
        self._rested_at = 0

    def read(self, count: int) -> bytes:
        self._rest()
        data = os.pread(self._fd, min(count, self._end - self._at), self._at)
        self._at += len(data)
        return data

    def readinto(self, target: Any) -> int:
        self._rest()
        view = memoryview(target)
        got = os.preadv(self._fd, [view[: self._end - self._at]], self._at)
        self._at += got
        return got

    def readline(self) -> bytes:
        window = os.pread(self._fd, min(4096, self._end - self._at), self._at)
        line = window[: window.find(b"\n") + 1] or window
        self._at += len(line)
        return line

    def _rest(self) -> None:
        if self._pause and self._at - self._rested_at >= STEP:
            self._rested_at = self._at
            time.sleep(self._pause)
