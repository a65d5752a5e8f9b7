"""The manager: what it owns, refuses and shares; without processes."""

import concurrent.futures
import contextvars
import dataclasses
import inspect
import itertools
import threading
from pathlib import Path

import pytest

import levelpool
from levelpool import ExecutorManager, LaneClosed, LaneFull, report_progress
from levelpool.errors import SettingsError
from levelpool.executor import dask_executor, get_executor_manager, make_manager, process_executor
from levelpool.executor import default as default_module
from levelpool.executor import manager as manager_module
from levelpool.executor.futures import LaneExecutor
from levelpool.executor.options import ManagerOptions
from levelpool.lanes.task_stats import LaneStats, TaskStats
from levelpool.settings import Settings
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


@pytest.mark.parametrize(
    ("option", "value"), [("worker_memory_limit", 1 << 30), ("worker_idle_timeout", 1.0), ("preload", ["json"]), ("max_kills", 2)]
)
def test_option_that_does_not_count_on_a_cluster_is_refused(option, value):
    """Whoever limits the memory of workers that are somebody else's is told so, and not left in the belief that it is limited."""
    with pytest.raises(
        SettingsError, match=rf"^{option} does not count for a manager whose CPU lane runs on a Dask cluster .tcp://x:1.*leave it out"
    ):
        ExecutorManager(dask_scheduler="tcp://x:1", **{option: value})


def test_each_factory_takes_what_counts_and_the_manager_takes_all():
    """What a manager can be made with is said once: the factories' options are the manager's, but for what says where the lane runs."""
    options = set(inspect.signature(ExecutorManager).parameters) - {"lanes", "dask_scheduler"}

    assert set(inspect.signature(process_executor).parameters) == options
    assert set(inspect.signature(dask_executor).parameters) - {"scheduler"} < options


def test_type_checkers_are_shown_the_options_of_the_records():
    """A misspelled option, and one that has no default in common, would be seen: the signatures are those of the records, keywords only."""
    shown = inspect.signature(ExecutorManager).parameters.values()
    told = {each.name: each.default for each in dataclasses.fields(ManagerOptions)}

    assert {each.name: each.default for each in shown} == told
    assert {each.kind for each in shown} == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(TypeError, match="cpu_wrokers"):
        process_executor(cpu_wrokers=1)
    with pytest.raises(TypeError, match="gate"):
        dask_executor("tcp://x:1", gate=None)


class _Recorded:
    """Settings, and which of their fields were looked at."""

    def __init__(self, settings):
        self.settings = settings
        self.seen = set()

    def __getattr__(self, name):
        self.seen.add(name)
        return getattr(self.settings, name)


@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(cpu_backend="dask", dask_scheduler="tcp://127.0.0.1:1"), Settings(web_concurrency=2)],
    ids=["alone", "cluster", "neighbours"],
)
def test_manager_of_the_process_reads_the_settings_it_needs_and_no_other(settings, tmp_path, monkeypatch):
    """A variable that the manager looks at counts, whichever way it is made."""
    monkeypatch.chdir(tmp_path)
    recorded = _Recorded(settings)
    make_manager(recorded).shutdown()

    assert recorded.seen <= set(default_module.READ)


def test_odd_variable_that_no_manager_needs_stops_none(monkeypatch):
    """A port that is no number is the service's trouble; the number of workers is the manager's."""
    needed = {
        each.name
        for each, field in zip(Settings.variables(), dataclasses.fields(Settings), strict=True)
        if field.name in default_module.READ
    }
    for each in Settings.variables():
        monkeypatch.delenv(each.name, raising=False) if each.name in needed else monkeypatch.setenv(each.name, "odd")
    monkeypatch.setattr(default_module, "_manager", None)

    get_executor_manager().shutdown()

    monkeypatch.setenv("CPU_EXECUTOR_WORKERS", "odd")
    with pytest.raises(SettingsError, match="CPU_EXECUTOR_WORKERS is 'odd'"):
        get_executor_manager()


def test_reference_names_every_public_member():
    """What can be called, counted or configured stands in the reference."""
    text = (Path(__file__).parents[2] / "docs/reference/executor.md").read_text(encoding="utf-8")
    members = [name for name in vars(ExecutorManager) if not name.startswith("_")]
    arguments = list(inspect.signature(ExecutorManager).parameters)
    numbers = [field.name for kind in (LaneStats, TaskStats) for field in dataclasses.fields(kind)]
    errors = [name for name in levelpool.__all__ if name not in {"__version__", "LevelpoolError"}]

    assert not [name for name in (*members, *arguments, *numbers, *errors) if name not in text]


def test_name_that_is_no_text_is_refused_at_once():
    """It would break the statistics of everybody else later."""
    with pytest.raises(TypeError, match=r"^name is 7: it must be a text"):
        inline_manager().with_options(name=7)


def test_map_takes_more_than_the_queue_holds():
    """Items without a place follow while results are taken; all come, in order."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1, io_queue_limit=3)

    assert list(manager.io_executor.map(lambda number: number * 2, range(100))) == list(range(0, 200, 2))
    assert list(manager.io_executor.map(pow, range(100), [2] * 100, chunksize=3)) == [number**2 for number in range(100)]
    manager.shutdown()


def test_map_that_is_left_leaves_nothing_in_the_queue():
    """A failure ends the mapping: what waits is cancelled, and what had no place never runs."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1, io_queue_limit=3)
    ran = []

    def work(number):
        ran.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(manager.io_executor.map(work, range(100)))
    manager.shutdown()

    assert len(ran) < 100
    assert manager.stats().io.queued == 0


@pytest.mark.parametrize("door", ["cpu_executor", "io_executor"])
def test_map_with_a_buffer_reads_no_further_than_it(door):
    """As in Python 3.14: the iterables may have no end, and only so many calls are ahead of the result that is taken next."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1)
    numbers = itertools.count(1)

    results = getattr(manager, door).map(abs, numbers, buffersize=3)
    assert next(numbers) == 4
    assert [next(results), next(results)] == [1, 2]
    assert next(numbers) == 7
    results.close()
    manager.shutdown()


def test_map_with_a_buffer_gives_all_in_order():
    """Alone, in chunks, and where the queue has fewer places than the buffer."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1, io_queue_limit=3)

    assert list(manager.io_executor.map(abs, range(50), buffersize=1)) == list(range(50))
    assert list(manager.io_executor.map(abs, range(50), buffersize=20)) == list(range(50))
    assert list(manager.io_executor.map(pow, range(50), [2] * 50, chunksize=7, buffersize=2)) == [number**2 for number in range(50)]
    assert list(manager.io_executor.map(abs, [], buffersize=2)) == []
    manager.shutdown()


@pytest.mark.parametrize(("size", "kind"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_buffer_that_is_none_is_refused(size, kind):
    """In the words of concurrent.futures."""
    with pytest.raises(kind, match="buffersize must be"):
        inline_manager().io_executor.map(abs, [1], buffersize=size)


def test_collector_that_was_taken_back_is_told_of_once(caplog):
    """Python 3.14.0 to 3.14.4 have it; a program with many managers hears of it once."""
    manager_module._warn_of_collector.cache_clear()
    for version in [(3, 13, 9), (3, 14, 5), (3, 15, 0)]:
        manager_module._warn_of_collector(version)
    assert not caplog.messages

    for _ in range(2):
        manager_module._warn_of_collector((3, 14, 4))

    assert len(caplog.messages) == 1
    assert "Python 3.14.4 has an incremental garbage collector that was taken back in 3.14.5" in caplog.messages[0]


class _Crowded:
    """A lane that has one place, until it is asked for a second one: from then on others have it, and only who waits in line gets in."""

    def __init__(self):
        self.waited = 0
        self._places = 1

    def submit(self, func, args, kwargs, options):
        if options.admission_timeout == 0 and not self._places:
            raise LaneFull("no place", retry_after=0.1)
        self.waited += options.admission_timeout is None
        self._places = 0
        future = concurrent.futures.Future()
        future.set_result(func(*args, **kwargs))
        return future


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_that_has_begun_waits_where_others_have_taken_all_places(chunksize):
    """Refused in the middle, the results that it has given would be of no use."""
    lane = _Crowded()

    assert list(LaneExecutor(lane, None).map(abs, range(-6, 0), chunksize=chunksize)) == [6, 5, 4, 3, 2, 1]
    assert lane.waited == 6 // chunksize - 1


def test_map_without_any_place_is_refused():
    """Nothing of ours would ever make room."""
    manager = ExecutorManager(cpu_workers=1, io_workers=1, io_queue_limit=1)
    go = threading.Event()
    held = []

    def fill():
        while True:
            held.append(manager.io_executor.submit(go.wait))

    with pytest.raises(LaneFull):
        fill()
    with pytest.raises(LaneFull):
        manager.io_executor.map(abs, range(3))
    go.set()
    assert all(future.result(10) for future in held)
    manager.shutdown()
