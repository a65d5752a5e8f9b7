"""A task that raises CancelledError itself has failed: only the caller cancels a call. The same in every lane."""

import asyncio
import concurrent.futures

import pytest

import corner_tasks
from levelpool import ExecutorManager, RemoteError
from levelpool.testing import inline_manager

CANCELLATIONS = [asyncio.CancelledError, concurrent.futures.CancelledError]


@pytest.fixture(params=["cpu", "io", "inline"])
async def lane(request):
    """The call and the drop-in executor of a lane."""
    async with inline_manager() if request.param == "inline" else ExecutorManager(cpu_workers=1, io_workers=1) as manager:
        if request.param == "io":
            yield manager.run_io_intensive, manager.io_executor
        else:
            yield manager.run_cpu_intensive, manager.cpu_executor


@pytest.mark.parametrize("kind", CANCELLATIONS)
async def test_awaiting_task_is_not_taken_as_cancelled(lane, kind):
    """A task group, which ignores a cancelled member, hears of the error; and the awaiting code goes on."""
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as group:
            member = group.create_task(lane[0](corner_tasks.throw, kind, "of its own"))
    (error,) = raised.value.exceptions

    assert isinstance(error, RemoteError)
    assert error.type_name == f"{kind.__module__}.CancelledError"
    assert "in throw" in error.traceback_text
    assert not member.cancelled()


@pytest.mark.parametrize("kind", CANCELLATIONS)
async def test_timeout_that_is_not_over_says_nothing(lane, kind):
    """`asyncio.timeout` turns a cancellation into TimeoutError, and this is none."""
    with pytest.raises(RemoteError, match="nobody has cancelled the call"):
        async with asyncio.timeout(60):
            await lane[0](corner_tasks.throw, kind, "of its own")


@pytest.mark.parametrize("kind", CANCELLATIONS)
async def test_future_is_not_cancelled(lane, kind):
    """Neither is the future of a drop-in, nor whoever awaits it in a loop."""
    future = lane[1].submit(corner_tasks.throw, kind, "of its own")

    with pytest.raises(RemoteError):
        await asyncio.wrap_future(future)
    assert not future.cancelled()


async def test_stop_iteration_in_a_drop_in_keeps_nobody_waiting(lane):
    """A coroutine cannot raise it, and asyncio would wait for ever."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(asyncio.wrap_future(lane[1].submit(corner_tasks.throw, StopIteration)), 30)
