"""
The kept originals, by the hash of their content.

A file is in the store whole or not at all: it is written beside its place, synced, and then renamed. What was kept is never changed.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from levelpool.sheets.errors import OriginalChanged, OriginalMissing, StoreError

CHUNK = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h


@dataclass(frozen=True, slots=True)
class Kept:
    """One original in the store."""

    sha256: str
    size: int  # bytes


class Store:
    """The originals under one folder, which is made when the first file comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the original with this hash lies."""
        return self.folder / sha256[:2] / sha256

    def identity(self) -> str:
        """A name for this very store, made when it is first asked for, the same for everybody who shares the folder."""
        with self._said():
            return self._identity()

    def _identity(self) -> str:
        place = self.folder / "identity"
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{uuid.uuid4().hex}.part"
        fresh.write_text(uuid.uuid4().hex, encoding="ascii")
        # Two services that ask at the same moment agree: a link is only made where nothing is.
        with contextlib.suppress(FileExistsError):
            place.hardlink_to(fresh)
        fresh.unlink()
        return place.read_text(encoding="ascii")

    def keep(self, source: IO[bytes]) -> Kept:
        """
        Keep the content of an open file, from its start, and return its hash; the copy is on disk when this returns.

        Where the file system can, the copy shares its blocks with the source. It is the copy that is hashed: what a writer does
        to the source meanwhile cannot come between hash and content.
        """
        with self._said():
            return self._keep(source)

    def _keep(self, source: IO[bytes]) -> Kept:
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            with fresh.open("xb+") as copy:
                _copy(source, copy)
                copy.seek(0)
                digest = hashlib.file_digest(copy, "sha256").hexdigest()
                size = copy.seek(0, os.SEEK_END)
                os.fsync(copy.fileno())
            self._settle(fresh, digest)
        finally:
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
        return Kept(digest, size)

    def take(self, path: Path) -> Kept:
        """Keep the file at *path*, which is ours alone and is gone afterwards: renamed where the file system can, else copied."""
        with self._said():
            return self._take(path)

    def _take(self, path: Path) -> Kept:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, os.SEEK_END)
            os.fsync(file.fileno())
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._settle(path, digest)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with path.open("rb") as file:
                kept = self._keep(file)
            path.unlink()
            return kept
        return Kept(digest, size)

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Tell in a sentence what the system has against it."""
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"nothing can be kept in {self.folder} ({error.strerror or error}): make room there, give this user the right to write, "
                "or name another folder with LEVELPOOL_DATA_DIR"
            ) from error

    def _settle(self, fresh: Path, sha256: str) -> None:
        place = self.path(sha256)
        if not place.parent.is_dir():
            place.parent.mkdir(exist_ok=True)
            _sync_folder(self.folder)
        fresh.chmod(0o440)
        if place.is_dir():  # by a hand: a file does not take the place of a folder
            place.rename(place.with_name(f".{uuid.uuid4().hex}.aside"))
        fresh.replace(place)
        _sync_folder(place.parent)

    def remove(self, sha256: str, older_than: float) -> None:
        """Remove an original, unless the same content was kept once more after the instant *older_than* (seconds since 1970)."""
        with contextlib.suppress(FileNotFoundError):
            if self.path(sha256).stat().st_mtime < older_than:
                self.path(sha256).unlink()

    def sweep(self, older_than: float) -> int:
        """Remove what a process that died left half written before the instant *older_than* (seconds since 1970); return how many."""
        if not self.folder.is_dir():
            return 0
        removed = 0
        for path in self.folder.glob(".*.part"):
            # Another service that sweeps may be faster; what cannot be removed lies there, hidden, and does no harm.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
        return removed


def prove(path: Path, sha256: str, name: str) -> None:
    """
    Read a kept original of the file *name* once and compare it with its hash; blocks.

    Raises `OriginalMissing` when it is gone, `OriginalChanged` when its content is another, and `StoreError` when it cannot be read.
    """
    digest = ""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found = f"the hash {digest[:12]}…"
    except (FileNotFoundError, NotADirectoryError):
        raise OriginalMissing(
            f"the kept original of {name} is gone ({path}): nothing was changed; send the file again, which puts it back"
        ) from None
    except IsADirectoryError:
        found = "no hash: it is a folder"
    except OSError as error:
        raise StoreError(
            f"the kept original of {name} cannot be read ({path}: {error.strerror}): nothing was changed; "
            "see to the disk, or to the rights of this user"
        ) from error
    if digest != sha256:
        raise OriginalChanged(
            f"the kept original of {name} is not what was kept ({path} has {found}): nothing was changed; "
            "send the file again, which puts it right, and see to the disk"
        )


def _copy(source: IO[bytes], copy: IO[bytes]) -> None:
    if not _share_blocks(source, copy):
        source.seek(0)
        shutil.copyfileobj(source, copy, CHUNK)
    copy.flush()


def _share_blocks(source: IO[bytes], copy: IO[bytes]) -> bool:
    """Copy without copying, on a file system that can (Btrfs, XFS, ...)."""
    try:
        fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
    except OSError as error:
        if error.errno in {
            errno.EOPNOTSUPP,
            errno.EXDEV,
            errno.EINVAL,
            errno.ENOTTY,
            errno.ENOSYS,
            errno.EPERM,
            errno.EBADF,
            errno.ETXTBSY,
        }:
            return False
        raise
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename in *folder* last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
