"""
The options of a manager, told once: names, types and defaults.

The manager and its factories take the fields of these records as keywords; `takes` lets type checkers and `inspect.signature` see them there.
"""

import contextvars
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

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
