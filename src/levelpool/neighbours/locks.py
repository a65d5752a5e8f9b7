"""The private folder, and the locks in it: bytes of one file, each for one purpose."""

import fcntl
import os
import stat
import struct
import sys
import threading
from pathlib import Path

from levelpool.errors import SettingsError

# Which bytes are whose. Each purpose has as many as it may ever need.
LEADER = 0
WORKERS = 1_000
SLOTS = 10_000
LINE = 1 << 32


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
