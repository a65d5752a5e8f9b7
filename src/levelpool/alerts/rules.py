"""
Rules: what of a snapshot is worth an alert. Pure: a rule measures and words; it remembers nothing and sends nothing.

Each has a level to enter and a lower one to leave, so that a value that trembles around one level does not flap.
"""

from collections.abc import Callable
from dataclasses import dataclass

from levelpool.monitoring.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to watch."""

    name: str
    enter: float
    """It begins to burn above this."""
    leave: float
    """It ends when the value is not above this."""
    measure: Callable[[Snapshot], float]
    describe: Callable[[Snapshot, float], str]
    hold: int = 1
    """So many checks in a row must be above `enter` before it is told."""
    scope: str = "host"
    """"host": every web worker of the host sees the same, one tells. "process": each tells of itself."""


def standard_rules(*, cpu_threshold: float = 80.0, memory_threshold: float = 85.0, lag_threshold: float = 0.1) -> tuple[Rule, ...]:
    """The rules of the runtime; thresholds in percent and seconds."""
    return (
        Rule("cpu", cpu_threshold, cpu_threshold * 0.9, _cpu_percent, _describe_cpu, hold=2),
        Rule("memory", memory_threshold, memory_threshold * 0.95, _memory_percent, _describe_memory),
        Rule("throttling", 10.0, 2.0, _throttled_percent, _describe_throttling, hold=2),
        Rule("loop_lag", lag_threshold, lag_threshold / 2, _lag, _describe_lag, hold=2, scope="process"),
        Rule("cpu_queue", 30.0, 10.0, _oldest_wait, _describe_queue, scope="process"),
        Rule("db_pool", 0.0, 0.0, _waiting, _describe_pool, hold=2, scope="process"),
    )


def _cpu_percent(snapshot: Snapshot) -> float:
    return snapshot.resources.cpu.percent


def _describe_cpu(snapshot: Snapshot, value: float) -> str:
    cpu = snapshot.resources.cpu
    return f"CPU use is {value:.0f} % of the {cpu.cpus:g} CPUs that the container may use ({cpu.source})."


def _memory_percent(snapshot: Snapshot) -> float:
    return snapshot.resources.memory.percent


def _describe_memory(snapshot: Snapshot, value: float) -> str:
    memory = snapshot.resources.memory
    return f"Memory use is {value:.0f} %: {memory.used >> 20} of {memory.limit >> 20} MiB ({memory.source})."


def _throttled_percent(snapshot: Snapshot) -> float:
    return snapshot.resources.cpu.throttled_percent


def _describe_throttling(snapshot: Snapshot, value: float) -> str:
    return f"The container stood still in {value:.0f} % of the periods: its quota of {snapshot.resources.cpu.cpus:g} CPUs was used up."


def _lag(snapshot: Snapshot) -> float:
    # p99 and not the largest: one block has its own line in the log, an alert is for a loop that is late again and again.
    return max(snapshot.loop.p99, snapshot.loop.blocked_for)


def _describe_lag(snapshot: Snapshot, value: float) -> str:
    culprit = f", last in {snapshot.loop.recent[0].culprit}" if snapshot.loop.recent else ""
    return f"The event loop was {value:.2f} s late in 1 of 100 beats of the last minute{culprit}."


def _oldest_wait(snapshot: Snapshot) -> float:
    return float(snapshot.lanes["cpu"]["oldest_wait"]) if "cpu" in snapshot.lanes else 0.0


def _describe_queue(snapshot: Snapshot, value: float) -> str:
    lane = snapshot.lanes.get("cpu", {})
    return f"A call has waited {value:.0f} s for a worker process: {lane.get('queued', 0)} wait, {lane.get('busy', 0)} of {lane.get('max_workers', 0)} workers are busy."


def _waiting(snapshot: Snapshot) -> float:
    return float(sum(pool.waiting for pool in snapshot.pools))


def _describe_pool(snapshot: Snapshot, value: float) -> str:
    holders = [holder for pool in snapshot.pools for holder in pool.holders]
    longest = max(holders, key=lambda holder: holder.seconds, default=None)
    held = f"; {longest.name} has held one for {longest.seconds:.0f} s" if longest else ""
    return f"{value:.0f} calls wait for a database connection{held}."
