"""
A service that is killed at one point of one step, as the kernel kills: each in a fork of a process that has imported all.

`Forks` starts that process; its forks work with calls that run in place, so that a point may lie anywhere.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from levelpool.ingest import job, originals, session
from levelpool.ingest.importer import RawDataImporter
from levelpool.ingest.inbox import DataSyncService
from levelpool.ingest.ledger import abandoned, files, parts, recording
from levelpool.ingest.ledger import datasets as registry
from levelpool.ingest.load.found_table import check_table
from levelpool.ingest.load.target import Target
from levelpool.ingest.service import DataIngestionService
from levelpool.ingest.store import Store
from levelpool.testing import inline_manager

ROWS = [{"number": number, "name": f"row {number}"} for number in range(50)]


@dataclass(frozen=True)
class Order:
    """Which service does what, and where it is killed."""

    database_url: str
    data_dir: str
    inbox: str
    step: str
    at: str
    file_id: int = 0


POINTS: dict[str, tuple[str, Any, str, bool]] = {
    "before an inbox entry is recorded": ("inbox", recording, "record", True),
    "when an inbox entry is recorded, before the commit": ("inbox", recording, "record", False),
    "when the copy of an inbox file is in the store": ("inbox", Store, "keep", False),
    "when a file ends whose original is gone": ("keep house", abandoned, "abandon", False),
    "when the holder of a password is given up": ("keep house", abandoned, "_let_go", False),
    "when a table was asked for its types": ("replay", job, "check_table", False),
    "when an original was proved": ("replay", job, "prove", False),
    "when rows of a program are kept": ("import", Store, "take", False),
    "when rows of a program are recorded": ("import", recording, "record", False),
    "when the table of a deleted dataset is gone": ("delete", Target, "drop_table", False),
    "when the files of a deleted dataset are undone": ("delete", parts, "leave", False),
    "when a deleted dataset is forgotten, before the commit": ("delete", registry, "remove_dataset", False),
    "when a dataset has its new name, before the commit": ("rename", registry, "rename", False),
    "when a column is dropped, before the commit": ("drop", registry, "drop_column", False),
    "when a file has moved, before the commit": ("move", files, "finish", False),
    "in the middle of a clean-up": ("start", session.shutil, "rmtree", False),
}
"""Each by what is done, the step of it, and whether death comes before or after that step."""
assert job.check_table is check_table and originals.prove is job.prove, "the points lie where the steps are called"


def _die(step: Callable[..., object], *, before: bool) -> Callable[..., object]:
    def run(*args: object, **options: object) -> object:
        if not before:
            step(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return run


async def _do(order: Order) -> None:
    """All steps to their end, unless a point comes first."""
    async with DataIngestionService(order.database_url, inline_manager(), data_dir=order.data_dir) as service:
        intake = service.intake
        if order.step == "inbox":
            await DataSyncService(order.database_url, order.inbox, rest=0.0, intake=intake).sync()
        elif order.step == "keep house":
            await intake.runner.keep_house()
        elif order.step == "replay":
            await service.replay(order.file_id)
        elif order.step == "delete":
            await service.delete_dataset("orders")
        elif order.step == "rename":
            await service.rename_dataset("orders", "sales")
        elif order.step == "drop":
            await service.drop_column("orders", "note")
        elif order.step == "move":
            await service.replay(order.file_id, dataset="sales")
        elif order.step == "import":
            await RawDataImporter(order.database_url, intake=intake).import_rows(ROWS, dataset="handed", source="a program")


def _fork_for(order: Order) -> int:
    """The signal of which the fork died; 0 when it ended by itself."""
    child = os.fork()
    if not child:
        _, place, name, before = POINTS[order.at]
        setattr(place, name, _die(getattr(place, name), before=before))
        try:
            asyncio.run(_do(order))
        finally:
            os._exit(1)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


class Forks:
    """The process that forks; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def die(self, order: Order) -> int:
        """The signal of which a fork died that does what *order* says."""
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


if __name__ == "__main__":
    for line in sys.stdin:
        print(_fork_for(Order(**json.loads(line))), flush=True)
