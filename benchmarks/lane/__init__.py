"""The process lane beside its peers: round trip, throughput, large things, memory, cold start, cancel; all take turns in one run."""


def main() -> None:
    """Measure all, print each table and the goals, and keep the readings."""
    # Worker processes import this package for its tasks, and must not pay for its peers.
    from benchmarks.lane.report import report

    report()
