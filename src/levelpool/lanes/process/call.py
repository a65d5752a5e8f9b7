"""One call of the process lane, from the entrance to its outcome, and how it is packed for the way."""

import contextvars
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from levelpool.lanes.account import TaskAccount
from levelpool.lanes.context import Carrier
from levelpool.lanes.entrance import Entrance
from levelpool.lanes.lane import CallOptions, now
from levelpool.lanes.process.parcel import PAUSE, Parcel, encode_large, encode_small
from levelpool.lanes.spans import Span
from levelpool.lanes.stream import WINDOW, StreamTicket
from levelpool.lanes.tickets import LoopTicket, ThreadTicket

_MOST_REFERENCES = 1024
_LONGEST_REFERENCE = 0xFFFF


class Call:
    """What somebody wants, and how far it is."""

    __slots__ = (
        "__weakref__",
        "account",
        "args",
        "context",
        "created",
        "entrance",
        "func",
        "is_over",
        "kwargs",
        "name",
        "number",
        "options",
        "payload",
        "reference",
        "span",
        "ticket",
        "wishes",
    )

    def __init__(
        self,
        number: int,
        ticket: LoopTicket | ThreadTicket,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        options: CallOptions,
        name: str,
        account: TaskAccount,
        entrance: Entrance,
        span: Span | None,
    ) -> None:
        self.number = number
        self.ticket = ticket
        self.func: Callable[..., Any] | None = func
        self.args: tuple[Any, ...] = args
        self.kwargs = kwargs
        self.options = options
        self.name = name
        self.account = account
        self.entrance = entrance
        self.context = contextvars.copy_context()
        self.created = now()
        self.is_over = False
        self.reference = b""
        self.wishes = b""
        self.payload: bytes | Parcel | None = None
        self.span = span


class Packer:
    """
    Turns calls into bytes: a reference, wishes, and a payload.

    A function that is a module's global travels as a *reference*, its pickle, which is made once and unpacked once by each worker.
    *Wishes* are what the worker has to know beside the call: context variables, progress, the window of a stream, the trace.
    The payload is arguments, keyword arguments, and any other kind of callable; nothing at all if there is none of it.
    """

    def __init__(self, carry: Sequence[contextvars.ContextVar[Any]]) -> None:
        self._carrier = Carrier(carry)
        self._references: dict[FunctionType, bytes] = {}

    def address(self, call: Call) -> int:
        """Set the call's reference and wishes; how many context variables stay behind. Raises what pickling raises."""
        func = call.func
        call.reference = self._reference(func) if type(func) is FunctionType else b""
        context, carried, skipped = self._carrier.pack(call.context)
        wants_progress, is_stream = call.options.on_progress is not None, isinstance(call.ticket, StreamTicket)
        if context or carried or wants_progress or is_stream or call.span:
            wishes = {
                "context": context,
                "carried": carried,
                "progress": wants_progress,
                "window": WINDOW if is_stream else 0,
                "trace": call.span.carrier if call.span else None,
            }
            call.wishes = pickle.dumps(wishes, 5)
        return skipped

    def _reference(self, func: FunctionType) -> bytes:
        known = self._references.get(func)
        # Somebody may have given its name to another function meanwhile; then pickle refuses it, and so do we.
        if known is None or getattr(sys.modules.get(func.__module__), func.__name__, None) is not func:
            known = pickle.dumps(func, 5)
            if len(known) > _LONGEST_REFERENCE:
                return b""
            if len(self._references) >= _MOST_REFERENCES:
                self._references.clear()
            self._references[func] = known
        return known


def pack_small(call: Call) -> bytes | None:
    """The payload as bytes, or None as soon as it turns out to be large."""
    thing = _contents(call)
    return b"" if thing is None else encode_small(thing)


def pack_large(call: Call) -> Parcel:
    """The payload in a memory file, made in small steps; not for the loop's thread."""
    return encode_large(_contents(call), pause=PAUSE)


def _contents(call: Call) -> tuple[Any, ...] | None:
    if not call.reference:
        return call.args, call.kwargs, call.func
    return (call.args, call.kwargs) if call.args or call.kwargs else None
