"""
Prometheus metrics of a snapshot; the only door to prometheus_client.

Every name starts with `levelpool_`. Times are seconds, sizes bytes, shares 0 to 100 as everywhere else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from levelpool.extras import needed_for
from levelpool.histogram import BOUNDS
from levelpool.monitoring.snapshot import Snapshot
from levelpool.pools import Waits

Samples = dict[str, list[tuple[Sequence[str], float]]]
"""Metric name to its samples: the values of its labels, and the number; plain enough for JSON."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, for the reference page and for the exposition."""

    name: str
    kind: str
    """gauge, counter, histogram or summary; a counter is shown with the suffix `_total`."""
    sentence: str
    labels: tuple[str, ...] = ()


_LANE = ("lane",)
_TASK = ("task", "lane")
_TIMES = (*_TASK, "quantile")

METRICS = {
    metric.name: metric
    for metric in (
        Metric("levelpool_cpus", "gauge", "CPUs that the container may use."),
        Metric("levelpool_cpu_percent", "gauge", "Use of these CPUs by everything that shares the limit."),
        Metric("levelpool_cpu_throttled_percent", "gauge", "Share of the periods in which the container used up its quota."),
        Metric("levelpool_cpu_stood_still", "gauge", "On how many processors the container stood still on average, its quota used up."),
        Metric("levelpool_memory_limit_bytes", "gauge", "Memory that the container may use."),
        Metric("levelpool_memory_used_bytes", "gauge", "Memory in use by everything that shares the limit, without idle caches."),
        Metric("levelpool_memory_percent", "gauge", "The same in percent of the limit."),
        Metric("levelpool_oom_kills", "counter", "Processes of the container that the kernel killed for want of memory."),
        Metric("levelpool_pressure_percent", "gauge", "Share of the last 10 s in which threads waited.", ("resource", "kind")),
        Metric("levelpool_process_rss_bytes", "gauge", "Resident memory of the serving process."),
        Metric("levelpool_process_pss_bytes", "gauge", "Proportional memory of the serving process."),
        Metric("levelpool_process_tree_pss_bytes", "gauge", "Proportional memory of the serving process and all its children."),
        Metric("levelpool_process_threads", "gauge", "Threads of the serving process."),
        Metric("levelpool_process_fds", "gauge", "Open descriptors of the serving process."),
        Metric("levelpool_process_children", "gauge", "Processes below the serving process."),
        Metric("levelpool_loop_lag_seconds", "summary", "Lateness of the event loop over the last minute.", ("quantile",)),
        Metric("levelpool_loop_blocks", "counter", "Blocks of the event loop longer than the threshold."),
        Metric(
            "levelpool_background_task_restarts",
            "counter",
            "Background tasks of the service that ended by an error and were started again.",
            ("task",),
        ),
        Metric("levelpool_lane_workers", "gauge", "Workers that are there.", _LANE),
        Metric("levelpool_lane_max_workers", "gauge", "Most workers.", _LANE),
        Metric("levelpool_lane_busy", "gauge", "Workers that run a call.", _LANE),
        Metric("levelpool_lane_queued", "gauge", "Calls that wait for a worker.", _LANE),
        Metric("levelpool_lane_queue_limit", "gauge", "Most calls that may wait.", _LANE),
        Metric("levelpool_lane_oldest_wait_seconds", "gauge", "How long the oldest of them has waited.", _LANE),
        Metric("levelpool_lane_submitted", "counter", "Calls that were made.", _LANE),
        Metric("levelpool_lane_ended", "counter", "Calls that ended, by outcome.", ("lane", "outcome")),
        Metric("levelpool_task_calls", "counter", "Calls of one task name.", _TASK),
        Metric("levelpool_task_wait_seconds", "summary", "Time between call and start.", _TIMES),
        Metric("levelpool_task_run_seconds", "summary", "Time between start and end.", _TIMES),
        Metric("levelpool_task_peak_rss_bytes", "gauge", "Most resident memory of a worker during such a call.", _TASK),
        Metric("levelpool_pool_size", "gauge", "Connections that the pool keeps.", ("pool",)),
        Metric("levelpool_pool_max_overflow", "gauge", "Connections that it may open beyond that.", ("pool",)),
        Metric("levelpool_pool_checked_out", "gauge", "Connections in use.", ("pool",)),
        Metric("levelpool_pool_waiting", "gauge", "Calls that wait for a connection.", ("pool",)),
        Metric("levelpool_pool_wait_p99_seconds", "gauge", "99 of 100 came faster, of the last 1000 connections.", ("pool",)),
        Metric("levelpool_pool_wait_seconds", "histogram", "Waits for a connection since the pool was made.", ("pool",)),
        Metric("levelpool_files", "counter", "Files that were taken in, by what became of them.", ("outcome",)),
        Metric("levelpool_file_rows", "counter", "Their rows, by what became of them.", ("state",)),
        Metric("levelpool_file_seconds", "histogram", "Time that a file took for one stage.", ("stage",)),
    )
}

FACTS = {
    metric.name: metric
    for metric in (
        Metric(
            "levelpool_dataset_last_file_timestamp_seconds", "gauge", "When the newest file of a dataset came that is loaded.", ("dataset",)
        ),
        Metric("levelpool_disk_bytes", "gauge", "Room on disk, by what it is.", ("what",)),
    )
}
"""What is said of the database and its disk, by any web worker for all."""

_OUTCOMES = ("succeeded", "failed", "cancelled", "timed_out", "died", "refused")


def render_metrics(workers: Mapping[int, Samples], facts: Samples | None = None) -> tuple[bytes, str]:
    """
    (the text that Prometheus scrapes, its content type) of the samples of each web worker, by its number, and of `FACTS`.

    Each sample of a web worker gets the label `web_worker`: a scrape reaches any of them, and must tell the same of all.
    Raises `ExtraMissing` without the extra `prometheus`.
    """
    with needed_for("a page of metrics"):
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415 - the door
        from prometheus_client.core import Metric as Family  # noqa: PLC0415 - the door

    def family(metric: Metric, rows: _Labelled) -> Any:
        told = Family(metric.name, metric.sentence, metric.kind)
        for suffix, labels, value in _lines(metric.kind, rows):
            told.add_sample(metric.name + suffix, labels, value)
        return told

    class OneMoment:
        def collect(self) -> Iterator[Any]:
            for metric in METRICS.values():
                yield family(metric, _labelled(metric, {("web_worker", str(each)): samples for each, samples in workers.items()}))
            if facts is not None:
                for metric in FACTS.values():
                    yield family(metric, _labelled(metric, {None: facts}))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(OneMoment())
    return generate_latest(registry), CONTENT_TYPE_LATEST


def metric_samples(snapshot: Snapshot) -> Samples:
    """The samples of *snapshot*; a metric that has none right now is left out."""
    samples: Samples = {}
    for name, labels, value in (
        *_of_resources(snapshot),
        *_of_background(snapshot),
        *_of_lanes(snapshot),
        *_of_tasks(snapshot),
        *_of_pools(snapshot),
        *_of_files(snapshot),
    ):
        samples.setdefault(f"levelpool_{name}", []).append((labels, float(value)))
    return samples


_SUM = "sum"


_Labelled = Iterator[tuple[dict[str, str], float]]


def _labelled(metric: Metric, told: Mapping[tuple[str, str] | None, Samples]) -> _Labelled:
    """The samples of one metric with the names of their labels; a histogram's have the label `le`, the bound of a bucket, or `sum`."""
    names = (*metric.labels, "le") if metric.kind == "histogram" else metric.labels
    for whose, samples in told.items():
        for labels, value in samples.get(metric.name, ()):
            yield dict([whose] if whose else []) | dict(zip(names, labels, strict=True)), value


def _lines(kind: str, rows: _Labelled) -> Iterator[tuple[str, dict[str, str], float]]:
    """The lines that Prometheus reads: the suffix of the name, labels, value."""
    for labels, value in rows:
        if kind != "histogram":
            yield ("_total" if kind == "counter" else ""), labels, value
            continue
        bound, whose = labels["le"], {name: each for name, each in labels.items() if name != "le"}
        yield ("_sum", whose, value) if bound == _SUM else ("_bucket", labels, value)
        if bound == "+Inf":
            yield "_count", whose, value


_Rows = Iterator[tuple[str, tuple[str, ...], float]]


def _of_resources(snapshot: Snapshot) -> _Rows:
    cpu, memory, process, loop = snapshot.resources.cpu, snapshot.resources.memory, snapshot.resources.process, snapshot.loop
    yield "cpus", (), cpu.cpus
    yield "cpu_percent", (), cpu.percent
    yield "cpu_throttled_percent", (), cpu.throttled_percent
    yield "cpu_stood_still", (), cpu.stood_still
    yield "memory_limit_bytes", (), memory.limit
    yield "memory_used_bytes", (), memory.used
    yield "memory_percent", (), memory.percent
    yield "oom_kills", (), memory.oom_kills
    for resource, pressure in snapshot.resources.pressure.items():
        yield "pressure_percent", (resource, "some"), pressure.some
        yield "pressure_percent", (resource, "full"), pressure.full
    yield "process_rss_bytes", (), process.rss
    yield "process_pss_bytes", (), process.pss
    yield "process_tree_pss_bytes", (), process.tree_pss
    yield "process_threads", (), process.threads
    yield "process_fds", (), process.fds
    yield "process_children", (), process.children
    yield "loop_lag_seconds", ("0.5",), loop.p50
    yield "loop_lag_seconds", ("0.99",), loop.p99
    yield "loop_lag_seconds", ("1",), loop.max
    yield "loop_blocks", (), loop.blocks


def _of_background(snapshot: Snapshot) -> _Rows:
    restarts = snapshot.collected.get("background_tasks")
    for name, count in restarts.items() if isinstance(restarts, Mapping) else ():
        if isinstance(count, int):  # a collector that failed says so in words
            yield "background_task_restarts", (name,), count


def _of_lanes(snapshot: Snapshot) -> _Rows:
    for name, lane in snapshot.lanes.items():
        for number in ("workers", "max_workers", "busy", "queued", "queue_limit", "submitted"):
            yield f"lane_{number}", (name,), lane[number]
        yield "lane_oldest_wait_seconds", (name,), lane["oldest_wait"]
        for outcome in _OUTCOMES:
            yield "lane_ended", (name, outcome), lane[outcome]


def _of_tasks(snapshot: Snapshot) -> _Rows:
    for task in snapshot.tasks:
        labels = (task["name"], task["lane"])
        yield "task_calls", labels, task["count"]
        yield "task_peak_rss_bytes", labels, task["peak_rss"]
        for what in ("wait", "run"):
            yield f"task_{what}_seconds", (*labels, "0.5"), task[f"{what}_p50"]
            yield f"task_{what}_seconds", (*labels, "0.99"), task[f"{what}_p99"]


def _of_pools(snapshot: Snapshot) -> _Rows:
    for pool in snapshot.pools:
        yield "pool_size", (pool.name,), pool.size
        yield "pool_max_overflow", (pool.name,), pool.max_overflow
        yield "pool_checked_out", (pool.name,), pool.checked_out
        yield "pool_waiting", (pool.name,), pool.waiting
        yield "pool_wait_p99_seconds", (pool.name,), pool.wait_p99
        yield from _of_waits(pool.name, pool.waits)


def _of_files(snapshot: Snapshot) -> _Rows:
    """As a `Tally` counts them; nothing in a program that takes in no files."""
    tally = snapshot.collected.get("files")
    if not isinstance(tally, Mapping) or "seconds" not in tally:  # a collector that failed says so in words
        return
    for outcome, count in tally["files"].items():
        yield "files", (outcome,), count
    for state, count in tally["rows"].items():
        yield "file_rows", (state,), count
    for stage, took in tally["seconds"].items():
        for bound, count in zip(BOUNDS, took["below"], strict=True):
            yield "file_seconds", (stage, str(bound)), count
        yield "file_seconds", (stage, "+Inf"), took["count"]
        yield "file_seconds", (stage, _SUM), took["sum"]


def _of_waits(pool: str, waits: Waits) -> _Rows:
    for bound, count in zip(BOUNDS, waits.below, strict=True):
        yield "pool_wait_seconds", (pool, str(bound)), count
    yield "pool_wait_seconds", (pool, "+Inf"), waits.count
    yield "pool_wait_seconds", (pool, _SUM), waits.seconds
