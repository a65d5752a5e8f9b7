"""What changed between two files of 100,000 rows, in parts of the time that loading one takes; and the memory for it."""

import asyncio
import random
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from levelpool.ingest.file_changes import compare_files
from levelpool.ingest.service import DataIngestionService

MOST_TIME = 0.5
"""The goal: so many times the time of loading one of the files."""
MOST_MEMORY = 64 << 20
"""The goal: bytes that comparing may add to a process."""

_ROWS, _TIMES = 100_000, 5


def main() -> None:
    """Print both for SQLite, by a key and without one; every twentieth row changed and every fiftieth is another one."""
    asyncio.run(_measure())


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'changes.sqlite'}"
        for month in (9, 10):
            (folder / f"orders 2026-{month:02d}.csv").write_text("".join(_lines(month)))
        async with DataIngestionService(url, data_dir=folder / "data") as service:
            await _load(service, folder, 9)
            second, _ = await _load(service, folder, 10)
            for key in (["order_no"], []):
                second = await _compare(service, url, second, folder, key)


async def _compare(service: DataIngestionService, url: str, second: int, folder: Path, key: list[str]) -> int:
    """Compare and load in turn; the ratio of the medians. A key is taken away while a file is loaded, for with one it is compared then."""
    loads, compared = [], []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(_TIMES):
        await service.set_key("orders", key)
        began = time.perf_counter()
        found = compare_files(url, second, None)
        compared.append(time.perf_counter() - began)
        await service.set_key("orders", [])
        await service.undo(second)
        second, took = await _load(service, folder, 10)
        loads.append(took)
    unit = 1 if sys.platform == "darwin" else 1024
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    share = statistics.median(compared) / statistics.median(loads)
    met = share <= MOST_TIME and memory <= MOST_MEMORY
    counts = f"{found['added']:,} added, {found['removed']:,} removed, {found['changed']:,} changed"
    print(f"  {'by a key' if key else 'as whole rows':14} {share:.2f} of the time of loading, {memory / 1e6:.0f} MB   {counts}")
    print(f"  the goal is {MOST_TIME:g} and {MOST_MEMORY >> 20} MB at most: {'met' if met else 'NOT MET'}")
    return second


async def _load(service: DataIngestionService, folder: Path, month: int) -> tuple[int, float]:
    began = time.perf_counter()
    record = await service.ingest_file(folder / f"orders 2026-{month:02d}.csv")
    return record["id"], time.perf_counter() - began


def _lines(month: int) -> list[str]:
    lines = ["order_no,customer,city,amount,pieces,placed,status,note,ref,weight\n"]
    for number in range(_ROWS):
        drawn = random.Random(number)
        other = month == 10 and number % 50 == 0
        status = "void" if month == 10 and number % 20 == 0 else drawn.choice(("open", "paid"))
        lines.append(
            f"{'B' if other else 'A'}{number:07d},Customer {drawn.randrange(5000)},{drawn.choice(('Graz', 'Wien', 'Linz'))},"
            f"{drawn.randrange(1, 100_000) / 100:.2f},{drawn.randrange(1, 99)},2026-{drawn.randrange(1, 13):02d}-{drawn.randrange(1, 28):02d},"
            f"{status},note {drawn.randrange(10**6)},{drawn.randrange(10**9)},{drawn.random():.3f}\n"
        )
    return lines
