"""
The options of a manager, told once: names, types and defaults.

The manager and its factories take the fields of these records as keywords; `takes` lets type checkers and `inspect.signature` see them there.
"""

import contextvars
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from levelpool.errors import ArgumentError
from levelpool.lanes.arguments import refuse, seconds, size, text, texts, whole_number
from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.lane import Lane, StreamingLane

# For its type alone: the import of the executor stays light.
if TYPE_CHECKING:
    from levelpool.lanes.schedule import Gate

P = ParamSpec("P")
A = TypeVar("A")
R = TypeVar("R")

Lanes = tuple[StreamingLane, Lane]
"""The one for CPU-bound work, and the one for blocking I/O."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Those that count wherever the CPU lane runs; a number that is None is as the container, or the cluster, allows."""

    cpu_workers: int | None = None
    io_workers: int | None = None
    cpu_queue_limit: int = 1000
    io_queue_limit: int = 10_000
    cpu_bulkheads: Mapping[str, Bulkhead] | None = None
    io_bulkheads: Mapping[str, Bulkhead] | None = None
    carry: Sequence[contextvars.ContextVar[Any]] = ()

    def __post_init__(self) -> None:
        for each in fields(self):
            value, check = getattr(self, each.name), _CHECKS.get(each.name)
            if check is not None and value is not each.default:
                object.__setattr__(self, each.name, check(each.name, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions(ClusterOptions):
    """With those that count where worker processes of this host run it; sizes in bytes, times in seconds."""

    worker_memory_limit: int | None = None
    worker_idle_timeout: float = 30.0
    worker_max_tasks: int | None = None
    max_result_bytes: int | None = None
    max_kills: int | None = None
    preload: Sequence[str] = ()
    worker_environment: Mapping[str, str] | None = None
    worker_variables: Sequence[str] = ()
    gate: "Gate | None" = None

    def idle_on_a_cluster(self) -> list[str]:
        """The options that were said, and do not count on a cluster."""
        own = [each for each in fields(ProcessOptions) if each.name not in ClusterOptions.__dataclass_fields__]
        return [each.name for each in own if getattr(self, each.name) != each.default]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOptions(ProcessOptions):
    """With those that say where the CPU lane runs."""

    dask_scheduler: str | None = None
    lanes: Lanes | None = None


# ---------------------------------------------------------------- what may be said


def _one_or_more(name: str, value: object) -> int:
    return whole_number(name, value, 1)


def _none_or_more(name: str, value: object) -> int:
    return whole_number(name, value, 0)


def _worker_memory(name: str, value: object) -> int:
    from levelpool.sizing import LEAST_WORKER_MEMORY  # noqa: PLC0415 - the import of the executor stays light

    return size(name, value, LEAST_WORKER_MEMORY)


def _bulkheads(name: str, value: object) -> Mapping[str, Bulkhead]:
    if not isinstance(value, Mapping):
        refuse(name, value, "a dictionary, a name and a Bulkhead each")
    for group, limits in value.items():
        text(f"a name in {name}", group)
        if not isinstance(limits, Bulkhead):
            refuse(f"{name}[{group!r}]", limits, "a Bulkhead(workers=..., queue_limit=...)")
    return value


def _variables(name: str, value: object) -> tuple[contextvars.ContextVar[Any], ...]:
    if not isinstance(value, Iterable):
        refuse(name, value, "a list of context variables")
    found = tuple(value)
    for each in found:
        if not isinstance(each, contextvars.ContextVar):
            refuse(f"one of {name}", each, "a ContextVar")
    return found


def _environment(name: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        refuse(name, value, "a dictionary of texts, such as dict(os.environ)")
    for variable, content in value.items():
        text(f"a name in {name}", variable)
        if not isinstance(content, str):
            # Not shown: it may be a password that is a number.
            raise ArgumentError(f"{variable} in {name} is of type {type(content).__qualname__}: it must be a text")
        if not variable or "=" in variable or "\0" in variable + content:
            raise ArgumentError(
                f"{variable!r} in {name} cannot be set: no variable has an empty name, an equals sign in its name, or a NUL in either"
            )
    return value


_CHECKS: Mapping[str, Callable[[str, object], object]] = {
    "cpu_workers": _one_or_more,
    "io_workers": _one_or_more,
    "cpu_queue_limit": _none_or_more,
    "io_queue_limit": _none_or_more,
    "cpu_bulkheads": _bulkheads,
    "io_bulkheads": _bulkheads,
    "carry": _variables,
    "worker_memory_limit": _worker_memory,
    "worker_idle_timeout": seconds,
    "worker_max_tasks": _one_or_more,
    "max_result_bytes": _one_or_more,
    "max_kills": _one_or_more,
    "preload": texts,
    "worker_environment": _environment,
    "worker_variables": texts,
    "dask_scheduler": text,
}
"""How each option is checked when it is not its default; the value as the lanes take it comes back."""


def takes(record: Callable[P, object]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """The function takes the fields of *record* as keywords."""

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        _show(function, [*inspect.signature(record).parameters.values()])
        return function

    return decorate


def takes_after(record: Callable[P, object]) -> Callable[[Callable[Concatenate[A, ...], R]], Callable[Concatenate[A, P], R]]:
    """The function takes one argument, and the fields of *record* as keywords."""

    def decorate(function: Callable[Concatenate[A, ...], R]) -> Callable[Concatenate[A, P], R]:
        first, *_options = inspect.signature(function).parameters.values()
        _show(function, [first, *inspect.signature(record).parameters.values()])
        return function

    return decorate


def _show(function: Any, parameters: list[inspect.Parameter]) -> None:
    function.__signature__ = inspect.signature(function).replace(parameters=parameters)
