"""One budget of CPU workers for all web workers of the host: slots, and the line of those who wait for one."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from levelpool.neighbours.locks import LINE, SLOTS, LockFile, open_folder

_SAME_WEALTH = 1 << 50  # microseconds: 35 years


class CpuShare:
    """
    This process's share of the CPU workers of the host: a slot for each of its workers that is at work.

    Over all processes no more workers are at work than there are slots; who is idle holds none. Who wants one stands in a line:
    those who hold the fewest come first, and among them who has waited longest. Every *turn* seconds a process lets a slot go for
    one that holds fewer, so that everybody gets a turn. A slot that those in front leave free for *patience* seconds, as a process
    does whose loop stands still, goes to whoever asks.
    Nothing waits here; usable from any thread. Raises `SettingsError` for a folder that cannot be used.
    """

    def __init__(
        self, folder: Path, slots: int, *, turn: float = 0.25, patience: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._locks = LockFile.at(open_folder(folder) / "locks")
        self._slots = slots
        self._turn = turn
        self._patience = patience
        self._clock = clock
        self._held: list[int] = []
        self._place: int | None = None
        self._turn_ends = 0.0
        self._left_free_since: float | None = None

    def resize(self, slots: int) -> None:
        """The host has so many slots from now on; those beyond are given back as they become free."""
        self._slots = slots

    def allow(self, workers: int) -> bool:
        """Whether so many of our workers may be at work; if so, their slots are ours from now on."""
        while len(self._held) < workers:
            slot = self._free_slot() if workers <= self._slots and self._comes_next() else None
            if slot is None:
                self._stand_in_line()
                return False
            if self._place is not None:
                self._turn_ends = self._clock() + self._turn  # we had to wait for it: now it is our turn
            self.leave_line()
            self._held.append(slot)
        return True

    def settle(self, workers: int, ready: int = 0, *, ended: bool = True) -> None:
        """
        So many of our workers are at work, and *ready* more could begin a call at once: their slots are kept, unless our turn is over.

        *ended*: a call has ended since the last time; only then a turn may end.
        """
        free = len(self._held) - workers
        if ended and free > 0 and self._clock() >= self._turn_ends and self._poorer_one_waits():
            self._turn_ends = self._clock() + self._turn
            ready = min(ready, free - 1)
        self._held.sort()  # those beyond the size of the host go first
        while len(self._held) > workers + ready:
            self._locks.unlock(SLOTS + self._held.pop())
        if self._place is not None:
            self._stand_in_line()  # who holds less stands elsewhere

    def leave_line(self) -> None:
        """We ask for no more slots now: nobody is to wait for us to take one."""
        if self._place is not None:
            self._locks.unlock(LINE + self._place)
        self._place = self._left_free_since = None

    @property
    def held(self) -> int:
        """How many slots are ours now."""
        return len(self._held)

    def taken(self) -> int:
        """How many slots are taken over all processes."""
        return sum(self._locks.is_locked(SLOTS + slot) for slot in range(self._slots))

    def _free_slot(self) -> int | None:
        # Everybody starts at a place of their own, so that they seldom try the same byte.
        start = os.getpid()
        turned = ((start + offset) % self._slots for offset in range(self._slots))
        return next((slot for slot in turned if self._locks.try_lock(SLOTS + slot)), None)

    # -- the line: a lock for each who waits, at a byte that is the lower the fewer slots it holds, and the longer it waits

    def _stand_in_line(self) -> None:
        """Take a place among those who hold as many slots as we do now, unless we have one."""
        if self._place is not None and self._place // _SAME_WEALTH == len(self._held):
            return
        place = self._last_place()
        while not self._locks.try_lock(LINE + place):
            place += 1  # somebody came in the same microsecond
        if self._place is not None:
            self._locks.unlock(LINE + self._place)
        self._place = place

    def _last_place(self) -> int:
        return len(self._held) * _SAME_WEALTH + int(self._clock() * 1e6)

    def _comes_next(self) -> bool:
        """Whether a free slot would be for us: nobody is in front, or those in front do not take it."""
        ours = self._last_place() if self._place is None else self._place
        if not self._locks.others_hold(LINE, ours):
            return True
        if self.taken() == self._slots:
            self._left_free_since = None
            return False
        if self._left_free_since is None:
            self._left_free_since = self._clock()
        return self._clock() - self._left_free_since >= self._patience

    def _poorer_one_waits(self) -> bool:
        """Whether a process that holds fewer slots than we do waits for one."""
        return self._locks.others_hold(LINE, len(self._held) * _SAME_WEALTH)
