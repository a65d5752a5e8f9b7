"""Whether the disk of a store has room: said once in the log, told by readiness, and looked at again until it is well."""

import contextlib
import errno
import logging
import os
import uuid
from pathlib import Path

from levelpool.log_once import LogOnce

logger = logging.getLogger(__name__)

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What the system says when nothing more can be written: full, over a quota, over a limit of the process, read-only."""

LEAST = 1 << 20
"""Bytes that have to be free at least until a folder that was full is well again."""


class Room:
    """What is known of the room under one folder."""

    def __init__(self) -> None:
        self._trouble = ""
        self._needed = LEAST
        self._log = LogOnce(logger)

    @property
    def is_in_trouble(self) -> bool:
        """Whether something could not be written, and nothing was since."""
        return bool(self._trouble)

    def has_failed(self, sentence: str, needed: int = 0) -> None:
        """Something of *needed* bytes could not be written; the log gets the sentence when it is another than before."""
        self._log.say(sentence)
        self._trouble = sentence
        self._needed = max(LEAST, needed)

    def has_taken(self) -> None:
        """Something was written: all is well."""
        if self._trouble:
            logger.info("files can be kept again")
        self._trouble = ""
        self._log.is_over()

    def look(self, folder: Path) -> str:
        """Why nothing can be kept in *folder*, "" when all is well; asks the disk only after it has failed. Blocks."""
        if self._trouble and _has_room(folder, self._needed):
            self.has_taken()
        return self._trouble


def _has_room(folder: Path, size: int) -> bool:
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
