"""Statistics of a lane: what happened to every call, in total and per task name, and the frozen numbers that are shown of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from levelpool.histogram import Histogram

MOST_NAMES = 500
"""Task names that are counted by themselves; later names are counted together as "(other)"."""

_MOST_UNFLUSHED = 200

OUTCOMES = ("succeeded", "failed", "cancelled", "timed_out", "died", "refused")


Took = tuple[float, float, float, int, int]
"""What a call that ran to its end took: seconds of waiting, of running, of CPU; peak resident bytes, and bytes of its result (0: not measured)."""


class TaskCounters:
    """What is counted for one task name in one lane."""

    __slots__ = ("_unflushed", "cpu_seconds", "decode", "outcomes", "payload_bytes", "peak_rss", "result_bytes", "run", "usual_run", "wait")

    def __init__(self) -> None:
        # Flushed by the hundred, or when somebody looks: while somebody waits for a call, an append is all that counting should cost.
        self._unflushed: list[Took] = []
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.wait = Histogram()
        self.run = Histogram()
        self.decode = Histogram()
        self.cpu_seconds = 0.0
        self.peak_rss = 0
        self.payload_bytes = 0
        self.result_bytes = 0
        self.usual_run = 0.0

    def ran(self, took: Took) -> None:
        """Note what a call that ran to its end took."""
        self._unflushed.append(took)
        run = took[1]
        # A slow run weighs more than a quick one: "usually quick" must stay true to be believed.
        usual = self.usual_run * 0.9 + run * 0.1
        self.usual_run = run if run > usual else usual  # noqa: FURB136 - a call of `max` costs more
        if len(self._unflushed) >= _MOST_UNFLUSHED:
            self.flush()

    def flush(self) -> None:
        """Count what was noted."""
        if self._unflushed:
            waits, runs, cpus, peaks, sizes = zip(*self._unflushed, strict=True)
            self._unflushed = []
            self.wait.extend(waits)
            self.run.extend(runs)
            self.cpu_seconds += sum(cpus)
            self.peak_rss = max(self.peak_rss, *peaks)
            self.result_bytes += sum(sizes)


class LaneCounters:
    """What is counted for one lane: what happened to every call, in total and per task name. Its lane calls it under the lane's lock."""

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.submitted = 0
        self.deaths: dict[str, int] = {}
        self.recycled = 0
        self.skipped_context = 0
        self.mean_run = 0.1
        self.tasks: dict[str, TaskCounters] = {}

    def of(self, name: str) -> TaskCounters:
        """What is counted for one task name."""
        task = self.tasks.get(name)
        if task is None:
            if len(self.tasks) >= MOST_NAMES:
                name = "(other)"
            task = self.tasks.setdefault(name, TaskCounters())
        return task

    def ended(self, task: TaskCounters, outcome: str) -> None:
        """Count how a call of *task* ended."""
        self.outcomes[outcome] += 1
        task.outcomes[outcome] += 1

    def ran(self, task: TaskCounters, took: Took) -> None:
        """Count what a call of *task* that ran to its end took."""
        task.ran(took)
        self.mean_run = self.mean_run * 0.9 + took[1] * 0.1

    def completed(self, task: TaskCounters, took: Took, outcome: str) -> None:
        """Count what a call of *task* that ran to its end took, and how it ended."""
        task.ran(took)
        self.mean_run = self.mean_run * 0.9 + took[1] * 0.1
        self.outcomes[outcome] += 1
        task.outcomes[outcome] += 1

    def died(self, cause: str) -> None:
        """Count a death of a worker under a call."""
        self.deaths[cause] = self.deaths.get(cause, 0) + 1

    def task_stats(self) -> tuple["TaskStats", ...]:
        """The frozen numbers per task name."""
        for task in self.tasks.values():
            task.flush()
        return tuple(
            TaskStats(
                name=name,
                lane=self.lane,
                count=sum(task.outcomes.values()),
                wait_p50=task.wait.quantile(0.5),
                wait_p99=task.wait.quantile(0.99),
                run_p50=task.run.quantile(0.5),
                run_p99=task.run.quantile(0.99),
                peak_rss=task.peak_rss,
                cpu_seconds=task.cpu_seconds,
                payload_bytes=task.payload_bytes,
                result_bytes=task.result_bytes,
                decode_p99=task.decode.quantile(0.99),
                **task.outcomes,
            )
            for name, task in sorted(self.tasks.items())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStats:
    """The numbers of one lane at one moment."""

    workers: int
    max_workers: int
    busy: int
    queued: int
    queue_limit: int
    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    timed_out: int
    died: int
    refused: int
    oldest_wait: float
    outside: int = 0
    recycled: int = 0
    skipped_context: int = 0
    deaths: Mapping[str, int] = field(default_factory=dict)
    bulkheads: Mapping[str, "BulkheadStats"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkheadStats:
    """The numbers of one bulkhead at one moment."""

    workers: int
    inside: int
    """Calls that run or wait in its queue."""
    queue_limit: int
    outside: int
    """Calls that wait for a place in the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStats:
    """The numbers of one task name in one lane; times in seconds, sizes in bytes."""

    name: str
    lane: str
    count: int
    wait_p50: float
    wait_p99: float
    run_p50: float
    run_p99: float
    peak_rss: int
    cpu_seconds: float = 0.0
    payload_bytes: int = 0
    result_bytes: int = 0
    decode_p99: float = 0.0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    died: int = 0
    refused: int = 0
