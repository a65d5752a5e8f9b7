"""How an exception travels from a worker to the caller: as itself if that is possible, else as a description that always arrives."""

import pickle
from collections.abc import Callable
from typing import Any

from levelpool.errors import RemoteError
from levelpool.lanes.process.memfd_payload import MissingModuleError, decode_small
from levelpool.tracebacks import format_error, message_of, type_name

_NATIVE, _RAW, _TEXT = "native", "raw", "text"


class RemoteTraceback(Exception):
    """The cause of an exception that came from a worker: prints as the traceback that the worker saw."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def pack_failure(error: BaseException) -> tuple[str, bytes, str, str, str]:
    """*error* as plain strings and bytes: how it travels, its pickle, its type's name, its message, its traceback."""
    text, name, said = format_error(error), type_name(error), message_of(error)
    for way, shape in ((_NATIVE, _native_shape), (_RAW, _raw_shape)):
        pickled = _try_pickle(error, shape)
        if pickled is not None:
            return way, pickled, name, said, text
    return _TEXT, b"", name, said, text


def unpack_failure(packed: tuple[str, bytes, str, str, str], found: Callable[[str], None] | None = None) -> BaseException:
    """
    The exception to raise for the caller; its cause shows the worker's traceback.

    *found* is asked for each module that it names; a `MissingModuleError` of it comes through.
    """
    way, pickled, name, message, text = packed
    error: BaseException | None = None
    if way != _TEXT:
        try:
            error = rebuild(decode_small(pickled, found))
        except MissingModuleError:
            raise
        except BaseException:  # noqa: BLE001 - what it does when it is rebuilt here is the user's code: the description takes its place
            error = None
    if error is None:
        error = RemoteError(f"{name}: {message}", type_name=name, traceback_text=text)
    error.__cause__ = RemoteTraceback(text)
    return error


def rebuild(shape: object) -> BaseException:
    """The exception from either of its shapes."""
    if isinstance(shape, BaseException):
        return shape
    kind, args, state, notes = _as_raw(shape)
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    for note in notes:
        error.add_note(note)
    return error


def _as_raw(shape: object) -> tuple[type[BaseException], tuple[Any, ...], dict[str, Any], list[str]]:
    if not isinstance(shape, tuple):
        raise TypeError(f"not an exception: {shape!r}")
    kind, args, state, notes = shape
    return kind, args, state, notes


def _native_shape(error: BaseException) -> object:
    return error


def _raw_shape(error: BaseException) -> object:
    # Without the class's own `__init__`, whose arguments are often not those it hands to Exception.
    state = {key: value for key, value in error.__dict__.items() if key != "__notes__"}
    return type(error), error.args, state, list(getattr(error, "__notes__", ()))


def _try_pickle(error: BaseException, shape: Callable[[BaseException], object]) -> bytes | None:
    """The pickle, if what comes back from it is the same; exceptions often pickle well and unpickle badly."""
    try:
        pickled = pickle.dumps(shape(error), 5)
        copy = rebuild(pickle.loads(pickled))  # noqa: S301 - made one line above
        same = type(copy) is type(error) and repr(copy.args) == repr(error.args) and str(copy) == str(error)
    except BaseException:  # noqa: BLE001 - any failure of the user's own pickling code means: not this way
        return None
    return pickled if same or (shape is _raw_shape and type(error) is type(copy) and str(copy) == str(error)) else None
