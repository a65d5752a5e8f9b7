"""
Who gives way when the container is throttled: the CPU lane, so that the event loop keeps its share.

When a quota is used up, the kernel stops everything in the container for the rest of the period, the event loop too. Fewer worker
processes use the quota up later or not at all. Decisions are pure: time and readings come in as arguments.
"""

from dataclasses import dataclass, replace
from math import floor

TOO_MUCH = 10.0
"""Percent of the time that a thread of ours stands still, from which on the lane gives way."""
CALM = 1.0
"""Percent of the time below which the container is calm."""
SETTLE = 10.0
"""Seconds until a step shows in the readings: calls that run are not stopped."""
CALM_BEFORE_GROWING = 60.0
"""Seconds of calm before the lane grows again; doubled each time that growing brought the throttling back."""
LONGEST_CALM = 1800.0


@dataclass(frozen=True, slots=True)
class Throttle:
    """How far the CPU lane has given way; `Throttle()` has not."""

    workers: int | None = None
    """As many worker processes as there may be now; None: all that the sizes allow."""
    patience: float = CALM_BEFORE_GROWING
    settled_at: float = 0.0
    calm_since: float | None = None
    grew: bool = False
    """Whether the last step was one up, not proved yet."""

    def allow(self, allowed: int) -> int:
        """As many worker processes as there may be, of *allowed* by the sizes."""
        return allowed if self.workers is None else min(allowed, self.workers)


def next_throttle(state: Throttle, *, stood_still: float, busy: int, allowed: int, now: float) -> Throttle:
    """
    *state* after a reading at *now* seconds.

    *stood_still*: percent of the time that threads of the container stood still. *busy*: worker processes at work.
    *allowed*: most worker processes by the sizes.
    """
    if now < state.settled_at:
        return state
    if stood_still >= TOO_MUCH:
        return _give_way(state, stood_still, busy, allowed, now)
    if stood_still > CALM:
        return replace(state, calm_since=None)
    calm_since = now if state.calm_since is None else state.calm_since
    if now - calm_since < state.patience:
        return replace(state, calm_since=calm_since)
    return _grow(state, allowed, now)


def _give_way(state: Throttle, stood_still: float, busy: int, allowed: int, now: float) -> Throttle:
    workers = state.allow(allowed)
    if not busy or workers == 1:
        return replace(state, calm_since=None)  # it is not the lane, or it has nothing left to give
    fewer = max(1, min(workers - 1, floor(workers * (1 - stood_still / 100))))
    patience = min(state.patience * 2, LONGEST_CALM) if state.grew else state.patience
    return Throttle(fewer, patience, settled_at=now + SETTLE)


def _grow(state: Throttle, allowed: int, now: float) -> Throttle:
    if state.workers is None:
        return Throttle()  # it stayed calm with all of them: the past is forgotten
    more = state.workers + 1
    return Throttle(more if more < allowed else None, state.patience, settled_at=now + SETTLE, grew=True)
