"""One call, from its admission to its outcome, and the name under which it is counted."""

import contextvars
import functools
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Protocol

from levelpool.lanes.admission import Admission
from levelpool.lanes.completions import Completion
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.spans import Span
from levelpool.lanes.task_stats import TaskCounters


class LargePayload(Protocol):
    """What a codec has made of a call, where it is too large for bytes."""

    length: int

    def close(self) -> None:
        """Give the memory back."""
        ...


class Call:
    """What somebody wants, and how far it is."""

    __slots__ = (
        "__weakref__",
        "admission",
        "args",
        "completion",
        "context",
        "counters",
        "created",
        "func",
        "function_ref",
        "is_over",
        "kwargs",
        "metadata",
        "name",
        "number",
        "options",
        "payload",
        "skipped_context",
        "span",
        "started",
    )

    def __init__(  # noqa: PLR0917 - by position: names would take as long as the rest, once for each call
        self,
        number: int,
        completion: Completion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: CallOptions,
        name: str,
        counters: TaskCounters,
        admission: Admission,
        span: Span | None,
    ) -> None:
        self.number = number
        self.completion = completion
        self.func: Callable[..., Any] | None = func
        self.args: tuple[Any, ...] = args
        self.kwargs = kwargs
        self.options = options
        self.name = name
        self.counters = counters
        self.admission = admission
        self.context = contextvars.copy_context()
        self.created = now()
        self.started = 0.0
        """When it began, where the place that runs it tells; 0.0 before, and where nobody tells."""
        self.is_over = False
        self.function_ref = b""
        self.metadata = b""
        self.payload: bytes | LargePayload | None = None
        """What its codec has made of it: not None from then on until its end."""
        self.skipped_context = 0
        """Context variables that stay behind."""
        self.span = span


@functools.lru_cache(maxsize=1024)
def _function_name(module: str | None, qualname: str) -> str:
    return f"{module}.{qualname}" if module else qualname


def task_name(func: Callable[..., Any]) -> str:
    """The name of *func* in statistics: module and qualified name; a partial is named like what it wraps."""
    if type(func) is FunctionType:
        return _function_name(func.__module__, func.__qualname__)
    while isinstance(func, functools.partial):
        func = func.func
    named = func if hasattr(func, "__qualname__") else type(func)
    return _function_name(getattr(named, "__module__", None), named.__qualname__)
