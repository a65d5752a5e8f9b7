"""Flags in memory that a lane shares with one worker: what the worker is doing, readable even after its death."""

import mmap

from levelpool.lanes.process.memfd_payload import memory_file

SIZE = 4096
_SLOTS = 64

# Places of the words, far enough from each other for a cache line each: the call that the worker has begun, how many calls are taken back, which.
_STARTED, _COUNT, _FIRST_SLOT = 0, 8, 16


class SharedFlags:
    """
    Words that one side writes and the other reads, without a system call.

    The worker writes the number of the call that it has begun; the lane writes the numbers of the calls that it has taken back.
    Both sides write first and look afterwards; a lane that does not see a start some time after it took a call back may give that call to another worker.
    """

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE)
        # Machine words: one that is written while the other side reads it is seen as it was or as it is.
        self._words = memoryview(self._memory).cast("Q")
        self._taken: dict[int, int] = {}

    @staticmethod
    def file() -> int:
        """A descriptor to map the flags from, on each side."""
        return memory_file(SIZE)

    @property
    def started(self) -> int:
        """The call that the worker has begun and not yet reported, or 0."""
        return self._words[_STARTED]

    def begin(self, call: int) -> bool:
        """In the worker: say that *call* begins; whether it may, for it was not taken back."""
        words = self._words
        # First said, then looked: the lane does it the other way round.
        words[_STARTED] = call
        return not words[_COUNT] or not self.is_taken_back(call)

    def end(self) -> None:
        """In the worker: say that nothing runs."""
        self._words[_STARTED] = 0

    def take_back(self, call: int) -> None:
        """Ask the worker not to begin *call*; it will say so when it passes over it."""
        if call not in self._taken:
            slot = next(slot for slot in range(_SLOTS) if slot not in self._taken.values())
            self._taken[call] = slot
            self._words[_FIRST_SLOT + slot] = call
            self._words[_COUNT] = len(self._taken)

    def clear(self, call: int) -> None:
        """Forget that *call* was taken back: the worker has passed over it, or had begun it before."""
        slot = self._taken.pop(call, None)
        if slot is not None:
            self._words[_FIRST_SLOT + slot] = 0
            self._words[_COUNT] = len(self._taken)

    def is_taken_back(self, call: int) -> bool:
        """Whether *call* was taken back."""
        return self._words[_COUNT] > 0 and call in self._words[_FIRST_SLOT : _FIRST_SLOT + _SLOTS].tolist()

    def close(self) -> None:
        """Unmap it on this side."""
        self._words.release()
        self._memory.close()
