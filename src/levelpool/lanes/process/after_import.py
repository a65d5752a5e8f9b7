"""What is to happen as soon as a module is imported, if it ever is."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType


def after_import(name: str, then: Callable[[ModuleType], None]) -> None:
    """Call *then* with the module: now if it is there, else right after its import."""
    module = sys.modules.get(name)
    if module is not None:
        then(module)
    else:
        sys.meta_path.insert(0, _Awaits(name, then))


class _Awaits(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = find_spec_without(self, fullname, path, target)
        sys.meta_path.remove(self)
        if spec is not None:
            call_when_loaded(spec, self._then)
        return spec


def find_spec_without(
    finder: importlib.abc.MetaPathFinder, name: str, path: Sequence[str] | None, target: ModuleType | None
) -> importlib.machinery.ModuleSpec | None:
    """What everybody but *finder* finds."""
    for each in sys.meta_path:
        if each is not finder:
            spec = each.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def call_when_loaded(spec: importlib.machinery.ModuleSpec, then: Callable[[ModuleType], None]) -> None:
    """Call *then* with the module of *spec* after its real loader has done its work."""
    if spec.loader is not None:
        spec.loader = _Calling(spec.loader, then)


class _Calling(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, then: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module keeps its real loader, which its resources may be asked for.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        # Through the dictionary: for 3.15 the type of the attribute is one of typeshed's own, which a loader is not.
        module.__dict__["__loader__"] = self._loader
        self._loader.exec_module(module)
        self._then(module)
