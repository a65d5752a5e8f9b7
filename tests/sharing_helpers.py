"""A helper at shared work, as a thread of this one."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from levelpool.sheets.work_sharing import WorkSharing, help_from_end


@contextmanager
def helping(sharing: WorkSharing) -> Iterator[None]:
    """Somebody lends a hand while the body runs."""
    thread = Thread(target=help_from_end, args=(sharing,))
    thread.start()
    try:
        yield
    finally:
        sharing.recall()
        thread.join()


def wait_for_somebody(sharing: WorkSharing) -> None:
    """Return when somebody is at the shared work."""
    deadline = time.monotonic() + 30
    while not any(map(_is_locked, sharing.folder.glob("work-*/at hand"))):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
