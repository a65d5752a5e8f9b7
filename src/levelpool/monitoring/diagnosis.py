"""One sentence that names the narrowest thing right now."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from levelpool.monitoring.snapshot import LaneNumbers, Snapshot
from levelpool.pools import PoolStats

_RECENT = 15.0
"""Seconds for which a block of the loop counts as "right now"."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is narrow: 1 is full, more is worse; below 0.8 it is not worth a word."""

    weight: float
    sentence: str


def diagnose(snapshot: Snapshot) -> Snapshot:
    """*snapshot* with its diagnosis."""
    worst = max(_findings(snapshot), key=lambda finding: finding.weight, default=None)
    if worst is None or worst.weight < 0.8:
        return replace(snapshot, diagnosis=_all_is_well(snapshot))
    return replace(snapshot, diagnosis=worst.sentence)


def _findings(snapshot: Snapshot) -> Iterator[Finding]:
    # What stops everything weighs more than what makes some wait; waiting calls weigh more than a busy processor.
    yield from _loop(snapshot)
    yield from _memory(snapshot)
    yield from _throttling(snapshot)
    for pool in snapshot.pools:
        yield from _pool(pool)
    for name, lane in snapshot.lanes.items():
        yield from _lane(name, lane)
    yield from _cpu(snapshot)


def _loop(snapshot: Snapshot) -> Iterator[Finding]:
    loop = snapshot.loop
    if loop.blocked_for:
        yield Finding(5, f"The event loop stands still, for {loop.blocked_for:.2f} s so far: nothing else gets its turn.")
    for block in loop.recent[:1]:
        ago = (snapshot.at - block.at).total_seconds() - block.seconds
        if ago < _RECENT:
            why = _why_blocked(block.seconds, block.starved)
            yield Finding(4, f"The event loop stood still for {block.seconds:.2f} s, {max(0.0, ago):.0f} s ago{why}: {block.culprit}.")


def _why_blocked(seconds: float, starved: float | None) -> str:
    return " (it was ready to run but got no processor)" if starved is not None and starved > seconds / 2 else ""


def _memory(snapshot: Snapshot) -> Iterator[Finding]:
    memory = snapshot.resources.memory
    full = snapshot.resources.pressure.get("memory")
    if full and full.full >= 5:
        yield Finding(
            3.5,
            f"Memory is short: all threads waited for it {full.full:.0f} % of the time, {memory.percent:.0f} % of {_size(memory.limit)} is in use.",
        )
    if memory.high is not None and memory.used >= memory.high:
        yield Finding(3.2, f"The kernel slows us down: {_size(memory.used)} of memory are in use, and memory.high is {_size(memory.high)}.")
    if memory.percent >= 85:
        yield Finding(
            2.5 + memory.percent / 100,
            f"Memory is nearly full: {_size(memory.used)} of {_size(memory.limit)} ({memory.percent:.0f} %, {memory.source}).",
        )


def _throttling(snapshot: Snapshot) -> Iterator[Finding]:
    cpu = snapshot.resources.cpu
    if cpu.throttled_percent >= 5:
        yield Finding(
            2 + cpu.throttled_percent / 100,
            f"The container is throttled: it used up its {cpu.cpus:g} CPUs in {cpu.throttled_percent:.0f} % of the periods ({cpu.source}).",
        )


def _pool(pool: PoolStats) -> Iterator[Finding]:
    if pool.waiting:
        longest = f", held longest by {pool.holders[0].name} for {pool.holders[0].seconds:.1f} s" if pool.holders else ""
        yield Finding(
            3, f"Connections are short: {pool.waiting} calls wait for pool {pool.name!r}, {pool.checked_out} are in use{longest}."
        )


def _lane(name: str, lane: LaneNumbers) -> Iterator[Finding]:
    waiting = lane["queued"]
    if waiting and lane["busy"] >= lane["max_workers"]:
        what = "worker processes" if name == "cpu" else "threads"
        # A queue that is read fast enough is normal: it is the age of the oldest call that hurts.
        weight = 1 + min(1.0, lane["oldest_wait"] / 10) + min(1.0, waiting / max(1, lane["queue_limit"]))
        yield Finding(
            weight,
            f"The {name} lane is full: all {lane['max_workers']} {what} are busy, {waiting} calls wait, the oldest for {lane['oldest_wait']:.1f} s.",
        )


def _cpu(snapshot: Snapshot) -> Iterator[Finding]:
    cpu = snapshot.resources.cpu
    if cpu.percent >= 80:
        yield Finding(cpu.percent / 100, f"The processors are busy: {cpu.percent:.0f} % of {cpu.cpus:g} CPUs ({cpu.source}).")


def _all_is_well(snapshot: Snapshot) -> str:
    cpu, memory = snapshot.resources.cpu, snapshot.resources.memory
    uses = {
        f"processors ({cpu.percent:.0f} % of {cpu.cpus:g} CPUs)": cpu.percent,
        f"memory ({memory.percent:.0f} % of {_size(memory.limit)})": memory.percent,
    }
    for name, lane in snapshot.lanes.items():
        if lane["max_workers"]:
            uses[f"the {name} lane ({lane['busy']} of {lane['max_workers']} busy)"] = lane["busy"] / lane["max_workers"] * 100
    return f"Nothing is narrow: no call waits; the most used are the {max(uses, key=lambda use: uses[use]).removeprefix('the ')}."


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"
