"""
Who gives way when the container is throttled and the event loop suffers from it: the CPU lane.

When a quota is used up, the kernel stops everything in the container for the rest of the period, the event loop too. Fewer worker
processes use the quota up later or not at all. But whole workers go, so throughput is lost: the lane gives way only where the loop is measurably
late, and takes a step back that has not made it better. Decisions are pure: time and readings come in as arguments.
"""

from dataclasses import dataclass, replace
from math import floor

TOO_MUCH = 10.0
"""Percent of the time that a thread of ours stands still, from which on the lane gives way."""
HURTS = 0.03
"""Lag of the loop in seconds (99 of 100 heartbeats are less late) below which throttling is no reason."""
BETTER = 0.75
"""So much of the lag before a step may be left after it: else the step was in vain."""
CALM = 1.0
"""Percent of the time below which the container is calm."""
SETTLE = 10.0
"""Seconds until a step shows in the readings: calls that run are not stopped. The lag is that of so many seconds."""
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
    before: "_Before | None" = None
    """What was before the last step, if that was one down and is not proved yet."""
    in_vain_until: float = 0.0
    """Until then no step down is tried: the last one did not help."""

    def allow(self, allowed: int) -> int:
        """As many worker processes as there may be, of *allowed* by the sizes."""
        return allowed if self.workers is None else min(allowed, self.workers)


@dataclass(frozen=True, slots=True)
class _Before:
    lag: float
    workers: int | None


def next_throttle(state: Throttle, *, stood_still: float, lag: float, busy: int, allowed: int, now: float) -> Throttle:
    """
    *state* after a reading at *now* seconds.

    *stood_still*: percent of the time that threads of the container stood still. *lag*: of the event loop over the last `SETTLE` seconds.
    *busy*: worker processes at work. *allowed*: most worker processes by the sizes.
    """
    if now < state.settled_at:
        return state
    if state.before is not None:
        if busy and lag > BETTER * state.before.lag:
            return _take_back(state, state.before.workers, now)
        state = replace(state, before=None)
    if stood_still >= TOO_MUCH and lag >= HURTS and now >= state.in_vain_until:
        return _give_way(state, stood_still=stood_still, lag=lag, busy=busy, allowed=allowed, now=now)
    if stood_still > CALM:
        return replace(state, calm_since=None)
    calm_since = now if state.calm_since is None else state.calm_since
    if now - calm_since < state.patience:
        return replace(state, calm_since=calm_since)
    return _grow(state, allowed, now)


def _take_back(state: Throttle, workers: int | None, now: float) -> Throttle:
    """What the loop suffers from is something else: the worker is of more use at work."""
    patience = min(state.patience * 2, LONGEST_CALM)
    return Throttle(workers, patience, settled_at=now + SETTLE, in_vain_until=now + patience)


def _give_way(state: Throttle, *, stood_still: float, lag: float, busy: int, allowed: int, now: float) -> Throttle:
    workers = state.allow(allowed)
    if not busy or workers == 1:
        return replace(state, calm_since=None)  # it is not the lane, or it has nothing left to give
    fewer = max(1, min(workers - 1, floor(workers * (1 - stood_still / 100))))
    patience = min(state.patience * 2, LONGEST_CALM) if state.grew else state.patience
    return Throttle(fewer, patience, settled_at=now + SETTLE, before=_Before(lag, state.workers))


def _grow(state: Throttle, allowed: int, now: float) -> Throttle:
    if state.workers is None:
        return Throttle()  # it stayed calm with all of them: the past is forgotten
    more = state.workers + 1
    return Throttle(more if more < allowed else None, state.patience, settled_at=now + SETTLE, grew=True)
