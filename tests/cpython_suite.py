"""CPython's own tests of executors, as Debian packages them; importable by name, also in workers."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import test

import machine

PROOF = machine.find("libpython3.11-testsuite")
FOLDER = PROOF.parent if PROOF else Path("/usr/lib/python3.11/test")


def why_not() -> str | None:
    """Why the tests cannot run here, in one line; None when they can."""
    if sys.version_info[:2] != (3, 11):
        return "CPython's executor tests are those of 3.11, and this is another version"
    if not (FOLDER / "test_concurrent_futures.py").exists():
        return "CPython's executor tests are not installed (Debian: libpython3.11-testsuite)"
    return None


def load() -> ModuleType:
    """The module of the tests."""
    if str(FOLDER) not in test.__path__:
        test.__path__.append(str(FOLDER))
    return importlib.import_module("test.test_concurrent_futures")


if why_not() is None:
    load()
