"""What travels between a lane and the machines that run its calls: a call that is packed already, and its outcome as the child process packed it."""

import mmap
import os
import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from levelpool.errors import LevelpoolError
from levelpool.lanes.process.memfd_payload import MemfdPayload, memory_file

_CHUNK = 64 << 20


class RemotePayload:
    """The bytes of a payload in one piece. Whoever pickles it by protocol 5 with buffers out of band never copies them."""

    __slots__ = ("data", "pickle_length")

    def __init__(self, data: "bytes | memoryview | mmap.mmap | pickle.PickleBuffer", pickle_length: int = 0) -> None:
        """*pickle_length* as in a `MemfdPayload`; 0 for a payload that is small."""
        self.data = data
        self.pickle_length = pickle_length

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        data = pickle.PickleBuffer(self.data) if self.pickle_length and protocol >= 5 else bytes(self.data)
        return RemotePayload, (data, self.pickle_length)

    @classmethod
    def of(cls, payload: bytes | MemfdPayload) -> Self:
        """A payload on its way out; quick, also for a large one, whose memory is mapped and not read."""
        if isinstance(payload, bytes):
            return cls(payload)
        return cls(mmap.mmap(payload.fd, payload.length, access=mmap.ACCESS_READ), payload.pickle_length)

    @property
    def is_large(self) -> bool:
        """Whether to unpack it means to copy much: not for a loop's thread."""
        return self.pickle_length > 0

    def unpack(self) -> bytes | MemfdPayload:
        """The payload as it was."""
        if not self.is_large:
            return bytes(self.data)
        view = memoryview(self.data).cast("B")
        fd = memory_file()
        try:
            written = 0
            while written < view.nbytes:
                written += os.pwrite(fd, view[written : written + _CHUNK], written)
        except BaseException:
            os.close(fd)
            raise
        return MemfdPayload(fd, self.pickle_length, view.nbytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCall:
    """One call on its way to a machine that has a place for it."""

    call: int
    """Its number at the lane that sends it."""
    name: str
    version: str
    """Of the sender's levelpool."""
    function_ref: bytes
    metadata: bytes
    payload: RemotePayload
    is_stream: bool = False


class Outcome(NamedTuple):
    """How a call ended: the frame of its child process, or the error of its lane."""

    kind: int
    meta: bytes
    payload: RemotePayload
    error: LevelpoolError | None = None


class Item(NamedTuple):
    """One thing that a generator has yielded."""

    payload: RemotePayload
