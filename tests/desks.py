"""A second process at a desk, as a thread of this one."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from levelpool.sheets.work_sharing import Desk, lend_a_hand


@contextmanager
def helping(desk: Desk) -> Iterator[None]:
    """Somebody lends a hand while the body runs."""
    thread = Thread(target=lend_a_hand, args=(desk,))
    thread.start()
    try:
        yield
    finally:
        desk.call_away()
        thread.join()


def wait_for_somebody(desk: Desk) -> None:
    """Return when somebody is at the work on the desk."""
    deadline = time.monotonic() + 30
    while not any(map(_is_locked, desk.folder.glob("work-*/at hand"))):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
