"""What several rooms' tests build upon."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from levelpool.monitoring.resources import CpuReading, MemoryReading, ProcessReading, Resources
from levelpool.monitoring.snapshot import Snapshot

GIB = 1 << 30


@pytest.fixture
def lane():
    """A function that makes the numbers of an idle lane, with changes."""

    def make(**changes):
        counters = ("submitted", "succeeded", "failed", "cancelled", "timed_out", "died", "refused")
        return (
            {"workers": 1, "max_workers": 2, "busy": 0, "queued": 0, "queue_limit": 100, "oldest_wait": 0.0}
            | dict.fromkeys(counters, 0)
            | changes
        )

    return make


@pytest.fixture
def snapshot():
    """A function that makes a quiet snapshot; `cpu`, `memory` (percent) and `throttled` change its resources, other words its fields."""

    def make(*, cpu=10.0, memory=20.0, throttled=0.0, pressure=None, **changes):
        resources = Resources(
            CpuReading(cpu, 2.0, "cpu.max", throttled),
            MemoryReading(int(GIB * memory / 100), GIB, memory, "memory.max", None, 0),
            ProcessReading(50 << 20, 40 << 20, 5, 20, 2, 90 << 20),
            pressure or {},
        )
        return replace(Snapshot(at=datetime(2026, 11, 1, tzinfo=UTC), resources=resources), **changes)

    return make
