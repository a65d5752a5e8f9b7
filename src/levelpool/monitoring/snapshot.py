"""All readings of one moment, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from levelpool.monitoring.lag import LagReading
from levelpool.monitoring.resources import Resources
from levelpool.pools import PoolStats

LaneNumbers = Mapping[str, Any]
"""The numbers of one lane, named as in `GET /api/system/executor-stats`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the container, the process, the loop, the lanes and the pools said at one moment."""

    at: datetime
    """UTC."""
    resources: Resources
    loop: LagReading = field(default_factory=LagReading)
    lanes: Mapping[str, LaneNumbers] = field(default_factory=dict)
    """By name: cpu, io."""
    tasks: tuple[Mapping[str, Any], ...] = ()
    """The numbers of each task name."""
    pools: tuple[PoolStats, ...] = ()
    collected: Mapping[str, object] = field(default_factory=dict)
    """What further collectors said, by their name; a collector that failed says `{"error": ...}`."""
    diagnosis: str = ""
    """One sentence that names the narrowest thing."""

    def resource_usage(self) -> dict[str, object]:
        """The answer of `GET /api/system/resource-usage`."""
        return {**self.resources.to_dict(), "loop": self.loop.to_dict(), "at": self.at.isoformat(), "diagnosis": self.diagnosis}

    def to_dict(self) -> dict[str, object]:
        """Everything as plain values, for JSON."""
        return {
            **self.resource_usage(),
            "lanes": {name: dict(lane) for name, lane in self.lanes.items()},
            "tasks": [dict(task) for task in self.tasks],
            "pools": [pool.to_dict() for pool in self.pools],
            "collected": dict(self.collected),
        }
