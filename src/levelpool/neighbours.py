"""
What the web workers of one host share: a private folder with kernel locks, and a socket for each that answers questions.

The locks are POSIX record locks, one byte each of one file: the kernel drops them when their process dies, however it dies,
and a child that inherits the descriptor does not keep them. The sockets answer JSON from a thread of their own, so a
neighbour is answered also while the event loop stands still.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import selectors
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from levelpool.errors import SettingsError

logger = logging.getLogger(__name__)

LEADER_POLL = 1.0
"""Seconds between two tries to become the leader."""
ANSWER_TIMEOUT = 2.0
"""Seconds that a neighbour has to answer."""
MOST_SEATS = 256

_LEADER = 0
_FIRST_SEAT = 1_000
_FIRST_SLOT = 10_000
_LINE = 1 << 32
_SAME_WEALTH = 1 << 50  # microseconds: 35 years
_LONGEST_QUESTION = 1_000


def open_folder(folder: Path) -> Path:
    """
    Make *folder* if it is not there, for this user only (mode 0700), and return its absolute path.

    Raises `SettingsError` when it cannot be made, is a link, belongs to somebody else, or lets others in.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise SettingsError(f"LEVELPOOL_RUNTIME_DIR is {str(folder)!r}: it cannot be made ({error.strerror})") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise SettingsError(
            f"LEVELPOOL_RUNTIME_DIR is {str(folder)!r}: it must be a folder of this user alone (mode 0700), not a link;"
            f" it has mode {stat.S_IMODE(found.st_mode):04o} and belongs to user {found.st_uid}"
        )
    return folder


# ---------------------------------------------------------------- locks


class LockFile:
    """
    A file whose bytes are locks of the kernel.

    Get one with `LockFile.at(path)`: closing any other descriptor of the same file would drop all locks of this process,
    so there is one for each file, and it stays open as long as the process lives.
    """

    _open: dict[tuple[int, int, int], "LockFile"] = {}  # noqa: RUF012 - shared by all on purpose, see above
    _registry = threading.Lock()

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._held: dict[int, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def at(cls, path: Path) -> "LockFile":
        """The locks of *path*, made if it is not there."""
        with cls._registry:
            path.touch(mode=0o600)  # does not open a file that is there already
            found = path.stat()
            # A forked child starts with no locks: the process is part of the key.
            key = (os.getpid(), found.st_dev, found.st_ino)
            if key not in cls._open:
                cls._open[key] = cls(path, os.open(path, os.O_RDWR | os.O_CLOEXEC))
            return cls._open[key]

    def try_lock(self, byte: int, *, shared: bool = False) -> bool:
        """
        Take the lock unless somebody has it. Raises `SettingsError` where the file system knows no locks.

        *shared*: within this process several may have it; it is given back when the last of them unlocks it.
        """
        with self._lock:
            if byte in self._held:
                self._held[byte] += shared
                return shared
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except (BlockingIOError, PermissionError):
                return False
            except OSError as error:
                raise SettingsError(
                    f"{self._path} cannot be locked ({error.strerror}): set LEVELPOOL_RUNTIME_DIR to a folder on a disk of this host"
                ) from None
            self._held[byte] = 1
            return True

    def unlock(self, byte: int) -> None:
        """Give the lock back."""
        with self._lock:
            self._held[byte] -= 1
            if not self._held[byte]:
                del self._held[byte]
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)

    def is_locked(self, byte: int) -> bool:
        """Whether anybody holds the lock, this process included."""
        with self._lock:
            if byte in self._held:
                return True
        return self.others_hold(byte)

    def others_hold(self, first: int, count: int = 1) -> bool:
        """Whether another process holds any of *count* locks."""
        # Asking, and not trying: somebody who tries at the same moment must not find it taken by us.
        question = _pack_flock(fcntl.F_WRLCK, first, count)
        return _flock_type(fcntl.fcntl(self._descriptor, fcntl.F_GETLK, question)) != fcntl.F_UNLCK


# `struct flock` of C: type, whence, start, length, process on Linux; start, length, process, type, whence on BSD and macOS.
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"


def _pack_flock(kind: int, first: int, count: int) -> bytes:
    if sys.platform == "darwin":
        return struct.pack(_FLOCK, first, count, 0, kind, os.SEEK_SET)
    return struct.pack(_FLOCK, kind, os.SEEK_SET, first, count, 0)


def _flock_type(answer: bytes) -> int:
    return int(struct.unpack(_FLOCK, answer)[3 if sys.platform == "darwin" else 0])


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
            self._locks.unlock(_FIRST_SLOT + self._held.pop())
        if self._place is not None:
            self._stand_in_line()  # who holds less stands elsewhere

    def leave_line(self) -> None:
        """We ask for no more slots now: nobody is to wait for us to take one."""
        if self._place is not None:
            self._locks.unlock(_LINE + self._place)
        self._place = self._left_free_since = None

    @property
    def held(self) -> int:
        """How many slots are ours now."""
        return len(self._held)

    def taken(self) -> int:
        """How many slots are taken over all processes."""
        return sum(self._locks.is_locked(_FIRST_SLOT + slot) for slot in range(self._slots))

    def _free_slot(self) -> int | None:
        # Everybody starts at a place of their own, so that they seldom try the same byte.
        start = os.getpid()
        turned = ((start + offset) % self._slots for offset in range(self._slots))
        return next((slot for slot in turned if self._locks.try_lock(_FIRST_SLOT + slot)), None)

    # -- the line: a lock for each who waits, at a byte that is the lower the fewer slots it holds, and the longer it waits

    def _stand_in_line(self) -> None:
        """Take a place among those who hold as many slots as we do now, unless we have one."""
        if self._place is not None and self._place // _SAME_WEALTH == len(self._held):
            return
        place = self._last_place()
        while not self._locks.try_lock(_LINE + place):
            place += 1  # somebody came in the same microsecond
        if self._place is not None:
            self._locks.unlock(_LINE + self._place)
        self._place = place

    def _last_place(self) -> int:
        return len(self._held) * _SAME_WEALTH + int(self._clock() * 1e6)

    def _comes_next(self) -> bool:
        """Whether a free slot would be for us: nobody is in front, or those in front do not take it."""
        ours = self._last_place() if self._place is None else self._place
        if not self._locks.others_hold(_LINE, ours):
            return True
        if self.taken() == self._slots:
            self._left_free_since = None
            return False
        if self._left_free_since is None:
            self._left_free_since = self._clock()
        return self._clock() - self._left_free_since >= self._patience

    def _poorer_one_waits(self) -> bool:
        """Whether a process that holds fewer slots than we do waits for one."""
        return self._locks.others_hold(_LINE, len(self._held) * _SAME_WEALTH)


# ---------------------------------------------------------------- neighbours

Answers = Mapping[str, Callable[[], object]]
"""What a neighbour may ask, and who answers; the answer becomes JSON."""


class Neighbours:
    """
    One web worker among those that share *folder*: its seat, whether it leads, and what the others say.

    `async with Neighbours(folder, answers) as us:`; *answers* are called in a thread of their own. It is the process that
    leads: of two in one process either both lead or none.
    Raises `SettingsError` for a folder that cannot be used.
    """

    def __init__(self, folder: Path, answers: Answers | None = None) -> None:
        self._folder = open_folder(folder)
        self._locks = LockFile.at(self._folder / "locks")
        self._answers = dict(answers or {})
        self._seat: int | None = None
        self._leading = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    @property
    def folder(self) -> Path:
        """The private folder."""
        return self._folder

    @property
    def seat(self) -> int:
        """Our number among the web workers of the host: the lowest that was free. Raises `RuntimeError` before the start."""
        if self._seat is None:
            raise RuntimeError("not among the neighbours yet: use `async with`")
        return self._seat

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._take_seat()
            stack.callback(self._leave)
            stack.enter_context(_serving(self._folder, self.seat, self._answers))
            trying = asyncio.create_task(self._try_to_lead(), name="levelpool leadership")
            stack.callback(trying.cancel)
            await asyncio.sleep(0)  # alone, it leads from the start
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stack.aclose()

    def add_answer(self, question: str, answer: Callable[[], object]) -> None:
        """Let neighbours ask *question* too; *answer* is called in a thread and must be quick."""
        self._answers[question] = answer

    # -- the leader

    @property
    def leads(self) -> bool:
        """Whether this process is the one that watches the inbox, tells alerts and runs migrations for the host."""
        return self._leading.is_set()

    async def lead(self) -> None:
        """Return when this process leads, which may be at once, or when the leader has gone; it leads until it ends."""
        await self._leading.wait()

    async def _try_to_lead(self) -> None:
        while not self._locks.try_lock(_LEADER, shared=True):  # noqa: ASYNC110 - the kernel tells nobody that a lock became free
            await asyncio.sleep(LEADER_POLL)
        logger.info("web worker %d (process %d) leads", self.seat, os.getpid())
        self._leading.set()

    # -- asking the others

    def seats(self) -> tuple[int, ...]:
        """The seats of everybody who is there, ourselves included."""
        return tuple(seat for seat in range(MOST_SEATS) if self._locks.is_locked(_FIRST_SEAT + seat))

    def ask(self, question: str) -> dict[int, object]:
        """
        What everybody answers to *question*, by seat, ourselves included. Blocks up to `ANSWER_TIMEOUT` for all together.

        Who does not answer in time is left out: it is just starting, ending, stuck, or dead.
        """
        deadline = time.monotonic() + ANSWER_TIMEOUT
        asked: dict[int, socket.socket] = {}
        answers: dict[int, object] = {}
        with contextlib.ExitStack() as stack:
            # Everybody is asked before anybody's answer is waited for: one that is stuck keeps nobody else from being heard.
            for seat in self.seats():
                with contextlib.suppress(OSError):
                    asked[seat] = stack.enter_context(_ask(self._folder, seat, question))
            # The quick ones come first: a stuck one would use up the time of those behind it.
            for seat in _in_order_of_arrival(asked, deadline):
                with contextlib.suppress(OSError, ValueError):
                    answers[seat] = _read_answer(asked[seat], deadline)
        return dict(sorted(answers.items()))

    def _take_seat(self) -> None:
        self._seat = next((seat for seat in range(MOST_SEATS) if self._locks.try_lock(_FIRST_SEAT + seat)), None)
        if self._seat is None:
            raise SettingsError(f"all {MOST_SEATS} seats in {self._folder} are taken: give this service a LEVELPOOL_RUNTIME_DIR of its own")

    def _leave(self) -> None:
        if self.leads:
            self._locks.unlock(_LEADER)
            self._leading.clear()
        self._locks.unlock(_FIRST_SEAT + self.seat)
        self._seat = None


# ---------------------------------------------------------------- sockets


@contextmanager
def _serving(folder: Path, seat: int, answers: Answers) -> Iterator[None]:
    """Answer questions on the socket of *seat* while the context lasts."""
    name = _socket_name(seat)
    # The seat's lock is ours: a socket that lies there belongs to somebody who has died.
    (folder / name).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        with _short_path(folder) as short:
            server.bind(f"{short}/{name}")
        server.listen()
        thread = threading.Thread(target=_answer_all, args=(server, answers), name="levelpool neighbour", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Closing alone would leave the thread in accept().
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=ANSWER_TIMEOUT)
            (folder / name).unlink(missing_ok=True)


def _answer_all(server: socket.socket, answers: Answers) -> None:
    while True:
        try:
            connection, _address = server.accept()
        except OSError:
            return  # shut down
        with connection:
            try:
                connection.settimeout(ANSWER_TIMEOUT)
                connection.sendall(_answer(_read_question(connection), answers))
            except OSError as error:
                logger.debug("a neighbour went away before its answer: %s", error)


def _read_question(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n") and len(text) < _LONGEST_QUESTION:
        part = connection.recv(_LONGEST_QUESTION)
        if not part:
            break
        text += part
    return text.decode("utf-8", "replace").strip()


def _answer(question: str, answers: Answers) -> bytes:
    if question not in answers:
        return json.dumps({"error": f"unknown question {question!r}"}).encode()
    try:
        return json.dumps({"answer": answers[question]()}).encode()
    except Exception as error:
        logger.exception("could not answer the neighbours' question %r", question)
        return json.dumps({"error": str(error)}).encode()


@contextmanager
def _ask(folder: Path, seat: int, question: str) -> Iterator[socket.socket]:
    """A connection on which *question* was asked. Raises `OSError` when nobody is there."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT)
        with _short_path(folder) as short:
            connection.connect(f"{short}/{_socket_name(seat)}")
        connection.sendall(f"{question}\n".encode())
        yield connection


def _in_order_of_arrival(asked: Mapping[int, socket.socket], deadline: float) -> Iterator[int]:
    """Each seat as soon as something of its answer is there, until *deadline*."""
    with selectors.DefaultSelector() as waiting:
        for seat, connection in asked.items():
            waiting.register(connection, selectors.EVENT_READ, seat)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in waiting.select(left):
                waiting.unregister(key.fileobj)
                yield key.data


def _read_answer(connection: socket.socket, deadline: float) -> object:
    """Raises `OSError` when the answer does not come in time, `ValueError` when it is none."""
    parts = []
    while True:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(1 << 16)
        if not part:
            break
        parts.append(part)
    said = json.loads(b"".join(parts))
    if "answer" not in said:
        raise ValueError(said.get("error"))
    return said["answer"]


def _socket_name(seat: int) -> str:
    return f"worker-{seat}.sock"


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A path to *folder* that fits into the 107 bytes that the address of a socket may have."""
    if len(os.fsencode(folder)) < 80 or not Path("/proc/self/fd").exists():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
