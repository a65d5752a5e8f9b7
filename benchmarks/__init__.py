"""Performance, measured: ours and the peers' interleaved in one run, ratios printed, results kept as data in `results/`."""
