"""
Work sharing for two: pieces of work that a second process does ahead of the first.

The first process lays work out in a private folder and takes its pieces in order. A second one, when there is one, begins at the other
end. What it has done lies there as a file that appeared whole. The first takes such a piece, does any other by itself, and waits for
nobody: so the second may come late, be recalled, or die at any moment. What comes of a piece depends on nothing but the work and
the piece's number, so it is all the same who did it.
"""

import contextlib
import fcntl
import pickle
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from levelpool.lanes.progress import report_progress

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CHECK_WORK_EVERY = 0.02
"""Seconds between two looks of a second process that has nothing to do."""

HELPER_TIMEOUT = 60.0
"""Seconds that the first process waits at most for a piece that the second has at hand."""

_NUMBER = struct.Struct("<q")
_RECALLED = "recalled"
_WORK = "work"
_REACHED = "reached"
_AT_HAND = "at hand"


class Recalled(Exception):
    """Raised by a long piece that the second process leaves undone, because it has to go."""


class Work(Protocol[T_co]):
    """Something that is done in pieces, each by itself; it travels by pickle."""

    def __len__(self) -> int:
        """How many pieces there are."""
        ...

    def begin(self) -> Callable[[int], T_co]:
        """What does the piece of a number; asked for once in each process."""
        ...


@dataclass(frozen=True, slots=True)
class WorkSharing:
    """What two processes share in *folder*, which must be private: what lies there is read with pickle."""

    folder: Path

    # ------------------------------------------------------------ the first process

    def in_order(self, work: Work[T]) -> Iterator[T]:
        """What comes of all pieces, from the first to the last, whoever did them."""
        with self._lay_out(work) as laid:
            do = work.begin()
            for number in range(len(work)):
                laid.reach(number)
                done = laid.take(number)
                yield do(number) if done is None else pickle.loads(done)  # noqa: S301  (written by `help_from_end`, in a private folder)

    @contextlib.contextmanager
    def _lay_out(self, work: Work[T]) -> "Iterator[_LaidOut]":
        folder = Path(tempfile.mkdtemp(prefix="work-", dir=self.folder))
        try:
            (folder / _REACHED).write_bytes(_NUMBER.pack(-1))
            _write_whole(folder / _WORK, pickle.dumps(work, protocol=pickle.HIGHEST_PROTOCOL))
            yield _LaidOut(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the second may be writing into it just now

    @contextlib.contextmanager
    def ahead(self, work: Work[T]) -> Iterator[Callable[[], T | None]]:
        """
        Let a second process do the one piece of *work* while the body does something else.

        Gives what asks for the result, once: None when nobody has done it. It waits while somebody is at it.
        """
        with self._lay_out(work) as laid:

            def result() -> T | None:
                done = laid.wait_for(0)
                return None if done is None else pickle.loads(done)  # noqa: S301  (written by `help_from_end`, in a private folder)

            yield result

    # ------------------------------------------------------------ whoever brought them together

    def set_up(self) -> None:
        """Make the folder, and let a second process come."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / _RECALLED).unlink(missing_ok=True)

    def recall(self) -> None:
        """Let the second process end after the piece that it has at hand."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / _RECALLED).touch()

    @property
    def is_alone(self) -> bool:
        """Whether a second process has to go."""
        return not self.folder.exists() or (self.folder / _RECALLED).exists()


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """One work that is shared: itself, how far the first process has come, and the pieces that the second has done."""

    folder: Path

    def reach(self, number: int) -> None:
        """The first process is at this piece."""
        with (self.folder / _REACHED).open("r+b") as file:
            file.write(_NUMBER.pack(number))

    def take(self, number: int) -> bytes | None:
        """What the second process made of a piece; None when it has not."""
        path = self.folder / str(number)
        try:
            done = path.read_bytes()
        except FileNotFoundError:
            return None
        path.unlink()
        return done

    def wait_for(self, number: int) -> bytes | None:
        """The same, and wait as long as a living second process is at this work."""
        ends = time.monotonic() + HELPER_TIMEOUT
        self._wait_while_at_hand(ends)
        # From now on nobody begins it; who began it a moment ago has said so before looking.
        self.reach(number)
        self._wait_while_at_hand(ends)
        return self.take(number)

    def _wait_while_at_hand(self, ends: float) -> None:
        while self._is_at_hand() and time.monotonic() < ends:
            time.sleep(CHECK_WORK_EVERY)

    @contextlib.contextmanager
    def at_hand(self) -> Iterator[None]:
        """A second process is at this work; when it dies, the kernel says so."""
        with (self.folder / _AT_HAND).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _is_at_hand(self) -> bool:
        with (self.folder / _AT_HAND).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:  # a file system without locks: then the second cannot have it either
                return False
            return False

    def has_reached(self, number: int) -> bool:
        """Whether the first process is at this piece or behind it."""
        reached: int
        (reached,) = _NUMBER.unpack((self.folder / _REACHED).read_bytes())
        return reached >= number


def help_from_end(sharing: WorkSharing) -> int:
    """
    Do pieces of what is shared, the last one first, until we are recalled; returns how many.

    For a process beside the first one. The first report of progress says that it has begun. Raises what a piece raises:
    the first process meets the same.
    """
    report_progress(0, 1)
    done, met = 0, set[Path]()
    while not sharing.is_alone:
        laid = next((path.parent for path in sharing.folder.glob(f"work-*/{_WORK}") if path.parent not in met), None)
        if laid is None:
            time.sleep(CHECK_WORK_EVERY)
            continue
        met.add(laid)
        done += _from_the_end(sharing, _LaidOut(laid))
    return done


def _from_the_end(sharing: WorkSharing, laid: _LaidOut) -> int:
    """Do pieces from the last one on, until the two have met."""
    done = 0
    # The folder of the work goes when the first process is through with it.
    with contextlib.suppress(FileNotFoundError, Recalled), laid.at_hand():
        work: Work[object] = pickle.loads((laid.folder / _WORK).read_bytes())  # noqa: S301  (written by `WorkSharing`, in a private folder)
        do = work.begin()
        for number in reversed(range(len(work))):
            if sharing.is_alone or laid.has_reached(number):
                break
            path = laid.folder / str(number)
            if not path.exists():  # an earlier one may have done it, before it was recalled
                _write_whole(path, pickle.dumps(do(number), protocol=pickle.HIGHEST_PROTOCOL))
                done += 1
    return done


def _write_whole(path: Path, content: bytes) -> None:
    """Let a file appear with all of its content."""
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
