"""What the examples of the executor guide call: plain functions that a worker can import."""

import time
from pathlib import Path


def parse(path: Path, header: int = 0) -> list[str]:
    return path.read_text().splitlines()[header:]


def build_report() -> str:
    time.sleep(0.01)
    return "a report"


def read_batches(path: Path):
    lines = path.read_text().splitlines()
    for at in range(0, len(lines), 2):
        yield lines[at : at + 2]
