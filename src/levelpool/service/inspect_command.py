"""What `levelpool inspect` does: what would be loaded from a file, read in a memory-limited worker. It needs no database, and no package for one."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click

from levelpool.errors import TaskTimeout, WorkerDied
from levelpool.executor import ExecutorManager, make_manager
from levelpool.helper_worker import helper_worker, set_up_sharing, size_to_share
from levelpool.service.terminal import show_inspection
from levelpool.settings import Settings
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import SheetError
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.work_sharing import WorkSharing

READABLE = 0
NOT_READABLE = 1


async def inspect_path(path: Path, *, settings: Settings, options: TableOptions, as_json: bool) -> int:
    """Show what would be loaded from *path*, read in a memory-limited worker; 1 and one sentence when it cannot be read."""
    try:
        with tempfile.TemporaryDirectory(prefix="levelpool-inspect-") as folder:
            sharing = set_up_sharing(Path(folder), path, size_to_share(settings))
            async with _manager(settings) as manager, helper_worker(manager, sharing):
                inspection = await manager.with_options(name="inspect").run_cpu_intensive(_inspect, path, options, sharing)
    except (SheetError, WorkerDied, TaskTimeout) as error:
        click.echo(f"levelpool: {error}", err=True)
        return NOT_READABLE
    answer = inspection.to_dict()
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        show_inspection(path.name, answer)
    return READABLE


def _inspect(path: Path, options: TableOptions, sharing: WorkSharing | None) -> Inspection:
    if not path.is_file():
        raise SheetError(f"{path} does not exist or is no file: check the path")
    return inspect_file(path, name=path.name, options=options, sharing=sharing)


@asynccontextmanager
async def _manager(settings: Settings) -> AsyncIterator[ExecutorManager]:
    """A manager with worker processes on this machine, where the file is, whatever *settings* say of the backend."""
    manager = make_manager(replace(settings, cpu_backend="process"))
    try:
        yield manager
    finally:
        await manager.aclose(timeout=0)
