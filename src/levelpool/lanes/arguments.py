"""What a caller may hand over: what cannot be used is refused in one sentence, before anything is done with it."""

import asyncio
import functools
import inspect
import numbers
import operator
from collections.abc import Iterable
from datetime import timedelta
from types import CoroutineType, FunctionType
from typing import NoReturn

from levelpool.errors import ArgumentError

LONGEST = 1e9
"""Seconds; what is longer, `inf` too, is as good as this: timers of threads overflow at about nine times as much."""

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""The flags in the code of a function that is called and not run: somebody has to await it."""

_MARKS = (
    ("_is_coroutine_mark", getattr(inspect, "_is_coroutine_mark", None)),
    ("_is_coroutine", getattr(asyncio.coroutines, "_is_coroutine", None)),
)
"""How `inspect.markcoroutinefunction`, Cython and mocks say that something which is no `async def` returns a coroutine: name and value."""


def seconds(name: str, value: object, *, passed: float | None = None) -> float:
    """*value* as a number of seconds; one below zero, as of a deadline that has passed, is *passed* where that is given."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        hint = ", such as `.total_seconds()` of it" if isinstance(value, timedelta) else ""
        refuse(name, value, f"a number of seconds from 0 on{hint}")
    found = float(value)
    if found < 0 and passed is not None:
        return passed
    if not found >= 0:
        refuse(name, value, "a number of seconds from 0 on")
    return min(found, LONGEST)


def number(name: str, value: object, least: float, most: float) -> float:
    """*value* as a number from *least* to *most*."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not least <= float(value) <= most:
        refuse(name, value, f"a number from {least:g} to {most:g}")
    return float(value)


def whole_number(name: str, value: object, least: int | None = None) -> int:
    """*value* as an int, at least *least*."""
    allowed = "a whole number" if least is None else f"a whole number from {least} on"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        refuse(name, value, allowed)
    found = operator.index(value)
    if least is not None and found < least:
        refuse(name, value, allowed)
    return found


def size(name: str, value: object, least: int) -> int:
    """*value* as a number of bytes, at least *least*, which is some MiB."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        refuse(name, value, f"a whole number of bytes, {least} or more, such as 1 << 30 for 1 GiB")
    found = whole_number(name, value, 1)
    if found < least:
        raise ArgumentError(
            f"{name} is {found} bytes, and less than {least >> 20} MiB is too little for any worker process: sizes are in bytes, {found} MiB are {found << 20}"
        )
    return found


def text(name: str, value: object) -> str:
    """*value*, which must be a text."""
    if not isinstance(value, str):
        refuse(name, value, "a text")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """*value* as a tuple of texts; a text alone would be taken for a list of its letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        refuse(name, value, "a list of texts")
    found = tuple(value)
    for each in found:
        if not isinstance(each, str):
            refuse(f"one of {name}", each, "a text")
    return found


def callback(name: str, value: object) -> None:
    """Refuse what cannot be called, or would have to be awaited."""
    if not callable(value):
        refuse(name, value, "a function")
    if _is_async(value):
        refuse(name, value, "a plain function: it is called, and nobody awaits what it returns")


def check_function(func: object) -> None:
    """Refuse with `ArgumentError` what a lane cannot run: what cannot be called, and what returns a coroutine or an asynchronous generator."""
    if type(func) is FunctionType and not func.__code__.co_flags & _ASYNC and not func.__dict__:
        # What almost every call comes with.
        return
    if isinstance(func, CoroutineType):
        raise ArgumentError(
            f"{_shown(func)} is a coroutine: await it. A lane runs plain functions, and takes them uncalled: (f, 1), not (f(1))"
        )
    if not callable(func):
        raise ArgumentError(
            f"{_shown(func)} cannot be called: a lane takes a function and its arguments, (f, 1), and not what f(1) returns"
        )
    if _is_async(func):
        raise ArgumentError(
            f"{_shown(func)} is asynchronous, and a lane runs plain functions: await it in your loop, and hand the part of it that computes or blocks to the lane"
        )


def _is_async(func: object) -> bool:
    while isinstance(func, functools.partial):
        func = func.func
    func = getattr(func, "__func__", func)
    run = func if isinstance(func, FunctionType) else getattr(type(func), "__call__", None)  # noqa: B004 - what runs is looked into, not whether it does
    code = getattr(run, "__code__", None)
    if code is not None and code.co_flags & _ASYNC:
        return True
    return any(value is not None and getattr(func, name, None) is value for name, value in _MARKS)


def refuse(name: str, value: object, allowed: str) -> NoReturn:
    """Raise the error for a *value* that is not what is *allowed*."""
    raise ArgumentError(f"{name} is {_shown(value)}: it must be {allowed}")


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - it is the caller's own object
        shown = "an object"
    kind = type(value).__qualname__
    shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
    return shown if value is None or isinstance(value, str | int | float) or kind in shown else f"{shown} ({kind})"
