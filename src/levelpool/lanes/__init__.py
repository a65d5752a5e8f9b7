"""The lanes a call can run in: worker processes, threads, in place, or a cluster; each with a bounded admission and its own counters."""
