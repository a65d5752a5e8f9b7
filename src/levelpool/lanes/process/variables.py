"""The context variables of a call in its worker: set when the call begins, or as soon as somebody imports the module that a variable lives in."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from types import ModuleType

from levelpool.lanes.context import Value
from levelpool.lanes.process.after_import import call_when_loaded, find_spec_without


class Variables(importlib.abc.MetaPathFinder):
    """
    Gives context variables their values, by module and name.

    A module that is not imported yet is not imported for this: it may be the whole program. But the call may import it later, and must find the value then.
    """

    def __init__(self) -> None:
        self._awaited: dict[str, list[Value]] = {}

    def set(self, values: Iterable[Value]) -> None:
        """Set what can be set, and wait for the modules of the others."""
        for each in values:
            if not _set(each):
                for module, _ in each[0]:
                    self._awaited.setdefault(module, []).append(each)
        if self._awaited and self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def clear(self) -> None:
        """The call is over."""
        self._awaited.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find an awaited module where everybody else would, and set its variables once it is loaded."""
        if fullname not in self._awaited:
            return None
        spec = find_spec_without(self, fullname, path, target)
        if spec is not None:
            call_when_loaded(spec, lambda _: self.loaded(fullname))
        return spec

    def loaded(self, name: str) -> None:
        """The module of this name is there now: set the variables that waited for it."""
        for awaited in self._awaited.pop(name, ()):
            if _set(awaited):
                # Once is enough: the call may have changed it by the time that another module holds it too.
                for others in self._awaited.values():
                    others[:] = [each for each in others if each is not awaited]


def _set(wanted: Value) -> bool:
    """Whether the variable is there, and has its value now."""
    places, value = wanted
    for module, name in places:
        # The main program is there as an empty module until a call needs it.
        variable = getattr(sys.modules.get(module), name, None)
        if isinstance(variable, ContextVar):
            variable.set(value)
            return True
    return False
