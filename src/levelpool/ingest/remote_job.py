"""
A file that travels with the call, for a worker on another machine.

Its bytes go along, are compared with its hash where they arrive, and lie in a folder of the call's own as long as it runs. No disk has to be shared.
"""

import hashlib
import mmap
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from levelpool.ingest.job import Job, ingest_file
from levelpool.ingest.ledger import files
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.clean.plans import Naming
from levelpool.sheets.errors import SheetError
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.read.limits import Limits


class RemoteContent:
    """The content of a file: here it is mapped, and read when it is packed; there it is bytes."""

    def __init__(self, sha256: str, content: "bytes | memoryview | mmap.mmap | pickle.PickleBuffer") -> None:
        self.sha256 = sha256
        self.content = content

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return RemoteContent, (self.sha256, pickle.PickleBuffer(self.content) if protocol >= 5 else bytes(self.content))

    @classmethod
    def of(cls, path: Path, sha256: str | None = None) -> Self:
        """
        The file at *path*, whose hash is taken here unless it is known; blocks, so call it in the thread lane.

        Raises `SheetError` when there is no such file.
        """
        try:
            with path.open("rb") as file:
                digest = sha256 or hashlib.file_digest(file, "sha256").hexdigest()
                size = file.seek(0, os.SEEK_END)
                return cls(digest, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
        except OSError as error:
            raise SheetError(f"{path} cannot be sent to a worker ({error.strerror or error}): check the file") from error


def ingest_remotely(job: Job, file: RemoteContent) -> files.Outcome:
    """What `ingest_file` does, with the bytes that came along in place of the kept original."""
    with _unpacked(file, job.name) as (original, folder):
        return ingest_file(replace(job, original=original, folder=folder))


def inspect_remotely(
    file: RemoteContent,
    *,
    name: str,
    dataset: str | Naming | None,
    limits: Limits | None,
    max_seconds: float | None,
    options: TableOptions | None,
) -> Inspection:
    """What `inspect_file` does, with the bytes that came along."""
    with _unpacked(file, name) as (path, folder):
        return inspect_file(path, name=name, dataset=dataset, limits=limits, max_seconds=max_seconds, options=options, folder=folder)


@contextmanager
def _unpacked(file: RemoteContent, name: str) -> Iterator[tuple[Path, Path]]:
    """Where the file lies now, and a folder for what is made of it; both are gone afterwards, or with this process."""
    found = hashlib.sha256(file.content).hexdigest()
    if found != file.sha256:
        raise SheetError(f"{name} has changed on its way to the worker (sha256 {found}, expected {file.sha256}): send it again")
    # Whoever keeps this process removes what begins with its number, should it be killed.
    with tempfile.TemporaryDirectory(prefix=f"levelpool-{os.getpid()}-") as folder:
        path = Path(folder) / "original"
        path.write_bytes(file.content)
        yield path, Path(folder)
