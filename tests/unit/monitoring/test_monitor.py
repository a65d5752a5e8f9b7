"""The monitor: snapshots in time, whatever the loop and the lanes do."""

import asyncio
import threading
import time

import pytest

from levelpool.monitoring.monitor import ResourceMonitor
from levelpool.pools import PoolStats


class Manager:
    """Says what a manager says."""

    def __init__(self, lanes):
        self.lanes = lanes

    def stats(self):
        return self

    def to_dict(self):
        return {"lanes": self.lanes, "tasks": [{"name": "f"}]}


async def test_snapshot_has_everything(lane):
    """Resources, loop, lanes, tasks, pools and what further collectors say."""
    async with ResourceMonitor(Manager({"cpu": lane(busy=1)}), interval=0.1) as monitor:
        monitor.add_pool("main", lambda: PoolStats("main", 5, 5, 1, 0, 0, 0.0))
        monitor.add_collector("imports", lambda: {"running": 2})

        snapshot = await monitor.fresh(max_age=0)

    assert snapshot.lanes["cpu"]["busy"] == 1
    assert snapshot.tasks == ({"name": "f"},)
    assert snapshot.pools[0].checked_out == 1
    assert snapshot.collected == {"imports": {"running": 2}}
    assert snapshot.diagnosis
    assert snapshot.resources.memory.used > 0


async def test_listener_is_told_every_interval_in_its_loop():
    """A listener that subscribed in a loop is called there, and no more once it has left."""
    heard = []
    enough = asyncio.Event()

    def listen(snapshot):
        heard.append((snapshot, threading.get_ident()))
        if len(heard) == 3:
            enough.set()

    async with ResourceMonitor(interval=0.02) as monitor:
        leave = monitor.subscribe(listen)
        await asyncio.wait_for(enough.wait(), 5)
        leave()
        count = len(heard)
        await asyncio.sleep(0.1)

    assert len(heard) <= count + 1
    assert {thread for _, thread in heard} == {threading.get_ident()}
    assert len({snapshot.at for snapshot, _ in heard}) == len(heard)


async def test_listener_that_fails_does_not_stop_the_others(caplog):
    """Its error is logged."""
    heard = asyncio.Event()

    def fail(_snapshot):
        raise ValueError("no")

    async with ResourceMonitor(interval=0.02) as monitor:
        monitor.subscribe(fail)
        monitor.subscribe(lambda _snapshot: heard.set())
        await asyncio.wait_for(heard.wait(), 5)

    assert "a listener of the resource monitor failed" in caplog.text


async def test_collector_that_fails_says_its_error():
    """The rest of the snapshot is there."""

    def fail():
        raise ValueError("out of paper")

    async with ResourceMonitor() as monitor:
        monitor.add_collector("printer", fail)
        monitor.add_pool("broken", fail)

        snapshot = await monitor.fresh(max_age=0)

    assert snapshot.collected == {"printer": {"error": "out of paper"}}
    assert snapshot.pools == ()


async def test_numbers_come_while_the_loop_stands_still():
    """The monitor reads in its own thread."""
    async with ResourceMonitor(interval=0.01) as monitor:
        monitor.subscribe(lambda _snapshot: None)
        before = await monitor.fresh(max_age=0)
        time.sleep(0.3)  # noqa: ASYNC251 - this is the subject
        after = monitor.latest()

    assert after.at > before.at
    assert after.loop.blocked_for > 0


def test_monitor_works_without_a_loop():
    """In a plain program listeners are called in the monitor's thread."""
    heard = threading.Event()
    monitor = ResourceMonitor(interval=0.02)
    monitor.subscribe(lambda _snapshot: heard.set())
    monitor.start()

    assert heard.wait(5)
    assert monitor.ask().result(5).loop.blocks == 0
    monitor.stop()


async def test_start_and_stop_may_be_awaited_and_repeated():
    """Both do their work at once; awaiting them is a courtesy."""
    monitor = ResourceMonitor(interval=60)
    for _ in range(2):
        await monitor.start()
        await monitor.start()
        await monitor.stop()
        await monitor.stop()


async def test_asking_a_monitor_that_is_not_started_is_an_error():
    """It would wait for ever otherwise."""
    with pytest.raises(RuntimeError, match="not started"):
        await ResourceMonitor().fresh()


async def test_thresholds_are_logged(caplog):
    """A use above the threshold is a warning with both figures."""
    async with ResourceMonitor(interval=0.02, memory_threshold=0.0) as monitor:
        monitor.subscribe(lambda _snapshot: None)
        await monitor.fresh(max_age=0)
        await asyncio.sleep(0.1)

    assert "(threshold 0 %)" in caplog.text


async def test_listener_may_ask_for_its_own_interval():
    """Somebody who watches live is told more often than the alerts are checked."""
    often, seldom = [], []
    enough = asyncio.Event()

    def listen(snapshot):
        often.append(snapshot)
        if len(often) == 3:
            enough.set()

    async with ResourceMonitor(interval=60.0) as monitor:
        monitor.subscribe(seldom.append)
        monitor.subscribe(listen, interval=0.01)
        await asyncio.wait_for(enough.wait(), 5)

    assert len(seldom) == 1
