"""Which part of a call or of a result cannot travel. Looking for it may take several picklings of the whole: never on an event loop."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from levelpool.errors import TaskNotPicklable
from levelpool.lanes.process.memfd_payload import travels

_HINTS: Mapping[type, str] = {
    GeneratorType: ", whose items travel one by one with stream_cpu_intensive, or together as a list",
    CoroutineType: ", which nobody has awaited: await it in your loop, or run it to its end in the task with asyncio.run",
    AsyncGeneratorType: ", whose items only a loop can take: iterate over it in your loop",
}

DEPTH = 6
"""Levels of nested containers that are looked into."""


def task_not_picklable(func: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any], error: BaseException) -> TaskNotPicklable:
    """The refusal of a call, naming the part of it that cannot be pickled."""
    name = getattr(func, "__qualname__", repr(func))
    if not travels(func):
        hint = "functions travel by name, so it must be importable: define it at the top level of a module, or use run_io_intensive"
        return TaskNotPicklable(f"the function {name} cannot travel to a worker process ({error}): {hint}")
    parts = [(f"argument {at}", value) for at, value in enumerate(args)] + [(f"argument {key!r}", value) for key, value in kwargs.items()]
    where, found = blame(parts)
    return TaskNotPicklable(f"{where} of {name} cannot travel to a worker process: {found} ({error})")


def blame(parts: Iterable[tuple[str, Any]], depth: int = DEPTH) -> tuple[str, str]:
    """Where in *parts* the thing sits that cannot be pickled, and what it is."""
    return _find(parts, depth) or ("something", "an object that cannot be pickled")


def _find(parts: Iterable[tuple[str, Any]], depth: int) -> tuple[str, str] | None:
    for where, value in parts:
        if not travels(value):
            inner = _find(_children(where, value), depth - 1) if depth else None
            hint = _HINTS.get(type(value), "")
            return inner or (where, f"an object of type {type(value).__module__}.{type(value).__qualname__}{hint}")
    return None


def _children(where: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((f"{where}[{key!r}]", child) for key, child in list(value.items()))
    if isinstance(value, list | tuple):
        return ((f"{where}[{at}]", child) for at, child in enumerate(value))
    if isinstance(value, set | frozenset):
        return ((f"an element of {where}", child) for child in list(value))
    if not isinstance(value, type) and hasattr(value, "__dict__"):
        return ((f"{where}.{key}", child) for key, child in list(vars(value).items()))
    return iter(())
