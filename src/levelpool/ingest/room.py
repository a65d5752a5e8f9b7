"""Whether a store or a database can be written: said once in the log, told by readiness, and looked at again until it is well."""

import contextlib
import errno
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from levelpool.log_once import LogOnce
from levelpool.sheets.errors import StoreError

logger = logging.getLogger(__name__)

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What the system says when nothing more can be written: full, over a quota, over a limit of the process, read-only."""


@contextlib.contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """
    Turn what the system has against working files in *folder* into a `StoreError` with a sentence.

    What goes wrong elsewhere, such as in a program's own file that is being read, goes on as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM and not str(error.filename).startswith(str(folder)):
            raise
        raise StoreError(
            f"no working file can be written in {folder} ({error.strerror or error}): make room there, or give this user the right to write, "
            "and try again"
        ) from error


def remove_if_there(path: Path) -> None:
    """Remove a working file of ours; what stands in its way has been told by whoever could not write it."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


LEAST = 1 << 20
"""Bytes that have to be free at least until a folder that was full is well again."""


class Room:
    """What is known of the room in one place; *has_room* asks the place itself whether it takes so many bytes, and blocks."""

    def __init__(self, has_room: Callable[[int], bool], well: str) -> None:
        self._has_room = has_room
        self._well = well  # what the log says when it is over
        self._trouble = ""
        self._needed = LEAST
        self._log = LogOnce(logger)

    @property
    def is_in_trouble(self) -> bool:
        """Whether something could not be written, and nothing was since."""
        return bool(self._trouble)

    def has_failed(self, sentence: str, needed: int = 0, *, cause: str = "") -> None:
        """
        Something of *needed* bytes could not be written; the log gets the sentence once for each *cause*.

        Without a cause, the sentence is its own: one that names another file each time needs one.
        """
        self._log.say(sentence, cause=cause)
        self._trouble = sentence
        self._needed = max(LEAST, needed)

    def has_taken(self) -> None:
        """Something was written: all is well."""
        if self._trouble:
            logger.info(self._well)
        self._trouble = ""
        self._log.is_over()

    def look(self) -> str:
        """Why nothing can be written, "" when all is well; asks the place only after it has failed. Blocks."""
        if self._trouble and self._has_room(self._needed):
            self.has_taken()
        return self._trouble


def has_room_in(folder: Path, size: int) -> bool:
    """Whether a folder takes *size* bytes. Blocks."""
    place = folder / f".{uuid.uuid4().hex}.part"  # a name that is swept when this process dies meanwhile
    try:
        with place.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            place.unlink()
    return True


def takes_rows(connection: sa.Connection, size: int) -> bool:
    """Whether PostgreSQL takes *size* bytes of rows, in a table that is gone again when the transaction is; raises what the server says."""
    name = f"levelpool_room_{uuid.uuid4().hex}"
    connection.execute(sa.text(f"CREATE UNLOGGED TABLE {name} (filler text)"))
    connection.execute(sa.text(f"INSERT INTO {name} SELECT repeat('x', 1000) FROM generate_series(1, {size // 1000 + 1})"))  # noqa: S608 - a name of ours
    connection.rollback()
    return True
