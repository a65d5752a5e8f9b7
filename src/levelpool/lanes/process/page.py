"""One page of memory that a lane shares with one worker: what the worker is doing, readable even after its death."""

import mmap
import struct

from levelpool.lanes.process.parcel import memory_file

SIZE = 4096
_WORD = struct.Struct("<Q")
_SLOTS = struct.Struct("<64Q")
_STARTED_AT, _COUNT_AT, _SLOTS_AT = 0, 64, 128


class Page:
    """
    Words that one side writes and the other reads, without a system call.

    The worker writes the number of the call that it has begun; the lane writes the numbers of the calls that it has taken back.
    Both sides write first and look afterwards; a lane that does not see a start some time after it took a call back may give that call to another worker.
    """

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE)
        self._taken: dict[int, int] = {}

    @staticmethod
    def file() -> int:
        """A descriptor to make pages of, one on each side."""
        return memory_file(SIZE)

    @property
    def started(self) -> int:
        """The call that the worker has begun and not yet reported, or 0."""
        return int(_WORD.unpack_from(self._memory, _STARTED_AT)[0])

    @started.setter
    def started(self, call: int) -> None:
        _WORD.pack_into(self._memory, _STARTED_AT, call)

    def take_back(self, call: int) -> None:
        """Ask the worker not to begin *call*; it will say so when it passes over it."""
        if call not in self._taken:
            slot = next(slot for slot in range(64) if slot not in self._taken.values())
            self._taken[call] = slot
            _WORD.pack_into(self._memory, _SLOTS_AT + slot * _WORD.size, call)
            _WORD.pack_into(self._memory, _COUNT_AT, len(self._taken))

    def settle(self, call: int) -> None:
        """Forget that *call* was taken back: the worker has passed over it, or had begun it before."""
        slot = self._taken.pop(call, None)
        if slot is not None:
            _WORD.pack_into(self._memory, _SLOTS_AT + slot * _WORD.size, 0)
            _WORD.pack_into(self._memory, _COUNT_AT, len(self._taken))

    def is_taken_back(self, call: int) -> bool:
        """Whether *call* was taken back."""
        return bool(_WORD.unpack_from(self._memory, _COUNT_AT)[0]) and call in _SLOTS.unpack_from(self._memory, _SLOTS_AT)

    def close(self) -> None:
        """Unmap it on this side."""
        self._memory.close()
