"""The context variables of a call in its worker: set when the call begins, or as soon as somebody imports the module that a variable lives in."""

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from types import ModuleType

from levelpool.lanes.context import Value


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
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = _Setting(spec.loader, functools.partial(self.loaded, fullname))
                    return spec
        return None

    def loaded(self, name: str) -> None:
        """The module of this name is there now: set the variables that waited for it."""
        for awaited in self._awaited.pop(name, ()):
            if _set(awaited):
                # Once is enough: the call may have changed it by the time that another module holds it too.
                for others in self._awaited.values():
                    others[:] = [each for each in others if each is not awaited]


class _Setting(importlib.abc.Loader):
    """A loader that sets variables after the real one has done its work."""

    def __init__(self, loader: importlib.abc.Loader, loaded: Callable[[], None]) -> None:
        self._loader = loader
        self._loaded = loaded

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module keeps its real loader, which its resources may be asked for.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        # Through the dictionary: for 3.15 the type of the attribute is one of typeshed's own, which a loader is not.
        module.__dict__["__loader__"] = self._loader
        self._loader.exec_module(module)
        self._loaded()


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
