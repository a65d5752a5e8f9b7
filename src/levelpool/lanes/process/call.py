"""One call of the process lane, from its admission to its outcome, and how it is packed for the way."""

import contextvars
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from levelpool.lanes.admission import Admission
from levelpool.lanes.completions import LoopCompletion, ThreadCompletion
from levelpool.lanes.context import Carrier
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.process.memfd_payload import PAUSE, MemfdPayload, encode_large, encode_small
from levelpool.lanes.spans import Span
from levelpool.lanes.stream import WINDOW, StreamCompletion
from levelpool.lanes.task_stats import TaskCounters

_MOST_FUNCTION_REFS = 1024
_LONGEST_FUNCTION_REF = 0xFFFF


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
        "span",
    )

    def __init__(
        self,
        number: int,
        completion: LoopCompletion | ThreadCompletion,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
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
        self.is_over = False
        self.function_ref = b""
        self.metadata = b""
        self.payload: bytes | MemfdPayload | None = None
        self.span = span


class Packer:
    """
    Turns calls into bytes: a function reference, metadata, and a payload.

    A function that is a module's global travels as a *function reference*, its pickle, which is made once and unpacked once by each worker.
    *Metadata* is what the worker has to know beside the call: context variables, progress, the window of a stream, the trace.
    The payload is arguments, keyword arguments, and any other kind of callable; nothing at all if there is none of it.
    """

    def __init__(self, carry: Sequence[contextvars.ContextVar[Any]]) -> None:
        self._carrier = Carrier(carry)
        self._function_refs: dict[FunctionType, bytes] = {}

    def address(self, call: Call) -> int:
        """Set the call's function reference and metadata; how many context variables stay behind. Raises what pickling raises."""
        func = call.func
        call.function_ref = self._function_ref(func) if type(func) is FunctionType else b""
        context, carried, skipped = self._carrier.pack(call.context)
        wants_progress, is_stream = call.options.on_progress is not None, isinstance(call.completion, StreamCompletion)
        if context or carried or wants_progress or is_stream or call.span:
            metadata = {
                "context": context,
                "carried": carried,
                "progress": wants_progress,
                "window": WINDOW if is_stream else 0,
                "trace": call.span.carrier if call.span else None,
            }
            call.metadata = pickle.dumps(metadata, 5)
        return skipped

    def _function_ref(self, func: FunctionType) -> bytes:
        known = self._function_refs.get(func)
        # Somebody may have given its name to another function meanwhile; then pickle refuses it, and so do we.
        if known is None or getattr(sys.modules.get(func.__module__), func.__name__, None) is not func:
            known = pickle.dumps(func, 5)
            if len(known) > _LONGEST_FUNCTION_REF:
                return b""
            if len(self._function_refs) >= _MOST_FUNCTION_REFS:
                self._function_refs.clear()
            self._function_refs[func] = known
        return known


def pack_small(call: Call) -> bytes | None:
    """The payload as bytes, or None as soon as it turns out to be large."""
    thing = _contents(call)
    return b"" if thing is None else encode_small(thing)


def pack_large(call: Call) -> MemfdPayload:
    """The payload in a memory file, made in small steps; not for the loop's thread."""
    return encode_large(_contents(call), pause=PAUSE)


def _contents(call: Call) -> tuple[Any, ...] | None:
    if not call.function_ref:
        return call.args, call.kwargs, call.func
    return (call.args, call.kwargs) if call.args or call.kwargs else None
