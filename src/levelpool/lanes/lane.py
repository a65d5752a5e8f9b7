"""What every lane is: the options of a call, the protocol, and the clock that all lanes share."""

import concurrent.futures
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from levelpool.lanes.arguments import callback, seconds, text, whole_number
from levelpool.lanes.place import Place
from levelpool.lanes.task_stats import LaneStats, TaskStats

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The limits and options of one call."""

    timeout: float | None = None
    """Seconds from the call to its result, waiting included."""
    admission_timeout: float | None = None
    """Longest wait in seconds for a place in the queue: None waits, 0 refuses at once."""
    priority: int = 0
    """A larger one runs first."""
    name: str | None = None
    """Name of the task in statistics, logs and errors; by default the function's."""
    bulkhead: str | None = None
    """Name of the group whose limits hold for the call; by default those of the whole lane."""
    on_progress: Progress | None = None
    """Called with (done, total, message) in the caller's loop."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        if self.timeout is not None:
            put(self, "timeout", seconds("timeout", self.timeout))
        if self.admission_timeout is not None:
            put(self, "admission_timeout", seconds("admission_timeout", self.admission_timeout, passed=0.0))
        if self.priority != 0 or type(self.priority) is not int:
            put(self, "priority", whole_number("priority", self.priority))
        # Statistics are sorted by name: one of another kind would break them for everybody.
        if self.name is not None:
            text("name", self.name)
        if self.bulkhead is not None:
            text("bulkhead", self.bulkhead)
        if self.on_progress is not None:
            callback("on_progress", self.on_progress)


DEFAULT_OPTIONS = CallOptions()


class Lane(Protocol):
    """A place where calls run."""

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions) -> Any:
        """Run *func* and return its result; cancelling this cancels the call as far as the lane can."""
        ...

    def submit(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> "concurrent.futures.Future[Any]":
        """Queue the call and return its future at once; without a place, raises `LaneFull` for an `admission_timeout` of 0, else the call waits for one."""
        ...

    def stats(self) -> LaneStats:
        """The numbers of this lane now."""
        ...

    def task_stats(self) -> tuple[TaskStats, ...]:
        """The numbers per task name since the lane was made."""
        ...

    def resize(self, workers: int) -> None:
        """Allow this many workers from now on; running calls finish where they are."""
        ...

    def close(self, timeout: float) -> "concurrent.futures.Future[None]":
        """Take no new calls, let the admitted ones finish, kill the rest after *timeout* seconds; the future says when all is gone."""
        ...

    @property
    def has_pending_futures(self) -> bool:
        """Whether somebody without a loop waits for a call."""
        ...

    @property
    def place(self) -> Place:
        """Where its calls run, as far as that can be told."""
        ...

    def use_private_loop(self, *, begin: bool = True) -> None:
        """
        Move to a private loop, if the lane lives on one and is not there yet: whoever blocks a thread must not block the lane.

        Without *begin* a lane that was never used stays so.
        """
        ...

    def terminate(self) -> None:
        """Kill and release everything now, without waiting; usable at interpreter exit."""
        ...


class StreamingLane(Lane, Protocol):
    """A lane that also runs generators."""

    def stream(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> AsyncIterator[Any]:
        """The items of a generator function as they come; leaving them ends the call."""
        ...


now = time.monotonic
"""Seconds on the clock that all processes of this host share."""
