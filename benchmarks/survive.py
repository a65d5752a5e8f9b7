"""Every workbook of a folder through the running service: what became of each, and whether the service noticed (LEVELPOOL_CORPUS names the folder)."""

import os
import shutil
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import keep
from benchmarks.serving import Serving, serving

PATIENCE = 3600.0
FINAL = {"loaded", "partial", "failed", "duplicate", "undone"}


def main() -> None:
    """Copy the folder's files into the inbox, wait until each has a final status, and print the account."""
    folder = os.environ.get("LEVELPOOL_CORPUS")
    if not folder:
        print("  set LEVELPOOL_CORPUS to a folder of workbooks")
        return
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
    begin = time.monotonic()
    with serving() as service:
        for number, path in enumerate(files):
            # Each in a dataset of its own, whatever its name.
            shutil.copy(path, service.folder / "inbox" / f"c{number:05d}x{path.suffix}")
        records = _wait(service, len(files))
        lag = service.get("/api/system/resource-usage")["loop"]
    _print(records, {f"c{number:05d}x{path.suffix}": path for number, path in enumerate(files)})
    print(f"  {len(files)} files in {time.monotonic() - begin:.0f} s; event loop of the service: {lag}")
    keep("survive", {"files": len(files), "status": dict(Counter(record["status"] for record in records)), "loop": lag})


def _wait(service: Serving, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        records = _records(service)
        done = sum(record["status"] in FINAL for record in records)
        print(f"\r  {done} of {count}", end="", flush=True)
        if len(records) >= count and done == len(records):
            print()
            return records
        time.sleep(3)
    unfinished = [record["name"] for record in _records(service) if record["status"] not in FINAL]
    raise TimeoutError(f"after {PATIENCE:.0f} s these are not done: {unfinished[:20]}")


def _records(service: Serving) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    while True:
        page: Any = service.get(f"/api/files?limit=1000&offset={len(records)}")
        records += page["files"]
        if not page["files"] or len(records) >= page["total"]:
            return records


def _print(records: list[dict[str, Any]], sources: dict[str, Path]) -> None:
    for status, count in Counter(record["status"] for record in records).most_common():
        print(f"  {count:6d} {status}")
    for record in sorted(records, key=lambda record: str(record["error"])):
        if record["status"] == "failed":
            print(f"    {sources.get(record['name'], record['name'])}: {record['error']}")
    print("  slowest:")
    for record in sorted(records, key=_seconds, reverse=True)[:5]:
        print(f"    {_seconds(record):7.1f} s  {sources.get(record['name'], record['name'])}")


def _seconds(record: dict[str, Any]) -> float:
    if not record["started_at"] or not record["finished_at"]:
        return 0.0
    return (datetime.fromisoformat(record["finished_at"]) - datetime.fromisoformat(record["started_at"])).total_seconds()
