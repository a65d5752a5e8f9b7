"""Context variables on their way to a worker."""

import contextvars
import gc
import sys
import types

import pytest

from levelpool.lanes.context import Carrier

REQUEST = contextvars.ContextVar("REQUEST")


@pytest.fixture
def busy_imports():
    """As if another thread imported a module whenever memory is asked for."""
    before, threshold = set(sys.modules), gc.get_threshold()

    def import_something(phase, info):
        sys.modules[f"imported_{len(sys.modules)}"] = types.ModuleType("imported")

    gc.callbacks.append(import_something)
    gc.set_threshold(1)
    yield
    gc.set_threshold(*threshold)
    gc.callbacks.remove(import_something)
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_variable_is_found_while_others_import(busy_imports):
    """The modules are looked through as they were at one moment."""
    context = contextvars.Context()
    context.run(REQUEST.set, "a")

    plain, _carried, skipped = Carrier().pack(context)

    assert [value for _places, value in plain] == ["a"]
    assert skipped == 0
