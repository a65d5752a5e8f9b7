"""What Prometheus scrapes."""

import json

from prometheus_client.parser import text_string_to_metric_families

from levelpool.ingest.tally import Tally
from levelpool.monitoring.metrics import METRICS, metric_samples, render_metrics
from levelpool.pools import PoolStats, Waits

TASK = {"name": "parse", "lane": "cpu", "count": 7, "wait_p50": 0.1, "wait_p99": 0.2, "run_p50": 1.0, "run_p99": 2.0, "peak_rss": 9}


def full(snapshot, lane):
    pools = (PoolStats('odd "name"\n', 5, 6, 1, 0, 2, 0.5, waits=Waits(9, 4.5, (3, 3, 3, 5, 5, 8, 8, 8))),)
    lanes = {"cpu": lane(queued=3, died=1), "io": lane()}
    tally = Tally()
    tally.ended("partial", loaded=5, quarantined=2)
    tally.took("reading", 0.05)
    collected = {"background_tasks": {"inbox": 2}, "files": tally.to_dict()}
    return snapshot(cpu=42.0, lanes=lanes, tasks=(TASK,), pools=pools, collected=collected)


def test_text_is_what_prometheus_reads(snapshot, lane):
    """Prometheus' own parser reads every metric back with its labels and value."""
    text, content_type = render_metrics({0: metric_samples(full(snapshot, lane)), 3: metric_samples(snapshot(cpu=7.0))})
    samples = {
        (s.name, *sorted(s.labels.items())): s.value for family in text_string_to_metric_families(text.decode()) for s in family.samples
    }

    assert content_type.startswith("text/plain")
    one = ("web_worker", "0")
    assert samples["levelpool_cpu_percent", one] == 42.0
    assert samples["levelpool_cpu_percent", ("web_worker", "3")] == 7.0
    assert samples["levelpool_lane_queued", ("lane", "cpu"), one] == 3
    assert samples["levelpool_background_task_restarts_total", ("task", "inbox"), one] == 2
    assert samples["levelpool_lane_ended_total", ("lane", "cpu"), ("outcome", "died"), one] == 1
    assert samples["levelpool_task_run_seconds", ("lane", "cpu"), ("quantile", "0.99"), ("task", "parse"), one] == 2.0
    assert samples["levelpool_files_total", ("outcome", "partial"), one] == 1
    assert samples["levelpool_files_total", ("outcome", "failed"), one] == 0
    assert samples["levelpool_file_rows_total", ("state", "quarantined"), one] == 2
    assert samples["levelpool_file_seconds_count", ("stage", "reading"), one] == 1
    assert samples["levelpool_pool_waiting", ("pool", 'odd "name"\n'), one] == 2


def test_waits_for_a_connection_are_a_histogram(snapshot, lane):
    """Buckets that hold all shorter waits, their sum and their count, also after a journey as JSON from another web worker."""
    samples = json.loads(json.dumps(metric_samples(full(snapshot, lane))))
    text, _ = render_metrics({1: samples})
    (family,) = [each for each in text_string_to_metric_families(text.decode()) if each.name == "levelpool_pool_wait_seconds"]
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    rest = {sample.name: sample.value for sample in family.samples if not sample.name.endswith("_bucket")}

    assert family.type == "histogram"
    assert (buckets["0.001024"], buckets["0.065536"], buckets["+Inf"]) == (3, 5, 9)
    assert rest == {"levelpool_pool_wait_seconds_sum": 4.5, "levelpool_pool_wait_seconds_count": 9}
    assert {(sample.labels["pool"], sample.labels["web_worker"]) for sample in family.samples} == {('odd "name"\n', "1")}


def test_every_metric_is_described_and_every_description_is_used(snapshot, lane):
    """No sample without a line in the table, and no line that never has a sample."""
    from levelpool.capacity.usage import Pressure

    everything = full(snapshot, lane)
    everything.resources.pressure["cpu"] = Pressure(1.0, 0.0)

    assert set(metric_samples(everything)) == set(METRICS)
    assert all(name.startswith("levelpool_") for name in METRICS)
