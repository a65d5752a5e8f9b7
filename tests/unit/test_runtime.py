"""Everything opened together, closed in reverse."""

import asyncio
import os
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from levelpool.connections.budget import budget_of
from levelpool.database import create_engine
from levelpool.errors import SettingsError
from levelpool.runtime import Runtime
from levelpool.settings import Settings

SETTINGS = Settings(cpu_executor_workers=1, io_executor_workers=2, shutdown_timeout=2.0, monitor_interval=0.1)


async def test_runtime_opens_and_closes():
    """While it is open everything answers; afterwards the monitor is silent and nothing runs on."""
    async with Runtime(SETTINGS) as runtime:
        snapshot = await runtime.monitor.fresh()
        assert await runtime.manager.run_io_intensive(sum, [1, 2]) == 3

    assert snapshot.lanes["cpu"]["max_workers"] == 1
    assert runtime.stopping.is_set()
    with pytest.raises(RuntimeError, match="not started"):
        await runtime.monitor.fresh(max_age=0)


async def test_alert_channel_that_cannot_be_used_stops_the_start():
    """One line names the variable."""
    with pytest.raises(SettingsError, match="LEVELPOOL_ALERT_URLS"):
        Runtime(replace(SETTINGS, alert_urls=("nosuch://x",)))


async def test_disabled_monitor_raises_no_alert():
    """The numbers are there, but nobody is told."""
    settings = replace(SETTINGS, monitor_enabled=False, monitor_memory_threshold=0.0)
    async with Runtime(settings) as runtime:
        await runtime.monitor.fresh()
        await asyncio.sleep(0.3)

    assert runtime.alerter.burning() == ()


async def test_enabled_monitor_raises_an_alert():
    """The same with alerts: any use of memory is above a threshold of zero."""
    async with Runtime(replace(SETTINGS, monitor_memory_threshold=0.0)) as runtime:
        async with asyncio.timeout(5):
            while not runtime.alerter.burning():
                await asyncio.sleep(0.02)

    assert runtime.alerter.burning()[0].rule == "memory"


@pytest.fixture
def set_quota(tmp_path):
    """A function that sets the quota of a fake container below `tmp_path`, in microseconds of each tenth of a second."""
    group = tmp_path / "sys/fs/cgroup/app"
    group.mkdir(parents=True)
    proc = tmp_path / "proc/self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (proc / "cgroup").write_text("0::/app\n")

    def write(quota):
        (group / "cpu.max").write_text(f"{quota} 100000\n")

    write(50000)
    return write


async def test_changed_quota_resizes_the_lanes_once(tmp_path, set_quota, caplog):
    """When the container is allowed more while it runs, the lanes grow, and one line says so."""
    async with Runtime(Settings(shutdown_timeout=2.0), root=tmp_path) as runtime:
        await runtime.monitor.fresh()
        set_quota(60000)
        await runtime.monitor.fresh(max_age=0)
        runtime._follow_capacity(runtime.monitor.latest())
        after = (await runtime.monitor.fresh(max_age=0)).lanes["io"]["max_workers"]

    assert after == 3
    assert caplog.text.count("the container now allows 0.6 CPUs (/sys/fs/cgroup/app/cpu.max; before: 0.5)") == 1


async def test_of_several_web_workers_only_the_leader_says_that_the_quota_changed(tmp_path, set_quota, caplog):
    """All of them resize their lanes, and the log tells of it once."""
    async with Runtime(Settings(shutdown_timeout=2.0), root=tmp_path) as runtime:
        runtime.neighbours = SimpleNamespace(leads=False)
        set_quota(60000)
        await runtime.monitor.fresh(max_age=0)
        runtime._follow_capacity(runtime.monitor.latest())

    assert runtime.sizes.io_workers == 3
    assert not [record for record in caplog.records if record.levelname == "WARNING" and "now allows" in record.message]


async def test_pools_make_room_when_the_container_is_allowed_more_workers(tmp_path, set_quota):
    """Each worker process may open a connection of its own: the budgets of this process hear of it."""
    engine = create_engine("sqlite://")
    budget = budget_of(sa.make_url("postgresql://levelpool@nowhere/sales"))
    set_quota(200000)
    async with Runtime(Settings(shutdown_timeout=2.0), root=tmp_path) as runtime:
        runtime.add_pool("main", engine)
        before = budget._cpu_workers
        runtime.sizes = replace(runtime.sizes, cpu_workers=3)
        runtime._fit_pools()
    after = budget._cpu_workers
    engine.dispose()
    budget._cpu_workers = None

    assert (before, after) == (1, 3)


async def test_throttled_container_makes_the_cpu_lane_give_way(snapshot, lane, caplog, monkeypatch):
    """Two workers and the loop stand still half of the time: one worker is left, and one line says why."""
    async with Runtime(replace(SETTINGS, cpu_executor_workers=2)) as runtime:
        monkeypatch.setattr(runtime.lag, "recent_p99", lambda seconds: 0.048)
        reading = snapshot(throttled=100.0, lanes={"cpu": lane(busy=2), "io": lane()})
        cpu = replace(reading.resources.cpu, stood_still=min(3, os.cpu_count()) / 2)
        runtime._follow_throttling(replace(reading, resources=replace(reading.resources, cpu=cpu)))
        workers = runtime.manager.stats().cpu.max_workers

    assert workers == 1
    assert (
        caplog.text.count(
            "stood still 50 % of the time, and the event loop was up to 48 ms late: the CPU lane gives way, 1 of 2 worker processes"
        )
        == 1
    )


async def test_alone_it_leads(tmp_path):
    """Without neighbours there is nothing to wait for, and the only answer is its own."""
    async with Runtime(SETTINGS) as runtime:
        await runtime.lead()
        (own,) = (await runtime.ask_neighbours("snapshot")).values()

    assert runtime.leads
    assert own["leads"]
    assert own["memory"]["used"] > 0


async def test_several_web_workers_share_a_private_folder(tmp_path):
    """The first one leads, and answers with its stacks over its socket."""
    settings = replace(SETTINGS, web_concurrency=2, data_dir=tmp_path)
    async with Runtime(settings) as runtime:
        await asyncio.wait_for(runtime.lead(), 5)
        answers = await runtime.ask_neighbours("stacks")

    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert any(thread["name"] == "levelpool monitor" for thread in answers[0]["threads"])
    assert answers[0]["tasks"]


async def test_metrics_come_while_every_thread_is_busy():
    """A full thread lane is when the numbers are needed most."""
    gate = threading.Event()
    async with Runtime(SETTINGS) as runtime:
        busy = [asyncio.create_task(runtime.manager.run_io_intensive(gate.wait, 10)) for _ in range(4)]
        await asyncio.sleep(0)
        samples = await asyncio.wait_for(runtime.metrics(), 5)
        gate.set()
        await asyncio.gather(*busy)

    assert samples[0]["levelpool_lane_busy"] == [(("cpu",), 0.0), (("io",), 2.0)]
