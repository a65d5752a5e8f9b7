"""Real control groups of this machine, for tests, where it has a writable cgroup v1 hierarchy."""

import contextlib
import os
import uuid
from pathlib import Path

import pytest

from levelpool.capacity.cgroup import find_hierarchies


def v1_top(controller):
    """Where this machine has a writable v1 hierarchy of *controller*, at its top; skips the test where it has none."""
    for hierarchy in find_hierarchies():
        if (
            hierarchy.version == 1
            and controller in hierarchy.controllers
            and os.access(hierarchy.groups[-1], os.W_OK)
            and os.geteuid() == 0
        ):
            return hierarchy.groups[-1]
    pytest.skip(f"no writable cgroup v1 hierarchy of {controller} here")


@contextlib.contextmanager
def group(top: Path, *names: str):
    """Nested groups below *top*, removed at the end; yields the innermost."""
    folder = top
    with contextlib.ExitStack() as stack:
        for name in names:
            folder /= name
            folder.mkdir()
            stack.callback(folder.rmdir)
        yield folder


@contextlib.contextmanager
def half_a_core():
    """A parent group with a quota of half a core, and a child group without one, which is yielded."""
    with group(v1_top("cpu"), f"levelpool-test-{uuid.uuid4().hex[:8]}", "child") as child:
        (child.parent / "cpu.cfs_period_us").write_text("100000")
        (child.parent / "cpu.cfs_quota_us").write_text("50000")
        yield child
