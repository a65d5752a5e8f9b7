"""A look at a file before it is loaded: read in a worker, in a folder that goes with the call."""

from pathlib import Path

from levelpool.ingest.ledger.evidence import read_known
from levelpool.ingest.ledger.files import Original
from levelpool.ingest.recognition.placing import Placing
from levelpool.ingest.remote_job import inspect_remotely
from levelpool.ingest.session import Session
from levelpool.sheets.clean.names import dataset_name
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
    original: Original | None = None,
    options: TableOptions | None,
    max_seconds: float | None,
) -> Inspection:
    """
    What a file would become, and where its tables would go by what is known now; nothing is loaded.

    *original* is what is known of a kept one. Raises `SheetError` as `inspect_file` does.
    """
    await session.open()
    shown = name or path.name
    placing = Placing(
        file_name=shown,
        dataset=dataset or (dataset_name(shown) if original is None else original.dataset),
        by="said" if dataset else None if original is None else original.dataset_by,
        settled=dataset is None and original is not None and original.settled,
        known=await session.read(read_known, shown),
    )
    lane = session.manager.with_options(timeout=LOOK_TIMEOUT, name="preview", priority=10)
    if session.manager.is_elsewhere:
        return await lane.run_cpu_intensive(
            inspect_remotely,
            await session.load_content(path),
            name=shown,
            dataset=placing,
            limits=session.limits,
            max_seconds=max_seconds,
            options=options,
        )
    async with session.work_folder() as folder:
        return await lane.run_cpu_intensive(
            inspect_file,
            path,
            name=shown,
            dataset=placing,
            limits=session.limits,
            max_seconds=max_seconds,
            options=options,
            folder=folder,
        )
