"""What imports cost, as whole processes: the executor beside `import asyncio`, and reading sheets beside reading and loading them."""

from benchmarks.measure import interleave, keep, print_series, process_seconds, python

ASYNCIO = "import asyncio"
EXECUTOR = "from levelpool import get_executor_manager"
SHEETS = "import levelpool.sheets"
INGEST = "import levelpool.sheets, levelpool.ingest"
NOTHING = "pass"


def main() -> None:
    """
    Print the ratios: the executor takes at most 1.5 x `import asyncio`, and sheets at most 0.4 x what both take that they once were.

    The start of an empty interpreter is taken off the second one.
    """
    statements = (NOTHING, ASYNCIO, EXECUTOR, SHEETS, INGEST)
    series = interleave({each: _run(each) for each in statements}, rounds=15, warmup=2)
    print_series("whole process", series, unit="ms", baseline=ASYNCIO, scale=1000)
    seconds = {each.name: each.median for each in series}
    executor = seconds[EXECUTOR] / seconds[ASYNCIO]
    sheets = (seconds[SHEETS] - seconds[NOTHING]) / (seconds[INGEST] - seconds[NOTHING])
    print(f"{SHEETS}: {sheets:.2f} x of {INGEST}, without the start of the interpreter")
    keep("import_time", {"ratio": round(executor, 2), "sheets": round(sheets, 2), **seconds})


def _run(statement: str):
    return lambda: process_seconds(python("-c", statement))
