"""What `import levelpool` costs: whole process, beside `import asyncio`."""

from benchmarks.measure import interleave, keep, print_series, process_seconds, python


def main() -> None:
    """Print the ratio; at most 1.5 is the promise."""
    series = interleave(
        {
            "import asyncio": lambda: process_seconds(python("-c", "import asyncio")),
            "import levelpool": lambda: process_seconds(python("-c", "import levelpool")),
        },
        rounds=15,
        warmup=2,
    )
    print_series("whole process", series, unit="ms", baseline="import asyncio", scale=1000)
    ratio = series[1].median / series[0].median
    keep("import_time", {"ratio": round(ratio, 2), **{each.name: each.median for each in series}})
