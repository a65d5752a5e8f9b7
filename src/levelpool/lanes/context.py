"""Which context variables travel with a call to another process."""

import contextvars
import pickle
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from levelpool.errors import TaskNotPicklable

MOST_BYTES = 4096
"""A value of more bytes than this stays behind; each part of a tuple counts as one byte at least."""

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
"""Exactly these: a subclass would have to be found by the worker, and changed by nobody."""
_PLAIN_BY_NAME = frozenset({("uuid", "UUID"), ("datetime", "datetime")})
"""Plain values whose modules need not be imported here to be recognised."""

_PLAIN_ZONES = frozenset({("datetime", "timezone"), ("zoneinfo", "ZoneInfo")})
"""The time zones of a datetime that travels: any other may be an object that cannot."""

_MOST_REMEMBERED = 1024

Place = tuple[str, str]
"""Module and name of a global."""

Value = tuple[tuple[Place, ...], object]
"""Everywhere a variable is found, and its value."""


class Carrier:
    """Finds the module-level names of context variables, once for each, and packs their values."""

    def __init__(self, carry: Sequence[contextvars.ContextVar[Any]] = ()) -> None:
        self._carry = frozenset(carry)
        self._places: dict[contextvars.ContextVar[Any], tuple[int, tuple[Place, ...]]] = {}

    def pack(self, context: contextvars.Context) -> tuple[tuple[Value, ...], bytes | None, int]:
        """The values that travel plainly, those of `carry` pickled, and how many variables stay behind."""
        if not context:
            return (), None, 0
        plain, carried, skipped = [], [], 0
        for variable, value in context.items():
            places = self._find(variable)
            if not places:
                skipped += 1
            elif variable in self._carry:
                carried.append((places, value))
            elif _is_plain(value):
                plain.append((places, value))
            else:
                skipped += 1
        return tuple(plain), _pickled(carried) if carried else None, skipped

    def _find(self, variable: contextvars.ContextVar[Any]) -> tuple[Place, ...]:
        modules = len(sys.modules)
        known = self._places.get(variable)
        if known is None or (not known[1] and known[0] != modules):
            if len(self._places) >= _MOST_REMEMBERED:
                self._places.clear()
            known = self._places[variable] = (modules, tuple(_places(variable)))
        return known[1]


def _pickled(carried: list[Value]) -> bytes:
    try:
        return pickle.dumps(carried, 5)
    except Exception as error:
        names = ", ".join(".".join(places[0]) for places, _ in carried)
        raise TaskNotPicklable(f"the context variables to carry ({names}) cannot travel to a worker process: {error}") from error


def _places(variable: contextvars.ContextVar[Any]) -> Iterator[Place]:
    """
    Every module that holds *variable* in a global, and the name of that.

    Not one alone: which of them made the variable, and so is there in every worker that can see it, nothing tells.
    """
    # Copies: while a list of pairs is made, other threads may import.
    for module_name, module in sys.modules.copy().items():
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict):
            continue
        if names.get(variable.name) is variable:
            yield module_name, variable.name
        else:
            yield from ((module_name, name) for name, value in names.copy().items() if value is variable)


def _is_plain(value: object) -> bool:
    if type(value) is tuple:
        return len(value) <= MOST_BYTES and all(map(_is_plain_atom, value)) and sum(map(_length, value)) <= MOST_BYTES
    return _is_plain_atom(value) and _length(value) <= MOST_BYTES


def _length(value: object) -> int:
    if isinstance(value, int):
        return max(1, value.bit_length() // 8)
    if isinstance(value, str):
        # Encoding is for short texts only: a text has no fewer bytes than characters.
        return max(1, len(value) if value.isascii() or len(value) > MOST_BYTES else len(value.encode(errors="surrogatepass")))
    return max(1, len(value)) if isinstance(value, bytes) else 8


def _is_plain_atom(value: object) -> bool:
    kind = type(value)
    if (kind.__module__, kind.__qualname__) == ("datetime", "datetime"):
        zone = getattr(value, "tzinfo", None)
        return zone is None or (type(zone).__module__, type(zone).__qualname__) in _PLAIN_ZONES
    return kind in _PLAIN or (kind.__module__, kind.__qualname__) in _PLAIN_BY_NAME
