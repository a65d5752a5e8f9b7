"""Exceptions on their way to the caller: of their own type wherever that can be, and never one that ends the caller's program."""

import asyncio
import copyreg
import errno
import itertools
import pickle
import threading
from dataclasses import dataclass

import pytest
from tblib import pickling_support

from levelpool import LevelpoolError, RemoteError, TaskExited
from levelpool.lanes.completions import unmistakable
from levelpool.lanes.process.failures import pack_failure, unpack_failure
from levelpool.testing import inline_manager

COUNT = itertools.count()


class Parcel:
    """Its `repr` is where it lies."""


class Clock:
    """Says something else each time it is asked."""

    def __repr__(self):
        return f"tick {next(COUNT)}"


class Lost(Exception):
    """As most programs write them."""


class Worded(Exception):
    """Hands on another text than it was given."""

    def __init__(self, parcel, *, stop):
        super().__init__(f"lost at {stop}", parcel)
        self.stop = stop


class Slotted(Exception):
    """Keeps what it knows in a slot."""

    __slots__ = ("stop",)

    def __init__(self, stop):
        super().__init__(Clock())
        self.stop = stop


class Quit(SystemExit):
    """An end with a reason."""

    def __init__(self, code, reason):
        super().__init__(code)
        self.reason = reason


class Left(SystemExit):
    """An end like any other."""


@dataclass(frozen=True)
class Sealed(Exception):
    """Lets nobody set anything."""

    stop: str
    parcel: object


def travelled(error):
    return unpack_failure(pack_failure(error))


@pytest.mark.parametrize(
    "error",
    [
        Lost(Parcel()),
        KeyError(Parcel()),
        Lost("in the yard", {Parcel(), Parcel()}, Clock()),
        Worded(Parcel(), stop="B"),
        Worded(Clock(), stop="B"),
        Slotted("B"),
        Sealed("B", Clock()),
        OSError(errno.ENOENT, "no such stop", Clock()),
        ExceptionGroup("both", [Worded("x", stop="B"), KeyError(Parcel())]),
    ],
    ids=lambda error: f"{type(error).__name__}-{len(error.args)}",
)
def test_exception_comes_back_as_its_own_type(error):
    """Whoever catches it by its type catches it, whatever it holds, and however that shows itself; what it knows is there."""
    back = travelled(error)

    assert type(back) is type(error)
    assert getattr(back, "stop", None) == getattr(error, "stop", None)
    assert [type(each) for each in back.args] == [type(each) for each in error.args]
    assert "Error" in str(back.__cause__) or type(error).__name__ in str(back.__cause__)


def test_copy_that_says_the_same_is_preferred():
    """Its own way back would say "lost at lost at B"; a built-in one knows the file only on its own way."""
    assert str(travelled(Worded("x", stop="B"))) == str(Worded("x", stop="B"))
    assert travelled(OSError(errno.ENOENT, "gone", "a.csv")).filename == "a.csv"
    assert (travelled(Quit(3, "done")).code, travelled(Quit(3, "done")).reason) == (3, "done")


def test_pickling_of_a_library_loses_no_code():
    """tblib, which Dask brings, pickles exceptions without the fields that their `__init__` sets."""
    pickling_support.install(Left)

    assert pickle.loads(pickle.dumps(Left(3))).code is None
    assert travelled(Left(3)).code == 3


def test_exception_that_cannot_travel_is_described():
    """One that holds a lock, and one whose class nobody can find."""

    class Hidden(Exception):
        pass

    for error in (Lost(threading.Lock()), Hidden("here")):
        back = travelled(error)
        assert (type(back), back.type_name.rpartition(".")[2]) == (RemoteError, type(error).__name__)


class Parting:
    """What a task ends with, beside numbers and texts."""

    def __str__(self):
        return "so long"


@pytest.mark.parametrize(
    ("error", "code", "cause"),
    [
        (SystemExit(2), 2, "SystemExit"),
        (SystemExit(), None, "SystemExit"),
        (SystemExit("no such option"), "no such option", "SystemExit"),
        (SystemExit(Parting()), "so long", "SystemExit"),
        (Quit(True, "done"), 1, "SystemExit"),
        (KeyboardInterrupt(), None, "KeyboardInterrupt"),
    ],
)
def test_exit_of_a_task_is_an_ordinary_exception_for_its_caller(monkeypatch, error, code, cause):
    """A server survives it, and a program can still end with the code."""
    # A library that pickles tracebacks adds the cause, which may be an exception that is not pickled right; another test may have loaded it.
    monkeypatch.delitem(copyreg.dispatch_table, TaskExited, raising=False)
    said = unmistakable(error)

    assert isinstance(said, Exception)
    assert isinstance(said, LevelpoolError)
    assert (type(said), said.code, said.cause, said.__cause__) == (TaskExited, code, cause, error)
    assert vars(pickle.loads(pickle.dumps(said))) == {"code": code, "cause": cause}


def test_exit_that_cannot_travel_arrives_as_an_exit():
    """Its code is an object that cannot be pickled: that the task has exited is not lost with it."""
    said = unmistakable(travelled(SystemExit(threading.Lock())))

    assert type(said) is TaskExited
    assert "lock" in said.code


def test_exit_in_a_group_is_no_exit_either():
    """Servers raise the only member of a group in the group's place; the other members stay what they are."""
    other = ValueError("other")
    said = unmistakable(BaseExceptionGroup("all", [other, BaseExceptionGroup("inner", [SystemExit(4)])]))

    assert isinstance(said, ExceptionGroup)
    assert said.exceptions[0] is other
    assert said.exceptions[1].exceptions[0].code == 4
    assert unmistakable(group := ExceptionGroup("plain", [other])) is group


def leave(code):
    raise SystemExit(code)


def count_and_leave():
    yield 1
    leave(5)


async def test_inline_task_that_exits_ends_its_call_only():
    """In place too, by each way in: a call, a future, a stream."""
    manager = inline_manager()
    for call in (manager.run_cpu_intensive, manager.run_io_intensive):
        with pytest.raises(TaskExited) as raised:
            await call(leave, 3)
        assert raised.value.code == 3
    assert manager.io_executor.submit(leave, 3).exception().code == 3
    stream = manager.stream_cpu_intensive(count_and_leave)
    assert await anext(stream) == 1
    with pytest.raises(TaskExited, match="code 5"):
        await anext(stream)


async def test_server_is_not_ended_by_a_task():
    """asyncio ends its loop at a SystemExit of any of its tasks, and at no Exception."""
    request = asyncio.create_task(inline_manager().run_cpu_intensive(leave, 1))

    assert type((await asyncio.gather(request, return_exceptions=True))[0]) is TaskExited
