"""What it means that there is no room for a memory file: no descriptor, no memory, no space; said as that, and not as something that cannot be pickled."""

import errno
import resource

from levelpool.errors import NoRoom

_CAUSES = {
    errno.EMFILE: "descriptors",
    errno.ENFILE: "descriptors",
    errno.ETOOMANYREFS: "descriptors",
    errno.ENOMEM: "memory",
    errno.ENOSPC: "space",
    errno.EDQUOT: "space",
    errno.EFBIG: "file size",
}


def no_room(what: str, error: BaseException, where: str = "this process") -> NoRoom | None:
    """The error to raise where *what* has met *error* in *where*; None if that has nothing to do with room."""
    if isinstance(error, NoRoom):
        return NoRoom(f"{what}: {error}", cause=error.cause)
    if isinstance(error, MemoryError):
        return NoRoom(f"{what}: {where} has no memory left", cause="memory")
    cause = _CAUSES.get(error.errno or 0) if isinstance(error, OSError) else None
    return NoRoom(f"{what}: {_in_words(cause, error, where)}", cause=cause) if cause is not None else None


def _in_words(cause: str, error: BaseException, where: str) -> str:
    match cause:
        case "descriptors":
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return f"{where} has no file descriptor left ({error}; ulimit -n is {_number(soft)})"
        case "file size":
            soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
            return f"it is larger than a file may be in {where} ({error}; ulimit -f is {_number(soft)} bytes)"
        case "space":
            return f"there is no space for it where {where} keeps what is large, in memory or in the folder for temporary files ({error})"
        case _:
            return f"{where} has no memory left ({error})"


def _number(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else f"{limit}"
