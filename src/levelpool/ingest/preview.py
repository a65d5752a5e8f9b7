"""A look at a file before it is loaded: read in a worker, in a folder that goes with the call."""

from functools import partial
from pathlib import Path

from levelpool.ingest.ledger.evidence import read_known
from levelpool.ingest.ledger.files import Original
from levelpool.ingest.ledger.queries import Json
from levelpool.ingest.preview_changes import changes_if_loaded
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
    placing = await _placing(session, shown, dataset, original)
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


async def _placing(session: Session, shown: str, dataset: str | None, original: Original | None) -> Placing:
    return Placing(
        file_name=shown,
        dataset=dataset or (dataset_name(shown) if original is None else original.dataset),
        by="said" if dataset else None if original is None else original.dataset_by,
        settled=dataset is None and original is not None and original.settled,
        known=await session.read(read_known, shown),
    )


async def changes_before(
    session: Session, path: Path, *, name: str, dataset: str | None, original: Original | None = None, options: TableOptions, file_id: int
) -> Json | None:
    """
    What would change if the file were loaded, as `changes` says it once it is; None where there is nothing to compare it with, or too much.

    *file_id* is that of a kept file, or beyond all of them. Not on a cluster, whose workers have none of our files.
    """
    if session.manager.is_elsewhere:
        return None
    placing = await _placing(session, name, dataset, original)
    lane = session.manager.with_options(timeout=LOOK_TIMEOUT, name="preview", priority=10)
    async with session.work_folder() as folder:
        work = partial(changes_if_loaded, name=name, placing=placing, options=options, limits=session.limits, file_id=file_id)
        return await lane.run_cpu_intensive(work, session.url, path, folder)
