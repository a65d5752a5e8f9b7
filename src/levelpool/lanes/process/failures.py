"""How an exception travels from a worker to the caller: as itself if that is possible, else as a description that always arrives."""

import contextlib
import io
import pickle
import re
from collections.abc import Callable
from types import FunctionType, MemberDescriptorType
from typing import Any

from levelpool.errors import RemoteError, plain_code
from levelpool.lanes.process.memfd_payload import MissingModuleError, decode_small
from levelpool.tracebacks import format_error, message_of, type_name


class RemoteTraceback(Exception):
    """The cause of an exception that came from a worker: prints as the traceback that the worker saw."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def pack_failure(error: BaseException) -> tuple[bytes, str, str, str]:
    """*error* as plain strings and bytes: its pickle (empty: it cannot travel itself), its type's name, its message, its traceback."""
    return _pickle_of(error) or _pickle_of_exit(error), type_name(error), message_of(error), format_error(error)


def brief_failure(error: BaseException) -> tuple[bytes, str, str, str]:
    """The same as plain text, cut to what always travels."""
    return b"", type_name(error), message_of(error)[:_BRIEF], format_error(error)[-_BRIEF:]


_BRIEF = 8192
"""Letters, of up to four bytes each."""


def unpack_failure(packed: tuple[bytes, str, str, str], found: Callable[[str], None] | None = None) -> BaseException:
    """
    The exception to raise for the caller; its cause shows the worker's traceback.

    *found* is asked for each module that it names; a `MissingModuleError` of it comes through.
    """
    pickled, name, message, text = packed
    error: BaseException | None = None
    if pickled:
        try:
            error = _checked(decode_small(pickled, found))
        except MissingModuleError:
            raise
        except BaseException:  # noqa: BLE001 - what it does when it is rebuilt here is the user's code: the description takes its place
            error = None
    if error is None:
        error = RemoteError(f"{name}: {message}", type_name=name, traceback_text=text)
    object.__setattr__(error, "__cause__", RemoteTraceback(text))  # a frozen dataclass refuses the plain way
    return error


def _checked(thing: object) -> BaseException:
    if not isinstance(thing, BaseException):
        raise TypeError(f"not an exception: {thing!r}")
    return thing


# ---------------------------------------------------------------- as itself

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")
"""Where an object lies, in its `repr`: it says nothing of what the object is."""


def _pickle_of(error: BaseException) -> bytes:
    """
    A pickle from which the same type comes back, empty if there is none; of two, the one whose copy says the same as *error*.

    Exceptions often pickle well and unpickle badly: their own way calls the class with what is in `args`, which is often not what the class was called with.
    The other way leaves its `__init__` out.
    """
    of_same_type = {}
    for way in (_in_its_own_way, _by_its_parts):
        try:
            pickled = way(error)
            copy = pickle.loads(pickled)  # noqa: S301 - made one line above
            if type(copy) is type(error):
                of_same_type[way] = pickled
                if _says_the_same(copy, error):
                    return pickled
        except BaseException:  # noqa: BLE001, S112 - any failure of the user's own pickling code means: not this way
            continue
    # What it holds may say something else each time it is asked, so neither copy can be judged by that.
    best = _by_its_parts if _has_own_init(type(error)) else _in_its_own_way
    return of_same_type.get(best) or b"".join(of_same_type.values())


def _says_the_same(copy: BaseException, error: BaseException) -> bool:
    return _all_it_says(copy) == _all_it_says(error)


def _all_it_says(error: BaseException) -> str:
    # Its fields too: where tblib is installed, as Dask has it, a SystemExit comes back with its arguments and without its code.
    return _ADDRESS.sub("0x", f"{error.args!r} {error} {sorted(_members_of(error).items())!r}")


def _in_its_own_way(error: BaseException) -> bytes:
    return pickle.dumps(error, 5)


def _by_its_parts(error: BaseException) -> bytes:
    target = io.BytesIO()
    _ByParts(target, error).dump(error)
    return target.getvalue()


class _ByParts(pickle.Pickler):
    """Pickles exceptions so that their own `__init__` is not called when they come back: this one, and others that it holds, as a group does."""

    def __init__(self, target: io.BytesIO, error: BaseException) -> None:
        super().__init__(target, 5)
        self._error = error

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, BaseException) and (obj is self._error or _has_own_init(type(obj))):
            return _from_parts, (type(obj), obj.args, obj.__dict__, _members_of(obj))
        return NotImplemented


def _has_own_init(kind: type[BaseException]) -> bool:
    """Whether a function in Python makes it, and BaseException pickles it."""
    pickles_plainly = kind.__reduce__ is BaseException.__reduce__ and kind.__reduce_ex__ is BaseException.__reduce_ex__
    return isinstance(kind.__init__, FunctionType) and pickles_plainly


def _members_of(error: BaseException) -> dict[str, Any]:
    """What it has beside its `__dict__`: `__slots__`, and the fields of built-in exceptions, such as the code of a SystemExit."""
    kinds = [kind for kind in type(error).__mro__ if kind is not BaseException]
    names = {name for kind in kinds for name, value in vars(kind).items() if isinstance(value, MemberDescriptorType)}
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


def _from_parts(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any], members: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)
    object.__setattr__(error, "args", args)
    error.__dict__.update(state)
    for name, value in members.items():
        # What can only be read, as the members of a group, is there already.
        with contextlib.suppress(AttributeError, TypeError):
            object.__setattr__(error, name, value)
    return error


def _pickle_of_exit(error: BaseException) -> bytes:
    """That a task has exited always arrives, whatever it wanted to say with it."""
    if isinstance(error, SystemExit):
        return _by_its_parts(SystemExit(plain_code(error)))
    return _by_its_parts(KeyboardInterrupt()) if isinstance(error, KeyboardInterrupt) else b""
