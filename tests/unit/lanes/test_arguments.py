"""What callers hand over by mistake: each is refused in one sentence, before anything runs."""

import contextvars
import datetime as dt
import functools
import math
from unittest.mock import AsyncMock, MagicMock

import pytest

from levelpool import Bulkhead, ExecutorManager
from levelpool.errors import ArgumentError, SettingsError
from levelpool.monitoring import ResourceMonitor
from levelpool.testing import inline_manager


async def fetch(number=1):
    return number


async def fetch_all():
    yield 1


def double(number=1):
    return 2 * number


class Fetcher:
    """Asynchronous when it is called, and in its methods."""

    async def __call__(self):
        return 1

    async def method(self):
        return 1

    @staticmethod
    async def static():
        return 1


class Doubler:
    """Plain when it is called."""

    def __call__(self):
        return 2


@pytest.fixture(scope="module", params=["real", "inline"])
def manager(request):
    manager = inline_manager() if request.param == "inline" else ExecutorManager(cpu_workers=1, io_workers=1)
    yield manager
    manager.shutdown(5)


ASYNCHRONOUS = {
    "coroutine function": fetch,
    "generator": fetch_all,
    "partial": functools.partial(functools.partial(fetch), 1),
    "object": Fetcher(),
    "method": Fetcher().method,
    "partial of a method": functools.partial(Fetcher().method),
    "static method": Fetcher.static,
    "mock": AsyncMock(),
}


@pytest.mark.parametrize("func", ASYNCHRONOUS.values(), ids=ASYNCHRONOUS)
async def test_asynchronous_function_is_refused_by_every_lane(manager, func):
    """It would hand back a coroutine that nobody has awaited."""
    for refused in (
        lambda: manager.cpu_executor.submit(func),
        lambda: manager.io_executor.submit(func),
        lambda: manager.io_executor.map(func, [1], chunksize=2),
    ):
        with pytest.raises(ArgumentError, match="is asynchronous, and a lane runs plain functions: await it"):
            refused()
    for call in (manager.run_cpu_intensive, manager.run_io_intensive, lambda func: anext(manager.stream_cpu_intensive(func))):
        with pytest.raises(TypeError, match="is asynchronous"):
            await call(func)


@pytest.mark.parametrize("thing", [double(1), None, "double", [double]], ids=["a number", "None", "a name", "a list"])
async def test_what_a_function_returned_is_no_function(manager, thing):
    """`run(f(1))` in place of `run(f, 1)`; it is said before anything is sent."""
    submitted = manager.stats().io.submitted
    for call in (manager.run_cpu_intensive, manager.run_io_intensive):
        with pytest.raises(ArgumentError, match=r"cannot be called: a lane takes a function and its arguments, \(f, 1\)"):
            await call(thing)

    assert manager.stats().io.submitted == submitted


async def test_coroutine_is_to_be_awaited(manager):
    """A coroutine in place of a function."""
    coroutine = fetch(1)

    with pytest.raises(ArgumentError, match="is a coroutine: await it"):
        await manager.run_io_intensive(coroutine)

    assert await coroutine == 1


@pytest.mark.parametrize(
    "func",
    [double, Doubler(), functools.partial(double, 1), functools.lru_cache(double), lambda: 2, MagicMock(return_value=2)],
    ids=["a function", "an object", "a partial", "a cache", "a lambda", "a mock"],
)
async def test_anything_plain_is_called(manager, func):
    """Objects, partials, cached functions, mocks."""
    assert await manager.run_io_intensive(func) == 2


NO_SECONDS = [dt.timedelta(seconds=1), math.nan, True, "5", [], 1j]
BELOW_ZERO = [-1, -0.5]
"""Of a deadline that has passed, for a place in the queue; else a mistake."""


@pytest.mark.parametrize("value", NO_SECONDS, ids=repr)
async def test_wait_for_a_place_that_is_no_number_is_refused(manager, value):
    """A negative one is 0."""
    with pytest.raises(ArgumentError, match=r"admission_timeout is .*: it must be a number of seconds from 0 on"):
        manager.with_options(admission_timeout=value)


@pytest.mark.parametrize("value", [*NO_SECONDS, *BELOW_ZERO], ids=repr)
async def test_wrong_timeout_is_refused_at_every_entrance(manager, value):
    """A NaN would never end, a timedelta fails in the middle of the call."""
    for refused in (
        lambda: manager.with_options(timeout=value),
        lambda: manager.with_options().with_options(timeout=value),
        lambda: manager.io_executor.map(double, [1], timeout=value),
        lambda: manager.shutdown(value),
        lambda: ExecutorManager(worker_idle_timeout=value),
        lambda: ResourceMonitor(interval=value),
    ):
        with pytest.raises(ArgumentError, match=r"(timeout|interval) is .*: it must be a number of seconds from 0 on"):
            refused()
    with pytest.raises(ArgumentError, match="timeout is"):
        await manager.aclose(value)

    assert not manager.is_closed


async def test_timeout_without_end_is_one(manager):
    """Numbers of every kind count, and `inf` is a timeout that never comes."""
    for value in (math.inf, 1e300, 7, 7.5, None):
        assert await manager.with_options(timeout=value).run_io_intensive(double) == 2


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("priority", "1", "a whole number"),
        ("priority", True, "a whole number"),
        ("priority", math.nan, "a whole number"),
        ("priority", None, "a whole number"),
        ("name", 5, "a text"),
        ("bulkhead", 5, "a text"),
        ("on_progress", 5, "a function"),
        ("on_progress", fetch, "a plain function"),
    ],
)
def test_wrong_option_of_a_call_is_refused(manager, option, value, allowed):
    """A priority that cannot be compared would disturb the order of the others; an asynchronous callback would never run."""
    with pytest.raises(ArgumentError, match=f"^{option} is .*: it must be {allowed}"):
        manager.with_options(**{option: value})


VARIABLE = contextvars.ContextVar("VARIABLE")


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("cpu_workers", "2", "is '2': it must be a whole number from 1 on"),
        ("cpu_workers", True, "is True: it must be a whole number from 1 on"),
        ("io_workers", 1.5, "is 1.5: it must be a whole number from 1 on"),
        ("io_workers", -1, "is -1: it must be a whole number from 1 on"),
        ("cpu_queue_limit", "5", "is '5': it must be a whole number from 0 on"),
        ("io_queue_limit", None, "is None: it must be a whole number from 0 on"),
        ("worker_memory_limit", 1000, "is 1000 bytes, and less than 64 MiB .* sizes are in bytes, 1000 MiB are 1048576000"),
        ("worker_memory_limit", "1GB", "is '1GB': it must be a whole number of bytes, .* such as 1 << 30 for 1 GiB"),
        ("worker_memory_limit", 1e9, "is 1000000000.0: it must be a whole number of bytes"),
        ("worker_max_tasks", "5", "is '5': it must be a whole number from 1 on"),
        ("max_result_bytes", 0, "is 0: it must be a whole number from 1 on"),
        ("max_kills", False, "is False: it must be a whole number from 1 on"),
        ("preload", "pandas", "is 'pandas': it must be a list of texts"),
        ("preload", [math], "is <module 'math'.*: it must be a text"),
        ("carry", VARIABLE, "is <ContextVar .*: it must be a list of context variables"),
        ("carry", ["VARIABLE"], "is 'VARIABLE': it must be a ContextVar"),
        ("cpu_bulkheads", {"reports": 1}, r"\['reports'\] is 1: it must be a Bulkhead"),
        ("io_bulkheads", [Bulkhead(workers=1)], "it must be a dictionary"),
        ("worker_environment", {"PIN": 1234}, "is of type int: it must be a text"),
        ("worker_environment", {"A=B": "1"}, "cannot be set"),
        ("worker_environment", {"A": "b\0c"}, "cannot be set"),
        ("dask_scheduler", 8786, "is 8786: it must be a text"),
    ],
)
def test_wrong_option_of_a_manager_is_refused_where_it_is_made(option, value, sentence):
    """And not by the first call, or by a worker that dies of it."""
    with pytest.raises(SettingsError, match=f"{option}.*{sentence}") as raised:
        ExecutorManager(**{"cpu_workers": 1, "io_workers": 1, option: value})

    assert "1234" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["2", 0, True, 1.5, math.nan], ids=repr)
def test_wrong_number_of_workers_is_refused_while_running(manager, value):
    """In `resize`, and for a group."""
    with pytest.raises(ArgumentError, match="cpu_workers is"):
        manager.resize(cpu_workers=value)
    with pytest.raises(ArgumentError, match="workers of a bulkhead is"):
        Bulkhead(workers=value)


@pytest.mark.parametrize("value", [0, "2", 1.5, True], ids=repr)
def test_wrong_chunk_is_refused_before_anything_is_read(manager, value):
    """A `map` reads its iterables only when it can use them."""
    rows = iter([1, 2])
    with pytest.raises(ArgumentError, match="chunksize is"):
        manager.io_executor.map(double, rows, chunksize=value)

    assert list(rows) == [1, 2]
