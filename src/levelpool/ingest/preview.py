"""A look at a file before it is loaded: read in a worker, in a folder that goes with the call."""

from pathlib import Path

from levelpool.ingest.remote_job import inspect_remotely
from levelpool.ingest.session import Session
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.inspect import Inspection, inspect_file

LOOK_TIMEOUT = 60.0
"""Seconds after which a look at a file is given up, waiting for a worker included."""


async def preview(
    session: Session,
    path: Path,
    *,
    name: str | None,
    dataset: str | None,
    options: TableOptions | None,
    max_seconds: float | None,
) -> Inspection:
    """What a file would become; nothing is loaded. Raises `SheetError` as `inspect_file` does."""
    await session.open()
    lane = session.manager.with_options(timeout=LOOK_TIMEOUT, name="preview", priority=10)
    if session.manager.is_elsewhere:
        return await lane.run_cpu_intensive(
            inspect_remotely,
            await session.load_content(path),
            name=name or path.name,
            dataset=dataset,
            limits=session.limits,
            max_seconds=max_seconds,
            options=options,
        )
    async with session.work_folder() as folder:
        return await lane.run_cpu_intensive(
            inspect_file,
            path,
            name=name,
            dataset=dataset,
            limits=session.limits,
            max_seconds=max_seconds,
            options=options,
            folder=folder,
        )
