"""Which context variables travel with a call to another process."""

import contextvars
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from levelpool.errors import TaskNotPicklable

MOST_BYTES = 4096
"""A value of more bytes than this stays behind."""

MOST_PARTS = 256
"""Nor does a tuple with more parts travel."""

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
"""Exactly these: a subclass would have to be found by the worker, and changed by nobody."""
_PLAIN_BY_NAME = frozenset({("uuid", "UUID"), ("datetime", "datetime")})
"""Plain values whose modules need not be imported here to be recognised."""

_MOST_REMEMBERED = 1024

Place = tuple[str, str]


class Carrier:
    """Finds the module-level names of context variables, once for each, and packs their values."""

    def __init__(self, carry: Sequence[contextvars.ContextVar[Any]] = ()) -> None:
        self._carry = frozenset(carry)
        self._places: dict[contextvars.ContextVar[Any], tuple[int, Place | None]] = {}

    def pack(self, context: contextvars.Context) -> tuple[tuple[tuple[str, str, object], ...], bytes | None, int]:
        """The values that travel plainly, those of `carry` pickled, and how many variables stay behind."""
        if not context:
            return (), None, 0
        plain, carried, skipped = [], [], 0
        for variable, value in context.items():
            place = self._place(variable)
            if place is None:
                skipped += 1
            elif variable in self._carry:
                carried.append((*place, value))
            elif _is_plain(value):
                plain.append((*place, value))
            else:
                skipped += 1
        return tuple(plain), _pickled(carried) if carried else None, skipped

    def _place(self, variable: contextvars.ContextVar[Any]) -> Place | None:
        modules = len(sys.modules)
        known = self._places.get(variable)
        if known is None or (known[1] is None and known[0] != modules):
            if len(self._places) >= _MOST_REMEMBERED:
                self._places.clear()
            known = self._places[variable] = (modules, _find(variable))
        return known[1]


def _pickled(carried: list[tuple[str, str, object]]) -> bytes:
    try:
        return pickle.dumps(carried, 5)
    except Exception as error:
        names = ", ".join(f"{module}.{name}" for module, name, _ in carried)
        raise TaskNotPicklable(f"the context variables to carry ({names}) cannot travel to a worker process: {error}") from error


def _find(variable: contextvars.ContextVar[Any]) -> Place | None:
    """Module and name of the global that holds *variable*."""
    for module_name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict):
            continue
        if names.get(variable.name) is variable:
            return module_name, variable.name
        for name, value in list(names.items()):
            if value is variable:
                return module_name, name
    return None


def _is_plain(value: object) -> bool:
    if type(value) is tuple:
        return len(value) <= MOST_PARTS and all(map(_is_plain_atom, value)) and sum(map(_length, value)) <= MOST_BYTES
    return _is_plain_atom(value) and _length(value) <= MOST_BYTES


def _length(value: object) -> int:
    if isinstance(value, int):
        return value.bit_length() // 8
    return len(value) if isinstance(value, str | bytes) else 8


def _is_plain_atom(value: object) -> bool:
    kind = type(value)
    return kind in _PLAIN or (kind.__module__, kind.__qualname__) in _PLAIN_BY_NAME
