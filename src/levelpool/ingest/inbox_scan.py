"""
What lies in the inbox, and when a file has come to rest.

Nothing outside of the inbox is ever opened: each step of a path is opened without following links. A link that leads out is
refused with a sentence; one that stays inside is passed over, because the file it leads to lies in the inbox itself.
"""

import errno
import fcntl
import hashlib
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from levelpool.sheets.errors import InboxError

REST = 1.0
"""Seconds without a change after which a file has come to rest."""

MOST_DEPTH = 100
"""Folders below each other in an inbox."""

_LONGEST_ORIGIN = 1000
_LONGEST_SHOWN = 300

_PASSED_OVER = (".part", ".partial", ".crdownload", ".download", ".tmp", ".swp", ".filepart", ".lock")


@dataclass(frozen=True, slots=True)
class Look:
    """What a file looked like at one moment."""

    inode: int
    size: int  # bytes
    modified: int  # nanoseconds since 1970
    changed: int  # as `modified`, of the file's name, owner or rights, too

    @classmethod
    def of(cls, status: os.stat_result) -> "Look":
        """The look of a file, from its status."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def stamp(self) -> str:
        """As the ledger remembers it."""
        return f"{self.inode}:{self.size}:{self.modified}:{self.changed}"

    @classmethod
    def at(cls, file: BinaryIO) -> "Look":
        """The look of an open file."""
        return cls.of(os.fstat(file.fileno()))

    def same_content(self, stamp: str) -> bool:
        """Whether a file that looked like *stamp* has had no write since; its name, owner or rights may have changed."""
        return self.stamp.rsplit(":", maxsplit=1)[0] == stamp.rsplit(":", maxsplit=1)[0]

    def rests(self, now: float, rest: float = REST) -> bool:
        """Whether nothing has happened to the file in the last *rest* seconds; *now* is in seconds since 1970."""
        return now - max(self.modified, self.changed) / 1e9 >= rest


_UNSEEN = Look(0, 0, 0, 0)
"""Of an entry that the system does not let us look at."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file in the inbox."""

    path: str  # within the inbox, with "/"
    look: Look
    refusal: str | None = None  # why it cannot be taken, in one sentence

    @property
    def name(self) -> str:
        """Without folders."""
        return self.path.rsplit("/", maxsplit=1)[-1]

    @property
    def folder(self) -> str | None:
        """The first folder on the way to it; None right in the inbox."""
        folder, slash, _ = self.path.partition("/")
        return shown(folder) if slash else None

    @property
    def origin(self) -> str:
        """The path as the ledger remembers it: valid text, of a length that an index takes, and another for each other path."""
        text = shown(self.path)
        if text != self.path or len(text.encode()) > _LONGEST_ORIGIN:
            digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()
            return f"{text[:200]}… sha256:{digest}"
        return text


def shown(path: str) -> str:
    """A path as a sentence can name it: what is no valid text stands there as an escape, and the middle of a long one is left out."""
    text = path.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:150]}…{text[-140:]}"


def scan(inbox: Path) -> list[Found]:
    """
    All files in the inbox and its folders, sorted by path; without hidden ones, lock files of offices, and unfinished downloads.

    Raises `InboxError` when the inbox does not exist or cannot be read.
    """
    try:
        found = list(_walk(inbox, inbox.resolve(strict=True), ""))
    except FileNotFoundError:
        raise InboxError(f"the inbox {inbox} does not exist: create it, or name another with LEVELPOOL_INBOX") from None
    except NotADirectoryError:
        raise InboxError(f"the inbox {inbox} is not a folder: name a folder with LEVELPOOL_INBOX") from None
    except PermissionError:
        raise InboxError(f"the inbox {inbox} cannot be read: give this user the right to read and enter it") from None
    except OSError as error:
        raise InboxError(f"the inbox {inbox} cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda each: each.path)


def _walk(folder: Path, root: Path, prefix: str) -> Iterator[Found]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if _is_passed_over(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it vanished while we looked
            except OSError as error:
                yield Found(
                    path,
                    _UNSEEN,
                    f"{shown(path)} cannot be looked at ({error.strerror or error}): see to its folder, or take it out of the inbox",
                )
                continue
            if stat.S_ISLNK(status.st_mode):
                yield from _judge_link(Path(entry.path), root, Found(path, Look.of(status)))
            elif stat.S_ISDIR(status.st_mode):
                yield from _walk_subfolder(Path(entry.path), root, path, Look.of(status))
            elif stat.S_ISREG(status.st_mode):
                yield Found(path, Look.of(status), _unwritable_name(entry.name))


def _walk_subfolder(folder: Path, root: Path, path: str, look: Look) -> Iterator[Found]:
    if path.count("/") >= MOST_DEPTH:
        yield Found(path, look, f"the folder {shown(path)} lies below {MOST_DEPTH} others: put its files higher up")
        return
    try:
        yield from _walk(folder, root, f"{path}/")
    except FileNotFoundError:
        return  # it vanished while we looked
    except PermissionError:
        yield Found(path, look, f"the folder {shown(path)} cannot be read: give this user the right to read and enter it")
    except OSError as error:
        yield Found(
            path, look, f"the folder {shown(path)} cannot be read ({error.strerror or error}): put its files elsewhere in the inbox"
        )


def _judge_link(link: Path, root: Path, found: Found) -> Iterator[Found]:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        yield Found(found.path, found.look, f"{shown(found.name)} is a link that leads nowhere: put the file itself into the inbox")
        return
    if not target.is_relative_to(root):
        yield Found(found.path, found.look, f"{shown(found.name)} is a link that leads out of the inbox: put the file itself there")


def _is_passed_over(name: str) -> bool:
    return name.startswith((".", "~$")) or name.endswith("~") or name.lower().endswith(_PASSED_OVER)


def _unwritable_name(name: str) -> str | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the file name {os.fsencode(name)!r} is not valid UTF-8: rename the file"
    return None


def open_file(inbox: Path, path: str) -> BinaryIO:
    """
    Open a file of the inbox for reading, without following any link on the way.

    Raises `FileNotFoundError` when it vanished, and `InboxError` when it cannot be read or is no longer a plain file.
    """
    *folders, name = path.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    here = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, flags | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        # Without O_NONBLOCK a pipe that took the file's place would keep us waiting for a writer.
        descriptor = os.open(name, flags | os.O_NONBLOCK, dir_fd=here)
    except PermissionError:
        raise InboxError(f"{shown(path)} cannot be read: give this user the right to read it") from None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
            raise InboxError(f"{shown(path)} is no plain file: put the file itself into the inbox") from None
        raise
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InboxError(f"{shown(path)} is no plain file: put the file itself into the inbox")
    return os.fdopen(descriptor, "rb")


def is_being_written(file: BinaryIO) -> bool:
    """Whether a process of this host holds the file open for writing; False where the system cannot tell."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # A read lease is granted only while nobody has the file open for writing. It is given back at once; should somebody open the
        # file in between, the signal that says so must not be SIGIO, which ends a process.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without leases, or a file that is not ours
    return False
