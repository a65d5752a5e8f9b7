"""The manager: what it owns, refuses and shares; without processes."""

import contextvars
import dataclasses
import inspect
from pathlib import Path

import pytest

import levelpool
from levelpool import ExecutorManager, LaneClosed, report_progress
from levelpool.errors import SettingsError
from levelpool.lanes.account import LaneStats, TaskStats
from levelpool.testing import inline_manager


async def test_inline_manager_runs_in_place():
    """With the inline lanes even a lambda runs in the CPU lane, and it is counted."""
    manager = inline_manager()

    assert await manager.run_cpu_intensive(lambda x: x + 1, 1) == 2
    assert manager.cpu_executor.submit(lambda: 3).result() == 3
    assert manager.stats().cpu.succeeded == 2


async def test_inline_manager_passes_progress_on():
    """Progress of an inline task reaches its caller, and nobody else."""
    seen = []

    await inline_manager().with_options(on_progress=lambda *report: seen.append(report)).run_io_intensive(report_progress, 1, 2)
    report_progress(2, 2)

    assert seen == [(1, 2, "")]


async def test_inline_task_keeps_its_changes_of_the_context():
    """A task sees the context variables of its caller, in place as in a worker, and changes none of them."""
    variable = contextvars.ContextVar("variable", default="ours")

    assert await inline_manager().run_cpu_intensive(lambda: (variable.get(), variable.set("theirs"))[0]) == "ours"
    assert variable.get() == "ours"


async def test_closed_manager_takes_no_calls():
    """After aclose every call is refused."""
    async with ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        pass

    with pytest.raises(LaneClosed):
        await manager.run_io_intensive(lambda: 1)


@pytest.mark.parametrize("option", ["cpu_workers", "io_workers", "worker_max_tasks"])
def test_number_below_one_is_refused(option):
    """A lane without workers could not keep its promises."""
    with pytest.raises(SettingsError, match=option):
        ExecutorManager(**{option: 0})


def test_reference_names_every_public_member():
    """What can be called, counted or configured stands in the reference."""
    text = (Path(__file__).parents[2] / "docs/reference/executor.md").read_text(encoding="utf-8")
    members = [name for name in vars(ExecutorManager) if not name.startswith("_")]
    arguments = list(inspect.signature(ExecutorManager).parameters)
    numbers = [field.name for kind in (LaneStats, TaskStats) for field in dataclasses.fields(kind)]
    errors = [name for name in levelpool.__all__ if name not in {"__version__", "LevelpoolError"}]

    assert not [name for name in (*members, *arguments, *numbers, *errors) if name not in text]
