"""Preloaded where a test wants workers without `memfd_create`, as a sandbox would have them."""

import errno
import os


def refuse(*_args: object) -> int:
    """Stands in for it."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


os.memfd_create = refuse
