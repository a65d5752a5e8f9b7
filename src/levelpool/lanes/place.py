"""Where the calls of a lane run, and what can be told of that beside the lane's numbers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStack:
    """What one worker does right now."""

    pid: int
    task: str
    seconds: float
    """For how long."""
    stack: tuple[str, ...] | None
    """The innermost line last; None when the worker has not answered: it gets no processor, or the task has taken the signal for itself."""


def _nothing() -> None:
    """There is nothing to do."""


def _no_trouble() -> None:
    """There is none."""


async def _is_there() -> None:
    """It always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a kind of lane can tell of the place where its calls run. What it has nothing to say about stays as it is here."""

    is_elsewhere: bool = False
    """Whether that is on other machines, where a path of this one means nothing."""
    trouble: Callable[[], str | None] = _no_trouble
    """Why calls cannot run there now, in a sentence; None when they can."""
    connect: Callable[[], None] = _nothing
    """Begin to reach it; returns at once."""
    reach: Callable[[], Awaitable[None]] = _is_there
    """Wait until it is there; raises `ClusterUnreachable` when it is not."""
    pids: Callable[[], tuple[int, ...]] = tuple
    """The process ids of the workers of this host that live now."""
    ask_for_stacks: Callable[[], None] = _nothing
    """Have each of them that runs a call write down what it does."""
    stacks: Callable[[], tuple[WorkerStack, ...]] = tuple
    """What they have written."""
    withheld_variables: Callable[[], dict[str, str]] = dict
    """The environment variables that they would not find now, each with the reason."""
