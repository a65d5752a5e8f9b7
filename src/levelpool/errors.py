"""
Everything that levelpool raises on purpose.

    LevelpoolError
    ├── SettingsError             an environment variable or an argument that cannot be used
    │   └── ArgumentError         (also a TypeError and a ValueError) one of a call or of a manager
    ├── ExtraMissing              (also a ModuleNotFoundError) an optional package is not installed
    ├── LaneFull                  the waiting room of a lane is full: come back after `retry_after`
    ├── LaneClosed                the lane drains or is closed
    ├── ClusterUnreachable        the cluster that the lane runs on is out of reach
    ├── TaskTimeout               (also a TimeoutError) the call did not end within its limit
    ├── WorkerDied                the worker process died under the call
    ├── TaskRefused               the call killed too many workers with these arguments: come back after `retry_after`
    ├── TaskExited                the task called `sys.exit`, or raised KeyboardInterrupt
    ├── TaskNotPicklable          function or arguments cannot travel to a worker
    ├── ResultNotPicklable        the result cannot travel back
    ├── ResultTooLarge            the result is over `max_result_bytes`
    ├── NoRoom                    no descriptor, memory or space for a large argument or result
    ├── RemoteError               an exception of the task that could not travel itself
    ├── DatabaseError             the database is out of reach, or its pool is exhausted
    │   ├── DatabaseUnwritable    it is there and cannot write: its disk is full, or it may only read
    │   └── PoolExhausted         no connection became free in time
    └── SheetError                see `levelpool.sheets.errors`

Errors carry plain values, never a live object, and survive pickling with every field.
"""


class LevelpoolError(Exception):
    """The root of the tree: `except LevelpoolError` catches all that levelpool raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own way calls `cls(*self.args)`, which breaks for every class with arguments of its own.
        return _restore, (type(self), self.args, self.__dict__.copy())


def _restore(cls: type[LevelpoolError], args: tuple[object, ...], state: dict[str, object]) -> LevelpoolError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class SettingsError(LevelpoolError):
    """A value that cannot be used; the message names the variable, the value and what is allowed."""


class ArgumentError(SettingsError, TypeError, ValueError):
    """
    An argument of a call or of a manager that cannot be used; raised before anything is done. The message says which one, what it is, and what is allowed.

    Also a TypeError and a ValueError, for programs that expect these.
    """


class ExtraMissing(LevelpoolError, ModuleNotFoundError):
    """
    An optional package is not installed; the message names it, and the command that installs it.

    `package` is its module's name, `extra` the extra of levelpool that brings it (None: no extra does).
    """

    def __init__(self, message: str, *, package: str, extra: str | None) -> None:
        super().__init__(message)
        self.package = package
        self.extra = extra


class LaneFull(LevelpoolError):
    """The waiting room of the lane is full; try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LaneClosed(LevelpoolError):
    """The lane drains or is closed and takes no new calls."""


class ClusterUnreachable(LevelpoolError):
    """The cluster that the CPU lane runs on is out of reach, and what ran there is lost; the lane is back when the cluster is."""


class TaskTimeout(LevelpoolError, TimeoutError):
    """The call did not end within its limit, waiting included; its cause is the `WorkerDied` of the killed worker, if one ran it."""


class WorkerDied(LevelpoolError):
    """
    The worker process died under exactly this call; no other call notices.

    `cause` is one of "deadline", "cancelled", "memory", "descriptors" (this process had none left to take the result), "signal", "exit".
    `exit_code` and `signal` are what the operating system reported (None where it does not apply),
    `task` is the name of the call, `rss` the worker's last known resident memory in bytes (0: unknown).
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str,
        exit_code: int | None = None,
        signal: int | None = None,
        task: str = "",
        rss: int = 0,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.exit_code = exit_code
        self.signal = signal
        self.task = task
        self.rss = rss


class TaskRefused(LevelpoolError):
    """The call has killed so many workers with these arguments that it is not run for a while; try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TaskExited(LevelpoolError):
    """
    The task called `sys.exit` (argparse and click do), or raised KeyboardInterrupt: that ends the call, and not the program that made it.

    `cause` is "SystemExit" or "KeyboardInterrupt". `code` is what `sys.exit` was given: a number, a text, or None, which means success;
    None for a KeyboardInterrupt. The exception itself is the error's `__cause__`.
    """

    def __init__(self, message: str, *, code: int | str | None, cause: str) -> None:
        super().__init__(message)
        self.code = code
        self.cause = cause


def plain_code(error: SystemExit) -> int | str | None:
    """What a program that raises *error* ends with: a number, a text (printed, and counted as failure), or None (success)."""
    code: object = error.code
    if isinstance(code, int):
        return int(code)
    if code is None or isinstance(code, str):
        return code
    try:
        return str(code)
    except Exception as broken:  # noqa: BLE001 - it is the program's own object
        return f"(what it is cannot be shown: {broken!r})"


class TaskNotPicklable(LevelpoolError):
    """The function or one of its arguments cannot travel to a worker; the message names the part."""


class ResultNotPicklable(LevelpoolError):
    """The task ended, but its result cannot travel back; the message names the part."""


class ResultTooLarge(LevelpoolError):
    """The task ended, but its result is over `max_result_bytes`."""


class NoRoom(LevelpoolError):
    """
    A large argument or result found no descriptor, no memory or no space to travel in; the message says where, and names the limit.

    `cause` is one of "descriptors", "memory", "space", "file size".
    """

    def __init__(self, message: str, *, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class RemoteError(LevelpoolError):
    """
    An exception of the task that could not travel itself: its type's name, its message and its traceback as text.

    Likewise a `CancelledError` that the task itself raised: as itself it would be taken for a cancelled call.
    """

    def __init__(self, message: str, *, type_name: str, traceback_text: str) -> None:
        super().__init__(message)
        self.type_name = type_name
        self.traceback_text = traceback_text


class DatabaseError(LevelpoolError):
    """The database is out of reach or does not allow what is needed; the message never shows a password."""


class DatabaseUnwritable(DatabaseError):
    """The database is there and cannot write: its disk is full, or it may only read."""


class PoolExhausted(DatabaseError):
    """No connection became free in time; the message names who has held one longest."""
