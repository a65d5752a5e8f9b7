"""Who keeps the event loop, and for how long."""

import asyncio
import hashlib
import sys
import threading
import time

import pytest
import uvloop

from levelpool.monitoring.lag import LagWatch, _is_idle


def busy_for(seconds):
    """Keep the processor."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def watch_one_block(block, *args):
    """Block the loop once by calling *block*, and wait until the watch has seen it end."""
    seen = asyncio.Event()
    blocks = []

    def note(found):
        blocks.append(found)
        seen.set()

    async with LagWatch(threshold=0.05, interval=0.01, on_block=note) as watch:
        await asyncio.sleep(0.05)
        block(*args)
        await asyncio.wait_for(seen.wait(), 5)
        return blocks[0], watch.reading()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("block", [time.sleep, busy_for], ids=["sleeping", "computing"])
def test_block_is_reported_with_the_line_that_blocks(new_loop, block):
    """The stack goes down to the function that keeps the loop, on every loop, whether it computes or waits."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        found, reading = runner.run(watch_one_block(block, 0.3))

    assert any("block(*args)" in line for line in found.stack)
    assert any("watch_one_block" in line for line in found.stack)
    assert 0.15 < found.seconds < 3
    assert (reading.blocks, reading.recent) == (1, (found,))
    assert reading.max >= found.seconds


async def test_computing_and_waiting_are_told_apart():
    """A block that computes has used the processor, one that sleeps has not."""
    computed, _ = await watch_one_block(busy_for, 0.3)
    slept, _ = await watch_one_block(time.sleep, 0.3)

    assert computed.cpu + computed.starved > 0.15
    assert slept.cpu < 0.1


async def test_block_names_the_task():
    """The task that ran while the loop stood still."""
    asyncio.current_task().set_name("GET /upload")

    found, _ = await watch_one_block(time.sleep, 0.3)

    assert found.task == "GET /upload"


async def test_code_that_holds_the_interpreter_lock_is_counted():
    """No other thread can look while C code holds the lock; the block is counted all the same."""
    found, reading = await watch_one_block(pow, 7**100_000, 8)

    assert reading.blocks == 1
    assert found.seconds > 0.05


async def test_free_loop_has_no_block():
    """Small pieces of work leave the loop free."""
    async with LagWatch(threshold=0.5, interval=0.01) as watch:
        for _ in range(30):
            hashlib.sha256(b"x" * 1000).digest()
            await asyncio.sleep(0.005)

        reading = watch.reading()

    assert (reading.blocks, reading.blocked_for) == (0, 0.0)
    assert 0 <= reading.p50 <= reading.p99 <= reading.max < 0.5


async def test_reading_says_that_it_blocks_now():
    """Another thread can ask while the loop stands still."""
    async with LagWatch(threshold=0.05, interval=0.01) as watch:
        await asyncio.sleep(0.03)
        time.sleep(0.2)  # noqa: ASYNC251 - this is the subject

        assert watch.reading().blocked_for > 0.05


async def test_watch_can_be_started_again():
    """Stopping ends the thread; starting again begins where it ended."""
    watch = LagWatch()
    for _ in range(2):
        watch.start()
        watch.start()
        watch.stop()

    assert watch.reading().blocks == 0


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_loop_that_waits_is_known_by_its_stack(new_loop):
    """A loop that is late while it waits got no processor: no code is to blame."""
    seen = []

    async def wait():
        ident = threading.get_ident()
        thread = threading.Thread(target=lambda: (time.sleep(0.1), seen.append(_is_idle(sys._current_frames()[ident]))))
        thread.start()
        await asyncio.sleep(0.2)
        thread.join()
        seen.append(_is_idle(sys._getframe()))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(wait())

    assert seen == [True, False]
