"""What a process lane is made with."""

import contextvars
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from levelpool.lanes.bulkheads import Bulkhead
from levelpool.lanes.schedule import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """The limits and options of one lane; sizes in bytes, times in seconds."""

    queue_limit: int = 1000
    memory_limit: int | None = None
    idle_timeout: float = 30.0
    max_tasks: int | None = None
    max_result_bytes: int | None = None
    carry: Sequence[contextvars.ContextVar[Any]] = ()
    preload: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    """Of the workers; None: that of this process without what looks like a secret."""
    variables: Sequence[str] = ()
    """What looks like a secret and is none, and the other way round: see `worker_variables`."""
    bulkheads: Mapping[str, Bulkhead] = field(default_factory=dict)
    max_kills: int | None = None
    """A call that has killed so many workers with the same arguments is refused for a while."""
    gate: Gate | None = None
    """Shared with the lanes of other processes; None: this lane is alone."""
